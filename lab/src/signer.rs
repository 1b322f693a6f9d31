//! Signature Version 4 with a secret key: who calls the control plane, and
//! whose session credentials these are.
//!
//! There is one administrator, whose key everybody may know: the lab guards
//! nothing. What it proves is that a client signs as AWS wants it.
//!
//! Source: AWS IAM user guide, "Create a signed AWS API request".

use jiff::Timestamp;
use landfast_base::{equal, hex, hmac_sha256, sha256};
use landfast_rolesanywhere::sigv4::{AuthorizationError, Parts, TERMINATOR, percent_encode};

use crate::refusal::Refusal;
use crate::request::{self, Request};

/// The access key id of the lab's administrator.
pub const ACCESS_KEY: &str = "AKIALANDFASTLABNOAWS";
/// The secret key of the lab's administrator, known to all.
pub const SECRET_KEY: &str = "this-is-not-aws/and-no-secret/landfast-lab";

const ALGORITHM: &str = "AWS4-HMAC-SHA256";

/// Credentials of a session that the lab granted.
#[derive(Clone)]
pub(crate) struct Issued {
    pub(crate) secret: String,
    pub(crate) token: String,
    pub(crate) arn: String,
    pub(crate) expiration: Timestamp,
}

impl std::fmt::Debug for Issued {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Issued({} until {})", self.arn, self.expiration)
    }
}

/// Who signed a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Caller {
    /// The holder of [`ACCESS_KEY`].
    Administrator,
    /// A session that the lab granted, by the ARN of its assumed role.
    Session(String),
}

/// Why a signature is not accepted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// No `Authorization` header.
    #[error("Missing Authentication Token")]
    Missing,
    /// A header that cannot be read.
    #[error("{0}")]
    Incomplete(String),
    /// Nobody has this access key id.
    #[error(
        "The security token included in the request is invalid. The lab knows one key, which `landfast lab` prints"
    )]
    Unknown,
    /// Session credentials after their end.
    #[error("The security token included in the request is expired")]
    Expired,
    /// The scope is not that of this call.
    #[error("Credential should be scoped to {0}")]
    Scope(String),
    /// The date is too far from the lab's clock.
    #[error("Signature expired or not yet current: the request's date is {0} seconds off")]
    Skew(i64),
    /// The signature is not this key's over this request.
    #[error(
        "The request signature we calculated does not match the signature you provided. Check your AWS Secret Access Key and signing method."
    )]
    Signature,
}

impl SignatureError {
    /// The HTTP status and the error type of the answer.
    pub const fn status(&self) -> (u16, &'static str) {
        match self {
            Self::Missing => (403, "MissingAuthenticationTokenException"),
            Self::Incomplete(_) => (400, "IncompleteSignatureException"),
            Self::Unknown => (403, "UnrecognizedClientException"),
            Self::Expired => (403, "ExpiredTokenException"),
            Self::Scope(_) | Self::Skew(_) | Self::Signature => (403, "InvalidSignatureException"),
        }
    }
}

impl From<AuthorizationError> for SignatureError {
    fn from(error: AuthorizationError) -> Self {
        Self::Incomplete(error.to_string())
    }
}

impl From<Refusal> for SignatureError {
    fn from(refusal: Refusal) -> Self {
        Self::Incomplete(refusal.to_string())
    }
}

/// What a signature must be for.
pub(crate) struct Expected<'a> {
    pub(crate) region: &'a str,
    pub(crate) service: &'a str,
    /// How far the date may be off, in seconds.
    pub(crate) skew: u32,
    pub(crate) now: Timestamp,
}

/// Establishes who signed a request just now. `session` finds a session's
/// credentials by their access key id.
pub(crate) fn caller<'a>(
    request: &Request,
    expected: &Expected<'_>,
    session: impl Fn(&str) -> Option<&'a Issued>,
) -> Result<Caller, SignatureError> {
    use SignatureError as E;

    let header = |name: &str| request::single(&request.headers, name);
    let parts = Parts::of(header("authorization")?.ok_or(E::Missing)?)?;
    if parts.algorithm != ALGORITHM {
        return Err(E::Incomplete(format!("the algorithm is not {ALGORITHM}")));
    }
    let [id, day, region, service, TERMINATOR] =
        parts.credential.split('/').collect::<Vec<_>>()[..]
    else {
        return Err(E::Incomplete(
            "the credential must be KEY/YYYYMMDD/REGION/SERVICE/aws4_request".into(),
        ));
    };
    let stamp = header("x-amz-date")?
        .ok_or_else(|| E::Incomplete("the X-Amz-Date header is missing".into()))?;
    if region != expected.region || service != expected.service || !stamp.starts_with(day) {
        return Err(E::Scope(format!(
            "{}/{}, the day of X-Amz-Date",
            expected.region, expected.service
        )));
    }
    let sent = request::parse_date(stamp)
        .ok_or_else(|| E::Incomplete("X-Amz-Date is not YYYYMMDDThhmmssZ".into()))?;
    let off = expected.now.duration_since(sent).as_secs();
    if off.unsigned_abs() > u64::from(expected.skew) {
        return Err(E::Skew(off));
    }
    let (secret, token, caller) = if id == ACCESS_KEY {
        (SECRET_KEY, None, Caller::Administrator)
    } else {
        let issued = session(id).ok_or(E::Unknown)?;
        if expected.now >= issued.expiration {
            return Err(E::Expired);
        }
        let caller = Caller::Session(issued.arn.clone());
        (issued.secret.as_str(), Some(&issued.token), caller)
    };
    let given = header("x-amz-security-token")?;
    if let Some(token) = token
        && !given.is_some_and(|given| equal(given.as_bytes(), token.as_bytes()))
    {
        return Err(E::Unknown);
    }
    for name in ["host", "x-amz-date", "x-amz-security-token"] {
        let signed = parts.signed_headers.iter().any(|one| one == name);
        if !signed && header(name)?.is_some() {
            return Err(E::Incomplete(format!("the header {name} must be signed")));
        }
    }

    let scope = [day, region, service];
    let signature = signature(request, &parts.signed_headers, stamp, scope, secret)?;
    if equal(&signature, &parts.signature) {
        Ok(caller)
    } else {
        Err(E::Signature)
    }
}

