//! A Roles Anywhere session: the signed `CreateSession` call and what it
//! answers.
//!
//! The ARNs travel in the body, where no query encoding can go wrong, and
//! optional members are left out rather than sent as null: a session name is
//! refused unless the profile accepts one.
//!
//! Source: IAM Roles Anywhere user guide, "Authentication: CreateSession".

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::fmt::rfc2822;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use landfast_pki::Secret;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::arn::Arn;
use crate::crypto::{self, KeyError, SessionKey};
use crate::sigv4::{self, Authorization, Scope, SignedRequest};
use crate::vault;

/// The path of the call.
pub const PATH: &str = "/sessions";
/// At most this many certificates go into the chain header.
pub const MAX_CHAIN: usize = 5;
/// The shortest and the longest session, in seconds.
pub const DURATIONS: std::ops::RangeInclusive<u32> = 900..=43_200;

/// How often a call is tried, with a pause by chance between: up to one
/// second, then up to two.
///
/// Source: AWS SDKs and tools reference guide, "Retry behavior" (standard mode).
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// Longer than this, nobody waits who asked for credentials.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
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
/// A clock that is further off than this explains a refusal; the service's
/// own window is not published.
const SKEW: SignedDuration = SignedDuration::from_mins(4);
/// No answer to a session request is longer.
const MAX_ANSWER: usize = 64 * 1024;

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
    /// [`KeyError`] when the key can't sign.
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

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Answer {
    credential_set: Vec<AnswerSet>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnswerSet {
    credentials: AnswerCredentials,
    #[serde(default)]
    assumed_role_user: AnswerUser,
}

#[derive(Default, Deserialize)]
struct AnswerUser {
    #[serde(default)]
    arn: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnswerCredentials {
    access_key_id: String,
    secret_access_key: String,
    session_token: String,
    expiration: Timestamp,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct AnswerError {
    #[serde(default, alias = "Message")]
    message: String,
    #[serde(default)]
    retry_after_seconds: Option<u64>,
}

/// Why there is no session.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The key can't sign.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The endpoint was not reached or did not answer in time.
    #[error("no answer from {endpoint}: {cause}")]
    Transport {
        /// The endpoint's host.
        endpoint: String,
        /// What went wrong below.
        cause: String,
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
}

/// Where the calls go.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Scheme, host and optional port, without a path.
    pub url: String,
    /// The Region that the signature names.
    pub region: String,
}

/// Which of the service's endpoints is meant.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EndpointKind {
    /// The FIPS 140 endpoint, which exists in the United States and GovCloud.
    pub fips: bool,
    /// The endpoint with IPv4 and IPv6.
    pub dual_stack: bool,
}

impl Endpoint {
    /// The public endpoint for the trust anchor's Region and partition.
    ///
    /// Source: AWS general reference, "IAM Roles Anywhere endpoints".
    pub fn of(anchor: &Arn, region: &str, kind: EndpointKind) -> Self {
        let service = if kind.fips {
            "rolesanywhere-fips"
        } else {
            "rolesanywhere"
        };
        let suffix = match (kind.dual_stack, anchor.partition.as_str()) {
            (true, "aws-cn") => "api.amazonwebservices.com.cn",
            (true, "aws-eusc") => "api.amazonwebservices.eu",
            (true, _) => "api.aws",
            (false, _) => anchor.dns_suffix(),
        };
        Self {
            url: format!("https://{service}.{region}.{suffix}"),
            region: region.to_owned(),
        }
    }

    /// An endpoint other than the public one; `None` if it could be listened to on its way.
    pub fn at(url: &str, region: &str) -> Option<Self> {
        let safe = url.starts_with("https://") || url.starts_with("http://127.");
        safe.then(|| Self {
            url: url.trim_end_matches('/').to_owned(),
            region: region.to_owned(),
        })
    }

    /// The host with its port, as it stands in the `Host` header.
    pub fn host(&self) -> &str {
        let rest = self
            .url
            .split_once("://")
            .map_or(self.url.as_str(), |(_, rest)| rest);
        rest.split('/').next().unwrap_or(rest)
    }
}

/// Calls `CreateSession`.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    endpoint: Endpoint,
}

