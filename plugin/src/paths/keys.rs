//! `keys` and `key/REF`: the private keys of a mount.

use std::sync::Arc;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use landfast_pki::{KeySpec, PrivateKey, pem};
use landfast_sdk::logical::{Cx, Error, Page, Response, Secret, Write};

use crate::authority::{Adopted, Change};
use crate::ca_key::CaKey;
use crate::crl::{self, Scope};
use crate::entry::issuer::IssuerEntry;
use crate::entry::key::{KeyEntry, KmsPlace};
use crate::fault::internal;
use crate::keys::{self, LoadedKey};
use crate::mount::Shared;
use crate::names;
use crate::paths::answer::{self, Shown};
use crate::paths::ca::{ANY_IS_NO_TYPE, KmsFields};

/// Which key.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct KeyRef {
    /// Key: an id, a name, or `default`.
    #[serde(deserialize_with = "names::reference")]
    #[schemars(extend("default" = "default"))]
    key_ref: String,
}

/// A new name for a key.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct RenameRequest {
    /// Key: an id, a name, or `default`.
    #[serde(deserialize_with = "names::reference")]
    #[schemars(extend("default" = "default"))]
    key_ref: String,
    /// The new name; empty takes the name away.
    key_name: Option<String>,
}

/// A key to make.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct GenerateRequest {
    /// Reference of a key that the server keeps. This plugin cannot use such keys.
    external_key_ref: Option<String>,
    /// Size of the key; 0 for the usual size of the type.
    #[serde(default)]
    key_bits: i64,
    /// Name of the key.
    key_name: Option<String>,
    /// Type of the key.
    #[serde(default = "rsa")]
    #[schemars(extend("enum" = ["rsa", "ec", "ed25519", "mldsa"]))]
    key_type: String,
}

/// A key of AWS KMS to take in.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct AdoptRequest {
    /// Reference of a key that the server keeps. This plugin cannot use such keys.
    external_key_ref: Option<String>,
    /// Not for this path: the size is that of the key in AWS KMS.
    key_bits: Option<i64>,
    /// Name of the key.
    key_name: Option<String>,
    /// Not for this path: the type is that of the key in AWS KMS.
    key_type: Option<String>,
}

/// A key to take in.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct ImportRequest {
    /// Name of the key.
    key_name: Option<String>,
    /// One private key in PEM, not encrypted.
    #[serde(default)]
    #[schemars(with = "String")] // as the console of the server knows it
    pem_bundle: Secret<String>,
}

/// What is said of a new key.
#[derive(Serialize)]
struct Made {
    #[serde(flatten)]
    described: Map<String, Value>,
    #[serde(skip_serializing_if = "Option::is_none")]
    private_key: Option<Shown>,
}

/// `LIST keys`.
pub(crate) async fn list(mount: Shared, _cx: Cx, page: Page) -> Result<Response, Error> {
    let keys = keys::all(&mount).await?;
    let default = keys::config(&mount).await?;
    let ids = page.cut(keys.iter().map(|key| key.id.clone()).collect());
    let mut info = Map::new();
    for key in ids.iter().filter_map(|id| keys.find(id)) {
        info.insert(
            key.id.clone(),
            json!({ "key_name": key.name, "is_default": key.id == default.default }),
        );
    }
    Ok(Response::list_info(ids, info))
}

/// `GET key/REF`.
pub(crate) async fn read(mount: Shared, _cx: Cx, request: KeyRef) -> Result<Response, Error> {
    let key = keys::load(&mount, &request.key_ref).await?;
    let ski = key.public_key(&mount).await?.ski();
    let ski: Vec<_> = ski.iter().map(|byte| format!("{byte:02x}")).collect();
    let mut shown = describe(&key.id, &key.name, &key.kind);
    shown.insert("subject_key_id".into(), ski.join(":").into());
    shown.extend(place(key.kms.as_ref()));
    Ok(Response::map(shown))
}

/// `POST key/REF`: renames the key.
pub(crate) async fn write(
    mount: Shared,
    _cx: Cx,
    request: RenameRequest,
) -> Result<Response, Error> {
    let change = Change::begin(&mount).await?;
    let key = keys::load(&mount, &request.key_ref).await?;
    let name = request.key_name.as_deref().unwrap_or_default();
    if !name.is_empty() {
        if !names::is_name(name) {
            return Err(Error::bad_request(
                "new key name outside of valid character limits",
            ));
        }
        // The built-in engine would take a name that is reserved or another key's.
        keys::check_name(&change.keys, name, &key.id)?;
    }
    if name != key.name {
        rename(&mount, &key, name).await?;
    }
    let response = Response::map(describe(&key.id, name, &key.kind));
    Ok(if name.is_empty() && !key.name.is_empty() {
        response.warn(format!(
            "Name successfully deleted, you will now need to reference this key by it's Id: {}",
            key.id
        ))
    } else {
        response
    })
}

