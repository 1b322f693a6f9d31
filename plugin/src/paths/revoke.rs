//! `revoke` and `revoke-with-key`: putting a certificate on record as revoked.

use jiff::{SignedDuration, Timestamp};
use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Value, json};

use landfast_pki::{Certificate, PrivateKey, Reason, SerialNumber, pem};
use landfast_sdk::logical::{Cx, Error, Response, Secret};

use crate::entry::revoked::RevokedEntry;
use crate::entry::time::StoredTime;
use crate::metrics::RevokedBy;
use crate::mount::Shared;
use crate::{certificates, crl, issuers, revocations};

/// Which certificate.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct RevokeRequest {
    /// The certificate in PEM. It need not be stored here, but an issuer of this mount must have signed it.
    certificate: Option<String>,
    /// Serial number of a stored certificate.
    serial_number: Option<String>,
    /// Why, by its name in RFC 5280 section 5.3.1. CRL and OCSP tell it; without one, or with `unspecified`, they tell none.
    #[schemars(extend("enum" = REASONS))]
    reason: Option<String>,
}

/// Which certificate, and proof that the caller holds its key.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct RevokeWithKeyRequest {
    /// The certificate in PEM. It need not be stored here, but an issuer of this mount must have signed it.
    certificate: Option<String>,
    /// The certificate's private key in PEM. It is compared and not kept.
    #[serde(default)]
    #[schemars(with = "String")] // as the console of the server knows it
    private_key: Secret<String>,
    /// Serial number of a stored certificate.
    serial_number: Option<String>,
    /// Why, by its name in RFC 5280 section 5.3.1. CRL and OCSP tell it; without one, or with `unspecified`, they tell none.
    #[schemars(extend("enum" = REASONS))]
    reason: Option<String>,
}

/// The words that are taken for a reason.
const REASONS: [&str; 7] = [
    "unspecified",
    "keyCompromise",
    "cACompromise",
    "affiliationChanged",
    "superseded",
    "cessationOfOperation",
    "privilegeWithdrawn",
];

/// `POST revoke`.
pub(crate) async fn revoke(
    mount: Shared,
    _cx: Cx,
    request: RevokeRequest,
) -> Result<Response, Error> {
    let target = target(request.serial_number, request.certificate)?;
    let reason = read_reason(request.reason.as_deref())?;
    let found = find(&mount, target).await?;
    let revoked = put_on_record(&mount, found, reason, RevokedBy::Revoke).await?;
    revoked.response()
}

/// `POST revoke-with-key`.
pub(crate) async fn revoke_with_key(
    mount: Shared,
    _cx: Cx,
    request: RevokeWithKeyRequest,
) -> Result<Response, Error> {
    let target = target(request.serial_number, request.certificate)?;
    let key = request.private_key.expose();
    if key.is_empty() {
        return Err(Error::bad_request(
            "Must have private key to revoke via the /revoke-with-key path.",
        ));
    }
    if key.len() < 64 {
        return Err(Error::bad_request(
            "Provided data for private_key was too short; perhaps a path was passed to the API \
             rather than the contents of a PEM file?",
        ));
    }
    let reason = read_reason(request.reason.as_deref())?;
    let found = find(&mount, target).await?;
    prove(key, &found.certificate)?;
    let revoked = put_on_record(&mount, found, reason, RevokedBy::RevokeWithKey).await?;
    revoked.response()
}

/// Revokes the certificate of a lease that ended. One that is no longer stored needs no revoking: it was tidied away after its end.
///
/// # Errors
/// When storage fails; the host then tries again.
pub(crate) async fn by_lease(mount: Shared, serial: String) -> Result<Response, Error> {
    match by_serial(&mount, &serial).await {
        Ok(found) => put_on_record(&mount, found, None, RevokedBy::Lease)
            .await
            .map(|_| Response::none()),
        Err(Error::BadRequest(_)) => Ok(Response::none()),
        Err(error) => Err(error),
    }
}

/// Revokes a certificate that is stored. Gives what is told of it: nothing of one that is over and so stays off CRLs.
///
/// # Errors
/// When storage fails, or its CRL cannot be built.
pub(crate) async fn stored(
    mount: &Shared,
    certificate: Certificate,
    reason: Option<Reason>,
) -> Result<Option<Value>, Error> {
    let serial = certificate.serial().colon();
    let found = Found {
        certificate,
        store: false,
        serial,
    };
    let revoked = put_on_record(mount, found, reason, RevokedBy::Acme).await?;
    Ok(revoked.shown)
}

