//! The record of a sealed CA key, as it is found in storage.
#![no_main]

use landfast_unseal::keys::aws::KeyReference;
use landfast_unseal::sealed::SealedKey;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    if let Ok(record) = SealedKey::decode(text) {
        assert_eq!(SealedKey::decode(&record.encode()).expect("what was written is read"), record);
        for wrap in record.wraps() {
            let _ = KeyReference::parse(&wrap.key_id);
        }
    }
});