impl Client {
    /// A client over an HTTP client that speaks HTTP/1.1: the signature covers
    /// the `Host` header, which HTTP/2 does not send.
    pub const fn new(http: reqwest::Client, endpoint: Endpoint) -> Self {
        Self { http, endpoint }
    }

    /// Opens a session, trying again where AWS's rules say so.
    ///
    /// `now` is asked again for each attempt, since the date is signed.
    ///
    /// # Errors
    /// [`SessionError`] of the last attempt.
    pub async fn create_session(
        &self,
        identity: &Identity,
        request: &SessionRequest,
        now: impl Fn() -> Timestamp,
    ) -> Result<Credentials, SessionError> {
        let mut skew = SignedDuration::ZERO;
        for attempt in 1.. {
            let signed_at = now().checked_add(skew).unwrap_or_else(|_| now());
            let failed = match self.attempt(identity, request, signed_at, skew).await {
                Ok(credentials) => return Ok(credentials),
                Err(failed) => failed,
            };
            let Failed {
                error,
                wanted,
                clock,
            } = failed;
            if attempt >= ATTEMPTS {
                return Err(error);
            }
            if let Some(clock) = clock
                && skew.is_zero()
                && matches!(
                    error,
                    SessionError::Refused {
                        status: 400..=403,
                        ..
                    }
                )
            {
                skew = clock;
                continue;
            }
            if !error.is_temporary() {
                return Err(error);
            }
            let wait = wanted.unwrap_or_else(|| pause(attempt)).min(LONGEST_PAUSE);
            tracing::debug!(attempt, ?wait, %error, "CreateSession will be tried again");
            tokio::time::sleep(wait).await;
        }
        unreachable!("the loop returns at its last attempt")
    }

    /// One call, signed as of `now`, which is the machine's time moved by `skew`.
    async fn attempt(
        &self,
        identity: &Identity,
        request: &SessionRequest,
        now: Timestamp,
        skew: SignedDuration,
    ) -> Result<Credentials, Failed> {
        let host = self.endpoint.host();
        let signed = request
            .sign(identity, host, &self.endpoint.region, now)
            .map_err(|error| Failed::of(error.into()))?;
        let mut call = self.http.post(format!("{}{PATH}", self.endpoint.url));
        for (name, value) in &signed.headers {
            call = call.header(name, value);
        }
        let transport = |error: reqwest::Error| {
            Failed::of(SessionError::Transport {
                endpoint: host.to_owned(),
                cause: vault::causes(&error.without_url()),
            })
        };
        let mut response = call.body(signed.body).send().await.map_err(transport)?;
        let status = response.status().as_u16();
        let clock = response
            .headers()
            .get("date")
            .and_then(|value| ahead(value.to_str().ok()?, now));
        let kind = response
            .headers()
            .get("x-amzn-errortype")
            .and_then(|value| value.to_str().ok())
            .map(|value| value.split(':').next().unwrap_or(value).to_owned());
        let strange = |what| {
            Failed::of(SessionError::Answer {
                endpoint: host.to_owned(),
                what,
            })
        };
        // One allocation, so that no copy of a secret stays behind unwiped.
        let mut body = Zeroizing::new(Vec::with_capacity(MAX_ANSWER));
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(strange("it is longer than 64 KiB"));
            }
            body.extend_from_slice(&chunk);
        }
        if !(200..300).contains(&status) {
            let error: AnswerError = serde_json::from_slice(&body).unwrap_or_default();
            let wait = error.retry_after_seconds.map(Duration::from_secs);
            let refused = SessionError::Refused {
                status,
                kind: kind.unwrap_or_else(|| "refused".to_owned()),
                message: error.message,
            };
            return Err(Failed {
                error: refused,
                wanted: wait,
                clock,
            });
        }
        let answer: Answer = serde_json::from_slice(&body)
            .map_err(|_| strange("the body is not the documented JSON"))?;
        let set = answer
            .credential_set
            .into_iter()
            .next()
            .ok_or_else(|| strange("the credential set is empty"))?;
        let given = set.credentials;
        if given.access_key_id.is_empty() || given.secret_access_key.is_empty() {
            return Err(strange("the credentials are empty"));
        }
        Ok(Credentials {
            access_key_id: given.access_key_id,
            secret_access_key: Secret::new(given.secret_access_key),
            session_token: Secret::new(given.session_token),
            expiration: given.expiration,
            assumed_role_arn: set.assumed_role_user.arn,
            clock_behind: clock
                .map(|clock| clock + skew)
                .or_else(|| Some(skew).filter(|skew| !skew.is_zero())),
        })
    }
}

