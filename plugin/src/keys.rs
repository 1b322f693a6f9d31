//! The keys of a mount: looking them up, and having them sign.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, OnceLock};

use landfast_pki::{KeyEncoding, PrivateKey, PublicKey, Secret, pem};
use landfast_sdk::logical::Error;
use landfast_unseal::sealed::SealedKey;
use tokio::sync::OnceCell;

use crate::ca_key::CaKey;
use crate::entry::config::KeysConfig;
use crate::entry::key::{self, KeyEntry, KmsPlace};
use crate::kms::KmsKey;
use crate::mount::Mount;
use crate::names::{DEFAULT, check_length, is_name};
use crate::seal;

/// What is known of a key without its private half.
#[derive(Debug)]
pub(crate) struct LoadedKey {
    /// UUID.
    pub(crate) id: String,
    /// The operator's name, or empty.
    pub(crate) name: String,
    /// `rsa`, `ec`, `ed25519`, `mldsa`, or the word of another product.
    pub(crate) kind: String,
    /// The public half, where the entry shows it without its private half being used.
    public: Option<PublicKey>,
    /// Why the private half cannot be used here; what the entry does not show is found out when somebody wants a signature.
    obstacle: OnceLock<String>,
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
            match key.public_key(mount).await {
                Ok(public) if public.spki_der() == spki => return Ok(Some(Arc::clone(key))),
                Ok(_) => {}
                // A key that cannot be read is nobody else's fault.
                Err(_) if key.obstacle().is_some() => {}
                Err(error) => return Err(error),
            }
        }
        Ok(None)
    }
}

impl LoadedKey {
    /// Why the key cannot sign, as far as that is known: its private half is not here, or of a kind that this plugin cannot use, or broken.
    pub(crate) fn obstacle(&self) -> Option<&str> {
        self.obstacle.get().map(String::as_str)
    }

    /// `id:ID / name:NAME`, or the id alone.
    pub(crate) fn label(&self) -> String {
        if self.name.is_empty() {
            format!("id:{}", self.id)
        } else {
            format!("id:{} / name:{}", self.id, self.name)
        }
    }

    fn refused(&self, why: &str) -> Error {
        Error::failed(format!(
            "key [{}] can not be used by this plugin: {why}",
            self.label()
        ))
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
        let read = self.read(mount);
        let signer = self.signer.get_or_try_init(|| async {
            let tally = mount.metrics.signatures.of(&self.id);
            Ok(read.await?.counted_by(tally))
        });
        signer.await.cloned()
    }

    async fn read(&self, mount: &Mount) -> Result<CaKey, Error> {
        if let Some(why) = self.obstacle() {
            return Err(self.refused(why));
        }
        if let (Some(place), Some(public)) = (&self.kms, &self.public) {
            return Ok(CaKey::from(KmsKey {
                place: place.clone(),
                public: public.clone(),
            }));
        }
        match &self.custody {
            Custody::Sealed(record) => {
                return seal::open(mount, &self.id, record).await.map(CaKey::from);
            }
            Custody::Unreadable(why) => return Err(self.refused(why)),
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
        let entry = KeyEntry::decode(&self.id, &bytes);
        let read = entry.map_err(str::to_owned).and_then(|entry| {
            PrivateKey::from_pem(entry.expose().as_bytes()).map_err(|why| why.to_string())
        });
        read.map(CaKey::from).map_err(|why| {
            let why = self.obstacle.get_or_init(|| why);
            self.refused(why)
        })
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
                let loaded = loaded(&id, &bytes);
                if let Some(why) = loaded.obstacle() {
                    tracing::warn!(key = %loaded.label(), why, "a stored CA key cannot be used");
                }
                if !loaded.name.is_empty() {
                    keys.names.insert(loaded.name.clone(), id.clone());
                }
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
/// The name is reserved, malformed, too long, or another key's.
pub(crate) fn check_name(keys: &Keys, name: &str, own_id: &str) -> Result<(), Error> {
    if name.eq_ignore_ascii_case(DEFAULT) {
        return Err(Error::bad_request(
            "reserved keyword 'default' can not be used as key name",
        ));
    }
    if !is_name(name) {
        return Err(Error::bad_request("key name contained invalid characters"));
    }
    check_length("key", name)?;
    match keys.find(name) {
        Some(other) if other.id != own_id => Err(Error::bad_request("key name already in use")),
        _ => Ok(()),
    }
}

/// A fresh entry for `key`, a private half in the PEM form that the built-in engine stores.
pub(crate) fn entry(id: String, name: String, key: &CaKey) -> Result<KeyEntry, Error> {
    let private = match key {
        CaKey::Local(private, _) => private,
        CaKey::Kms(kms, _) => {
            let public = pem::encode(PUBLIC_KEY, kms.public.spki_der());
            return Ok(KeyEntry::in_kms(id, name, public, kms.place.clone()));
        }
    };
    let pem: Secret<String> = private
        .to_pem(KeyEncoding::Traditional)
        .map_err(crate::fault::failed)?;
    Ok(KeyEntry::new(
        id,
        name,
        key.public_key().key_type().as_str(),
        pem.expose(),
    ))
}

/// What the entry at `id` shows. One that cannot be used, or not even be read, is a key all the same: it keeps its place and its name, and nobody
/// is held up by it who does not want a signature of it.
fn loaded(id: &str, bytes: &[u8]) -> LoadedKey {
    let (entry, broken) = match KeyEntry::decode(id, bytes) {
        Ok(entry) => (entry, None),
        Err(why) => {
            let nothing = KeyEntry::new(id.to_owned(), String::new(), "", "");
            (nothing, Some(why.to_owned()))
        }
    };
    let custody = Custody::of(&entry);
    let mut public = match &custody {
        Custody::Sealed(record) => seal::public_key(record),
        _ => stored_public(&entry),
    };
    let kind = match (&entry.kms, &public) {
        (Some(_), Some(public)) => public.key_type().as_str().to_owned(),
        _ => entry.private_key_type.clone(),
    };
    let mut obstacle = match &custody {
        _ if broken.is_some() => broken,
        Custody::Unreadable(why) => Some(format!("the record of the sealed key: {why}")),
        _ if kind.is_empty() => Some("its entry names no type".to_owned()),
        _ if !is_usable(&kind) => Some(format!("its type is {kind}")),
        _ => None,
    };
    if let (None, None, Custody::Clear) = (&obstacle, &public, &custody) {
        match PrivateKey::shown_public(entry.expose().as_bytes()) {
            // What is used is computed from the private half; what cannot be used is at least known.
            Ok(shown) => {
                if let Some(why) = shown.unusable() {
                    obstacle = Some(why);
                    public = Some(shown);
                }
            }
            Err(why) => obstacle = Some(why.to_string()),
        }
    }
    LoadedKey {
        id: id.to_owned(),
        name: entry.name.clone(),
        kind,
        public,
        obstacle: obstacle.map(OnceLock::from).unwrap_or_default(),
        kms: entry.kms,
        custody,
        signer: OnceCell::new(),
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
    matches!(kind, "rsa" | "ec" | "ed25519" | "mldsa")
}

fn unknown(reference: &str) -> Error {
    Error::failed(format!("unable to find PKI key for reference: {reference}"))
}
