//! Certificates of the unseal server's clients: their names decide whose keys are reached.
#![no_main]

use landfast_unseal::serve::Desk;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let (names, end) = Desk::certificate(data);
    // Every name stands in the certificate as it is, but for the case of DNS names, which have no other form.
    let text = data.to_ascii_lowercase();
    let mut left = data.len();
    for name in &names {
        let (kind, value) = name.split_once(':').expect("a kind before the first colon");
        assert!(matches!(kind, "dns" | "uri"), "{kind}");
        let wanted = value.to_ascii_lowercase().into_bytes();
        assert!(wanted.is_empty() || text.windows(wanted.len()).any(|part| part == wanted));
        left = left.checked_sub(wanted.len()).expect("no more names than the certificate has room for");
    }
    if !names.is_empty() {
        assert!(end.is_some(), "who has a name has an end");
    }
});
