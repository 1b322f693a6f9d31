//! The keys of a mount: looking them up, and having them sign.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use landfast_pki::{KeyEncoding, KeyType, PrivateKey, PublicKey, Secret, pem};
use landfast_sdk::logical::Error;
use landfast_unseal::sealed::SealedKey;
use tokio::sync::OnceCell;

use crate::ca_key::CaKey;
use crate::entry::config::KeysConfig;
use crate::entry::key::{self, KeyEntry, KmsPlace};
use crate::issuers::{DEFAULT, is_name};
use crate::kms::KmsKey;
use crate::mount::{Mount, internal};
use crate::seal;

/// What is known of a key without its private half.
#[derive(Debug)]
pub(crate) struct LoadedKey {
    /// UUID.
    pub(crate) id: String,
    /// The operator's name, or empty.
    pub(crate) name: String,
    /// `rsa`, `ec`, `ed25519`, or the word of another product.
    pub(crate) kind: String,
    /// The public half, where it is stored beside the private one or instead of it.
    public: Option<PublicKey>,
    /// Where the private half is, if AWS KMS keeps it.
    pub(crate) kms: Option<KmsPlace>,
    custody: Custody,
    signer: OnceCell<CaKey>,
}

/// In which form the private half is stored.
#[derive(Debug)]
pub(crate) enum Custody {
    /// As the built-in engine stores it, guarded by the server's barrier alone.
    Clear,
    /// Sealed by this record.
    Sealed(Box<SealedKey>),
    /// Sealed, but the record cannot be read; the text says why.
    Unreadable(String),
    /// Not here.
    Elsewhere,
}

impl Custody {
    fn of(entry: &KeyEntry) -> Self {
        if entry.is_sealed() {
            return match SealedKey::decode(entry.expose()) {
                Ok(record) => Self::Sealed(Box::new(record)),
                Err(why) => Self::Unreadable(why.to_string()),
            };
        }
        if entry.expose().is_empty() {
            Self::Elsewhere
        } else {
            Self::Clear
        }
    }
}

/// All keys of a mount.
#[derive(Debug, Default)]
pub(crate) struct Keys {
    by_id: BTreeMap<String, Arc<LoadedKey>>,
    names: HashMap<String, String>,
}

impl Keys {
    /// In the order of their ids.
    pub(crate) fn iter(&self) -> impl Iterator<Item = &Arc<LoadedKey>> {
        self.by_id.values()
    }

    /// By id, else by name.
    pub(crate) fn find(&self, reference: &str) -> Option<&Arc<LoadedKey>> {
        self.by_id
            .get(reference)
            .or_else(|| self.by_id.get(self.names.get(reference)?))
    }

    /// The key with this public half (SubjectPublicKeyInfo).
    pub(crate) async fn with_public(
        &self,
        mount: &Mount,
        spki: &[u8],
    ) -> Result<Option<Arc<LoadedKey>>, Error> {
        for key in self.iter() {
            if key.is_here() && key.public_key(mount).await?.spki_der() == spki {
                return Ok(Some(Arc::clone(key)));
            }
        }
        Ok(None)
    }
}

impl LoadedKey {
    /// Whether the key can sign: its private half is here and of a kind that can be used, or AWS KMS keeps it.
    pub(crate) fn is_here(&self) -> bool {
        is_usable(&self.kind)
    }

    /// In which form the private half is stored.
    pub(crate) fn custody(&self) -> &Custody {
        &self.custody
    }

    /// The record of a sealed key.
    pub(crate) fn sealed(&self) -> Option<&SealedKey> {
        match &self.custody {
            Custody::Sealed(record) => Some(record),
            _ => None,
        }
    }

    /// The public half. The private one is looked at only where its entry has nothing else.
    ///
    /// # Errors
    /// As [`Self::signer`].
    pub(crate) async fn public_key(&self, mount: &Mount) -> Result<PublicKey, Error> {
        match &self.public {
            Some(public) => Ok(public.clone()),
            None => Ok(self.signer(mount).await?.public_key().clone()),
        }
    }

    /// The key ready to sign, read on first use.
    ///
    /// # Errors
    /// The key is kept elsewhere, of a kind this version cannot use, or unreadable.
    pub(crate) async fn signer(&self, mount: &Mount) -> Result<CaKey, Error> {
        let signer = self.signer.get_or_try_init(|| async {
            if !self.is_here() {
                return Err(Error::failed(format!(
                    "keys of type {} can not be used by this plugin",
                    self.kind
                )));
            }
            if let (Some(place), Some(public)) = (&self.kms, &self.public) {
                return Ok(CaKey::from(KmsKey {
                    place: place.clone(),
                    public: public.clone(),
                }));
            }
            match &self.custody {
                Custody::Sealed(record) => {
                    return seal::open(mount, &self.id, record).await.map(CaKey::Local);
                }
                Custody::Unreadable(why) => return Err(unreadable(&self.id, why)),
                Custody::Clear | Custody::Elsewhere => {}
            }
            let key = KeyEntry::key(&self.id);
            let bytes = mount
                .storage()
                .get(&key)
                .await?
                .map(zeroize::Zeroizing::new);
            let Some(bytes) = bytes else {
                return Err(unknown(&self.id));
            };
            let entry = KeyEntry::decode(&bytes).map_err(|cause| unreadable(&self.id, cause))?;
            PrivateKey::from_pem(entry.expose().as_bytes())
                .map(CaKey::from)
                .map_err(|cause| unreadable(&self.id, cause))
        });
        signer.await.cloned()
    }
}