/// What an attempt that failed leaves behind.
struct Failed {
    error: SessionError,
    /// How long the service wants to be left alone.
    wanted: Option<Duration>,
    /// How far its clock is ahead of the time that was signed, if that is much.
    clock: Option<SignedDuration>,
}

impl Failed {
    const fn of(error: SessionError) -> Self {
        Self {
            error,
            wanted: None,
            clock: None,
        }
    }
}

/// How far a `Date` header is ahead of `now`, if it is far.
fn ahead(date: &str, now: Timestamp) -> Option<SignedDuration> {
    let theirs = rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    let ahead = theirs.duration_since(now);
    (ahead.abs() > SKEW).then_some(ahead)
}

/// A pause before the attempt after this one.
fn pause(attempt: u32) -> Duration {
    let longest = PAUSE.saturating_mul(2_u32.saturating_pow(attempt - 1));
    let share = crypto::random::<1>().map_or(0.5, |[byte]| f64::from(byte) / 255.0);
    longest.mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arn::ArnKind;

    #[test]
    fn each_partition_has_its_endpoint() {
        let anchor = |partition: &str| {
            let text = format!("arn:{partition}:rolesanywhere:r-1:111122223333:trust-anchor/x");
            Arn::parse_as(&text, ArnKind::TrustAnchor).unwrap()
        };
        let url = |partition: &str, fips, dual_stack| {
            Endpoint::of(&anchor(partition), "r-1", EndpointKind { fips, dual_stack }).url
        };
        assert_eq!(
            url("aws", false, false),
            "https://rolesanywhere.r-1.amazonaws.com"
        );
        assert_eq!(
            url("aws-cn", false, false),
            "https://rolesanywhere.r-1.amazonaws.com.cn"
        );
        assert_eq!(
            url("aws-eusc", false, false),
            "https://rolesanywhere.r-1.amazonaws.eu"
        );
        assert_eq!(
            url("aws-us-gov", true, false),
            "https://rolesanywhere-fips.r-1.amazonaws.com"
        );
        assert_eq!(url("aws", false, true), "https://rolesanywhere.r-1.api.aws");
        assert_eq!(
            url("aws-eusc", false, true),
            "https://rolesanywhere.r-1.api.amazonwebservices.eu"
        );
    }

    #[test]
    fn the_host_keeps_its_port() {
        let endpoint = Endpoint {
            url: "http://127.0.0.1:8443/".into(),
            region: "r".into(),
        };
        assert_eq!(endpoint.host(), "127.0.0.1:8443");
    }

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
    fn pauses_are_by_chance_and_bounded() {
        let drawn: Vec<Duration> = (0..32).map(|_| pause(2)).collect();
        assert!(drawn.iter().all(|pause| *pause <= PAUSE * 2));
        assert!(drawn.iter().any(|pause| *pause != drawn[0]), "no chance");
    }

    #[test]
    fn only_a_clock_that_is_far_off_counts() {
        let now: Timestamp = "2026-09-01T12:00:00Z".parse().unwrap();
        let ahead = |date| ahead(date, now).map(|ahead| ahead.as_secs());
        assert_eq!(ahead("Tue, 01 Sep 2026 12:03:59 GMT"), None);
        assert_eq!(ahead("Wed, 02 Sep 2026 12:00:00 GMT"), Some(86_400));
        assert_eq!(ahead("Mon, 31 Aug 2026 12:00:00 GMT"), Some(-86_400));
        assert_eq!(ahead("soon"), None);
    }

    #[test]
    fn dates_are_basic_iso_8601_in_utc() {
        let now: Timestamp = "2026-09-01T12:00:00.9Z".parse().unwrap();
        assert_eq!(amz_date(now), "20260901T120000Z");
    }
}