/// The signature that `secret` makes over a request, for a day, Region and
/// service.
fn signature(
    request: &Request,
    signed_headers: &[String],
    stamp: &str,
    scope: [&str; 3],
    secret: &str,
) -> Result<[u8; 32], SignatureError> {
    let query = request::decode_query(&request.query)
        .ok_or_else(|| SignatureError::Incomplete("broken query".into()))?;
    let path = canonical_path(&request.path);
    let canonical = request::canonical(request, &path, &query, signed_headers)?;
    let digest = hex(&sha256(canonical.as_bytes()));
    let mut key = format!("AWS4{secret}").into_bytes();
    for part in scope.into_iter().chain([TERMINATOR]) {
        key = hmac_sha256(&key, part.as_bytes()).to_vec();
    }
    let scope = scope.join("/");
    let text = format!("{ALGORITHM}\n{stamp}\n{scope}/{TERMINATOR}\n{digest}");
    Ok(hmac_sha256(&key, text.as_bytes()))
}

/// The path as it is signed: each segment encoded once more, as for every
/// service but S3.
fn canonical_path(path: &str) -> String {
    let mut out = String::with_capacity(path.len());
    for (i, segment) in path.split('/').enumerate() {
        if i > 0 {
            out.push('/');
        }
        percent_encode(segment, &mut out);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The `get-vanilla` case of AWS's published Signature Version 4 test suite.
    fn vanilla() -> Request {
        let header = |name: &str, value: &str| (name.to_owned(), value.to_owned());
        Request {
            method: "GET".into(),
            path: "/".into(),
            headers: vec![
                header("Host", "example.amazonaws.com"),
                header("X-Amz-Date", "20150830T123600Z"),
                header(
                    "Authorization",
                    "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders=host;x-amz-date, Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
                ),
            ],
            ..Request::default()
        }
    }

    fn decide(request: &Request, secret: &str, at: &str) -> Result<Caller, SignatureError> {
        let issued = Issued {
            secret: secret.to_owned(),
            token: "token".into(),
            arn: "arn".into(),
            expiration: "2015-08-30T13:00:00Z".parse().unwrap(),
        };
        let expected = Expected {
            region: "us-east-1",
            service: "service",
            skew: 300,
            now: at.parse().unwrap(),
        };
        caller(request, &expected, |id| {
            (id == "AKIDEXAMPLE").then_some(&issued)
        })
    }

    #[test]
    fn the_published_vector_is_reproduced() {
        let request = vanilla();
        let parts = Parts::of(&request.headers[2].1).unwrap();
        let made = |secret: &str| {
            let scope = ["20150830", "us-east-1", "service"];
            let stamp = "20150830T123600Z";
            signature(&request, &parts.signed_headers, stamp, scope, secret).unwrap()
        };
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        assert_eq!(made(secret).to_vec(), parts.signature);
        assert_ne!(made("another").to_vec(), parts.signature);
    }

    #[test]
    fn a_session_needs_its_token_and_a_current_date() {
        let secret = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
        for (at, error) in [
            ("2015-08-30T12:36:00Z", SignatureError::Unknown),
            ("2015-08-30T12:50:00Z", SignatureError::Skew(840)),
        ] {
            assert_eq!(decide(&vanilla(), secret, at), Err(error));
        }
        let mut stranger = vanilla();
        stranger.headers[2].1 = stranger.headers[2].1.replace("AKIDEXAMPLE", "AKIDOTHER");
        let at = "2015-08-30T12:36:00Z";
        assert_eq!(decide(&stranger, secret, at), Err(SignatureError::Unknown));
        stranger.headers[2].1 = stranger.headers[2].1.replace("AKIDOTHER", ACCESS_KEY);
        let refused = decide(&stranger, secret, at);
        assert_eq!(refused, Err(SignatureError::Signature));
        stranger.headers.truncate(2);
        assert_eq!(decide(&stranger, secret, at), Err(SignatureError::Missing));
    }

    #[test]
    fn each_segment_of_a_path_is_encoded_again() {
        assert_eq!(
            canonical_path("/trustanchor/arn%3Aaws"),
            "/trustanchor/arn%253Aaws"
        );
        assert_eq!(canonical_path("/"), "/");
    }
}
