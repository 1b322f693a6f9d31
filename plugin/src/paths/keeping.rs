//! What becomes of a new leaf certificate: whether it is put on record, and whether a lease comes with it.

use std::time::Duration;

use landfast_pki::{Certificate, PrivateKey, Unsigned};
use landfast_sdk::logical::{Error, Lease, LeaseContext, Response};
use serde_json::{Map, Value};

use crate::entry::role::RoleEntry;
use crate::metrics::IssuedBy;
use crate::paths::answer::{Encoding, unix};
use crate::signing::Authority;
use crate::{Mount, certificates};

/// Whether a certificate is put on record, and whether it comes with a lease.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keeping {
    no_store: bool,
    lease: bool,
    by: IssuedBy,
}

impl Keeping {
    /// What a role says, if there is one. It is counted as issued by this path.
    pub(crate) fn by(by: IssuedBy, role: Option<&RoleEntry>) -> Self {
        let no_store = role.is_some_and(|role| role.settings.no_store);
        let lease = role.is_some_and(|role| role.settings.generate_lease);
        Self::new(by, no_store, lease)
    }

    /// As these say. A certificate that is on no record has no lease: it could not be revoked when that ends.
    pub(crate) const fn new(by: IssuedBy, no_store: bool, lease: bool) -> Self {
        Self {
            no_store,
            lease: lease && !no_store,
            by,
        }
    }

    /// Signs what the rules prepared and stores the certificate before anybody learns of it.
    ///
    /// # Errors
    /// When the key cannot sign. When storage fails; the caller then has no certificate that could not be revoked.
    pub(crate) async fn keep(
        self,
        mount: &Mount,
        authority: &Authority,
        prepared: Unsigned<Certificate>,
    ) -> Result<Kept, Error> {
        let certificate = authority.sign(mount, prepared).await?;
        if !self.no_store {
            certificates::store(mount, &certificate).await?;
        }
        mount.metrics.issued.count(self.by);
        let lease = self
            .lease
            .then(|| lease(&certificate, mount.now().as_second()));
        Ok(Kept { certificate, lease })
    }

    /// [`Self::keep`], and the answer.
    ///
    /// # Errors
    /// As there, and when the answer cannot be encoded.
    pub(crate) async fn answer(
        self,
        mount: &Mount,
        encoding: Encoding,
        authority: &Authority,
        prepared: Unsigned<Certificate>,
        key: Option<&PrivateKey>,
    ) -> Result<Response, Error> {
        let kept = self.keep(mount, authority, prepared).await?;
        let response = encoding.leaf(&kept.certificate, &authority.signing.loaded, key)?;
        Ok(kept.leased(response))
    }
}

/// A certificate that was signed and put on record.
pub(crate) struct Kept {
    pub(crate) certificate: Certificate,
    lease: Option<Lease>,
}

impl Kept {
    /// The answer with the lease, if there is one.
    pub(crate) fn leased(self, response: Response) -> Response {
        match self.lease {
            Some(lease) => response.lease(lease),
            None => response,
        }
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

/// Which certificate a lease is for.
pub(crate) fn leased(lease: &LeaseContext) -> Option<&str> {
    lease.internal.get(SERIAL_NUMBER)?.as_str()
}

/// The type of the leases of certificates.
const SECRET_TYPE: &str = "pki";

/// Where a lease keeps which certificate it is for.
const SERIAL_NUMBER: &str = "serial_number";
