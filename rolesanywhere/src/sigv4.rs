//! Signature Version 4 with an X.509 certificate: what IAM Roles Anywhere's
//! `CreateSession` is signed with.
//!
//! This file makes the texts that are signed and reads the `Authorization`
//! header back. It holds no key: the client signs the string to sign, and the
//! lab verifies it, from the same canonical form.
//!
//! Source: IAM Roles Anywhere user guide, "Authentication: signing process".

use std::fmt::{self, Write as _};

use landfast_base::{hex, sha256, unhex};

/// The service name in the credential scope.
pub const SERVICE: &str = "rolesanywhere";
/// The last part of the credential scope.
pub const TERMINATOR: &str = "aws4_request";

/// How the string to sign is signed: the key type decides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Algorithm {
    /// ECDSA with SHA-256 on any curve, signature in ASN.1 DER.
    Ecdsa,
    /// Pure ML-DSA with an empty context.
    MlDsa,
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    Rsa,
}

impl Algorithm {
    /// The name on the wire.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Ecdsa => "AWS4-X509-ECDSA-SHA256",
            Self::MlDsa => "AWS4-X509-MLDSA",
            Self::Rsa => "AWS4-X509-RSA-SHA256",
        }
    }

    fn from_name(name: &str) -> Option<Self> {
        [Self::Ecdsa, Self::MlDsa, Self::Rsa]
            .into_iter()
            .find(|algorithm| algorithm.name() == name)
    }
}

/// The parts of an HTTP request that a signature covers.
#[derive(Clone, Copy, Debug)]
pub struct SignedRequest<'a> {
    /// The HTTP method, in upper case.
    pub method: &'a str,
    /// The absolute path, as on the wire.
    pub path: &'a str,
    /// Query names and values, decoded.
    pub query: &'a [(String, String)],
    /// The headers that are signed; names in any case.
    pub headers: &'a [(String, String)],
    /// The body, as on the wire.
    pub body: &'a [u8],
}

impl SignedRequest<'_> {
    /// The names of the signed headers, lower-case, sorted and joined by `;`.
    pub fn signed_headers(&self) -> String {
        let mut names: Vec<String> = self
            .headers
            .iter()
            .map(|(name, _)| name.to_ascii_lowercase())
            .collect();
        names.sort_unstable();
        names.join(";")
    }

    /// The canonical request: six parts joined by line feeds.
    pub fn canonical(&self) -> String {
        let mut out = String::with_capacity(4096);
        out.push_str(self.method);
        out.push('\n');
        out.push_str(self.path);
        out.push('\n');
        canonical_query(self.query, &mut out);
        out.push('\n');
        let mut headers: Vec<(String, String)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.to_ascii_lowercase(), collapse(value)))
            .collect();
        headers.sort_unstable_by(|a, b| a.0.cmp(&b.0));
        for (name, value) in &headers {
            let _ = writeln!(out, "{name}:{value}");
        }
        out.push('\n');
        out.push_str(&self.signed_headers());
        out.push('\n');
        out.push_str(&hex(&sha256(self.body)));
        out
    }
}

/// The day, Region and service that a signature is good for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// `YYYYMMDD`, the day of `X-Amz-Date`.
    pub date: String,
    /// The Region of the endpoint and of the trust anchor.
    pub region: String,
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{SERVICE}/{TERMINATOR}", self.date, self.region)
    }
}

/// The text whose bytes are signed.
pub fn string_to_sign(
    algorithm: Algorithm,
    amz_date: &str,
    scope: &Scope,
    canonical: &str,
) -> String {
    format!(
        "{}\n{amz_date}\n{scope}\n{}",
        algorithm.name(),
        hex(&sha256(canonical.as_bytes()))
    )
}

/// The parsed value of an `Authorization` header.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Authorization {
    /// The algorithm in front.
    pub algorithm: Algorithm,
    /// The certificate's serial number in decimal.
    pub serial: String,
    /// Day and Region.
    pub scope: Scope,
    /// The signed header names, in the order given.
    pub signed_headers: Vec<String>,
    /// The signature's octets.
    pub signature: Vec<u8>,
}

