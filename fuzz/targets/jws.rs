//! Signed requests of ACME: three texts, one a line, and the bytes of a key. What passes is one key's, and reads the same again.
#![no_main]

use landfast_acme::{AccountKey, Algorithm, Binding, Flattened, KeyRef};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(key) = AccountKey::parse(data) {
        assert_eq!(AccountKey::parse(key.canonical().as_bytes()).as_ref(), Ok(&key), "a key has one form");
        assert_eq!(key.thumbprint().len(), 43);
    }
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let mut lines = text.splitn(3, '\n');
    let mut line = || lines.next().unwrap_or_default();
    let request = Flattened::new(line(), line(), line());
    let _ = Binding::read(request.clone());
    let Ok(header) = request.header() else {
        return;
    };
    let KeyRef::Jwk(key) = header.key else {
        return;
    };
    let Ok(payload) = request.verify(&key, header.algorithm) else {
        return;
    };
    assert!(payload.len() <= landfast_acme::jws::MOST_PAYLOAD);
    let others = Algorithm::ALL.iter().filter(|one| **one != header.algorithm);
    for other in others {
        assert!(request.verify(&key, *other).is_err(), "a signature is by one algorithm");
    }
});
