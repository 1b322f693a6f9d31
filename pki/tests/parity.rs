//! The signed part of certificates, octet for octet beside those of OpenBao 2.7.2.
//!
//! `tests/data/parity` holds what the built-in engine answered. From the same request, the same
//! key and serial, and the time at which it must have run, this crate has to make the same
//! TBSCertificate.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use landfast_pki::authority::{self, CaRequest, IntermediateOptions};
use landfast_pki::issue::{self, AiaUrls, Holder, Issuer, LeafRequest};
use landfast_pki::validity::{LeafNotAfter, MountTtl};
use landfast_pki::verbatim::{self, VerbatimRequest};
use landfast_pki::{Attributes, Certificate, Csr, Profile, Settings, Template};

const MOUNT: MountTtl = MountTtl {
    default: Duration::from_secs(768 * 3600),
    max: Duration::from_secs(87_600 * 3600),
};

macro_rules! pem {
    ($name:literal) => {
        include_bytes!(concat!("data/parity/", $name, ".pem"))
    };
}

macro_rules! certificate {
    ($name:literal) => {
        Certificate::from_pem(pem!($name)).unwrap()
    };
}

fn list(items: &[&str]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn urls() -> AiaUrls {
    AiaUrls {
        issuing_certificates: list(&["http://ca.example.com/ca", "http://ca2.example.com/ca"]),
        crl_distribution_points: list(&["http://ca.example.com/crl"]),
        delta_crl_distribution_points: list(&["http://ca.example.com/delta"]),
        ocsp_servers: list(&["http://ocsp.example.com"]),
    }
}

fn issuer() -> Issuer {
    Issuer::new(certificate!("root"), &urls(), LeafNotAfter::Err)
}

fn csr() -> Csr {
    Csr::from_pem(pem!("request")).unwrap()
}

/// When the server ran, from the start it wrote and the backdating it used.
fn now(theirs: &Certificate, backdating: i64) -> Timestamp {
    theirs.not_before() + SignedDuration::from_secs(backdating)
}

fn hours(h: u64) -> Duration {
    Duration::from_secs(h * 3600)
}

fn full() -> Settings {
    let any = || list(&["*"]);
    Settings {
        allow_any_name: true,
        key_type: "ec".into(),
        key_bits: 256,
        allowed_uri_sans: any(),
        allowed_other_sans: any(),
        allowed_user_ids: any(),
        allowed_serial_numbers: any(),
        attributes: Attributes {
            ou: list(&["b", "a"]),
            organization: list(&["O1"]),
            country: list(&["DE"]),
            locality: list(&["L"]),
            province: list(&["P"]),
            street_address: list(&["S"]),
            postal_code: list(&["1"]),
        },
        key_usage: list(&["DigitalSignature", "KeyAgreement", "EncipherOnly"]),
        ext_key_usage: list(&["TimeStamping", "Any"]),
        ext_key_usage_oids: list(&["1.2.3.4"]),
        policy_identifiers: list(&[
            "1.2.3",
            "{\"oid\":\"1.2.4\",\"notice\":\"text\",\"cps\":\"http://cps\"}",
        ]),
        basic_constraints_valid_for_non_ca: true,
        not_before_duration: Duration::from_secs(300),
        ..Settings::default()
    }
}

fn leaf(theirs: &Certificate, settings: Settings, backdating: i64, request: &LeafRequest<'_>) {
    leaf_under(&issuer(), theirs, settings, backdating, request);
}

fn leaf_under(
    issuer: &Issuer,
    theirs: &Certificate,
    settings: Settings,
    backdating: i64,
    request: &LeafRequest<'_>,
) {
    let profile = Profile::new(settings).unwrap();
    let now = now(theirs, backdating);
    let (ours, warnings) =
        issue::prepare(&profile, issuer, request, now, theirs.serial().clone()).unwrap();
    assert_eq!(hex(ours.tbs()), hex(theirs.tbs()), "{warnings:?}");
}

/// The issuer without its name constraints. The built-in engine does not look at them when it issues.
fn unconstrained() -> Issuer {
    let root = certificate!("root");
    let extensions = root.extensions();
    let kept = extensions.filter(|one| one.oid != landfast_pki::ext::id::NAME_CONSTRAINTS);
    let template = Template {
        serial: root.serial().clone(),
        subject: root.subject().clone(),
        not_before: root.not_before(),
        not_after: root.not_after(),
        public_key: root.public_key().clone(),
        extensions: kept.map(|one| one.to_owned()).collect(),
    };
    let prepared = template
        .prepare(root.issuer(), root.signature_algorithm().unwrap())
        .unwrap();
    Issuer::new(prepared.finish(&[]).unwrap(), &urls(), LeafNotAfter::Err)
}

/// Compared as text, so that a difference can be read.
fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|b| format!("{b:02x}")).collect()
}

#[test]
fn a_leaf_with_everything() {
    let theirs = certificate!("leaf-full");
    let request = LeafRequest {
        common_name: "münchen.example.com",
        alt_names: "*.example.com,z@example.com,a@example.com,b.example.com,a.example.com",
        ip_sans: &list(&["10.1.2.3", "fd00::2"]),
        uri_sans: &list(&["spiffe://td/a", "http://x/ü"]),
        other_sans: &list(&["1.3.6.1.4.1.311.20.2.3;utf8:upn@example.com"]),
        user_ids: &list(&["one", "two"]),
        serial_number: "77",
        ttl: hours(2),
        ..LeafRequest::new(Holder::Key(theirs.public_key()), MOUNT)
    };
    leaf(&theirs, full(), 300, &request);
}

