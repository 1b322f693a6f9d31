//! Certificates, as DER and as PEM.
#![no_main]

use landfast_pki::{Certificate, pem};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let _ = pem::blocks(data);
    let _ = Certificate::from_pem(data);
    if let Ok(certificate) = Certificate::from_der(data) {
        let again = Certificate::from_der(certificate.der()).expect("what was read reads again");
        assert_eq!(again.der(), certificate.der());
        let _ = (
            certificate.pem(),
            certificate.is_ca(),
            certificate.ski(),
            certificate.aki(),
        );
        let _ = (
            certificate.dns_names(),
            certificate.key_usage(),
            certificate.ext_key_usage(),
        );
        let _ = certificate.verify_issued_by(&again);
        let _ = landfast_pki::chain::build(&[("a", certificate), ("b", again)]);
    }
});
