//! Taking in CA certificates and keys that were made elsewhere.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use landfast_pki::{Certificate, PrivateKey, go, pem};
use landfast_sdk::logical::{Cx, Error, Response, Secret};

use crate::authority::{Adopted, Change, missing_aia};
use crate::ca_key::CaKey;
use crate::crl::{self, Scope};
use crate::mount::Shared;
use crate::paths::keys::TOO_SHORT;

/// CA certificates, and keys where the path takes them.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct BundleRequest {
    /// Certificates and private keys in PEM, in any order.
    #[serde(default)]
    #[schemars(with = "String")] // as the console of the server knows it
    pem_bundle: Secret<String>,
}

/// A signed certificate for a request made here.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct SignedRequest {
    /// The certificate in PEM; its chain may follow.
    #[serde(default)]
    #[schemars(with = "String")]
    certificate: Secret<String>,
}

/// `POST issuers/import/cert`: certificates only.
pub(crate) async fn certificates(
    mount: Shared,
    _cx: Cx,
    request: BundleRequest,
) -> Result<Response, Error> {
    import(&mount, request.pem_bundle.expose(), false).await
}

/// `POST issuers/import/bundle` and `config/ca`: certificates and keys.
pub(crate) async fn bundle(
    mount: Shared,
    _cx: Cx,
    request: BundleRequest,
) -> Result<Response, Error> {
    import(&mount, request.pem_bundle.expose(), true).await
}

/// `POST intermediate/set-signed`.
pub(crate) async fn set_signed(
    mount: Shared,
    _cx: Cx,
    request: SignedRequest,
) -> Result<Response, Error> {
    import(&mount, request.certificate.expose(), false).await
}

/// What an import did. Lists that nothing fell in are null, as clients know them.
#[derive(Debug, Default, Serialize)]
struct Imported {
    imported_issuers: Option<Vec<String>>,
    imported_keys: Option<Vec<String>>,
    existing_issuers: Option<Vec<String>>,
    existing_keys: Option<Vec<String>>,
    /// Each issuer of the bundle to its key, or to nothing.
    mapping: BTreeMap<String, String>,
}

async fn import(mount: &Shared, text: &str, keys_allowed: bool) -> Result<Response, Error> {
    let (certificates, keys) = parse(text, keys_allowed)?;
    let mut change = Change::begin(mount).await?;
    let had_default = !change.issuers_config.default.is_empty();
    let mut done = Imported::default();
    for (position, certificate) in certificates.iter().enumerate() {
        let adopted = change.add_issuer(certificate, "").await;
        let adopted = adopted.map_err(|error| match error {
            Error::BadRequest(text) => fault(position, certificate.der(), &text),
            other => other,
        })?;
        note(
            &mut done.imported_issuers,
            &mut done.existing_issuers,
            adopted,
        );
    }
    for key in &keys {
        let adopted = change.add_key(key, "").await?;
        note(&mut done.imported_keys, &mut done.existing_keys, adopted);
    }
    for id in done
        .imported_issuers
        .iter()
        .chain(&done.existing_issuers)
        .flatten()
    {
        let key = change
            .issuer(id)
            .map(|issuer| issuer.key_id.clone())
            .unwrap_or_default();
        done.mapping.insert(id.clone(), key);
    }

    let mut warnings = Vec::new();
    let keyed: Vec<_> = done
        .imported_issuers
        .iter()
        .flatten()
        .filter(|id| !done.mapping[*id].is_empty())
        .cloned()
        .collect();
    let follow = change.issuers_config.default_follows_latest_issuer;
    match keyed.as_slice() {
        [only] if follow => change.set_default_issuer(only),
        [_, _, ..] => {
            if follow {
                warnings.push(
                    "Default issuer left unchanged: could not select new issuer automatically as multiple imported issuers had key material in Vault."
                        .to_owned(),
                );
            }
            if !had_default {
                warnings.push(
                    "The imported bundle contained multiple certs matching keys, the default issuer that was selected should be verified and manually changed if incorrect."
                        .to_owned(),
                );
            }
        }
        _ => {}
    }
    let changed = done.imported_issuers.is_some() || done.imported_keys.is_some();
    change.commit(&[], &[]).await?;
    warnings.extend(missing_aia(mount).await?);
    if changed {
        mount.crl.forget();
        warnings.extend(
            crl::rebuild(mount, Scope::Forced)
                .await
                .unwrap_or_else(crl::not_built),
        );
    }
    Ok(Response::data(&done)?.warn_all(warnings))
}

