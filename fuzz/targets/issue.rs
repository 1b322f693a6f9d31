//! Leaf certificates under a narrow role: any names at all, from a request or from a CSR. Nothing that the role does not list comes
//! out, by a reading of its own that shares no code with the rules.
#![no_main]

use std::cell::OnceCell;
use std::net::IpAddr;
use std::time::Duration;

use landfast_pki::ext::{Extension, GeneralNames, OtherName};
use landfast_pki::issue::{self, AiaUrls, Holder, Issuer, LeafRequest};
use landfast_pki::validity::{LeafNotAfter, MountTtl};
use landfast_pki::{
    Certificate, Csr, KeySpec, KeyUsage, Oid, PrivateKey, Profile, SerialNumber, Settings, SignatureAlgorithm, Subject, Template,
};
use libfuzzer_sys::fuzz_target;

struct Bench {
    profile: Profile,
    issuer: Issuer,
    key: PrivateKey,
}

thread_local! {
    static BENCH: OnceCell<Bench> = const { OnceCell::new() };
}

fn algorithm(key: &PrivateKey) -> SignatureAlgorithm {
    SignatureAlgorithm::choose(key.public_key(), 0, false).expect("an EC key signs").algorithm
}

fn bench() -> Bench {
    let list = |text: &str| vec![text.to_owned()];
    let settings = Settings {
        key_type: "ec".into(),
        key_bits: 256,
        allow_localhost: false,
        allow_subdomains: true,
        allow_bare_domains: true,
        allow_glob_domains: true,
        enforce_hostnames: false,
        require_cn: false,
        allowed_domains: vec!["a.test".into(), "node*.b.test".into()],
        allowed_uri_sans: list("spiffe://td/a/*"),
        allowed_other_sans: list("1.2.3;UTF8:u*"),
        allowed_ip_sans_cidr: list("10.0.0.0/8"),
        allowed_serial_numbers: list("7*"),
        allowed_user_ids: list("bob"),
        max_ttl: Duration::from_secs(3600),
        not_after_bound: "forbid".into(),
        ..Settings::default()
    };
    let key = PrivateKey::generate(KeySpec::parse("ec", 256).expect("a size")).expect("a key");
    let subject = Subject::common_name("Root").to_name();
    let template = Template {
        serial: SerialNumber::from_bytes(&[1]),
        subject: subject.clone(),
        not_before: now(),
        not_after: landfast_pki::FOREVER,
        public_key: key.public_key().clone(),
        extensions: vec![
            Extension::key_usage(KeyUsage::CERT_SIGN),
            Extension::basic_constraints(true, None),
            Extension::subject_key_id(&key.public_key().ski()),
        ],
    };
    let prepared = template.prepare(&subject, algorithm(&key)).expect("a root");
    let root = prepared.sign(&key).expect("a signature");
    Bench {
        profile: Profile::new(settings).expect("a role"),
        issuer: Issuer::new(root, &AiaUrls::default(), LeafNotAfter::Err),
        key,
    }
}

fn now() -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_800_000_000).expect("a time")
}

// Fields, separated by line ends: common name, alternative names, addresses, URIs, other names, serial number, user ids, end.
fuzz_target!(|text: &str| {
    let mut lines = text.split('\n');
    let mut next = || lines.next().unwrap_or_default();
    let csr = next() == "csr";
    let (common_name, alt_names) = (next(), next());
    let mut list = || -> Vec<String> { next().split('|').filter(|one| !one.is_empty()).map(str::to_owned).collect() };
    let (ips, uris, others, ids) = (list(), list(), list(), list());
    let (serial_number, not_after) = (next(), next());
    BENCH.with(|cell| {
        let bench = cell.get_or_init(bench);
        let csr = csr.then(|| by_csr(bench, common_name, alt_names, [&ips, &uris, &others, &ids])).flatten();
        let holder = csr.as_ref().map_or_else(|| Holder::Key(bench.key.public_key()), Holder::Csr);
        let mount = MountTtl { default: Duration::from_secs(60), max: Duration::from_secs(60) };
        let request = LeafRequest {
            common_name,
            alt_names,
            ip_sans: &ips,
            uri_sans: &uris,
            other_sans: &others,
            user_ids: &ids,
            serial_number,
            not_after: (!not_after.is_empty()).then_some(not_after),
            ..LeafRequest::new(holder, mount)
        };
        let serial = SerialNumber::from_bytes(&[7; 20]);
        if let Ok((prepared, _)) = issue::prepare(&bench.profile, &bench.issuer, &request, now(), serial) {
            inside(prepared.unsigned());
        }
    });
});

fn by_csr(bench: &Bench, common_name: &str, names: &str, lists: [&Vec<String>; 4]) -> Option<Csr> {
    let [ips, uris, others, ids] = lists;
    let ascii = |text: &&str| text.is_ascii() && !text.is_empty();
    let (emails, dns) = names.split(',').filter(ascii).map(str::to_owned).partition(|one: &String| one.contains('@'));
    let names = GeneralNames {
        dns,
        emails,
        ips: ips.iter().filter_map(|text| text.parse().ok()).collect(),
        uris: uris.iter().filter(|text| text.is_ascii()).cloned().collect(),
        other: others.iter().map(|text| OtherName { oid: Oid::new_unwrap("1.2.3"), value: text.clone() }).collect(),
        rest: Vec::new(),
    };
    let subject = Subject { common_name: common_name.to_owned(), user_ids: ids.clone(), ..Subject::default() };
    Csr::build(subject.to_name(), &names, &[], algorithm(&bench.key), &bench.key).ok()
}

/// Holds a certificate against the role.
fn inside(certificate: &Certificate) {
    let subject = Subject::from_name(certificate.subject());
    if !subject.common_name.is_empty() {
        assert!(is_name(&subject.common_name), "common name {:?}", subject.common_name);
    }
    assert!(subject.serial_number.is_empty() || subject.serial_number.starts_with('7'));
    assert!(subject.user_ids.iter().all(|id| id.eq_ignore_ascii_case("bob")));
    let names = certificate.subject_alt_names();
    assert!(names.dns.iter().chain(&names.emails).all(|name| is_name(name) && name.is_ascii()), "{names:?}");
    for uri in &names.uris {
        let path = uri.strip_prefix("spiffe://td/a/").unwrap_or_else(|| panic!("{uri}"));
        let plain = path.to_ascii_lowercase().replace("%2e", ".");
        let path = plain.split(['?', '#']).next().unwrap_or_default();
        assert!(path.split('/').all(|segment| segment != ".." && segment != "."), "{uri}");
    }
    assert!(names.ips.iter().all(|ip| matches!(ip, IpAddr::V4(four) if four.octets()[0] == 10)), "{names:?}");
    assert!(names.other.iter().all(|one| one.oid.to_string() == "1.2.3" && one.value.starts_with('u')), "{names:?}");
    assert!(names.rest.is_empty());
    assert!(certificate.not_after() > now() && certificate.not_after().as_second() <= now().as_second() + 3600);
    assert!(!certificate.is_ca());
}

/// Whether the end of a name is one of the two domains.
fn is_name(name: &str) -> bool {
    let lower = name.to_ascii_lowercase();
    let host = lower.rsplit('@').next().unwrap_or_default();
    let below = |domain: &str| host == domain || host.ends_with(&format!(".{domain}"));
    let glob = host.ends_with(".b.test") && lower.starts_with("node");
    (below("a.test") || glob) && !lower.chars().any(char::is_control)
}
