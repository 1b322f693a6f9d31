//! OCSP requests. What is read is answered, and the answer names the serial number that was asked about.
#![no_main]

use std::sync::LazyLock;

use landfast_pki::{CertStatus, Certificate, OcspRequest, OcspTemplate, SignatureAlgorithm};
use libfuzzer_sys::fuzz_target;

static CA: LazyLock<Certificate> = LazyLock::new(|| {
    let pem = include_bytes!("../../pki/tests/data/openbao-2.7.2/root-ec.pem");
    Certificate::from_pem(pem).expect("a good certificate")
});

fuzz_target!(|data: &[u8]| {
    let Ok(request) = OcspRequest::from_der(data) else {
        return;
    };
    let template = OcspTemplate {
        request: &request,
        responder: &CA,
        status: if request.is_about(&CA) {
            CertStatus::Good
        } else {
            CertStatus::Unknown
        },
        this_update: CA.not_before(),
        next_update: Some(CA.not_after()),
    };
    let algorithm = SignatureAlgorithm::choose(CA.public_key(), 0, false)
        .expect("a CA's key")
        .algorithm;
    let prepared = template.prepare(algorithm);
    if let Some(serial) = request.serial() {
        let octets = serial.as_bytes();
        assert!(
            prepared
                .tbs()
                .windows(octets.len())
                .any(|window| window == octets)
        );
    }
    assert_eq!(prepared.finish(&[0; 70]).expect("an answer is not read back")[0], 0x30);
});
