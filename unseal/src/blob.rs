//! The bytes that a seal keeps in storage: the `BlobInfo` message of the awskms wrapper.
//!
//! The server stores what Encrypt returned, unchanged, and hands it back to Decrypt years later, perhaps to another
//! program. So the fields written are exactly those of the old built-in wrapper, and everything it ever wrote is read.

use prost::Message;

/// Wrapped data as it lies in storage.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct BlobInfo {
    /// Encrypted data with its authentication tag; in mechanism 0 the key service's own ciphertext.
    #[prost(bytes = "vec", tag = "1")]
    pub ciphertext: Vec<u8>,
    /// The 12-byte nonce. Empty when it precedes the ciphertext, as OpenBao 2.5.0 wrote it, and in mechanism 0.
    #[prost(bytes = "vec", tag = "2")]
    pub iv: Vec<u8>,
    /// How and by which key the data was wrapped.
    #[prost(message, optional, tag = "5")]
    pub key_info: Option<KeyInfo>,
}

/// How and by which key a blob was wrapped.
#[derive(Clone, PartialEq, Eq, Hash, Message)]
pub struct KeyInfo {
    /// [`DIRECT`] or [`ENVELOPE`].
    #[prost(uint64, tag = "1")]
    pub mechanism: u64,
    /// The key's ARN at the time of wrapping. The server rewraps when it differs from the wrapper's `KeyId`.
    #[prost(string, tag = "3")]
    pub key_id: String,
    /// The data key, encrypted by the key service.
    #[prost(bytes = "vec", tag = "5")]
    pub wrapped_key: Vec<u8>,
}

/// Mechanism 0: the key service encrypted the data itself. Read, never written.
pub const DIRECT: u64 = 0;

/// Mechanism 1: a data key made for this blob encrypts the data, the key service encrypts the data key.
pub const ENVELOPE: u64 = 1;

impl BlobInfo {
    /// Reads the stored bytes; fields of other writers are skipped.
    ///
    /// # Errors
    /// The bytes are not such a message.
    pub fn from_bytes(bytes: &[u8]) -> Result<Self, crate::Error> {
        Ok(Self::decode(bytes)?)
    }

    /// The bytes to store.
    pub fn to_bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    /// The key that wrapped this blob, if it says so.
    pub fn key_id(&self) -> Option<&str> {
        self.key_info
            .as_ref()
            .map(|info| info.key_id.as_str())
            .filter(|id| !id.is_empty())
    }

    /// The mechanism; a blob without key information is as old as mechanism 0.
    pub fn mechanism(&self) -> u64 {
        self.key_info.as_ref().map_or(DIRECT, |info| info.mechanism)
    }

    /// Whether a transit seal wrote this blob. During a migration the server asks the new seal to open the old one's.
    pub fn is_transit(&self) -> bool {
        self.ciphertext.starts_with(b"vault:")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn envelope(
        ciphertext: Vec<u8>,
        iv: Vec<u8>,
        key_id: String,
        wrapped_key: Vec<u8>,
    ) -> BlobInfo {
        BlobInfo {
            ciphertext,
            iv,
            key_info: Some(KeyInfo {
                mechanism: ENVELOPE,
                key_id,
                wrapped_key,
            }),
        }
    }

    #[test]
    fn unknown_fields_of_old_writers_are_skipped() {
        let mut bytes = envelope(vec![1; 20], vec![2; 12], "arn".into(), vec![3; 4]).to_bytes();
        // Fields 3 (bytes), 4 (varint) and 7 (bytes) of HashiCorp's BlobInfo.
        bytes.extend_from_slice(&[0x1a, 2, 9, 9, 0x20, 1, 0x3a, 1, b'x']);
        let blob = BlobInfo::from_bytes(&bytes).expect("decodes");
        assert_eq!(
            blob,
            envelope(vec![1; 20], vec![2; 12], "arn".into(), vec![3; 4])
        );
    }

    #[test]
    fn absent_key_info_means_mechanism_zero_and_no_key() {
        let blob = BlobInfo {
            ciphertext: vec![1],
            ..BlobInfo::default()
        };
        assert_eq!((blob.mechanism(), blob.key_id()), (DIRECT, None));
    }

    #[test]
    fn a_transit_ciphertext_is_recognised() {
        let blob = BlobInfo {
            ciphertext: b"vault:v1:abcd".to_vec(),
            ..BlobInfo::default()
        };
        assert!(blob.is_transit());
    }

    proptest! {
        #[test]
        fn what_was_written_is_read_back(
            ciphertext: Vec<u8>, iv: Vec<u8>, key_id: String, wrapped_key: Vec<u8>, mechanism: u64,
        ) {
            let mut blob = envelope(ciphertext, iv, key_id, wrapped_key);
            blob.key_info.as_mut().expect("set above").mechanism = mechanism;
            prop_assert_eq!(BlobInfo::from_bytes(&blob.to_bytes()).expect("decodes"), blob);
        }

        #[test]
        fn no_bytes_make_the_parser_panic(bytes: Vec<u8>) {
            if let Ok(blob) = BlobInfo::from_bytes(&bytes) {
                let _ = (blob.mechanism(), blob.key_id().map(str::len), blob.is_transit());
                prop_assert_eq!(BlobInfo::from_bytes(&blob.to_bytes()).expect("decodes"), blob);
            }
        }
    }
}
