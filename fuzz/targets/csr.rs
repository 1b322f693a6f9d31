//! Certificate requests, as DER and as PEM: what any caller of `sign` sends.
#![no_main]

use landfast_pki::Csr;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = Csr::from_pem(data);
    if let Ok(request) = Csr::from_der(data) {
        let _ = request.verify();
        let _ = (request.subject(), request.public_key());
    }
});
