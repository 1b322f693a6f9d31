//! Identifiers of orders and names of certificates: whatever a client of ACME sends. What passes has one form, and that of a name is
//! what a certificate's readers take.
#![no_main]

use landfast_acme::Identifier;
use landfast_acme::ari::CertificateId;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &str| {
    for kind in ["dns", "ip"] {
        let Ok(identifier) = Identifier::new(kind, text) else {
            continue;
        };
        assert_eq!(Identifier::new(kind, identifier.value()).as_ref(), Ok(&identifier), "it has one form");
        if kind == "dns" {
            assert!(landfast_pki::host::is_host_name(identifier.value()), "{identifier}");
            assert_eq!(identifier.value(), text.to_ascii_lowercase());
            assert!(identifier.host().parse::<std::net::IpAddr>().is_err(), "{identifier} is no address");
        }
    }
    if let Ok(id) = text.parse::<CertificateId>() {
        assert_eq!(id.to_string(), text, "a certificate has one name");
    }
});
