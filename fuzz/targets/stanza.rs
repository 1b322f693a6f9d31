//! Seal stanzas, as text and as the values in them.
#![no_main]

use landfast_unseal::keys::aws::AwsConfig;
use landfast_unseal::{Author, Environment, ParseOptions, stanza};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    for (_, values) in stanza::seals(text).unwrap_or_default() {
        for author in [Author::Operator, Author::Tenant] {
            let options = ParseOptions { key_id: None, author, roles_anywhere: None };
            let _ = AwsConfig::parse(&values, &Environment::empty(), &options);
        }
    }
});
