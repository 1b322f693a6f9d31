//! Certificate revocation lists.
#![no_main]

use landfast_pki::Crl;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = Crl::from_pem(data);
    if let Ok(list) = Crl::from_der(data) {
        let _ = (list.number(), list.entries().count());
    }
});
