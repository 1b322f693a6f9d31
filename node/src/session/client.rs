//! The call itself: tries, pauses, and what an answer must hold.

use std::time::Duration;

use jiff::fmt::rfc2822;
use jiff::{SignedDuration, Timestamp};
use landfast_base::{Secret, random};
use landfast_rolesanywhere::session::PATH;
use serde::Deserialize;
use zeroize::Zeroizing;

use super::{Credentials, Endpoint, Identity, SessionError, SessionRequest};
use crate::http;

/// How often a call is tried, with a pause by chance between: up to one
/// second, then up to two.
///
/// Source: AWS SDKs and tools reference guide, "Retry behavior" (standard mode).
const ATTEMPTS: u32 = 3;
const PAUSE: Duration = Duration::from_secs(1);
/// Longer than this, nobody waits who asked for credentials.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// A clock that is further off than this explains a refusal; the service's
/// own window is not published.
const SKEW: SignedDuration = SignedDuration::from_mins(4);
/// What an answer means that is one of HTTPS to plain HTTP.
const WANTS_TLS: &str = "it speaks HTTPS: give the endpoint as https://";
/// No answer to a session request is longer.
const MAX_ANSWER: usize = 64 * 1024;

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
            let cause = http::no_answer(&self.endpoint.url, error);
            Failed::of(SessionError::Transport {
                endpoint: host.to_owned(),
                advice: http::endpoint_advice(&cause),
                cause,
            })
        };
        let mut response = call.body(signed.body).send().await.map_err(transport)?;
        let status = response.status().as_u16();
        let offset = response
            .headers()
            .get("date")
            .and_then(|value| offset(value.to_str().ok()?, now));
        let clock = offset.filter(|offset| offset.abs() > SKEW);
        tracing::debug!(
            status,
            clock_skew_seconds = offset.map(|offset| (offset + skew).as_secs()),
            "answer; a positive skew is a clock of this machine that is behind",
        );
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
        if http::is_of_tls(&response) {
            return Err(strange(WANTS_TLS));
        }
        // One allocation, so that no copy of a secret stays behind unwiped.
        let mut body = Zeroizing::new(Vec::with_capacity(MAX_ANSWER));
        while let Some(chunk) = response.chunk().await.map_err(transport)? {
            if body.len() + chunk.len() > MAX_ANSWER {
                return Err(strange("it is longer than 64 KiB"));
            }
            body.extend_from_slice(&chunk);
        }
        if http::wants_tls(status, &body) {
            return Err(strange(WANTS_TLS));
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

/// How far a `Date` header is ahead of `now`.
fn offset(date: &str, now: Timestamp) -> Option<SignedDuration> {
    let theirs = rfc2822::DateTimeParser::new().parse_timestamp(date).ok()?;
    Some(theirs.duration_since(now))
}

/// A pause before the attempt after this one.
fn pause(attempt: u32) -> Duration {
    let longest = PAUSE.saturating_mul(2_u32.saturating_pow(attempt - 1));
    let share = random::<1>().map_or(0.5, |[byte]| f64::from(byte) / 255.0);
    longest.mul_f64(share)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_are_by_chance_and_bounded() {
        let drawn: Vec<Duration> = (0..32).map(|_| pause(2)).collect();
        assert!(drawn.iter().all(|pause| *pause <= PAUSE * 2));
        assert!(drawn.iter().any(|pause| *pause != drawn[0]), "no chance");
    }

    #[test]
    fn a_date_tells_how_far_the_clock_is_off() {
        let now: Timestamp = "2026-09-01T12:00:00Z".parse().unwrap();
        let ahead = |date| offset(date, now).map(|offset| offset.as_secs());
        assert_eq!(ahead("Tue, 01 Sep 2026 12:03:59 GMT"), Some(239));
        assert_eq!(ahead("Wed, 02 Sep 2026 12:00:00 GMT"), Some(86_400));
        assert_eq!(ahead("Mon, 31 Aug 2026 12:00:00 GMT"), Some(-86_400));
        assert_eq!(ahead("soon"), None);
    }
}