/// `DELETE key/REF`: the key need not exist, but no issuer may use it.
pub(crate) async fn delete(mount: Shared, _cx: Cx, request: KeyRef) -> Result<Response, Error> {
    let mut change = Change::begin(&mount).await?;
    let reference = request.key_ref;
    let key = match keys::load(&mount, &reference).await {
        Ok(key) => key,
        Err(Error::Failed(_)) => return Ok(Response::none()),
        Err(other) => return Err(other),
    };
    if let Some(id) = user_of(&change, &key.id) {
        drop(change);
        // Nobody is refused by what only memory has: the issuer may have been written below the server.
        mount.forget(&IssuerEntry::key(&id));
        change = Change::begin(&mount).await?;
        if let Some(id) = user_of(&change, &key.id) {
            return Err(Error::bad_request(format!(
                "Failed to Delete Key.  Key in Use by Issuer: {id}"
            )));
        }
    }
    let default = change.default_key() == key.id;
    if default {
        change.set_default_key("");
    }
    change.commit(&[], std::slice::from_ref(&key.id)).await?;
    Ok(if default {
        Response::null().warn(format!(
            "Deleted key {} (via key_ref {reference}); this was configured as the default \
             key. Operations without an explicit key will not work until a new default is \
             configured.",
            key.id
        ))
    } else {
        Response::none()
    })
}

/// The id of an issuer that has this key.
fn user_of(change: &Change<'_>, key: &str) -> Option<String> {
    let mut issuers = change.issuers.iter();
    let found = issuers.find(|issuer| issuer.entry.key_id == key)?;
    Some(found.id().to_owned())
}

/// `POST keys/generate/internal`: the private half stays here.
pub(crate) async fn generate_internal(
    mount: Shared,
    _cx: Cx,
    request: GenerateRequest,
) -> Result<Response, Error> {
    generate(&mount, request, false).await
}

/// `POST keys/generate/exported`: the answer holds the private half, this once.
pub(crate) async fn generate_exported(
    mount: Shared,
    _cx: Cx,
    request: GenerateRequest,
) -> Result<Response, Error> {
    generate(&mount, request, true).await
}

/// `POST keys/generate/kms`: takes a key that AWS KMS keeps. Keys of the server's own store are out of a plugin's reach.
pub(crate) async fn generate_kms(
    mount: Shared,
    _cx: Cx,
    (request, kms): (AdoptRequest, KmsFields),
) -> Result<Response, Error> {
    let external = request
        .external_key_ref
        .as_deref()
        .filter(|reference| !reference.is_empty());
    let name = request.key_name.as_deref().map(str::trim);
    if let Some(name) = name {
        keys::check_name(&*keys::all(&mount).await?, name, "")?;
    }
    if request.key_type.is_some() || request.key_bits.is_some_and(|bits| bits != 0) {
        return Err(Error::bad_request(
            "key_type and key_bits cannot be set here: they are those of the key in AWS KMS",
        ));
    }
    let key = kms.adopt(&mount, external).await?;
    let change = Change::begin(&mount).await?;
    if let Some(name) = name {
        keys::check_name(&change.keys, name, "")?;
    }
    take(&mount, change, &key, name.unwrap_or_default()).await
}

/// `POST keys/import`.
pub(crate) async fn import(
    mount: Shared,
    _cx: Cx,
    request: ImportRequest,
) -> Result<Response, Error> {
    let change = Change::begin(&mount).await?;
    let name = request.key_name.as_deref().map(str::trim);
    if let Some(name) = name {
        keys::check_name(&change.keys, name, "")?;
    }
    let text = request.pem_bundle.expose();
    if text.len() < 64 {
        return Err(Error::bad_request(TOO_SHORT));
    }
    let name = name.unwrap_or_default();
    let key = CaKey::from(only_key(text)?);
    take(&mount, change, &key, name).await
}

