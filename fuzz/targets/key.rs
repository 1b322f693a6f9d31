//! Private and public keys, which operators import.
#![no_main]

use landfast_pki::{KeyEncoding, PrivateKey, PublicKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(key) = PrivateKey::from_der(data) {
        // What is taken in is stored in one of these, and read from there.
        for encoding in [KeyEncoding::Traditional, KeyEncoding::Pkcs8] {
            let stored = key.to_der(encoding).expect("a key that was read");
            let again = PrivateKey::from_der(stored.expose()).expect("a key that was written");
            assert_eq!(again.public_key(), key.public_key());
        }
    }
    let _ = PrivateKey::from_pem(data);
    if let Ok(key) = PublicKey::from_spki_der(data) {
        assert!(PublicKey::from_spki_der(&key.spki_der()).is_ok());
    }
});
