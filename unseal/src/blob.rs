//! The bytes that a seal keeps in storage: the `BlobInfo` message of the awskms wrapper.
//!
//! The server stores what Encrypt returned, unchanged, and hands it back to Decrypt years later, perhaps to another
//! program. So the fields written are exactly those of the old built-in wrapper, and everything it ever wrote is read.

pub use landfast_sdk::kms::{BlobInfo, KeyInfo};
use prost::Message;

use crate::error::Error;

/// Mechanism 0: the key service encrypted the data itself. Read, never written.
pub const DIRECT: u64 = 0;

/// Mechanism 1: a data key made for this blob encrypts the data, the key service encrypts the data key.
pub const ENVELOPE: u64 = 1;

/// What a seal reads in a blob. The message itself is the one of the wire, whose fields are the stored ones.
pub trait Blob: Sized {
    /// Reads the stored bytes; fields of other writers are skipped.
    ///
    /// # Errors
    /// The bytes are not such a message.
    fn from_bytes(bytes: &[u8]) -> Result<Self, Error>;

    /// The bytes to store.
    fn to_bytes(&self) -> Vec<u8>;

    /// The key that wrapped this blob, if it says so.
    fn key_id(&self) -> Option<&str>;

    /// How it was wrapped: [`DIRECT`], [`ENVELOPE`], or what never existed. A blob without key information is as old as mechanism 0.
    fn mechanism(&self) -> u64;

    /// Whether a transit seal wrote this blob. During a migration the server asks the new seal to open the old one's.
    fn is_transit(&self) -> bool;
}

impl Blob for BlobInfo {
    fn from_bytes(bytes: &[u8]) -> Result<Self, Error> {
        Ok(Self::decode(bytes)?)
    }

    fn to_bytes(&self) -> Vec<u8> {
        self.encode_to_vec()
    }

    fn key_id(&self) -> Option<&str> {
        let named = self.key_info.as_ref().map(|info| info.key_id.as_str());
        named.filter(|id| !id.is_empty())
    }

    fn mechanism(&self) -> u64 {
        self.key_info.as_ref().map_or(DIRECT, |info| info.mechanism)
    }

    fn is_transit(&self) -> bool {
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
    fn the_stored_bytes_are_the_old_wrappers() {
        let blob = envelope(vec![1, 2], vec![3], "arn".into(), vec![4, 5]);
        // Ciphertext, nonce, and in field 5 the mechanism, the key's name and the wrapped key.
        let stored = b"\x0a\x02\x01\x02\x12\x01\x03\x2a\x0b\x08\x01\x1a\x03arn\x2a\x02\x04\x05";
        assert_eq!(blob.to_bytes(), stored);
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