/// All keys of the mount.
pub(crate) async fn all(mount: &Mount) -> Result<Arc<Keys>, Error> {
    mount
        .derive(key::PREFIX, async {
            let mut keys = Keys::default();
            for id in mount.storage().list(key::PREFIX).await? {
                let key = KeyEntry::key(&id);
                let bytes = mount
                    .storage()
                    .get(&key)
                    .await?
                    .map(zeroize::Zeroizing::new);
                let Some(bytes) = bytes else { continue };
                let entry = KeyEntry::decode(&bytes).map_err(|cause| unreadable(&id, cause))?;
                if !entry.name.is_empty() {
                    keys.names.insert(entry.name.clone(), entry.id.clone());
                }
                let (id, name) = (entry.id.clone(), entry.name.clone());
                let custody = Custody::of(&entry);
                let public = match &custody {
                    Custody::Sealed(record) => seal::public_key(record),
                    _ => stored_public(&entry),
                };
                let kind = match (&entry.kms, &public) {
                    (Some(_), Some(public)) => kind(public).to_owned(),
                    _ => entry.private_key_type.clone(),
                };
                let loaded = LoadedKey {
                    id: id.clone(),
                    name,
                    kind,
                    public,
                    kms: entry.kms.clone(),
                    custody,
                    signer: OnceCell::new(),
                };
                keys.by_id.insert(id, Arc::new(loaded));
            }
            mount.seal.keep_only(|id| keys.by_id.contains_key(id));
            Ok(keys)
        })
        .await
}

/// The configured default.
pub(crate) async fn config(mount: &Mount) -> Result<Arc<KeysConfig>, Error> {
    mount.load_or_default(KeysConfig::KEY).await
}

/// The key that `reference` (an id, a name, or `default`) means.
///
/// # Errors
/// An error value, as for issuers.
pub(crate) async fn load(mount: &Mount, reference: &str) -> Result<Arc<LoadedKey>, Error> {
    let keys = all(mount).await?;
    if reference != DEFAULT {
        return keys
            .find(reference)
            .cloned()
            .ok_or_else(|| unknown(reference));
    }
    let config = config(mount).await?;
    if config.default.is_empty() {
        return Err(Error::failed("no default key currently configured"));
    }
    keys.find(&config.default)
        .cloned()
        .ok_or_else(|| unknown(&config.default))
}

/// The key `id`, ready to sign; read once and then shared.
///
/// # Errors
/// As [`LoadedKey::signer`], or the key is gone.
pub(crate) async fn signer(mount: &Mount, id: &str) -> Result<CaKey, Error> {
    load(mount, id).await?.signer(mount).await
}

/// A name for a new or renamed key.
///
/// # Errors
/// The name is reserved, malformed, or another key's.
pub(crate) fn check_name(keys: &Keys, name: &str, own_id: &str) -> Result<(), Error> {
    if name.eq_ignore_ascii_case(DEFAULT) {
        return Err(Error::bad_request(
            "reserved keyword 'default' can not be used as key name",
        ));
    }
    if !is_name(name) {
        return Err(Error::bad_request("key name contained invalid characters"));
    }
    match keys.find(name) {
        Some(other) if other.id != own_id => Err(Error::bad_request("key name already in use")),
        _ => Ok(()),
    }
}

/// A fresh entry for `key`, a private half in the PEM form that the built-in engine stores.
pub(crate) fn entry(id: String, name: String, key: &CaKey) -> Result<KeyEntry, Error> {
    let private = match key {
        CaKey::Local(private) => private,
        CaKey::Kms(kms) => {
            let public = pem::encode(PUBLIC_KEY, kms.public.spki_der());
            return Ok(KeyEntry::in_kms(id, name, public, kms.place.clone()));
        }
    };
    let pem: Secret<String> = private
        .to_pem(KeyEncoding::Traditional)
        .map_err(crate::pki::failed)?;
    Ok(KeyEntry::new(
        id,
        name,
        kind(key.public_key()),
        pem.expose(),
    ))
}

/// The API's word for a key's type.
pub(crate) fn kind(key: &PublicKey) -> &'static str {
    match key.key_type() {
        KeyType::Rsa => "rsa",
        KeyType::Ec => "ec",
        KeyType::Ed25519 => "ed25519",
        KeyType::Other => "unknown",
    }
}

/// The public half in an entry. One that cannot be read is left to whoever needs the key to stumble over.
fn stored_public(entry: &KeyEntry) -> Option<PublicKey> {
    let der = pem::one(entry.public_key.as_bytes(), &[PUBLIC_KEY]).ok()?;
    PublicKey::from_spki_der(&der).ok()
}

/// PEM label of a SubjectPublicKeyInfo (RFC 7468 section 13).
const PUBLIC_KEY: &str = "PUBLIC KEY";

/// Whether keys of this kind are stored here in a form that can be used.
fn is_usable(kind: &str) -> bool {
    matches!(kind, "rsa" | "ec" | "ed25519")
}

fn unknown(reference: &str) -> Error {
    Error::failed(format!("unable to find PKI key for reference: {reference}"))
}

fn unreadable(id: &str, cause: impl std::fmt::Display) -> Error {
    internal(
        "a stored key could not be read",
        format_args!("{id}: {cause}"),
    )
}