/// What came of a request to revoke.
struct Revoked {
    /// What is told of the revocation that is on record; nothing where the certificate is over.
    shown: Option<Value>,
    warnings: Vec<String>,
}

impl Revoked {
    fn new(entry: &RevokedEntry, warnings: Vec<String>) -> Self {
        let mut shown = json!({
            "revocation_time": entry.revocation_time,
            "revocation_time_rfc3339": StoredTime(entry.time()).to_string(),
            "state": "revoked",
        });
        if let Some(reason) = entry.reason() {
            shown["revocation_reason"] = reason.name().into();
        }
        Self {
            shown: Some(shown),
            warnings,
        }
    }

    fn response(self) -> Result<Response, Error> {
        let response = match &self.shown {
            Some(shown) => Response::data(shown)?,
            None => Response::null(),
        };
        Ok(response.warn_all(self.warnings))
    }
}

enum Target {
    Serial(String),
    Certificate(String),
}

struct Found {
    certificate: Certificate,
    /// Whether it still has to be stored under its serial number.
    store: bool,
    /// As the caller wrote it, with colons, for texts.
    serial: String,
}

fn target(serial: Option<String>, certificate: Option<String>) -> Result<Target, Error> {
    match (serial, certificate) {
        (None, None) => Err(Error::bad_request(
            "The serial number or certificate to revoke must be provided.",
        )),
        (Some(_), Some(_)) => Err(Error::bad_request(
            "Must provide either the certificate or the serial to revoke; not both.",
        )),
        (Some(serial), None) => Ok(Target::Serial(serial)),
        (None, Some(certificate)) => Ok(Target::Certificate(certificate)),
    }
}

async fn find(mount: &Shared, target: Target) -> Result<Found, Error> {
    match target {
        Target::Serial(serial) => by_serial(mount, &serial).await,
        Target::Certificate(text) => by_certificate(mount, &text).await,
    }
}

async fn by_serial(mount: &Shared, serial: &str) -> Result<Found, Error> {
    if serial.is_empty() {
        return Err(Error::bad_request("The serial number must be provided"));
    }
    let not_found = || Error::bad_request(format!("certificate with serial {serial} not found."));
    let parsed = SerialNumber::parse(serial).map_err(|_| not_found())?;
    let Some(certificate) = certificates::load(mount, &parsed).await? else {
        return Err(mount.absent(not_found()).await);
    };
    Ok(Found {
        certificate,
        store: false,
        serial: parsed.colon(),
    })
}

/// A certificate handed in: one that was issued without being stored, or one whose stored copy is at hand anyway.
async fn by_certificate(mount: &Shared, text: &str) -> Result<Found, Error> {
    if text.len() < 64 {
        return Err(Error::failed(
            "provided certificate data was too short; perhaps a path was passed to the API rather than the contents of a PEM file",
        ));
    }
    let blocks = pem::blocks(text.as_bytes());
    let Some(block) = blocks.first() else {
        return Err(Error::failed("certificate contains no PEM data"));
    };
    let certificate =
        Certificate::from_der(&block.contents).map_err(|cause| Error::failed(cause.to_string()))?;
    let serial = certificate.serial().colon();
    if let Some(stored) = certificates::der(mount, certificate.serial()).await? {
        if stored == certificate.der() {
            return Ok(Found {
                certificate,
                store: false,
                serial,
            });
        }
        return Err(Error::failed(
            "certificate with same serial but unexpected value already present in this cluster's storage",
        ));
    }
    let issuers = issuers::all(mount).await?;
    let signed = issuers
        .iter()
        .any(|issuer| issuers::signed_by(&certificate, &issuer.certificate));
    if !signed {
        return Err(Error::failed(
            "unable to verify signature on presented cert from any present issuer in this mount; certificates from previous CAs will need to have their issuing CA and key re-imported if revocation is necessary",
        ));
    }
    Ok(Found {
        certificate,
        store: true,
        serial,
    })
}

/// Compares the public halves: whoever can present the private key may revoke its certificate.
fn prove(key: &str, certificate: &Certificate) -> Result<(), Error> {
    let key = PrivateKey::from_pem(key.as_bytes()).map_err(|_| {
        Error::failed("provided key PEM block contained no data or failed to parse")
    })?;
    let (given, wanted) = (key.public_key(), certificate.public_key());
    if given.key_type() != wanted.key_type() {
        return Err(Error::failed(
            "provided private key type does not match certificate's public key type",
        ));
    }
    if given.spki_der() != wanted.spki_der() {
        return Err(Error::failed(
            "provided private key does not match certificate's public key",
        ));
    }
    Ok(())
}

