//! The decision over one `CreateSession` request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use landfast_base::arn::{Arn, ArnKind};
use landfast_pki::{Certificate, KeyType};
use serde::Deserialize;

use super::state::{Anchor, Profile, Role, State};
use crate::causes;
use crate::crypto;
use crate::policy::{ACTIONS, Context};
use crate::rules::{self, Finding};
use crate::session::{DURATIONS, MAX_CHAIN};
use crate::sigv4::{self, Algorithm, Authorization, AuthorizationError, SignedRequest};
use crate::tags::{self, Facts};
use crate::trust::{self, PathError};

/// A request as it came over the wire.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// The query, still encoded.
    pub query: String,
    /// The headers in wire order.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Request {
    /// The subject of the certificate that it shows, which may be anybody's.
    pub(super) fn subject(&self) -> Option<String> {
        let shown = single(&self.headers, "x-amz-x509").ok()??;
        Some(decode_certificate(shown).ok()?.subject().to_string())
    }

    /// The canonical request over the headers that it says are signed; none
    /// where that cannot be read.
    pub(super) fn canonical(&self) -> Option<String> {
        let header = single(&self.headers, "authorization").ok()??;
        let parts = sigv4::Parts::of(header).ok()?;
        let query = decode_query(&self.query)?;
        canonical(self, &self.path, &query, &parts.signed_headers).ok()
    }
}

/// A session that was granted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Granted {
    /// The role.
    pub role: Arn,
    /// The session's name.
    pub session_name: String,
    /// Seconds.
    pub duration: u32,
    /// When it ends.
    pub expiration: Timestamp,
    /// The source identity.
    pub source_identity: String,
    /// The leaf's serial number in decimal.
    pub serial: String,
    /// The session tags.
    pub tags: Vec<(String, String)>,
    /// The certificate.
    pub leaf: Certificate,
}