/// Why an `Authorization` header is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum AuthorizationError {
    /// The algorithm is none of the three.
    #[error("the Authorization header names no known AWS4-X509 algorithm")]
    Algorithm,
    /// `Credential`, `SignedHeaders` or `Signature` is missing, repeated or malformed.
    #[error(
        "the Authorization header needs one Credential, one SignedHeaders and one Signature part"
    )]
    Grammar,
    /// The credential is not serial/day/Region/service/terminator.
    #[error("the credential must be SERIAL/YYYYMMDD/REGION/rolesanywhere/aws4_request")]
    Credential,
    /// Header names are not lower-case and sorted, or one stands twice.
    #[error("the signed headers must be lower-case, sorted and distinct")]
    SignedHeaders,
    /// The signature is not lower-case hexadecimal.
    #[error("the signature must be lower-case hexadecimal")]
    Signature,
}

impl Authorization {
    /// Reads a header value.
    ///
    /// # Errors
    /// [`AuthorizationError`] names the part that breaks the grammar.
    pub fn parse(value: &str) -> Result<Self, AuthorizationError> {
        use AuthorizationError as E;

        let Parts {
            algorithm,
            credential,
            signed_headers,
            signature,
        } = Parts::of(value)?;
        let algorithm = Algorithm::from_name(algorithm).ok_or(E::Algorithm)?;
        let [serial, date, region, SERVICE, TERMINATOR] =
            credential.split('/').collect::<Vec<_>>()[..]
        else {
            return Err(E::Credential);
        };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
        if !digits(serial) || date.len() != 8 || !digits(date) || region.is_empty() {
            return Err(E::Credential);
        }

        Ok(Self {
            algorithm,
            serial: serial.to_owned(),
            scope: Scope {
                date: date.to_owned(),
                region: region.to_owned(),
            },
            signed_headers,
            signature,
        })
    }
}

/// The parts of an `Authorization` header of any algorithm of Signature
/// Version 4.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parts<'a> {
    /// The algorithm's name.
    pub algorithm: &'a str,
    /// The credential, not taken apart.
    pub credential: &'a str,
    /// The signed header names: lower-case, sorted, distinct.
    pub signed_headers: Vec<String>,
    /// The signature's octets.
    pub signature: Vec<u8>,
}

impl<'a> Parts<'a> {
    /// Reads a header value.
    ///
    /// # Errors
    /// [`AuthorizationError`], except for the algorithm's name and what the credential says.
    pub fn of(value: &'a str) -> Result<Self, AuthorizationError> {
        use AuthorizationError as E;

        let (algorithm, rest) = value.split_once(' ').ok_or(E::Algorithm)?;
        let (mut credential, mut headers, mut signature) = (None, None, None);
        for part in rest.split(',') {
            let (key, value) = part.trim().split_once('=').ok_or(E::Grammar)?;
            let slot = match key {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut headers,
                "Signature" => &mut signature,
                _ => return Err(E::Grammar),
            };
            if slot.replace(value).is_some() {
                return Err(E::Grammar);
            }
        }
        let (Some(credential), Some(headers), Some(signature)) = (credential, headers, signature)
        else {
            return Err(E::Grammar);
        };
        let signed_headers: Vec<String> = headers.split(';').map(str::to_owned).collect();
        let lower = |name: &String| {
            !name.is_empty()
                && name
                    .bytes()
                    .all(|b| b.is_ascii_graphic() && !b.is_ascii_uppercase())
        };
        if !signed_headers.iter().all(lower) || !signed_headers.is_sorted_by(|a, b| a < b) {
            return Err(E::SignedHeaders);
        }
        Ok(Self {
            algorithm,
            credential,
            signed_headers,
            signature: from_hex(signature).ok_or(E::Signature)?,
        })
    }
}

impl fmt::Display for Authorization {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} Credential={}/{}, SignedHeaders={}, Signature={}",
            self.algorithm.name(),
            self.serial,
            self.scope,
            self.signed_headers.join(";"),
            hex(&self.signature)
        )
    }
}

