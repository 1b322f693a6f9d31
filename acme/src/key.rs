//! Keys of accounts: public JSON Web Keys (RFC 7517) and their thumbprints (RFC 7638).

use std::fmt;

use landfast_base::sha256;
use landfast_pki::key::Parts;
use landfast_pki::{Curve, PublicKey};
use serde::de::IgnoredAny;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::{Kind, Problem, text};

/// The bits of an RSA key that is taken.
pub const RSA_BITS: std::ops::RangeInclusive<u32> = 2048..=8192;

/// The public key of an account: RSA of [`RSA_BITS`], ECDSA on P-256, P-384 or P-521, or Ed25519.
///
/// Its serde form is the JWK with the members that the key needs, in the order of RFC 7638.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct AccountKey(PublicKey);

impl AccountKey {
    /// Reads a JWK. Members that say nothing about the key, such as `kid` or `alg`, are not looked at; their order is free.
    ///
    /// # Errors
    /// [`Kind::Malformed`] for what is no public JWK, also when it has a member of a private key;
    /// [`Kind::BadPublicKey`] for a key of another kind or size, or numbers that are no key.
    pub fn parse(json: &[u8]) -> Result<Self, Problem> {
        if json.len() > MOST_OCTETS {
            return Err(Problem::malformed(format!(
                "the 'jwk' is longer than {MOST_OCTETS} octets"
            )));
        }
        Self::from_jwk(&text::json::<Jwk>("jwk", json)?)
    }

    /// The thumbprint: SHA-256 of the canonical JWK, in base64url (RFC 7638 section 3).
    pub fn thumbprint(&self) -> String {
        text::encode(sha256(self.canonical().as_bytes()))
    }

    /// The JWK with the members that the key needs, in their order and without white space (RFC 7638 section 3.2).
    pub fn canonical(&self) -> String {
        let members = self
            .members()
            .map(|(name, value)| format!(r#""{name}":"{value}""#));
        format!("{{{}}}", members.collect::<Vec<_>>().join(","))
    }

    /// The key as a SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &[u8] {
        self.0.spki_der()
    }

    /// The key as the certificate authority has keys.
    pub const fn public_key(&self) -> &PublicKey {
        &self.0
    }

    /// Whether this is the same key as that of a CSR or certificate, however it is encoded there.
    pub fn is(&self, other: &PublicKey) -> bool {
        self.0.parts() == other.parts()
    }

    pub(crate) fn from_jwk(jwk: &Jwk) -> Result<Self, Problem> {
        if let Some(name) = jwk.private_member() {
            let detail = format!(
                "the 'jwk' has the member '{name}' of a private or symmetric key: send the public key alone, and take a new key, \
                 for this one was seen"
            );
            return Err(Problem::malformed(detail));
        }
        match (jwk.kty.as_str(), jwk.crv.as_deref()) {
            ("RSA", _) => {
                let modulus = number("n", jwk.n.as_ref())?;
                let exponent = number("e", jwk.e.as_ref())?;
                rsa(&modulus, &exponent)
            }
            ("EC", Some(name)) => {
                let Some(curve) = CURVES.iter().find(|one| one.0 == name).map(|one| one.1) else {
                    let name = text::shown(name);
                    return Err(bad(format!(
                        "the curve {name} is not supported: use P-256, P-384 or P-521"
                    )));
                };
                let x = number("x", jwk.x.as_ref())?;
                let y = number("y", jwk.y.as_ref())?;
                make(Parts::Ec {
                    curve,
                    x: &x,
                    y: &y,
                })
            }
            ("OKP", Some("Ed25519")) => make(Parts::Ed25519(&number("x", jwk.x.as_ref())?)),
            ("OKP", Some(name)) => {
                let name = text::shown(name);
                Err(bad(format!(
                    "the curve {name} is not supported: use Ed25519"
                )))
            }
            ("EC" | "OKP", None) => Err(Problem::malformed("the 'jwk' lacks the member 'crv'")),
            (other, _) => {
                let other = text::shown(other);
                Err(bad(format!(
                    "keys of type {other} are not supported: use RSA, EC or OKP"
                )))
            }
        }
    }

    /// Names and values, in alphabetical order.
    fn members(&self) -> impl Iterator<Item = (&'static str, String)> {
        let members = match self.0.parts().expect("only keys of known kinds are made") {
            Parts::Rsa { modulus, exponent } => vec![
                ("e", text::encode(exponent)),
                ("kty", "RSA".to_owned()),
                ("n", text::encode(modulus)),
            ],
            Parts::Ec { curve, x, y } => vec![
                ("crv", curve.to_string()),
                ("kty", "EC".to_owned()),
                ("x", text::encode(x)),
                ("y", text::encode(y)),
            ],
            Parts::Ed25519(octets) => vec![
                ("crv", "Ed25519".to_owned()),
                ("kty", "OKP".to_owned()),
                ("x", text::encode(octets)),
            ],
        };
        members.into_iter()
    }
}

impl fmt::Debug for AccountKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccountKey({:?} {})", self.0, self.thumbprint())
    }
}