/// Why a request gets no session. The texts are AWS's where they are known.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The request is malformed.
    #[error("{0}")]
    Validation(String),
    /// The `Authorization` header can't be read.
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
    pub(super) const fn is_of_a_holder(&self) -> bool {
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

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Body {
    /// Any number, so that one out of range is told as such.
    duration_seconds: Option<serde_json::Number>,
    profile_arn: Option<String>,
    role_arn: Option<String>,
    trust_anchor_arn: Option<String>,
    role_session_name: Option<String>,
}

/// The three ARNs of a request.
struct Named {
    anchor: Arn,
    profile: Arn,
    role: Arn,
}

impl State {
    /// Decides over a request at `now`.
    ///
    /// # Errors
    /// The first [`Refusal`], in the order: form, credential, date, signature,
    /// resources, path, certificate, revocation, names and tags, role.
    pub fn decide(&self, request: &Request, now: Timestamp) -> Result<Granted, Refusal> {
        if request.method != "POST" || request.path != crate::session::PATH {
            return Err(invalid("only POST /sessions opens a session"));
        }
        let query = decode_query(&request.query).ok_or_else(|| invalid("broken query"))?;
        let (leaf, chain) = self.authenticate(request, &query, now)?;
        let body: Body = match request.body.as_slice() {
            [] => Body::default(),
            body => serde_json::from_slice(body).map_err(|error| {
                invalid(&format!("the body is not that of CreateSession: {error}"))
            })?,
        };
        let named = arns(&query, &body)?;
        if named.anchor.region != self.region || named.profile.region != self.region {
            return Err(Refusal::Scope(format!(
                "a trust anchor and a profile in {}",
                self.region
            )));
        }
        let (anchor, profile) = self.resources(&named)?;

        let issuers =
            trust::path(&leaf, &chain, &anchor.certificates, now).map_err(Refusal::Untrusted)?;
        if let Some(finding) = rules::end_entity(&leaf).first() {
            return Err(Refusal::Insufficient(finding.clone()));
        }
        self.revocation(anchor, &leaf, &issuers)?;
        self.session(&named.role, anchor, profile, &body, &leaf, now)
    }

    /// Establishes that the holder of the leaf's key sent this request just now.
    fn authenticate(
        &self,
        request: &Request,
        query: &[(String, String)],
        now: Timestamp,
    ) -> Result<(Certificate, Vec<Certificate>), Refusal> {
        let header = |name: &str| single(&request.headers, name);
        let authorization = header("authorization")?
            .ok_or_else(|| invalid("the Authorization header is missing"))?;
        let authorization = Authorization::parse(authorization)?;
        let x509 =
            header("x-amz-x509")?.ok_or_else(|| invalid("the X-Amz-X509 header is missing"))?;
        let amz_date =
            header("x-amz-date")?.ok_or_else(|| invalid("the X-Amz-Date header is missing"))?;
        let leaf = decode_certificate(x509)?;
        let chain = match header("x-amz-x509-chain")? {
            None => Vec::new(),
            Some(list) => list
                .split(',')
                .map(decode_certificate)
                .collect::<Result<Vec<_>, _>>()?,
        };
        if chain.len() > MAX_CHAIN {
            return Err(invalid("the chain holds more than five certificates"));
        }

        for name in [
            "host",
            "x-amz-date",
            "x-amz-x509",
            "x-amz-x509-chain",
            "content-type",
        ] {
            let signed = authorization.signed_headers.iter().any(|s| s == name);
            if !signed && header(name)?.is_some() {
                return Err(Refusal::UnsignedHeader(name));
            }
        }
        if authorization.serial != sigv4::decimal(leaf.serial().as_bytes()) {
            return Err(Refusal::Credential(
                "the serial number is not its own, in decimal",
            ));
        }
        let fits = match leaf.public_key().key_type() {
            KeyType::Rsa => authorization.algorithm == Algorithm::Rsa,
            KeyType::Ec => authorization.algorithm == Algorithm::Ecdsa,
            KeyType::Ed25519 => false,
            KeyType::Other => authorization.algorithm == Algorithm::MlDsa,
        };
        if !fits {
            return Err(Refusal::Credential("the algorithm is not that of its key"));
        }
        if authorization.scope.region != self.region
            || !amz_date.starts_with(&authorization.scope.date)
        {
            return Err(Refusal::Scope(format!(
                "{}, the day of X-Amz-Date",
                self.region
            )));
        }
        let sent =
            parse_date(amz_date).ok_or_else(|| invalid("X-Amz-Date is not YYYYMMDDThhmmssZ"))?;
        let off = now.duration_since(sent).as_secs();
        if off.unsigned_abs() > u64::from(self.skew) {
            return Err(Refusal::ClockSkew(off));
        }

        let canonical = canonical(request, &request.path, query, &authorization.signed_headers)?;
        let text = sigv4::string_to_sign(
            authorization.algorithm,
            amz_date,
            &authorization.scope,
            &canonical,
        );
        let genuine = crypto::verify(
            authorization.algorithm,
            leaf.public_key().spki_der(),
            text.as_bytes(),
            &authorization.signature,
        );
        if genuine {
            Ok((leaf, chain))
        } else {
            Err(Refusal::Signature)
        }
    }

    fn resources(&self, named: &Named) -> Result<(&Anchor, &Profile), Refusal> {
        let anchor = self
            .anchors
            .iter()
            .find(|anchor| anchor.arn == named.anchor)
            .ok_or(Refusal::NotFound("the trust anchor"))?;
        let profile = self
            .profiles
            .iter()
            .find(|profile| profile.arn == named.profile)
            .ok_or(Refusal::NotFound("the profile"))?;
        if !anchor.enabled {
            return Err(Refusal::Disabled("the trust anchor"));
        }
        if !profile.enabled {
            return Err(Refusal::Disabled("the profile"));
        }
        Ok((anchor, profile))
    }

    /// A CRL revokes what its own issuer issued, leaf or intermediate: an issuer
    /// of the same name with another key is not its issuer.
    fn revocation(
        &self,
        anchor: &Anchor,
        leaf: &Certificate,
        issuers: &[&Certificate],
    ) -> Result<(), Refusal> {
        let lists = self
            .crls
            .iter()
            .filter(|crl| crl.enabled && crl.anchor == anchor.arn);
        for crl in lists {
            let subjects = std::iter::once(leaf).chain(issuers.iter().copied());
            for (certificate, issuer) in subjects.zip(issuers) {
                let listed = crl.list.issuer() == issuer.subject()
                    && crl.list.find(certificate.serial()).is_some();
                if listed && crl.list.verify_signed_by(issuer.public_key()).is_ok() {
                    return Err(Refusal::Revoked);
                }
            }
        }
        Ok(())
    }

    fn session(
        &self,
        role_arn: &Arn,
        anchor: &Anchor,
        profile: &Profile,
        body: &Body,
        leaf: &Certificate,
        now: Timestamp,
    ) -> Result<Granted, Refusal> {
        let denied = |rule: &'static str, why: &str| Refusal::Role {
            role: role_arn.to_string(),
            rule,
            why: why.to_owned(),
        };
        if !profile.roles.contains(role_arn) {
            return Err(denied("PF-03", "the profile does not list it"));
        }
        let role: &Role = self
            .roles
            .iter()
            .find(|role| role.arn == *role_arn)
            .ok_or_else(|| denied("AR-01", "there is no such role"))?;
        let facts = Facts::of(leaf);
        let session_name = match &body.role_session_name {
            None => facts.default_session_name(),
            Some(_) if !profile.accept_session_name => return Err(Refusal::SessionName),
            Some(name) if tags::is_session_name(name) => name.clone(),
            Some(_) => {
                return Err(invalid(
                    "roleSessionName takes 2 to 64 of A-Z a-z 0-9 _ + = , . @ -",
                ));
            }
        };
        let asked = match &body.duration_seconds {
            None => profile.duration,
            Some(given) => duration(given).map_err(invalid)?,
        };
        let duration = asked.min(profile.duration);
        if duration > role.max_duration {
            return Err(Refusal::Duration);
        }
        let bad = facts.bad_tags_under(&profile.mappings);
        if !bad.is_empty() {
            return Err(Refusal::Tags(failed_mappings(&bad)));
        }

        let context =
            Context::of_mapped_session(&facts, &anchor.arn, &session_name, &profile.mappings);
        for action in ACTIONS {
            match role.trust.allows(action, &context) {
                Ok(true) => {}
                Ok(false) => {
                    let why = format!("its trust policy does not allow {action}");
                    return Err(denied("TP-05", &why));
                }
                Err(error) => return Err(denied("TP-05", &error.to_string())),
            }
        }
        let expiration = now
            .checked_add(jiff::SignedDuration::from_secs(i64::from(duration)))
            .map_err(|_| invalid("the session would end beyond all time"))?;
        Ok(Granted {
            role: role_arn.clone(),
            session_name,
            duration,
            expiration,
            source_identity: facts.source_identity(),
            serial: sigv4::decimal(leaf.serial().as_bytes()),
            tags: facts.tags_under(&profile.mappings).into_iter().collect(),
            leaf: leaf.clone(),
        })
    }
}

