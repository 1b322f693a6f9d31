//! Settings of jobs: of periodic tidying, and of the ACME server.
//!
//! `Default` is what holds without an entry. A field that an entry lacks is zero or empty, as OpenBao 2.7.2 reads it.

use serde::{Deserialize, Serialize};

use super::JsonEntry;
use super::other::Other;

/// `config/acme`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AcmeConfig {
    /// Whether the mount serves ACME.
    #[serde(default)]
    pub enabled: bool,
    /// Issuers that sign; `*` alone for all. The sign in its name is the built-in engine's.
    #[serde(default, rename = "allowed_issuers=")]
    pub allowed_issuers: Vec<String>,
    /// Roles that may be used; `*` alone for all.
    #[serde(default)]
    pub allowed_roles: Vec<String>,
    /// Whether the extended key usages of a role are used.
    #[serde(default)]
    pub allow_role_ext_key_usage: bool,
    /// What directories without a role do: `sign-verbatim`, `forbid` or `role:NAME`.
    #[serde(default)]
    pub default_directory_policy: String,
    /// Where names are looked up, `HOST:PORT`; empty for the system's resolver.
    #[serde(default)]
    pub dns_resolver: String,
    /// Who needs an external account.
    #[serde(default, rename = "eab_policy_name")]
    pub eab_policy: String,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

impl AcmeConfig {
    /// Storage key.
    pub const KEY: &str = "config/acme";
}

impl Default for AcmeConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            allowed_issuers: vec!["*".into()],
            allowed_roles: vec!["*".into()],
            allow_role_ext_key_usage: false,
            default_directory_policy: "sign-verbatim".into(),
            dns_resolver: String::new(),
            eab_policy: "not-required".into(),
            other: Other::default(),
        }
    }
}

/// `config/auto-tidy`. Durations are nanoseconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "the entry has them, each on its own"
)]
pub struct AutoTidyConfig {
    /// Whether the engine tidies by itself.
    #[serde(default)]
    pub enabled: bool,
    /// From the end of one run to the start of the next.
    #[serde(default)]
    pub interval_duration: i64,
    /// Expired certificates.
    #[serde(default)]
    pub tidy_cert_store: bool,
    /// Revocations of expired certificates.
    #[serde(default)]
    pub tidy_revoked_certs: bool,
    /// Entries that are no certificates.
    #[serde(default)]
    pub tidy_invalid_certs: bool,
    /// Which issuer a revocation belongs to.
    #[serde(default)]
    pub tidy_revoked_cert_issuer_associations: bool,
    /// Expired issuers.
    #[serde(default)]
    pub tidy_expired_issuers: bool,
    /// The bundle of old servers.
    #[serde(default)]
    pub tidy_move_legacy_ca_bundle: bool,
    /// ACME accounts and orders.
    #[serde(default)]
    pub tidy_acme: bool,
    /// How long after its end a certificate stays.
    #[serde(default)]
    pub safety_buffer: i64,
    /// The same for revocations; `None` for that of certificates.
    #[serde(default)]
    pub revoked_safety_buffer: Option<i64>,
    /// The same for issuers.
    #[serde(default)]
    pub issuer_safety_buffer: i64,
    /// The same for ACME accounts.
    #[serde(default)]
    pub acme_account_safety_buffer: i64,
    /// A wait between two certificates.
    #[serde(default)]
    pub pause_duration: i64,
    /// Certificates read at a time.
    #[serde(default)]
    pub page_size: i64,
    /// Whether stored certificates are counted.
    #[serde(default)]
    pub maintain_stored_certificate_counts: bool,
    /// Whether that count is a metric.
    #[serde(default)]
    pub publish_stored_certificate_count_metrics: bool,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

impl AutoTidyConfig {
    /// Storage key.
    pub const KEY: &str = "config/auto-tidy";

    /// Whether there is anything to do.
    pub fn does_something(&self) -> bool {
        self.tidy_cert_store
            || self.tidy_revoked_certs
            || self.tidy_invalid_certs
            || self.tidy_revoked_cert_issuer_associations
            || self.tidy_expired_issuers
            || self.tidy_move_legacy_ca_bundle
            || self.tidy_acme
    }

    /// How long after its end a revocation stays, in nanoseconds.
    pub fn revoked_buffer(&self) -> i64 {
        self.revoked_safety_buffer.unwrap_or(self.safety_buffer)
    }
}

impl JsonEntry for AutoTidyConfig {
    /// An issuer goes a year after its end at the soonest unless another time was set.
    fn modernise(&mut self, _key: &str) {
        if self.issuer_safety_buffer == 0 {
            self.issuer_safety_buffer = ISSUER_SAFETY_BUFFER;
        }
    }
}

impl Default for AutoTidyConfig {
    fn default() -> Self {
        Self {
            enabled: false,
            interval_duration: 12 * HOUR,
            tidy_cert_store: false,
            tidy_revoked_certs: false,
            tidy_invalid_certs: false,
            tidy_revoked_cert_issuer_associations: false,
            tidy_expired_issuers: false,
            tidy_move_legacy_ca_bundle: false,
            tidy_acme: false,
            safety_buffer: 72 * HOUR,
            revoked_safety_buffer: None,
            issuer_safety_buffer: ISSUER_SAFETY_BUFFER,
            acme_account_safety_buffer: 30 * 24 * HOUR,
            pause_duration: 0,
            page_size: 1000,
            maintain_stored_certificate_counts: false,
            publish_stored_certificate_count_metrics: false,
            other: Other::default(),
        }
    }
}

const ISSUER_SAFETY_BUFFER: i64 = 365 * 24 * HOUR;
const HOUR: i64 = 3600 * 1_000_000_000;
