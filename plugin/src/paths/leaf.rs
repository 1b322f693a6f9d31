//! What the requests for leaf certificates share: fields, and the way from a request to a certificate.

use std::sync::Arc;
use std::time::Duration;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use landfast_pki::issue::LeafRequest;
use landfast_pki::validity::MountTtl;
use landfast_pki::{Certificate, Prepared, PrivateKey, SerialNumber};
use landfast_sdk::logical::{CommaList, Error, Lease, Response, Ttl};

use crate::aia::{self, Signing};
use crate::authority::certificate_key;
use crate::ca_key::CaKey;
use crate::entry::role::RoleEntry;
use crate::names;
use crate::paths::answer::{Encoding, unix};
use crate::role::Role;
use crate::{Mount, fault, issuers};

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

/// The role `name`.
///
/// # Errors
/// When there is none.
pub(crate) async fn role(mount: &Mount, name: &str) -> Result<Arc<Role>, Error> {
    match mount.load::<Role>(&RoleEntry::key(name)).await? {
        Some(role) => Ok(role),
        None => Err(mount
            .absent(Error::BadRequest(format!("unknown role: {name}")))
            .await),
    }
}

/// An issuer and its key, ready to sign leaves.
pub(crate) struct Authority {
    pub(crate) signing: Arc<Signing>,
    key: CaKey,
}

impl Authority {
    /// Loads the issuer that `reference` means.
    ///
    /// # Errors
    /// When there is none, or it cannot or must not issue; all of them error values, which clients tell apart by their texts.
    pub(crate) async fn load(mount: &Mount, reference: &str) -> Result<Self, Error> {
        let (issuer, key) = issuers::for_issuing(mount, reference).await?;
        let signing = aia::signing(mount, &issuer)
            .await
            .map_err(|error| match error {
                Error::Failed(text) => {
                    Error::Failed(format!("error fetching CA certificate: {text}"))
                }
                other => other,
            })?;
        Ok(Self { signing, key })
    }

    /// Signs what the rules prepared.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub(crate) async fn sign(
        &self,
        mount: &Mount,
        prepared: Prepared,
    ) -> Result<Certificate, Error> {
        self.key.sign(mount, prepared).await
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

/// The mount's lifetimes, as far as they can matter: asking costs a call to the host each, and a role that sets both `ttl` and
/// `max_ttl` needs neither.
///
/// # Errors
/// When the host does not answer.
pub(crate) async fn mount_ttl(
    mount: &Mount,
    asked: Duration,
    ttl: Duration,
    max_ttl: Duration,
) -> Result<MountTtl, Error> {
    let default = if asked.is_zero() && ttl.is_zero() {
        mount.default_ttl().await?
    } else {
        Duration::ZERO
    };
    let max = if max_ttl.is_zero() {
        mount.max_ttl().await?
    } else {
        Duration::ZERO
    };
    Ok(MountTtl { default, max })
}

/// A fresh serial number.
///
/// # Errors
/// When there is no randomness.
pub(crate) fn serial() -> Result<SerialNumber, Error> {
    SerialNumber::random().map_err(fault::failed)
}

/// Whether a certificate is put on record, and whether it comes with a lease.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Keeping {
    no_store: bool,
    lease: bool,
}

impl Keeping {
    /// What a role says.
    pub(crate) fn by(role: &RoleEntry) -> Self {
        Self {
            no_store: role.no_store,
            lease: role.generate_lease && !role.no_store,
        }
    }

    /// Stores the certificate before anybody learns of it, and answers.
    ///
    /// # Errors
    /// When storage fails; the caller then has no certificate that could not be revoked.
    pub(crate) async fn answer(
        self,
        mount: &Mount,
        encoding: Encoding,
        certificate: &Certificate,
        issuer: &Signing,
        key: Option<&PrivateKey>,
    ) -> Result<Response, Error> {
        if !self.no_store {
            mount
                .storage()
                .put(
                    &certificate_key(certificate.serial()),
                    certificate.der().to_vec(),
                )
                .await?;
        }
        let response = encoding.answer(certificate, &issuer.loaded, key)?;
        Ok(if self.lease {
            response.lease(lease(certificate, mount.now().as_second()))
        } else {
            response
        })
    }
}

fn lease(certificate: &Certificate, now: i64) -> Lease {
    let left = u64::try_from(unix(certificate.not_after()) - now).unwrap_or_default();
    let mut internal = Map::new();
    // The built-in engine finds its leases by this type, and so may revoke ours after a way back.
    internal.insert("secret_type".to_owned(), SECRET_TYPE.into());
    internal.insert(
        SERIAL_NUMBER.to_owned(),
        Value::String(certificate.serial().colon()),
    );
    Lease {
        ttl: Duration::from_secs(left),
        internal,
        ..Lease::default()
    }
}

/// Said where `issuer_ref` was sent empty.
pub(crate) const MISSING_ISSUER: &str = "missing issuer reference";

/// The type of the leases of certificates.
const SECRET_TYPE: &str = "pki";

/// Where a lease keeps which certificate it is for.
pub(crate) const SERIAL_NUMBER: &str = "serial_number";
