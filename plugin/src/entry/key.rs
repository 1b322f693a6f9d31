//! `config/key/<id>`: a CA's private key.

use std::borrow::Cow;

use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use super::other::Other;

/// Storage prefix of keys.
pub const PREFIX: &str = "config/key/";

/// One key as stored.
///
/// The private half is wiped when the entry goes; there is no `Clone` and no `Debug` that shows it.
pub struct KeyEntry {
    /// UUID, also the last part of the storage key.
    pub id: String,
    /// The operator's name, or empty.
    pub name: String,
    /// `rsa`, `ec`, `ed25519`, `mldsa`, or another product's word for a key kept elsewhere.
    pub private_key_type: String,
    /// PEM in the key type's traditional form, with a final newline; or the record of a sealed key; empty for a key kept elsewhere.
    /// The built-in engine keeps the text as it is when it renames a key, which it would not do to a field that it does not know.
    private_key: Zeroizing<String>,
    /// PEM of the public half, where the private half is not here.
    pub public_key: String,
    /// Names a key of the server's own key store (OpenBao external keys).
    pub external_key_ref: String,
    /// Kind of that key.
    pub external_key_type: String,
    /// Where the private half is, for a key that AWS KMS keeps.
    pub kms: Option<KmsPlace>,
    /// Fields of other versions.
    other: Other,
}

/// A key of AWS KMS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KmsPlace {
    /// ARN of the key. Not an alias, which could move to another key.
    pub key_id: String,
    /// Region of the key.
    #[serde(default)]
    pub region: String,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

impl KeyEntry {
    /// [`Self::private_key_type`] of keys in AWS KMS. The built-in engine knows no such type and refuses to use the key.
    pub const KMS: &str = "landfast-kms";

    /// A key whose private half is stored here.
    pub fn new(id: String, name: String, kind: &str, private_key: &str) -> Self {
        Self {
            id,
            name,
            private_key_type: kind.to_owned(),
            private_key: Zeroizing::new(private_key.to_owned()),
            public_key: String::new(),
            external_key_ref: String::new(),
            external_key_type: String::new(),
            kms: None,
            other: Other::default(),
        }
    }

    /// A key that AWS KMS keeps, with its public half in PEM.
    pub fn in_kms(id: String, name: String, public_key: String, place: KmsPlace) -> Self {
        Self {
            public_key,
            kms: Some(place),
            ..Self::new(id, name, Self::KMS, "")
        }
    }

    /// The storage key of the key `id`.
    pub fn key(id: &str) -> String {
        format!("{PREFIX}{id}")
    }

    /// The PEM of the private half.
    pub fn expose(&self) -> &str {
        &self.private_key
    }

    /// Puts another text where the PEM of the private half is: its sealed form, or that PEM again.
    pub fn set_private(&mut self, text: String) {
        self.private_key = Zeroizing::new(text);
    }

    /// Whether the private half is sealed, by whatever version.
    pub fn is_sealed(&self) -> bool {
        landfast_unseal::sealed::SealedKey::is_record(&self.private_key)
    }

    /// The bytes to store.
    pub fn encode(&self) -> Vec<u8> {
        super::encode(&Stored {
            id: self.id.as_str().into(),
            name: self.name.as_str().into(),
            private_key_type: self.private_key_type.as_str().into(),
            private_key: self.private_key.as_str().into(),
            public_key: self.public_key.as_str().into(),
            external_key_ref: self.external_key_ref.as_str().into(),
            external_key_type: self.external_key_type.as_str().into(),
            landfast_kms: self.kms.as_ref().map(Cow::Borrowed),
            other: Cow::Borrowed(&self.other),
        })
    }

    /// Reads the bytes stored for the key `id`, which is also the id of an entry that names none.
    ///
    /// # Errors
    /// They are not a key entry. The message of the parser could quote the key, so it is not passed on.
    pub fn decode(id: &str, bytes: &[u8]) -> Result<Self, &'static str> {
        let stored: Stored<'static> = super::decode(bytes).map_err(|_| "not a key entry")?;
        Ok(Self {
            id: match stored.id.as_ref() {
                "" => id.to_owned(),
                own => own.to_owned(),
            },
            name: stored.name.into_owned(),
            private_key_type: stored.private_key_type.into_owned(),
            private_key: Zeroizing::new(stored.private_key.into_owned()),
            public_key: stored.public_key.into_owned(),
            external_key_ref: stored.external_key_ref.into_owned(),
            external_key_type: stored.external_key_type.into_owned(),
            kms: stored.landfast_kms.map(Cow::into_owned),
            other: stored.other.into_owned(),
        })
    }
}

/// The layout. Apart from [`KeyEntry`], so that a key is serialised in one visible place.
#[derive(Serialize, Deserialize)]
struct Stored<'a> {
    #[serde(default)]
    id: Cow<'a, str>,
    #[serde(default)]
    name: Cow<'a, str>,
    #[serde(default)]
    private_key_type: Cow<'a, str>,
    #[serde(default)]
    private_key: Cow<'a, str>,
    #[serde(default)]
    public_key: Cow<'a, str>,
    #[serde(default)]
    external_key_ref: Cow<'a, str>,
    #[serde(default)]
    external_key_type: Cow<'a, str>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    landfast_kms: Option<Cow<'a, KmsPlace>>,
    #[serde(flatten)]
    other: Cow<'a, Other>,
}

impl std::fmt::Debug for KeyEntry {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("KeyEntry")
            .field("id", &self.id)
            .field("name", &self.name)
            .field("private_key_type", &self.private_key_type)
            .finish_non_exhaustive()
    }
}
