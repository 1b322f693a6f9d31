//! Fields that several requests for certificates have.

use schemars::JsonSchema;
use serde::Deserialize;

use landfast_pki::issue::LeafRequest;
use landfast_sdk::logical::{CommaList, Error, Ttl};

use crate::paths::answer::Encoding;
use crate::{Mount, names};

/// Which role.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct RoleRef {
    /// Name of the role by which the certificate is made.
    pub(crate) role: String,
}

/// Which issuer, as a part of the path.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct IssuerRef {
    /// Issuer that signs: a name, an id, or `default`.
    #[serde(deserialize_with = "names::reference")]
    #[schemars(extend("default" = "default"))]
    pub(crate) issuer_ref: String,
}

/// Which issuer, as a field.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct IssuerField {
    /// Issuer that signs: a name, an id, or `default`. Where a role is named, the role decides instead.
    #[schemars(extend("default" = "default"))]
    #[serde(deserialize_with = "names::reference")]
    pub(crate) issuer_ref: String,
}

/// A certificate signing request.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct CsrField {
    /// The PKCS#10 request as PEM.
    #[schemars(extend("default" = ""))]
    pub(crate) csr: String,
}

/// What is asked of a leaf certificate, and of the form of the answer.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct LeafFields {
    /// Common name. It also becomes a subject alternative name where it is a host name or a mail address.
    pub(crate) common_name: String,
    /// Host names and mail addresses for the subject alternative names, separated by commas.
    pub(crate) alt_names: String,
    /// IP addresses for the subject alternative names.
    pub(crate) ip_sans: CommaList,
    /// URIs for the subject alternative names.
    pub(crate) uri_sans: CommaList,
    /// Other names for the subject alternative names, each `OID;UTF8:value`.
    pub(crate) other_sans: CommaList,
    /// User ids for the subject.
    pub(crate) user_ids: CommaList,
    /// Serial number for the subject; not that of the certificate, which is random.
    pub(crate) serial_number: String,
    /// Keep the common name out of the subject alternative names.
    #[schemars(extend("default" = false))]
    pub(crate) exclude_cn_from_sans: bool,
    /// Lifetime; the role's or the mount's default when not sent.
    pub(crate) ttl: Ttl,
    /// Start of validity, RFC 3339.
    pub(crate) not_before: Option<String>,
    /// End of validity, RFC 3339; instead of a lifetime.
    pub(crate) not_after: Option<String>,
}

/// The form of an answer that holds a certificate.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct FormFields {
    /// Encoding of the answer: `pem`, `der` (as base64), or `pem_bundle` (key, certificate and chain in one text).
    #[schemars(extend("default" = "pem", "enum" = ["pem", "der", "pem_bundle"]))]
    format: String,
    /// Encoding of the private key: `pkcs8`, or the usual one of its type.
    #[schemars(extend("default" = "der", "enum" = ["", "der", "pem", "pkcs8"]))]
    private_key_format: String,
    /// Leave self-signed certificates out of `ca_chain`.
    #[schemars(extend("default" = false))]
    remove_roots_from_chain: bool,
}

impl FormFields {
    /// The encoding asked for.
    ///
    /// # Errors
    /// For an unknown `format`.
    pub(crate) fn encoding(&self) -> Result<Encoding, Error> {
        Encoding::parse(
            &self.format,
            &self.private_key_format,
            self.remove_roots_from_chain,
        )
    }
}

impl Default for FormFields {
    fn default() -> Self {
        Self {
            format: "pem".to_owned(),
            private_key_format: "der".to_owned(),
            remove_roots_from_chain: false,
        }
    }
}

impl Default for IssuerField {
    fn default() -> Self {
        Self {
            issuer_ref: crate::names::DEFAULT.to_owned(),
        }
    }
}

impl LeafFields {
    /// Puts the fields into a request to the rules.
    pub(crate) fn fill<'a>(&'a self, mount: &Mount, request: LeafRequest<'a>) -> LeafRequest<'a> {
        LeafRequest {
            common_name: &self.common_name,
            alt_names: &self.alt_names,
            ip_sans: &self.ip_sans.0,
            uri_sans: &self.uri_sans.0,
            other_sans: &self.other_sans.0,
            user_ids: &self.user_ids.0,
            serial_number: &self.serial_number,
            exclude_cn_from_sans: self.exclude_cn_from_sans,
            ttl: self.ttl.0,
            not_before: mount.named_time(self.not_before.as_deref()),
            not_after: mount.named_time(self.not_after.as_deref()),
            ..request
        }
    }
}

/// Said where `issuer_ref` was sent empty.
pub(crate) const MISSING_ISSUER: &str = "missing issuer reference";
