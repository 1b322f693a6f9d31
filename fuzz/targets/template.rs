//! Templates of user names, which operators write: each is read or refused, and a name that comes of one is no empty one.
#![no_main]

use landfast_sdk::database::{NewUser, UserNames};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|template: &str| {
    let user = NewUser::of("token-ann", "readers", "");
    if let Ok(name) = UserNames::of(template).and_then(|names| names.make(&user)) {
        assert!(!name.is_empty());
    }
});