#[test]
fn a_plain_leaf() {
    let theirs = certificate!("leaf-plain");
    let request = LeafRequest {
        common_name: "a.example.com",
        ttl: hours(1),
        ..LeafRequest::new(Holder::Key(theirs.public_key()), MOUNT)
    };
    let settings = Settings {
        allow_any_name: true,
        key_type: "any".into(),
        ..Settings::default()
    };
    leaf(&theirs, settings, 30, &request);
}

#[test]
fn the_leaf_of_a_node() {
    let theirs = certificate!("leaf-node");
    let request = LeafRequest {
        common_name: "node-1",
        ttl: hours(24),
        ..LeafRequest::new(Holder::Key(theirs.public_key()), MOUNT)
    };
    let settings = Settings {
        allowed_domains: list(&["node-1"]),
        allow_bare_domains: true,
        key_type: "ec".into(),
        key_bits: 256,
        key_usage: list(&["DigitalSignature"]),
        server_flag: false,
        not_before_duration: Duration::from_secs(300),
        policy_identifiers: list(&["1.2.3"]),
        ..Settings::default()
    };
    let refusal = issue::prepare(
        &Profile::new(settings.clone()).unwrap(),
        &issuer(),
        &request,
        now(&theirs, 300),
        theirs.serial().clone(),
    );
    let text = refusal.unwrap_err().to_string();
    assert!(
        text.contains("outside of the issuer's name constraints"),
        "{text}"
    );
    leaf_under(&unconstrained(), &theirs, settings, 300, &request);
}

#[test]
fn a_leaf_from_a_csr() {
    let (theirs, csr) = (certificate!("leaf-signed"), csr());
    let request = LeafRequest {
        ttl: hours(1),
        ..LeafRequest::new(Holder::Csr(&csr), MOUNT)
    };
    leaf(&theirs, full(), 300, &request);
}

#[test]
fn a_csr_taken_at_its_word() {
    let (theirs, csr) = (certificate!("verbatim"), csr());
    let request = VerbatimRequest {
        csr: &csr,
        fields: LeafRequest {
            ttl: hours(1),
            ..LeafRequest::new(Holder::Csr(&csr), MOUNT)
        },
        role: None,
        key_usage: list(&["DigitalSignature", "KeyAgreement", "KeyEncipherment"]),
        ext_key_usage: Vec::new(),
        ext_key_usage_oids: Vec::new(),
        signature_bits: 0,
        use_pss: false,
        basic_constraints_valid_for_non_ca: None,
    };
    let serial = theirs.serial().clone();
    let (ours, _) = verbatim::prepare(&request, &issuer(), now(&theirs, 30), serial).unwrap();
    assert_eq!(hex(ours.tbs()), hex(theirs.tbs()));
}

#[test]
fn a_root() {
    let theirs = certificate!("root");
    let request = CaRequest {
        common_name: "Parity Root".into(),
        alt_names: "root.example.com,u@example.com".into(),
        ip_sans: list(&["10.0.0.1", "fd00::1"]),
        uri_sans: list(&["urn:x"]),
        serial_number: "9".into(),
        attributes: Attributes {
            organization: list(&["Org"]),
            ou: list(&["b", "a"]),
            country: list(&["DE"]),
            locality: list(&["L"]),
            province: list(&["P"]),
            street_address: list(&["S 1"]),
            postal_code: list(&["12345"]),
        },
        ttl: hours(80_000),
        max_path_length: Some(3),
        permitted_dns_domains: list(&["example.com", ".example.org"]),
        key_usage: list(&["DigitalSignature"]),
        ext_key_usage: list(&["ServerAuth", "ClientAuth"]),
        ..CaRequest::default()
    };
    let serial = theirs.serial().clone();
    let now = now(&theirs, 30);
    let (ours, _) =
        authority::root(&request, theirs.public_key(), &urls(), MOUNT, now, serial).unwrap();
    assert_eq!(hex(ours.tbs()), hex(theirs.tbs()));
}

fn intermediate(theirs: &Certificate, request: &CaRequest, use_csr_values: bool) {
    let options = IntermediateOptions {
        use_csr_values,
        skid: "",
    };
    let (now, serial) = (now(theirs, 30), theirs.serial().clone());
    let request = CaRequest {
        ttl: hours(2000),
        ..request.clone()
    };
    let (ours, _) =
        authority::sign_intermediate(&request, &csr(), options, &issuer(), MOUNT, now, serial)
            .unwrap();
    assert_eq!(hex(ours.tbs()), hex(theirs.tbs()));
}

#[test]
fn intermediates() {
    let request = CaRequest {
        common_name: "Parity Int".into(),
        alt_names: "i.example.com".into(),
        permitted_dns_domains: list(&["x.example"]),
        ..CaRequest::default()
    };
    intermediate(&certificate!("intermediate"), &request, false);
    intermediate(
        &certificate!("intermediate-values"),
        &CaRequest::default(),
        true,
    );
}

#[test]
fn a_cross_signed_root() {
    let theirs = certificate!("cross-signed");
    let (ours, _) =
        authority::self_issued(&certificate!("self"), &issuer(), false, theirs.not_before())
            .unwrap();
    assert_eq!(hex(ours.tbs()), hex(theirs.tbs()));
}
