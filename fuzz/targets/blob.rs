//! What a server keeps of a seal: blobs, and the names of keys in them.
#![no_main]

use landfast_unseal::keys::aws::KeyReference;
use landfast_unseal::{Blob, BlobInfo, inspect};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = inspect::blob(data);
    if let Ok(blob) = BlobInfo::from_bytes(data) {
        assert_eq!(BlobInfo::from_bytes(&blob.to_bytes()).expect("what was written is read"), blob);
        if let Some(Ok(key)) = blob.key_id().map(KeyReference::parse) {
            let _ = (key.in_region("eu-central-1"), key.is_multi_region());
        }
    }
});