/// The record comes first and the CRL after it: wherever a crash falls, nobody was told of a revocation that is not recorded,
/// and a record without a CRL is made good by the next call or by the periodic work.
async fn put_on_record(
    mount: &Shared,
    found: Found,
    reason: Option<Reason>,
    by: RevokedBy,
) -> Result<Revoked, Error> {
    let Found {
        certificate,
        store,
        serial,
    } = found;
    let alone = mount.revoking(certificate.serial()).lock().await;
    let issuers = issuers::all(mount).await?;
    if let Some(own) = issuers.holding(&certificate) {
        return Err(Error::bad_request(format!(
            "adding issuer (id: {}) to its own CRL is not allowed",
            own.id()
        )));
    }
    if mount.crl.knows(certificate.serial()) != Some(false)
        && let Some(entry) = revocations::load(mount, certificate.serial()).await?
    {
        if !crl::lists(mount, certificate.serial()).await? {
            publish(mount, &certificate).await?;
        }
        // Who relied on the first answer goes on to.
        let other = reason.filter(|_| reason != entry.reason()).map(|_| {
            format!(
                "the certificate is revoked already, and its reason stays as it is on record: {}",
                entry.reason().map_or("none", Reason::name)
            )
        });
        return Ok(Revoked::new(&entry, other.into_iter().collect()));
    }
    let now = mount.now();
    if is_over(&certificate, now) && !crl::config(mount).await?.allow_expired_cert_revocation {
        return Ok(Revoked {
            shown: None,
            warnings: vec![format!(
                "certificate with serial {serial} already expired; refusing to add to CRL. Enable 'AllowExpiredCertRevocation' to allow revoking expired certificates."
            )],
        });
    }
    let parent = match store {
        true => issuers.parent_of(&certificate),
        false => issuers.parent_of_stored(&certificate),
    };
    let issuer_id = parent
        .map(|issuer| issuer.entry.id.clone())
        .unwrap_or_default();
    let entry = RevokedEntry::new(certificate.der().to_vec(), now, issuer_id).because(reason);
    let mut writes = Vec::new();
    if store {
        writes.push(certificates::write(&certificate));
    }
    writes.push(revocations::write(certificate.serial(), &entry));
    writes.extend(crl::noted(
        &*crl::config(mount).await?,
        certificate.serial(),
    ));
    if let Err(error) = mount.save(writes).await {
        // It may be on record all the same.
        mount.crl.forget();
        return Err(error);
    }
    mount.crl.note(certificate.serial(), &entry);
    mount.metrics.revoked.count(by);
    drop(alone);
    let warnings = publish(mount, &certificate).await?;
    Ok(Revoked::new(&entry, warnings))
}

/// Whether a certificate ends within two seconds. The built-in engine counts one as expired then, because leases end on whole
/// seconds.
fn is_over(certificate: &Certificate, now: Timestamp) -> bool {
    certificate.not_after() < now.checked_add(LEEWAY).unwrap_or(now)
}

const LEEWAY: SignedDuration = SignedDuration::from_secs(2);

/// Has the CRL list what was put on record. Gives warnings of CRLs that could not be built.
async fn publish(mount: &Shared, certificate: &Certificate) -> Result<Vec<String>, Error> {
    let error = match crl::after_revocation(mount).await {
        Ok(warnings) => return Ok(warnings),
        Err(error) => error,
    };
    let listed = crl::lists(mount, certificate.serial()).await;
    if listed.unwrap_or(false) {
        return Ok(vec![format!(
            "the CRL of another issuer could not be rebuilt: {error}"
        )]);
    }
    Err(match error {
        Error::Status { code, message } => Error::Status {
            code,
            message: format!(
                "the revocation is on record, and the CRL follows by itself as soon as it can be signed: {message}"
            ),
        },
        other => other,
    })
}

/// The reason that a request names.
fn read_reason(sent: Option<&str>) -> Result<Option<Reason>, Error> {
    Reason::parse(sent.unwrap_or_default())
        .map_err(|why| Error::bad_request(format!("reason cannot be told of a revocation: {why}")))
}
