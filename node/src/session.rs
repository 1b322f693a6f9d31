//! A Roles Anywhere session: the signed `CreateSession` call and what it
//! answers.
//!
//! The ARNs travel in the body, where no query encoding can go wrong, and
//! optional members are left out rather than sent as null: a session name is
//! refused unless the profile accepts one.
//!
//! Source: IAM Roles Anywhere user guide, "Authentication: CreateSession".

mod client;
mod endpoint;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use landfast_base::Secret;
use landfast_base::arn::Arn;
use landfast_rolesanywhere::causes::{self, Cause};
use landfast_rolesanywhere::session::{MAX_CHAIN, PATH};
use landfast_rolesanywhere::sigv4::{self, Authorization, Scope, SignedRequest};
use serde::Serialize;

use crate::crypto::{KeyError, SessionKey};

pub use client::Client;
pub use endpoint::{Endpoint, EndpointError, EndpointKind, Wanted, is_safe};

/// Errors that ask for less haste, whatever their status.
///
/// Source: as above, "Retryable errors".
const THROTTLING: [&str; 9] = [
    "Throttling",
    "ThrottlingException",
    "ThrottledException",
    "RequestThrottled",
    "RequestThrottledException",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "LimitExceededException",
    "SlowDown",
];
/// Errors of the service that pass by themselves, whatever their status.
const TRANSIENT: [&str; 2] = ["RequestTimeout", "RequestTimeoutException"];
/// What proves who the node is: a certificate, its chain and its key.
#[derive(Debug)]
pub struct Identity {
    /// The end-entity certificate in DER.
    pub leaf: Vec<u8>,
    /// Intermediate certificates in DER; sent when there are any.
    pub chain: Vec<Vec<u8>>,
    /// The leaf's serial number, big-endian.
    pub serial: Vec<u8>,
    /// The private key of the leaf.
    pub key: SessionKey,
}

/// Which session is asked for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SessionRequest {
    /// The trust anchor; its Region is where the call goes.
    pub trust_anchor: Arn,
    /// The profile.
    pub profile: Arn,
    /// The role to assume.
    pub role: Arn,
    /// The session's length in seconds; the service takes the profile's when absent.
    pub duration: Option<u32>,
    /// The role session name, if the profile accepts one.
    pub session_name: Option<String>,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Body<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    duration_seconds: Option<u32>,
    profile_arn: &'a Arn,
    role_arn: &'a Arn,
    trust_anchor_arn: &'a Arn,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_session_name: Option<&'a str>,
}

/// A request that is ready to go out: every header is signed.
#[derive(Clone, Debug)]
pub struct Signed {
    /// The headers, `Authorization` last.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl SessionRequest {
    /// Holds the ARNs against each other.
    ///
    /// # Errors
    /// Profile and trust anchor are not of one Region and account.
    pub fn check(&self) -> Result<(), String> {
        let (profile, anchor) = (&self.profile, &self.trust_anchor);
        if profile.region != anchor.region {
            return Err(format!(
                "the profile is in {} and the trust anchor in {}: Roles Anywhere wants both in one Region",
                profile.region, anchor.region
            ));
        }
        if profile.account != anchor.account {
            return Err("the profile and the trust anchor belong to different accounts".to_owned());
        }
        Ok(())
    }

    /// Signs the request as of `now` for the endpoint `host`.
    ///
    /// # Errors
    /// [`KeyError`] when the key cannot sign.
    pub fn sign(
        &self,
        identity: &Identity,
        host: &str,
        region: &str,
        now: Timestamp,
    ) -> Result<Signed, KeyError> {
        let body = serde_json::to_vec(&Body {
            duration_seconds: self.duration,
            profile_arn: &self.profile,
            role_arn: &self.role,
            trust_anchor_arn: &self.trust_anchor,
            role_session_name: self.session_name.as_deref(),
        })
        .expect("a map of texts and numbers is JSON");
        sign(identity, host, region, now, body)
    }
}

