//! `config/issuer/<id>`: a CA certificate and how it may be used.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use super::JsonEntry;
use super::other::Other;
use super::time::StoredTime;

/// Storage prefix of issuers.
pub const PREFIX: &str = "config/issuer/";

/// One issuer as stored. Field order and null rules are the built-in engine's, so that
/// either engine reads what the other wrote.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct IssuerEntry {
    /// UUID, also the last part of the storage key.
    #[serde(default)]
    pub id: String,
    /// The operator's name, or empty.
    #[serde(default)]
    pub name: String,
    /// Id of the matching key, empty while it is unknown.
    #[serde(default)]
    pub key_id: String,
    /// PEM with a final newline.
    #[serde(default)]
    pub certificate: String,
    /// The chain from this issuer upwards, as PEM texts; computed or from `manual_chain`.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub ca_chain: Vec<String>,
    /// Issuer ids, this issuer's first; overrides the computed chain.
    #[serde(default)]
    pub manual_chain: Option<Vec<String>>,
    /// Colon form.
    #[serde(default)]
    pub serial_number: String,
    /// 0 refuse, 1 truncate, 2 permit: see [`NotAfterBehavior`].
    #[serde(default)]
    pub not_after_behavior: NotAfterBehavior,
    /// What the issuer may be used for.
    #[serde(default)]
    pub usage: Usage,
    /// Go's `x509.SignatureAlgorithm` number, 0 for the natural choice of the key.
    #[serde(default)]
    pub revocation_signature_algorithm: i64,
    /// Set by `issuer/<ref>/revoke`.
    #[serde(default)]
    pub revoked: bool,
    /// Unix seconds, 0 while not revoked.
    #[serde(default)]
    pub revocation_time: i64,
    /// The same moment with nanoseconds.
    #[serde(default)]
    pub revocation_time_utc: StoredTime,
    /// The issuer's own AIA, which replaces the mount's as a whole.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub aia_uris: Option<AiaEntry>,
    /// When this entry last changed in a way readers of the certificate can see.
    #[serde(default)]
    pub last_modified: StoredTime,
    /// Layout version; 1 since usages became a bit set.
    #[serde(default)]
    pub version: u32,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

impl IssuerEntry {
    /// When it was revoked, from whichever field holds it.
    pub fn revoked_at(&self) -> Timestamp {
        if self.revocation_time_utc.is_never() {
            Timestamp::from_second(self.revocation_time).unwrap_or(Timestamp::UNIX_EPOCH)
        } else {
            self.revocation_time_utc.0
        }
    }

    /// Bytes of its texts and lists, which are what can be long in it.
    pub(crate) fn size(&self) -> usize {
        let aia = self.aia_uris.iter().flat_map(|aia| {
            [
                &aia.issuing_certificates,
                &aia.crl_distribution_points,
                &aia.delta_crl_distribution_points,
                &aia.ocsp_servers,
            ]
        });
        let lists = aia.chain([&self.manual_chain]).flatten().flatten();
        let texts = lists.chain(&self.ca_chain).chain([&self.certificate]);
        texts.map(String::len).sum()
    }

    /// The storage key of the issuer `id`.
    pub fn key(id: &str) -> String {
        format!("{PREFIX}{id}")
    }
}

impl JsonEntry for IssuerEntry {
    /// An entry without its id has that of its place.
    fn modernise(&mut self, key: &str) {
        if self.id.is_empty() {
            key.trim_start_matches(PREFIX).clone_into(&mut self.id);
        }
    }
}

/// Authority information access URLs, of the mount (`urls`) or of one issuer.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AiaEntry {
    /// Where the issuer's certificate can be fetched.
    #[serde(default)]
    pub issuing_certificates: Option<Vec<String>>,
    /// Where complete CRLs can be fetched.
    #[serde(default)]
    pub crl_distribution_points: Option<Vec<String>>,
    /// Where delta CRLs can be fetched.
    #[serde(default)]
    pub delta_crl_distribution_points: Option<Vec<String>>,
    /// OCSP responders.
    #[serde(default)]
    pub ocsp_servers: Option<Vec<String>>,
    /// Whether `{{issuer_id}}` and its kin in the URLs are filled in.
    #[serde(default)]
    pub enable_templating: bool,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

impl AiaEntry {
    /// Storage key of the mount's own AIA.
    pub const KEY: &str = "urls";

    /// Whether nothing is set that counts: where delta CRLs are does not count alone, as in the built-in engine.
    pub fn is_empty(&self) -> bool {
        [
            &self.issuing_certificates,
            &self.crl_distribution_points,
            &self.ocsp_servers,
        ]
        .into_iter()
        .all(|list| list.as_ref().is_none_or(Vec::is_empty))
    }
}