impl Serialize for AccountKey {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.members())
    }
}

impl<'de> Deserialize<'de> for AccountKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let jwk = Jwk::deserialize(deserializer)?;
        Self::from_jwk(&jwk).map_err(|problem| de::Error::custom(problem.detail))
    }
}

/// A JWK as it came. A member that stands twice is an error of the reader.
#[derive(Debug, Deserialize)]
pub(crate) struct Jwk {
    kty: String,
    crv: Option<String>,
    x: Option<String>,
    y: Option<String>,
    n: Option<String>,
    e: Option<String>,
    d: Option<IgnoredAny>,
    p: Option<IgnoredAny>,
    q: Option<IgnoredAny>,
    dp: Option<IgnoredAny>,
    dq: Option<IgnoredAny>,
    qi: Option<IgnoredAny>,
    oth: Option<IgnoredAny>,
    k: Option<IgnoredAny>,
}

impl Jwk {
    /// A member that only private or symmetric keys have (RFC 7518 sections 6.2.2, 6.3.2 and 6.4).
    fn private_member(&self) -> Option<&'static str> {
        let members = [
            ("d", &self.d),
            ("p", &self.p),
            ("q", &self.q),
            ("dp", &self.dp),
            ("dq", &self.dq),
            ("qi", &self.qi),
            ("oth", &self.oth),
            ("k", &self.k),
        ];
        let found = members.into_iter().find(|(_, member)| member.is_some());
        found.map(|(name, _)| name)
    }
}

fn rsa(modulus: &[u8], exponent: &[u8]) -> Result<AccountKey, Problem> {
    let zeros = exponent.iter().take_while(|octet| **octet == 0).count();
    if exponent.len() - zeros > 4 {
        return Err(bad("the RSA exponent is longer than 32 bits: use 65537"));
    }
    let key = make(Parts::Rsa { modulus, exponent })?;
    let bits = key.0.bits();
    if RSA_BITS.contains(&bits) {
        return Ok(key);
    }
    let (least, most) = (RSA_BITS.start(), RSA_BITS.end());
    Err(bad(format!(
        "RSA keys have {least} to {most} bits here, this one has {bits}"
    )))
}

fn make(parts: Parts<'_>) -> Result<AccountKey, Problem> {
    let key = PublicKey::from_parts(parts);
    key.map(AccountKey).map_err(|why| bad(why.to_string()))
}

/// The octets of a member.
fn number(name: &str, value: Option<&String>) -> Result<Vec<u8>, Problem> {
    let Some(value) = value else {
        return Err(Problem::malformed(format!(
            "the 'jwk' lacks the member '{name}'"
        )));
    };
    text::decode_bounded(name, value, MOST_NUMBER)
}

fn bad(detail: impl Into<String>) -> Problem {
    Problem::new(Kind::BadPublicKey, detail)
}

const CURVES: [(&str, Curve); 3] = [
    ("P-256", Curve::P256),
    ("P-384", Curve::P384),
    ("P-521", Curve::P521),
];
/// Octets of a JWK: one of an RSA key of 8192 bits has 1.4 KiB, and may have a certificate beside it.
const MOST_OCTETS: usize = 16 * 1024;
/// Octets of a number: a modulus of 8192 bits and zeros in front of it.
const MOST_NUMBER: usize = 1100;

#[cfg(test)]
mod tests;
