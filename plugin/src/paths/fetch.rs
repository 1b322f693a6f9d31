//! What anybody may fetch: CA certificates, chains, and certificates by serial number; and the lists of what was issued.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use landfast_pki::{Certificate, SerialNumber, pem};
use landfast_sdk::logical::{Cx, Error, NoFields, Page, Response};

use crate::Mount;
use crate::entry::revoked;
use crate::issuers::{self, LoadedIssuer, NO_DEFAULT};
use crate::mount::{Shared, take_up};
use crate::names::DEFAULT;
use crate::paths::answer::trimmed;
use crate::paths::modified;
use crate::{certificates, revocations};

/// Which certificate.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct Serial {
    /// Serial number: pairs of hexadecimal digits between colons or dashes.
    serial: String,
}

/// `GET ca` and `cert/ca/raw`: the default issuer's certificate as DER.
pub(crate) async fn ca(mount: Shared, cx: Cx, _: NoFields) -> Result<Response, Error> {
    let issuer = issuers::find(&mount, DEFAULT).await?;
    if let Some(unmodified) = unmodified(&cx, issuer.as_deref()) {
        return Ok(unmodified);
    }
    Ok(raw(
        DER,
        issuer.map(|issuer| issuer.certificate.der().to_vec()),
    ))
}

/// `GET ca/pem` and `cert/ca/raw/pem`.
pub(crate) async fn ca_pem(mount: Shared, cx: Cx, _: NoFields) -> Result<Response, Error> {
    let issuer = issuers::find(&mount, DEFAULT).await?;
    if let Some(unmodified) = unmodified(&cx, issuer.as_deref()) {
        return Ok(unmodified);
    }
    Ok(raw(
        PEM,
        issuer.map(|issuer| trimmed(&issuer.entry.certificate).into_bytes()),
    ))
}

/// `GET ca_chain`: the default issuer's chain as PEM, under the content type of a single certificate, as clients know it.
pub(crate) async fn ca_chain(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    Ok(raw(DER, chain(&mount).await?.map(String::into_bytes)))
}

/// `GET cert/ca`.
pub(crate) async fn cert_ca(mount: Shared, cx: Cx, _: NoFields) -> Result<Response, Error> {
    let issuer = issuers::find(&mount, DEFAULT).await?;
    if let Some(unmodified) = unmodified(&cx, issuer.as_deref()) {
        return Ok(unmodified);
    }
    match issuer {
        Some(issuer) => Ok(Response::map(frame(trimmed(&issuer.entry.certificate)))),
        None => Err(no_default()),
    }
}

/// `GET cert/ca_chain`.
pub(crate) async fn cert_ca_chain(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    let chain = chain(&mount).await?.ok_or_else(no_default)?;
    let mut data = frame(chain.clone());
    data.insert("ca_chain".to_owned(), chain.into());
    Ok(Response::map(data))
}

/// `GET cert/SERIAL`: a stored certificate, and whether it is revoked.
pub(crate) async fn cert(mount: Shared, _cx: Cx, request: Serial) -> Result<Response, Error> {
    let Some((serial, der)) = stored(&mount, &request.serial).await? else {
        return Ok(Response::none());
    };
    let mut data = frame(trimmed(&pem::encode("CERTIFICATE", &der)));
    if let Some(entry) = revocations::load(&mount, &serial).await? {
        data.insert("revocation_time".to_owned(), entry.revocation_time.into());
        data.insert(
            "revocation_time_rfc3339".to_owned(),
            entry.revocation_time_utc.to_string().into(),
        );
        if let Some(reason) = entry.reason() {
            data.insert("revocation_reason".to_owned(), reason.name().into());
        }
        if !entry.issuer_id.is_empty() {
            data.insert("issuer_id".to_owned(), entry.issuer_id.into());
        }
    }
    Ok(Response::map(data))
}

/// `GET cert/SERIAL/raw`.
pub(crate) async fn cert_raw(mount: Shared, _cx: Cx, request: Serial) -> Result<Response, Error> {
    Ok(raw(
        DER,
        stored(&mount, &request.serial).await?.map(|(_, der)| der),
    ))
}

/// `GET cert/SERIAL/raw/pem`.
pub(crate) async fn cert_raw_pem(
    mount: Shared,
    _cx: Cx,
    request: Serial,
) -> Result<Response, Error> {
    let found = stored(&mount, &request.serial).await?;
    Ok(raw(
        PEM,
        found.map(|(_, der)| trimmed(&pem::encode("CERTIFICATE", &der)).into_bytes()),
    ))
}

