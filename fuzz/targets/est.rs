//! Bodies of EST, and what stands in `Authorization`: everything that is looked at before a server is asked.
#![no_main]

use std::sync::LazyLock;

use landfast_pki::Certificate;
use libfuzzer_sys::fuzz_target;

static OLD: LazyLock<Certificate> = LazyLock::new(|| {
    let pem = include_bytes!("../../pki/tests/data/openbao-2.7.2/root-ec.pem");
    Certificate::from_pem(pem).expect("a good certificate")
});

fuzz_target!(|data: &[u8]| {
    let (header, body) = data.split_at(data.iter().position(|octet| *octet == 0).unwrap_or_default());
    let refused = landfast_public::fuzz::est_refusal(body, Some(header), None);
    // Whoever renews is looked at more closely.
    if let Some(text) = &refused {
        assert!(!text.is_empty() && text.len() < 4096, "a line for the client");
        assert!(landfast_public::fuzz::est_refusal(body, None, Some(&OLD)).is_some());
    }
    // White space changes nothing.
    let spread: Vec<u8> = body.iter().flat_map(|octet| [*octet, b'\n']).collect();
    let again = landfast_public::fuzz::est_refusal(&spread, None, None);
    assert_eq!(again.is_some(), refused.is_some());
});
