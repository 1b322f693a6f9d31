//! Settings a mount keeps: default issuer and key, CRLs, and where the cluster is reached.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// `config/issuers`.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct IssuersConfig {
    /// Id of the issuer that `default` means; empty when none is set.
    #[serde(default)]
    pub default: String,
    /// Whether a newly made or imported issuer becomes the default.
    #[serde(default)]
    pub default_follows_latest_issuer: bool,
    /// Fields this version does not know, kept for the way back.
    #[serde(flatten)]
    pub other: Map<String, Value>,
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
}

impl KeysConfig {
    /// Storage key.
    pub const KEY: &str = "config/keys";
}

/// `config/crl`. Durations stay the text the operator wrote, as the API shows them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CrlConfig {
    /// Counts the layout changes of this entry; the built-in engine raises old ones to 2.
    #[serde(default)]
    pub version: u32,
    /// From `thisUpdate` to `nextUpdate`.
    pub expiry: String,
    /// One empty CRL, then no further ones.
    pub disable: bool,
    /// Whether the OCSP responder is off.
    #[serde(default)]
    pub ocsp_disable: bool,
    /// Leave rebuilding to the periodic call instead of to each revocation.
    #[serde(default)]
    pub auto_rebuild: bool,
    /// How long before `nextUpdate` a CRL is rebuilt.
    #[serde(default = "twelve_hours")]
    pub auto_rebuild_grace_period: String,
    /// From `thisUpdate` to `nextUpdate` of OCSP answers; 0 leaves `nextUpdate` out.
    #[serde(default = "twelve_hours")]
    pub ocsp_expiry: String,
    /// Whether delta CRLs list what was revoked since the last complete one.
    #[serde(default)]
    pub enable_delta: bool,
    /// How often delta CRLs are rebuilt.
    #[serde(default = "quarter_hour")]
    pub delta_rebuild_interval: String,
    /// Whether certificates past their end may still be revoked.
    #[serde(default)]
    pub allow_expired_cert_revocation: bool,
    /// Fields this version does not know, kept for the way back.
    #[serde(flatten)]
    pub other: Map<String, Value>,
}

impl CrlConfig {
    /// Storage key.
    pub const KEY: &str = "config/crl";
}

impl Default for CrlConfig {
    fn default() -> Self {
        Self {
            version: 1,
            expiry: "72h".into(),
            disable: false,
            ocsp_disable: false,
            auto_rebuild: false,
            auto_rebuild_grace_period: twelve_hours(),
            ocsp_expiry: twelve_hours(),
            enable_delta: false,
            delta_rebuild_interval: quarter_hour(),
            allow_expired_cert_revocation: false,
            other: Map::new(),
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
}

impl ClusterConfig {
    /// Storage key.
    pub const KEY: &str = "config/cluster";
}

fn twelve_hours() -> String {
    "12h".into()
}

fn quarter_hour() -> String {
    "15m".into()
}
