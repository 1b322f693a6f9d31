//! Settings a mount keeps: default issuer and key, CRLs, and where the cluster is reached.

use serde::{Deserialize, Serialize};

use super::JsonEntry;
use super::other::Other;

/// `config/issuers`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct IssuersConfig {
    /// Id of the issuer that `default` means; empty when none is set.
    #[serde(default)]
    pub default: String,
    /// Whether a newly made or imported issuer becomes the default.
    #[serde(default)]
    pub default_follows_latest_issuer: bool,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

impl IssuersConfig {
    /// Storage key.
    pub const KEY: &str = "config/issuers";
}

/// `config/keys`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct KeysConfig {
    /// Id of the key that `default` means; empty when none is set.
    #[serde(default)]
    pub default: String,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

impl KeysConfig {
    /// Storage key.
    pub const KEY: &str = "config/keys";
}

/// `landfast/config/key-pool`: how many RSA keys each process keeps ready. The built-in engine has no such entry.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct KeyPoolConfig {
    /// Keys of 2048 bits.
    pub rsa_2048: u32,
    /// Keys of 3072 bits.
    pub rsa_3072: u32,
    /// Keys of 4096 bits.
    pub rsa_4096: u32,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

impl KeyPoolConfig {
    /// Storage key.
    pub const KEY: &str = "landfast/config/key-pool";

    /// The sizes in bits of keys that are kept.
    pub const SIZES: [u32; 3] = [2048, 3072, 4096];

    /// Whether keys of any size are kept.
    pub fn is_on(&self) -> bool {
        Self::SIZES.into_iter().any(|bits| self.wanted(bits) > 0)
    }

    /// How many keys of this size are kept.
    pub fn wanted(&self, bits: u32) -> usize {
        let wanted = match bits {
            2048 => self.rsa_2048,
            3072 => self.rsa_3072,
            4096 => self.rsa_4096,
            _ => 0,
        };
        wanted as usize
    }
}

/// `landfast/config/metrics`: who may read the figures for Prometheus. The built-in engine has no such entry.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub struct MetricsConfig {
    /// Whether they are for anybody, without a token.
    pub unauthenticated: bool,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

impl MetricsConfig {
    /// Storage key.
    pub const KEY: &str = "landfast/config/metrics";
}

/// `config/crl`. Durations stay the text the operator wrote, as the API shows them. [`Default`] is what holds while nothing is stored; a field
/// that is missing in a stored entry is empty, unless the entry is older than the field.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CrlConfig {
    /// Counts the layout changes of this entry; the built-in engine raises old ones to 2.
    #[serde(default)]
    pub version: u32,
    /// From `thisUpdate` to `nextUpdate`.
    #[serde(default)]
    pub expiry: String,
    /// One empty CRL, then no further ones.
    #[serde(default)]
    pub disable: bool,
    /// Whether the OCSP responder is off.
    #[serde(default)]
    pub ocsp_disable: bool,
    /// Leave rebuilding to the periodic call instead of to each revocation.
    #[serde(default)]
    pub auto_rebuild: bool,
    /// How long before `nextUpdate` a CRL is rebuilt.
    #[serde(default)]
    pub auto_rebuild_grace_period: String,
    /// From `thisUpdate` to `nextUpdate` of OCSP answers; 0 leaves `nextUpdate` out.
    #[serde(default)]
    pub ocsp_expiry: String,
    /// Whether delta CRLs list what was revoked since the last complete one.
    #[serde(default)]
    pub enable_delta: bool,
    /// How often delta CRLs are rebuilt.
    #[serde(default)]
    pub delta_rebuild_interval: String,
    /// Whether certificates past their end may still be revoked.
    #[serde(default)]
    pub allow_expired_cert_revocation: bool,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

impl CrlConfig {
    /// Storage key.
    pub const KEY: &str = "config/crl";
}

impl JsonEntry for CrlConfig {
    /// Entries before version 1 knew neither OCSP nor rebuilding by itself, those before version 2 no delta CRLs (OpenBao 2.7.2 reads them so).
    fn modernise(&mut self, _key: &str) {
        let now = Self::default();
        if self.version == 0 {
            self.ocsp_disable = now.ocsp_disable;
            self.ocsp_expiry = now.ocsp_expiry;
            self.auto_rebuild = now.auto_rebuild;
            self.auto_rebuild_grace_period = now.auto_rebuild_grace_period;
            self.version = 1;
        }
        if self.version == 1 && self.delta_rebuild_interval.is_empty() {
            self.delta_rebuild_interval = now.delta_rebuild_interval;
        }
        if self.expiry.is_empty() {
            self.expiry = now.expiry;
        }
    }
}

impl Default for CrlConfig {
    fn default() -> Self {
        Self {
            version: 1,
            expiry: "72h".into(),
            disable: false,
            ocsp_disable: false,
            auto_rebuild: false,
            auto_rebuild_grace_period: "12h".into(),
            ocsp_expiry: "12h".into(),
            enable_delta: false,
            delta_rebuild_interval: "15m".into(),
            allow_expired_cert_revocation: false,
            other: Other::default(),
        }
    }
}

/// `config/cluster`: where this cluster is reached, for AIA templates and ACME.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct ClusterConfig {
    /// Base URL of the mount, with `https`.
    #[serde(default)]
    pub path: String,
    /// Base URL under which AIA is served; may be `http`.
    #[serde(default)]
    pub aia_path: String,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

impl ClusterConfig {
    /// Storage key.
    pub const KEY: &str = "config/cluster";
}