/// `LIST certs`: serial numbers of the stored certificates.
pub(crate) async fn certs(mount: Shared, _cx: Cx, page: Page) -> Result<Response, Error> {
    let keys = page_of(&mount, certificates::PREFIX, &page).await?;
    Ok(Response::list(keys.iter().map(|key| colons(key)).collect()))
}

/// `LIST certs/detailed`: the same, with what the certificates say.
pub(crate) async fn certs_detailed(mount: Shared, _cx: Cx, page: Page) -> Result<Response, Error> {
    let keys = page_of(&mount, certificates::PREFIX, &page).await?;
    let mut info = Map::new();
    for key in &keys {
        // Tidied away since it was listed.
        let Some(der) = certificates::named(&mount, key).await? else {
            continue;
        };
        info.insert(colons(key), details(&der));
    }
    take_up(info.len() * DETAILS).await;
    Ok(Response::list_info(
        keys.iter().map(|key| colons(key)).collect(),
        info,
    ))
}

/// `LIST certs/revoked`: serial numbers of the revoked certificates, stored or not.
pub(crate) async fn certs_revoked(mount: Shared, _cx: Cx, page: Page) -> Result<Response, Error> {
    let keys = page_of(&mount, revoked::PREFIX, &page).await?;
    Ok(Response::list(keys.iter().map(|key| colons(key)).collect()))
}

/// One page of a folder whose keys are serial numbers; the caller writes `after` as the answers do, with colons.
async fn page_of(mount: &Mount, prefix: &str, page: &Page) -> Result<Vec<String>, Error> {
    Ok(mount
        .storage()
        .list_page(
            prefix,
            &page.after.replace(':', "-").to_lowercase(),
            page.limit(),
        )
        .await?)
}

/// A storage key of a serial number in the form that the API shows.
fn colons(key: &str) -> String {
    key.replace('-', ":")
}

async fn stored(mount: &Mount, serial: &str) -> Result<Option<(SerialNumber, Vec<u8>)>, Error> {
    let Ok(serial) = SerialNumber::parse(serial) else {
        return Ok(None);
    };
    let der = certificates::der(mount, &serial).await?;
    Ok(der.map(|der| (serial, der)))
}

async fn chain(mount: &Mount) -> Result<Option<String>, Error> {
    let Some(issuer) = issuers::find(mount, DEFAULT).await? else {
        return Ok(None);
    };
    let texts: Vec<_> = issuer
        .entry
        .ca_chain
        .iter()
        .map(|pem| pem.trim_end())
        .collect();
    Ok(Some(texts.join("\n")))
}

fn unmodified(cx: &Cx, issuer: Option<&LoadedIssuer>) -> Option<Response> {
    modified::unless(cx, issuer?.entry.last_modified)
}

fn raw(content_type: &str, body: Option<Vec<u8>>) -> Response {
    match body {
        Some(body) => Response::raw(200, content_type, body),
        None => Response::raw(204, content_type, Vec::new()),
    }
}

/// The members that all answers under `cert/` share.
fn frame(certificate: String) -> Map<String, Value> {
    let Value::Object(members) =
        json!({ "certificate": certificate, "revocation_time": 0, "revocation_time_rfc3339": "" })
    else {
        unreachable!("a literal object")
    };
    members
}

fn no_default() -> Error {
    Error::BadRequest(NO_DEFAULT.to_owned())
}

fn details(der: &[u8]) -> Value {
    let Ok(certificate) = Certificate::from_der(der) else {
        return json!({});
    };
    // Without any the built-in engine answers null.
    let names = Some(certificate.dns_names()).filter(|names| !names.is_empty());
    let names = names.map(|names| {
        names
            .iter()
            .take(5)
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    });
    json!({
        "common_name": certificate.subject().common_name().unwrap_or_default(),
        "issuer": certificate.issuer().to_string(),
        "key_type": certificate.public_key().key_type().as_str(),
        "key_bits": certificate.public_key().bits(),
        "not_before": certificate.not_before().to_string(),
        "not_after": certificate.not_after().to_string(),
        "dns_names": names,
    })
}

/// Bytes of a certificate's details, about.
const DETAILS: usize = 300;

const DER: &str = "application/pkix-cert";
const PEM: &str = "application/pem-certificate-chain";