/// Most certificates and keys in one import.
const MAX_BLOCKS: usize = 256;

/// Reads the whole bundle before anything is stored, so that a fault in it leaves the mount as it was.
fn parse(text: &str, keys_allowed: bool) -> Result<(Vec<Certificate>, Vec<CaKey>), Error> {
    if text.is_empty() {
        return Err(Error::bad_request(
            "'pem_bundle' and 'certificate' parameters were empty",
        ));
    }
    if text.len() < 75 {
        return Err(Error::bad_request(TOO_SHORT));
    }
    let blocks = pem::blocks(text.as_bytes());
    // Certificates and keys are held against each other.
    if blocks.len() > MAX_BLOCKS {
        return Err(Error::bad_request(format!(
            "the bundle has {} blocks, and at most {MAX_BLOCKS} are taken: import it in parts",
            blocks.len()
        )));
    }
    let tail = blocks
        .last()
        .map_or(text, |last| text.get(last.end..).unwrap_or_default());
    if !tail.trim().is_empty() {
        return Err(Error::bad_request(format!(
            "error when parsing block {}: invalid PEM data",
            blocks.len() + 1
        )));
    }
    // A block that cannot be read, between others, would be left out without a word.
    let readable = blocks
        .iter()
        .map(|block| text[block.start..block.end].matches(BEGIN).count());
    if text.matches(BEGIN).count() > readable.sum() {
        return Err(Error::bad_request(
            "the PEM data has a block that could not be read: its lines BEGIN and END must stand at the start of a line, and base64 between them",
        ));
    }
    let (mut certificates, mut keys) = (Vec::new(), Vec::new());
    for block in &blocks {
        match block.label.as_str() {
            "CERTIFICATE" | "X509 CERTIFICATE" => certificates.push(block),
            "CRL" | "X509 CRL" | "EC PARAMS" | "EC PARAMETERS" => {}
            _ => keys.push(block),
        }
    }
    if !keys.is_empty() && !keys_allowed {
        return Err(Error::bad_request(
            "private keys found in the PEM bundle but not allowed by the path; use /issuers/import/bundle",
        ));
    }
    let certificates = certificates.iter().enumerate().map(|(position, block)| {
        let fault = |cause: &dyn std::fmt::Display| fault(position, &block.contents, cause);
        let certificate = Certificate::from_der(&block.contents).map_err(|cause| fault(&cause))?;
        go::check_ca(&certificate).map_err(|cause| fault(&cause))?;
        Ok::<_, Error>(certificate)
    });
    let keys = keys.iter().enumerate().map(|(position, block)| {
        let fault = |cause: &dyn std::fmt::Display| {
            Error::bad_request(format!(
                "Error parsing key {position}: failed to parse PEM block: {cause}"
            ))
        };
        if block.is_encrypted() {
            return Err(fault(&landfast_pki::Error::EncryptedKey));
        }
        PrivateKey::from_der(&block.contents)
            .map(CaKey::from)
            .map_err(|cause| fault(&cause))
    });
    Ok((
        certificates.collect::<Result<_, _>>()?,
        keys.collect::<Result<_, _>>()?,
    ))
}

/// What is said of a certificate of the bundle.
fn fault(position: usize, der: &[u8], cause: &dyn std::fmt::Display) -> Error {
    let shown = pem::encode("CERTIFICATE", der);
    Error::bad_request(format!("Error parsing issuer {position}: {cause}\n{shown}"))
}

/// How each PEM block begins.
const BEGIN: &str = "-----BEGIN ";

fn note(imported: &mut Option<Vec<String>>, existing: &mut Option<Vec<String>>, adopted: Adopted) {
    let list = if adopted.existing { existing } else { imported };
    list.get_or_insert_default().push(adopted.id);
}