/// Takes a key in that was made elsewhere.
async fn take(
    mount: &Shared,
    mut change: Change<'_>,
    key: &CaKey,
    name: &str,
) -> Result<Response, Error> {
    let Adopted { id, existing } = change.add_key(key, name).await?;
    let kind = key.public_key().key_type().as_str();
    if existing {
        let present = change.keys.find(&id);
        let mut shown = describe(
            &id,
            present.map_or("", |present| present.name.as_str()),
            kind,
        );
        shown.extend(place(present.and_then(|present| present.kms.as_ref())));
        return Ok(
            Response::map(shown).warn("Key already imported, use key/ endpoint to update name.")
        );
    }
    change.commit(&[], &[]).await?;
    // Issuers that waited for this key now have a CRL to sign.
    let warnings = crl::rebuild(mount, Scope::Forced)
        .await
        .unwrap_or_else(crl::not_built);
    let mut shown = describe(&id, name, kind);
    if let CaKey::Kms(kms, _) = key {
        shown.extend(place(Some(&kms.place)));
    }
    Ok(Response::map(shown).warn_all(warnings))
}

/// What is said to data that is too short to be PEM.
pub(crate) const TOO_SHORT: &str = "provided data for import was too short; perhaps a path was passed to the API rather than the contents of a PEM file";

async fn generate(
    mount: &Shared,
    request: GenerateRequest,
    exported: bool,
) -> Result<Response, Error> {
    let name = request.key_name.as_deref().map(str::trim);
    if let Some(name) = name {
        keys::check_name(&*keys::all(mount).await?, name, "")?;
    }
    if request
        .external_key_ref
        .is_some_and(|reference| !reference.is_empty())
    {
        return Err(Error::bad_request(
            "cannot specify \"external_key_ref\" on non-kms typed key generation request",
        ));
    }
    if request.key_type == "any" {
        return Err(Error::failed(ANY_IS_NO_TYPE));
    }
    let spec = KeySpec::parse(&request.key_type, request.key_bits).map_err(|cause| {
        Error::bad_request(format!("Validation for key_type, key_bits failed: {cause}"))
    })?;
    let key = Arc::new(mount.generate_key(spec).await?);

    let mut change = Change::begin(mount).await?;
    // Another request may have taken the name meanwhile.
    if let Some(name) = name {
        keys::check_name(&change.keys, name, "")?;
    }
    let name = name.unwrap_or_default();
    let Adopted { id, .. } = change.add_key(&CaKey::from(Arc::clone(&key)), name).await?;
    change.commit(&[], &[]).await?;
    Response::data(&Made {
        described: describe(&id, name, key.public_key().key_type().as_str()),
        private_key: exported.then(|| answer::usual(&key)).transpose()?,
    })
}

async fn rename(mount: &Shared, key: &LoadedKey, name: &str) -> Result<(), Error> {
    let at = KeyEntry::key(&key.id);
    let bytes = mount.storage().get(&at).await?.map(zeroize::Zeroizing::new);
    let Some(bytes) = bytes else {
        return Err(Error::failed(format!(
            "unable to find PKI key for reference: {}",
            key.id
        )));
    };
    let mut entry = KeyEntry::decode(&key.id, &bytes).map_err(|cause| {
        internal(
            "a stored key could not be read",
            format_args!("{at}: {cause}"),
        )
    })?;
    name.clone_into(&mut entry.name);
    mount.save(vec![Write::put(at, entry.encode())]).await
}

fn only_key(text: &str) -> Result<PrivateKey, Error> {
    let blocks = pem::blocks(text.as_bytes());
    let [block] = &*blocks else {
        return Err(Error::bad_request(if blocks.is_empty() {
            "error when parsing block 1: invalid PEM data"
        } else {
            "only a single key can be present within the pem_bundle for importing"
        }));
    };
    let key = if block.is_encrypted() {
        Err(landfast_pki::Error::EncryptedKey)
    } else {
        PrivateKey::from_der(&block.contents)
    };
    key.map_err(|cause| Error::bad_request(format!("failed to parse PEM block: {cause}")))
}

fn describe(id: &str, name: &str, kind: &str) -> Map<String, Value> {
    [("key_id", id), ("key_name", name), ("key_type", kind)]
        .into_iter()
        .map(|(field, value)| (field.to_owned(), value.into()))
        .collect()
}

/// Where AWS KMS keeps the key, if it does.
fn place(kms: Option<&KmsPlace>) -> Map<String, Value> {
    let facts = kms.map(|place| [("kms_key_id", &place.key_id), ("kms_region", &place.region)]);
    facts
        .into_iter()
        .flatten()
        .map(|(field, value)| (field.to_owned(), value.as_str().into()))
        .collect()
}

fn rsa() -> String {
    "rsa".into()
}
