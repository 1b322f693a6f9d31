//! URI names: whatever a caller of `issue` sends. What passes has a host that a certificate's readers take, stays as it is when it
//! is read again, and leads where the role's pattern says.
#![no_main]

use landfast_pki::issue::normalise_uri;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    let Some(uri) = normalise_uri(text) else {
        return;
    };
    assert!(uri.is_ascii() && !uri.chars().any(char::is_control), "{uri:?}");
    assert_eq!(normalise_uri(&uri).as_deref(), Some(&*uri), "it is read as it was written");
    let Some((before, rest)) = uri.split_once("//") else {
        return;
    };
    let scheme = before.strip_suffix(':');
    if !before.is_empty() && scheme.is_none_or(|scheme| scheme.contains([':', '/', '?', '#'])) {
        return;
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let host = authority.rsplit('@').next().unwrap_or_default();
    if !host.starts_with('[') {
        let name = host.split(':').next().unwrap_or_default();
        assert!(!name.contains('%'), "an escape in the host of {uri}");
        assert!(name.is_empty() || name.split('.').all(|label| (1..=63).contains(&label.len())), "{uri}");
    }
});