/// Signs `body` for `CreateSession`.
fn sign(
    identity: &Identity,
    host: &str,
    region: &str,
    now: Timestamp,
    body: Vec<u8>,
) -> Result<Signed, KeyError> {
    let amz_date = amz_date(now);
    let mut headers = vec![
        ("Content-Type".to_owned(), "application/json".to_owned()),
        ("Host".to_owned(), host.to_owned()),
        ("X-Amz-Date".to_owned(), amz_date.clone()),
        ("X-Amz-X509".to_owned(), STANDARD.encode(&identity.leaf)),
    ];
    if !identity.chain.is_empty() {
        let chain: Vec<String> = identity
            .chain
            .iter()
            .take(MAX_CHAIN)
            .map(|der| STANDARD.encode(der))
            .collect();
        headers.push(("X-Amz-X509-Chain".to_owned(), chain.join(",")));
    }
    let request = SignedRequest {
        method: "POST",
        path: PATH,
        query: &[],
        headers: &headers,
        body: &body,
    };
    let scope = Scope {
        date: amz_date[..8].to_owned(),
        region: region.to_owned(),
    };
    let algorithm = identity.key.algorithm();
    let text = sigv4::string_to_sign(algorithm, &amz_date, &scope, &request.canonical());
    let authorization = Authorization {
        algorithm,
        serial: sigv4::decimal(&identity.serial),
        scope,
        signed_headers: request
            .signed_headers()
            .split(';')
            .map(str::to_owned)
            .collect(),
        signature: identity.key.sign(text.as_bytes())?,
    };
    headers.push(("Authorization".to_owned(), authorization.to_string()));
    Ok(Signed { headers, body })
}

/// `YYYYMMDDThhmmssZ` in UTC.
pub fn amz_date(now: Timestamp) -> String {
    now.to_zoned(TimeZone::UTC)
        .strftime("%Y%m%dT%H%M%SZ")
        .to_string()
}

/// Temporary credentials of a role.
#[derive(Debug)]
pub struct Credentials {
    /// The access key id; not secret by itself.
    pub access_key_id: String,
    /// The secret access key.
    pub secret_access_key: Secret<String>,
    /// The session token, as secret as the key.
    pub session_token: Secret<String>,
    /// When they end.
    pub expiration: Timestamp,
    /// The assumed role with the session name.
    pub assumed_role_arn: String,
    /// How far the service's clock is ahead of this machine's, when that is
    /// far enough to matter.
    pub clock_behind: Option<SignedDuration>,
}

impl Credentials {
    /// When they end by this machine's clock, right or wrong.
    pub fn ends(&self) -> Timestamp {
        let behind = self.clock_behind.unwrap_or_default();
        self.expiration
            .checked_sub(behind)
            .unwrap_or(self.expiration)
    }
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The key cannot sign.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The endpoint was not reached or did not answer in time.
    #[error("no answer from {endpoint}: {cause}{advice}")]
    Transport {
        /// The endpoint's host.
        endpoint: String,
        /// What went wrong below, and by which proxy.
        cause: String,
        /// What to do, behind a semicolon, where that is known.
        advice: &'static str,
    },
    /// The service refused.
    #[error("{kind} ({status}): {message}")]
    Refused {
        /// The HTTP status.
        status: u16,
        /// The service's error type, such as `AccessDeniedException`.
        kind: String,
        /// The service's text.
        message: String,
    },
    /// An answer that is not the documented one. Its content is never shown: it
    /// could hold credentials.
    #[error("{endpoint} gave an answer that is not a session: {what}")]
    Answer {
        /// The endpoint's host.
        endpoint: String,
        /// What is missing.
        what: &'static str,
    },
}

impl SessionError {
    /// Whether the same call may succeed later.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Transport { .. } => true,
            Self::Refused { status, kind, .. } => {
                matches!(*status, 429 | 500 | 502 | 503 | 504)
                    || THROTTLING.contains(&kind.as_str())
                    || TRANSIENT.contains(&kind.as_str())
            }
            Self::Key(_) | Self::Answer { .. } => false,
        }
    }

    /// The usual cause of a refusal, by its text or else by its type.
    pub fn usual_cause(&self) -> Option<&'static Cause> {
        match self {
            Self::Refused { kind, message, .. } => causes::of(&format!("{kind}: {message}")),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn throttling_is_known_by_its_name_as_well() {
        let refused = |status, kind: &str| SessionError::Refused {
            status,
            kind: kind.to_owned(),
            message: String::new(),
        };
        assert!(refused(429, "anything").is_temporary());
        assert!(refused(400, "ThrottlingException").is_temporary());
        assert!(!refused(400, "ValidationException").is_temporary());
        assert!(!refused(403, "AccessDeniedException").is_temporary());
    }

    #[test]
    fn dates_are_basic_iso_8601_in_utc() {
        let now: Timestamp = "2026-09-01T12:00:00.9Z".parse().unwrap();
        assert_eq!(amz_date(now), "20260901T120000Z");
    }
}