/// What happens to a leaf that would outlive its issuer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "i64", into = "i64")]
pub enum NotAfterBehavior {
    /// The request is refused.
    #[default]
    Err,
    /// The leaf ends with the issuer.
    Truncate,
    /// The leaf may outlive the issuer.
    Permit,
}

impl NotAfterBehavior {
    /// Reads the API's name.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "err" => Some(Self::Err),
            "truncate" => Some(Self::Truncate),
            "permit" => Some(Self::Permit),
            _ => None,
        }
    }

    /// The API's name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Err => "err",
            Self::Truncate => "truncate",
            Self::Permit => "permit",
        }
    }
}

impl From<i64> for NotAfterBehavior {
    /// Numbers of other products' behaviours fall back to the strictest.
    fn from(number: i64) -> Self {
        match number {
            1 => Self::Truncate,
            2 => Self::Permit,
            _ => Self::Err,
        }
    }
}

impl From<NotAfterBehavior> for i64 {
    fn from(value: NotAfterBehavior) -> Self {
        match value {
            NotAfterBehavior::Err => 0,
            NotAfterBehavior::Truncate => 1,
            NotAfterBehavior::Permit => 2,
        }
    }
}

/// A set of usages, stored as a bit set. Reading is always allowed and has no bit.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Usage(pub u32);

impl Usage {
    /// Sign leaf and intermediate certificates.
    pub const ISSUING: Self = Self(2);
    /// Sign CRLs.
    pub const CRL_SIGNING: Self = Self(4);
    /// Sign OCSP answers.
    pub const OCSP_SIGNING: Self = Self(8);
    /// What a new issuer may do.
    pub const ALL: Self = Self(14);

    const NAMES: [(Self, &str); 3] = [
        (Self::CRL_SIGNING, "crl-signing"),
        (Self::ISSUING, "issuing-certificates"),
        (Self::OCSP_SIGNING, "ocsp-signing"),
    ];

    /// Reads a list of usage names; the empty list leaves reading only, an empty name is none.
    pub fn parse<T: AsRef<str>>(names: &[T]) -> Option<Self> {
        names.iter().try_fold(Self::default(), |set, name| {
            let name = name.as_ref();
            if name == "read-only" {
                return Some(set);
            }
            let (bit, _) = Self::NAMES.iter().find(|(_, known)| *known == name)?;
            Some(Self(set.0 | bit.0))
        })
    }

    /// The API's name of a single usage.
    pub fn name(self) -> &'static str {
        let known = Self::NAMES.iter().find(|(bit, _)| *bit == self);
        known.map_or("read-only", |(_, name)| name)
    }

    /// Whether every usage of `wanted` is in the set.
    pub fn allows(self, wanted: Self) -> bool {
        self.0 & wanted.0 == wanted.0
    }

    /// The set with `usage`.
    pub fn with(self, usage: Self) -> Self {
        Self(self.0 | usage.0)
    }

    /// The set without `usage`.
    pub fn without(self, usage: Self) -> Self {
        Self(self.0 & !usage.0)
    }
}

impl std::fmt::Display for Usage {
    /// The API's form: names in alphabetical order, joined by commas.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        for (bit, name) in Self::NAMES {
            if self.allows(bit) {
                write!(f, "{name},")?;
            }
        }
        f.write_str("read-only")
    }
}

/// Go writes an unset list as null.
pub(crate) fn null_is_empty<'de, D, T>(deserializer: D) -> Result<T, D::Error>
where
    D: Deserializer<'de>,
    T: Default + Deserialize<'de>,
{
    Option::<T>::deserialize(deserializer).map(Option::unwrap_or_default)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn usages_read_and_print_as_the_api_shows_them() {
        let usage = Usage::parse(&["ocsp-signing", "read-only", "issuing-certificates"]).unwrap();
        assert_eq!(usage, Usage(10));
        assert_eq!(
            usage.to_string(),
            "issuing-certificates,ocsp-signing,read-only"
        );
        assert_eq!(Usage::parse::<&str>(&[]).unwrap().to_string(), "read-only");
        assert_eq!(Usage::parse(&[""]), None);
        assert_eq!(Usage::parse(&["issuing-certificates", ""]), None);
        assert_eq!(
            Usage::ALL.to_string(),
            "crl-signing,issuing-certificates,ocsp-signing,read-only"
        );
        assert_eq!(Usage::parse(&["zz"]), None);
        assert!(!Usage::ALL.without(Usage::ISSUING).allows(Usage::ISSUING));
    }
}