/// A session's length, where it is one that the service takes.
///
/// Source: IAM Roles Anywhere user guide, "CreateSession API".
pub(super) fn duration(given: &serde_json::Number) -> Result<u32, &'static str> {
    given
        .as_u64()
        .and_then(|seconds| u32::try_from(seconds).ok())
        .filter(|seconds| DURATIONS.contains(seconds))
        .ok_or("durationSeconds must be a whole number from 900 to 43200")
}

/// The canonical request over the headers that are said to be signed.
pub(super) fn canonical(
    request: &Request,
    path: &str,
    query: &[(String, String)],
    signed_headers: &[String],
) -> Result<String, Refusal> {
    let headers: Vec<(String, String)> = signed_headers
        .iter()
        .map(|name| {
            let value = single(&request.headers, name)?
                .ok_or_else(|| invalid("a signed header is not in the request"))?;
            Ok((name.clone(), value.to_owned()))
        })
        .collect::<Result<_, Refusal>>()?;
    Ok(SignedRequest {
        method: &request.method,
        path,
        query,
        headers: &headers,
        body: &request.body,
    }
    .canonical())
}

/// The ARNs from the query or the body; both may carry them if they agree.
fn arns(query: &[(String, String)], body: &Body) -> Result<Named, Refusal> {
    let pick = |name: &'static str, inside: &Option<String>, kind| {
        let mut values = query
            .iter()
            .filter(|(key, _)| key == name)
            .map(|(_, value)| value)
            .chain(inside);
        let first = values
            .next()
            .ok_or_else(|| invalid(&format!("{name} is missing")))?;
        if values.any(|other| other != first) {
            return Err(invalid(&format!("{name} is given twice, differently")));
        }
        Arn::parse_as(first, kind).map_err(|error| invalid(&format!("{name}: {error}")))
    };
    Ok(Named {
        anchor: pick(
            "trustAnchorArn",
            &body.trust_anchor_arn,
            ArnKind::TrustAnchor,
        )?,
        profile: pick("profileArn", &body.profile_arn, ArnKind::Profile)?,
        role: pick("roleArn", &body.role_arn, ArnKind::Role)?,
    })
}

