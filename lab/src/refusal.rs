//! Why the lab opens no session.

use landfast_rolesanywhere::causes;
use landfast_rolesanywhere::rules::Finding;
use landfast_rolesanywhere::sigv4::AuthorizationError;
use landfast_rolesanywhere::trust::PathError;

/// Why a request gets no session. The texts are AWS's where they are known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request is malformed.
    #[error("{0}")]
    Validation(String),
    /// The `Authorization` header cannot be read.
    #[error("{0}")]
    Authorization(#[from] AuthorizationError),
    /// A header that must be signed is not.
    #[error("the header {0} must be signed")]
    UnsignedHeader(&'static str),
    /// Serial number, or algorithm and key, do not fit the certificate.
    #[error("the credential does not belong to the certificate: {0}")]
    Credential(&'static str),
    /// Day or Region of the scope are wrong.
    #[error("Credential should be scoped to {0}")]
    Scope(String),
    /// The date is too far from the lab's clock.
    #[error("Signature expired or not yet current: the request's date is {0} seconds off")]
    ClockSkew(i64),
    /// The signature is not the certificate's over this request.
    #[error("the request signature does not match")]
    Signature,
    /// No path to the anchor.
    #[error("Untrusted signing certificate ({rule}: {0})", rule = .0.rule())]
    Untrusted(PathError),
    /// The leaf breaks a rule.
    #[error("Insufficient certificate ({problem})", problem = .0.problem)]
    Insufficient(Finding),
    /// The serial is in an enabled CRL.
    #[error("Certificate revoked")]
    Revoked,
    /// An anchor or profile that is not there.
    #[error("{0} not found")]
    NotFound(&'static str),
    /// An anchor or profile that is switched off.
    #[error("{0} is disabled")]
    Disabled(&'static str),
    /// The profile takes no session names.
    #[error("Not authorized to set roleSessionName")]
    SessionName,
    /// The role takes no sessions this long.
    #[error("The requested DurationSeconds exceeds the MaxSessionDuration set for this role")]
    Duration,
    /// Tags that STS refuses.
    #[error("Some attributes failed to be mapped into session tags. {0}")]
    Tags(String),
    /// Role, profile or trust policy say no.
    #[error("Unable to assume role for {role} ({why})")]
    Role {
        /// The role's ARN.
        role: String,
        /// The rule of `landfast doctor` that looks at it.
        rule: &'static str,
        /// Which of them says no.
        why: String,
    },
}

impl Refusal {
    /// Whether the holder of a certificate of the trust anchor sent the request.
    /// What was refused before that was known may come from anybody.
    pub(crate) const fn is_of_a_holder(&self) -> bool {
        matches!(
            self,
            Self::Insufficient(_)
                | Self::Revoked
                | Self::SessionName
                | Self::Duration
                | Self::Tags(_)
                | Self::Role { .. }
        )
    }

    /// The HTTP status and the error type of the answer.
    pub const fn status(&self) -> (u16, &'static str) {
        match self {
            Self::Validation(_) => (400, "ValidationException"),
            Self::NotFound(_) => (404, "ResourceNotFoundException"),
            _ => (403, "AccessDeniedException"),
        }
    }

    /// The rule of `landfast doctor` that is broken; none where a client forms requests wrongly.
    pub const fn rule(&self) -> Option<&'static str> {
        match self {
            Self::Untrusted(error) => Some(error.rule()),
            Self::Insufficient(finding) => Some(finding.rule),
            Self::Revoked => Some("CR-02"),
            Self::SessionName => Some("PF-01"),
            Self::Duration => Some("PF-02"),
            Self::Tags(_) => Some("EE-09"),
            Self::Role { rule, .. } => Some(rule),
            Self::Scope(_) | Self::NotFound(_) => Some("AR-01"),
            Self::ClockSkew(_) => Some("ON-02"),
            Self::Signature => Some("EE-06"),
            Self::Disabled(_)
            | Self::Validation(_)
            | Self::Authorization(_)
            | Self::UnsignedHeader(_)
            | Self::Credential(_) => None,
        }
    }

    /// What to do about it.
    pub fn remedy(&self) -> String {
        let known = match self {
            Self::Insufficient(finding) => return finding.remedy.clone(),
            Self::Untrusted(
                error @ (PathError::Dates { .. }
                | PathError::Critical { .. }
                | PathError::Names { .. }),
            ) => error.remedy(),
            Self::Disabled(_) => {
                "enable it: `aws rolesanywhere enable-trust-anchor` or `enable-profile`"
            }
            Self::Role { rule: "PF-03", .. } => "add the role to the profile's roleArns",
            Self::Role { rule: "AR-01", .. } => {
                "use the ARN of the role that `landfast lab` printed"
            }
            Self::Authorization(_) | Self::UnsignedHeader(_) | Self::Credential(_) => {
                "the client signs in another way than Roles Anywhere: compare the canonical request in /lab/calls with its own"
            }
            _ => {
                let text = format!("{}: {self}", self.status().1);
                causes::of(&text).map_or("see `landfast doctor`", |cause| cause.remedy)
            }
        };
        known.to_owned()
    }
}

pub(crate) fn invalid(text: &str) -> Refusal {
    Refusal::Validation(text.to_owned())
}
