//! `revoked/<serial>`: the record that a certificate is revoked.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use jiff::Timestamp;
use landfast_pki::{Reason, SerialNumber};
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::other::Other;
use super::time::StoredTime;

/// Storage prefix of revocations; the rest of the key is the serial with dashes.
pub const PREFIX: &str = "revoked/";

/// Where the revocation of a certificate is stored.
pub fn key(serial: &SerialNumber) -> String {
    format!("{PREFIX}{}", serial.dash())
}

/// One revocation.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct RevokedEntry {
    /// DER of the revoked certificate, base64 in JSON.
    #[serde(
        default,
        serialize_with = "to_base64",
        deserialize_with = "from_base64"
    )]
    pub certificate_bytes: Vec<u8>,
    /// Unix seconds.
    #[serde(default)]
    pub revocation_time: i64,
    /// The same moment with nanoseconds; missing in entries of very old servers.
    #[serde(default)]
    pub revocation_time_utc: StoredTime,
    /// Whose CRL lists it; empty when not known (then the default issuer's does).
    #[serde(default)]
    pub issuer_id: String,
    /// Why, as the number of RFC 5280 section 5.3.1. The built-in engine knows no such field, and drops it where it writes the entry anew.
    #[serde(
        default,
        rename = "landfast_reason",
        skip_serializing_if = "Option::is_none"
    )]
    pub reason: Option<u8>,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

impl RevokedEntry {
    /// A certificate revoked at `now`.
    pub fn new(certificate: Vec<u8>, now: Timestamp, issuer_id: String) -> Self {
        Self {
            certificate_bytes: certificate,
            revocation_time: now.as_second(),
            revocation_time_utc: StoredTime(now),
            issuer_id,
            reason: None,
            other: Other::default(),
        }
    }

    /// The same, for this reason.
    #[must_use]
    pub fn because(mut self, reason: Option<Reason>) -> Self {
        self.reason = reason.map(Reason::code);
        self
    }

    /// Why it was revoked, if that is on record and one of the reasons that are told.
    pub fn reason(&self) -> Option<Reason> {
        self.reason.and_then(Reason::from_code)
    }

    /// When it was revoked, from whichever field holds it.
    pub fn time(&self) -> Timestamp {
        if self.revocation_time_utc.is_never() {
            Timestamp::from_second(self.revocation_time).unwrap_or(Timestamp::UNIX_EPOCH)
        } else {
            self.revocation_time_utc.0
        }
    }
}

pub(super) fn to_base64<S: Serializer>(bytes: &[u8], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&STANDARD.encode(bytes))
}

pub(super) fn from_base64<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u8>, D::Error> {
    let text = String::deserialize(deserializer)?;
    STANDARD.decode(text).map_err(serde::de::Error::custom)
}
