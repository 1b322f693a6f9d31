//! The keys of a client: versions behind one path, as the transit engine has them.

use std::collections::BTreeMap;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use landfast_base::Secret;
use tokio::sync::OnceCell;

use crate::blob::{Blob, BlobInfo, ENVELOPE};
use crate::crypto::MlDsaKey;
use crate::envelope::Envelope;
use crate::error::Error;
use crate::keys::key::{Context, KeyEncryptionKey, KmsSigner, SigningScheme};
use crate::keys::{Place, Service};

/// What starts the payload of a ciphertext.
const FORMAT: u8 = 1;

/// A path that encrypts and decrypts.
#[derive(Debug)]
pub(super) struct KeyRing {
    versions: Vec<Version>,
}

#[derive(Debug)]
struct Version {
    seal: Envelope,
    aad: Vec<u8>,
}

impl KeyRing {
    /// Versions of the key at `path` of `client`, oldest first. Names and version are bound to everything wrapped.
    pub(super) fn new(client: &str, path: &str, keys: Vec<Arc<dyn KeyEncryptionKey>>) -> Self {
        let version = |(index, key): (usize, Arc<dyn KeyEncryptionKey>)| {
            let context = Context::none()
                .with("landfast", "unseal")
                .with("client", client)
                .with("key", path)
                .with("version", (index + 1).to_string());
            let aad = context.canonical();
            Version {
                seal: Envelope::new(key, "transit", BTreeMap::new())
                    .context(context)
                    .strict_key(true),
                aad,
            }
        };
        Self {
            versions: keys.into_iter().enumerate().map(version).collect(),
        }
    }

    /// The version that encrypts.
    pub(super) fn latest(&self) -> usize {
        self.versions.len()
    }

    /// Encrypts with a version, else the latest; returns the text to store and the version.
    pub(super) async fn encrypt(
        &self,
        version: Option<usize>,
        plaintext: &[u8],
    ) -> Result<(String, usize), Error> {
        let number = version.unwrap_or_else(|| self.latest());
        let version = self.version(number)?;
        let blob = version.seal.encrypt(plaintext, &version.aad).await?;
        let payload = [&[FORMAT], blob.to_bytes().as_slice()].concat();
        Ok((
            format!("vault:v{number}:{}", STANDARD.encode(payload)),
            number,
        ))
    }

    /// Opens a stored text. Whatever cannot be this key's is refused before the key service is asked.
    pub(super) async fn decrypt(
        &self,
        ciphertext: &str,
    ) -> Result<(Secret<Vec<u8>>, usize), Error> {
        let (number, payload) = split(ciphertext)?;
        let version = self.version(number)?;
        let blob = match payload.split_first() {
            Some((&FORMAT, rest)) => BlobInfo::from_bytes(rest)?,
            _ => return Err(Error::Blob("the ciphertext was not made by this server")),
        };
        if blob.mechanism() != ENVELOPE {
            return Err(Error::Blob("the ciphertext was not made by this server"));
        }
        let ours = version.seal.key_id();
        // Before the service has named it by ARN, a key that is configured by its id is known as the end of one.
        let matches = |named: &str| {
            named == ours || (!ours.contains(':') && named.ends_with(&format!("key/{ours}")))
        };
        if !blob.key_id().is_some_and(matches) {
            return Err(Error::Blob(
                "the ciphertext names another key than this version's",
            ));
        }
        Ok((version.seal.decrypt(&blob, &version.aad).await?, number))
    }

    fn version(&self, number: usize) -> Result<&Version, Error> {
        let index = number.checked_sub(1);
        let version = index.and_then(|index| self.versions.get(index));
        version.ok_or(Error::Blob("this key has no such version"))
    }
}

/// Reads `vault:vN:BASE64`.
pub(super) fn split(text: &str) -> Result<(usize, Vec<u8>), Error> {
    const REFUSAL: Error = Error::Blob("not a ciphertext or signature of the form vault:vN:BASE64");
    let rest = text.strip_prefix("vault:v").ok_or(REFUSAL)?;
    let (number, payload) = rest.split_once(':').ok_or(REFUSAL)?;
    if number.is_empty()
        || number.len() > 6
        || !number.bytes().all(|b| b.is_ascii_digit())
        || number.starts_with('0')
    {
        return Err(REFUSAL);
    }
    let payload = STANDARD.decode(payload).map_err(|_| REFUSAL)?;
    Ok((number.parse().map_err(|_| REFUSAL)?, payload))
}

/// A path that signs.
#[derive(Debug)]
pub(super) struct SigningRing {
    service: Arc<dyn Service>,
    versions: Vec<(Place, OnceCell<Arc<dyn KmsSigner>>)>,
}

impl SigningRing {
    pub(super) fn new(service: Arc<dyn Service>, keys: Vec<Place>) -> Self {
        Self {
            service,
            versions: keys.into_iter().map(|key| (key, OnceCell::new())).collect(),
        }
    }

    pub(super) fn latest(&self) -> usize {
        self.versions.len()
    }

    /// A version's signer; its public key is fetched at the first use and kept.
    pub(super) async fn signer(&self, number: usize) -> Result<&dyn KmsSigner, Error> {
        let version = number
            .checked_sub(1)
            .and_then(|index| self.versions.get(index));
        let (key, cell) = version.ok_or(Error::Blob("this key has no such version"))?;
        let signer = cell.get_or_try_init(|| self.service.signer(key)).await?;
        Ok(&**signer)
    }
}

/// The transit engine's name for the type of a key.
pub(super) fn kind(signer: &dyn KmsSigner) -> String {
    let ec = signer.schemes().iter().find_map(|scheme| match scheme {
        SigningScheme::Ecdsa(digest) => Some(digest.size()),
        _ => None,
    });
    if let Some(key) = MlDsaKey::of(signer.public_key_der()) {
        return format!("mldsa-{}", key.bits());
    }
    match ec {
        Some(32) => "ecdsa-p256".to_owned(),
        Some(48) => "ecdsa-p384".to_owned(),
        Some(_) => "ecdsa-p521".to_owned(),
        None => format!("rsa-{}", rsa_bits(signer.public_key_der()).unwrap_or(2048)),
    }
}

/// Length of the modulus in a SubjectPublicKeyInfo (RFC 8017 appendix A.1.1).
fn rsa_bits(spki: &[u8]) -> Option<usize> {
    use der::{Decode, asn1::UintRef, referenced::OwnedToRef};
    let spki = x509_cert::spki::SubjectPublicKeyInfoOwned::from_der(spki).ok()?;
    let key = spki.owned_to_ref().subject_public_key.as_bytes()?.to_vec();
    let numbers = Vec::<UintRef<'_>>::from_der(&key).ok()?;
    Some(numbers.first()?.as_bytes().len() * 8)
}
