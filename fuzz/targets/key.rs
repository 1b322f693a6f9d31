//! Private and public keys, which operators import.
#![no_main]

use landfast_pki::{PrivateKey, PublicKey};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = PrivateKey::from_der(data);
    let _ = PrivateKey::from_pem(data);
    if let Ok(key) = PublicKey::from_spki_der(data) {
        assert!(PublicKey::from_spki_der(&key.spki_der()).is_ok());
    }
});