fn failed_mappings(bad: &[tags::BadTag]) -> String {
    let of = |prefix: &str| {
        let keys: Vec<&str> = bad
            .iter()
            .filter_map(|tag| tag.key.strip_prefix(prefix))
            .collect();
        keys.join(", ")
    };
    format!(
        "Issuer: [{}]; Subject: [{}]; SAN: [{}]",
        of("x509Issuer/"),
        of("x509Subject/"),
        of("x509SAN/")
    )
}

fn invalid(text: &str) -> Refusal {
    Refusal::Validation(text.to_owned())
}

/// The one value of a header; two of the same name would make two meanings.
pub(super) fn single<'a>(
    headers: &'a [(String, String)],
    name: &str,
) -> Result<Option<&'a str>, Refusal> {
    let mut values = headers
        .iter()
        .filter(|(key, _)| key.eq_ignore_ascii_case(name))
        .map(|(_, value)| value.as_str());
    let first = values.next();
    if values.next().is_some() {
        return Err(invalid("a header that is signed stands twice"));
    }
    Ok(first)
}

fn decode_certificate(text: &str) -> Result<Certificate, Refusal> {
    let der = STANDARD
        .decode(text)
        .map_err(|_| invalid("a certificate header is not base64"))?;
    Certificate::from_der(&der).map_err(|_| invalid("a certificate header holds no certificate"))
}

pub(super) fn parse_date(text: &str) -> Option<Timestamp> {
    let date = DateTime::strptime("%Y%m%dT%H%M%SZ", text).ok()?;
    Some(date.to_zoned(TimeZone::UTC).ok()?.timestamp())
}

/// Percent-decodes a query; `+` stays itself, as in Signature Version 4.
pub(super) fn decode_query(query: &str) -> Option<Vec<(String, String)>> {
    query
        .split('&')
        .filter(|pair| !pair.is_empty())
        .map(|pair| {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            Some((percent_decode(name)?, percent_decode(value)?))
        })
        .collect()
}

pub(super) fn percent_decode(text: &str) -> Option<String> {
    let mut out = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        if byte == b'%' {
            let mut digit = || char::from(bytes.next()?).to_digit(16);
            let value = digit()? * 16 + digit()?;
            out.push(u8::try_from(value).ok()?);
        } else {
            out.push(byte);
        }
    }
    String::from_utf8(out).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_out_of_range_is_told_as_such_whatever_number_it_is() {
        for (text, seconds) in [
            ("900", Some(900)),
            ("43200", Some(43_200)),
            ("899", None),
            ("43201", None),
            ("-900", None),
            ("900.5", None),
            ("1e12", None),
            ("99999999999999999999", None),
        ] {
            let body: Body =
                serde_json::from_str(&format!("{{\"durationSeconds\": {text}}}")).unwrap();
            let found = duration(&body.duration_seconds.unwrap());
            assert_eq!(found.ok(), seconds, "{text}");
        }
    }
}