/// SigV4 writes its digits in lower case only.
fn from_hex(text: &str) -> Option<Vec<u8>> {
    let lower = !text.bytes().any(|byte| byte.is_ascii_uppercase());
    Some(text)
        .filter(|text| lower && !text.is_empty())
        .and_then(unhex)
}

/// A positive integer, big-endian, in decimal.
///
/// A serial number has up to 20 octets, which no machine integer holds.
pub fn decimal(bytes: &[u8]) -> String {
    let mut digits: Vec<u8> = vec![0];
    for &byte in bytes {
        let mut carry = u32::from(byte);
        for digit in &mut digits {
            let value = u32::from(*digit) * 256 + carry;
            *digit = (value % 10) as u8;
            carry = value / 10;
        }
        while carry > 0 {
            digits.push((carry % 10) as u8);
            carry /= 10;
        }
    }
    digits.iter().rev().map(|d| char::from(b'0' + d)).collect()
}

/// RFC 3986 percent-encoding of everything but the unreserved characters.
pub fn percent_encode(text: &str, out: &mut String) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            out.push(char::from(byte));
        } else {
            let _ = write!(out, "%{byte:02X}");
        }
    }
}

fn canonical_query(query: &[(String, String)], out: &mut String) {
    let mut pairs: Vec<String> = query
        .iter()
        .map(|(name, value)| {
            let mut pair = String::new();
            percent_encode(name, &mut pair);
            pair.push('=');
            percent_encode(value, &mut pair);
            pair
        })
        .collect();
    pairs.sort_unstable();
    out.push_str(&pairs.join("&"));
}

/// Trims a header value and turns inner runs of blanks into one.
fn collapse(value: &str) -> String {
    value
        .split([' ', '\t'])
        .filter(|word| !word.is_empty())
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_serial_of_twenty_octets_is_written_in_decimal() {
        let serial = from_hex("5a3f0c1d2e4b6a798897a6b5c4d3e2f101122334").unwrap();
        assert_eq!(
            decimal(&serial),
            "515215171598808877903870089106761942241668899636"
        );
        assert_eq!(decimal(&[0]), "0");
        assert_eq!(decimal(&[0, 7]), "7");
    }

    #[test]
    fn each_break_of_the_grammar_is_told_apart() {
        let good = "AWS4-X509-RSA-SHA256 Credential=7/20260901/us-west-2/rolesanywhere/aws4_request, SignedHeaders=host;x-amz-date, Signature=00ff";
        assert_eq!(Authorization::parse(good).unwrap().to_string(), good);
        for (from, to, error) in [
            ("AWS4-X509-RSA", "AWS4-HMAC", AuthorizationError::Algorithm),
            ("Signature=", "Sig=", AuthorizationError::Grammar),
            (", Signature=00ff", "", AuthorizationError::Grammar),
            ("=7/", "=0x7/", AuthorizationError::Credential),
            ("rolesanywhere", "sts", AuthorizationError::Credential),
            (
                "host;x-amz-date",
                "x-amz-date;host",
                AuthorizationError::SignedHeaders,
            ),
            (
                "host;x-amz-date",
                "host;host",
                AuthorizationError::SignedHeaders,
            ),
            ("host;", "Host;", AuthorizationError::SignedHeaders),
            ("00ff", "00FF", AuthorizationError::Signature),
            ("00ff", "00f", AuthorizationError::Signature),
        ] {
            assert_eq!(
                Authorization::parse(&good.replace(from, to)),
                Err(error),
                "{from} -> {to}"
            );
        }
    }

    proptest! {
        #[test]
        fn decimal_agrees_with_machine_integers(value: u128) {
            prop_assert_eq!(decimal(&value.to_be_bytes()), value.to_string());
        }

        #[test]
        fn the_parser_never_panics(text in ".{0,200}") {
            let _ = Authorization::parse(&text);
        }

        #[test]
        fn hex_round_trips(bytes in proptest::collection::vec(any::<u8>(), 1..64)) {
            prop_assert_eq!(from_hex(&hex(&bytes)), Some(bytes));
        }
    }
}
