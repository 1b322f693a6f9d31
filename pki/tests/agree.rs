//! Other people's readers take whatever the rules let through: 10,000 random roles and requests, friendly and hostile.
//!
//! Everything that is issued is read by x509-parser, and by rustls-webpki as a server's or client's certificate with its chain; a
//! part of it by `openssl verify`.

use std::io::Write as _;
use std::process::Command;
use std::time::Duration;

use jiff::Timestamp;
use landfast_pki::ext::{Extension, NameConstraints, Subtrees};
use landfast_pki::issue::{self, AiaUrls, Holder, Issuer, LeafRequest};
use landfast_pki::validity::{LeafNotAfter, MountTtl};
use landfast_pki::{
    Attributes, Certificate, Csr, GeneralNames, KeySpec, KeyUsage, Oid, OtherName, PrivateKey,
    Profile, SerialNumber, Settings, SignatureAlgorithm, Subject, Template,
};
use rustls_pki_types::{CertificateDer, UnixTime};
use x509_parser::prelude::{FromDer, GeneralName, ParsedExtension, X509Certificate};

/// Another one makes other cases.
const SEED: u64 = 2026;
const CASES: usize = 10_000;
const FOR_OPENSSL: usize = 400;

const MOUNT: MountTtl = MountTtl {
    default: Duration::from_secs(3600),
    max: Duration::from_secs(36_000),
};

const NAMES: &[&str] = &[
    "a.test",
    "x.a.test",
    "X.A.TEST",
    "b.test",
    "*.a.test",
    "f*.a.test",
    "*",
    "_acme.a.test",
    "a_b.test",
    "-a.test",
    "a..test",
    "a.test.",
    ".a.test",
    "münchen.test",
    "xn--mnchen-3ya.test",
    "xn--99999.test",
    "a b.test",
    "a\u{0}.test",
    "a\n.test",
    "u@a.test",
    "u@@a.test",
    "@a.test",
    "U@A.TEST",
    "ü@a.test",
    "localhost",
    "10.0.0.1",
    "::1",
    "[::1]",
    "node-1",
    "system:node:x",
    "a,b",
    "a\u{7f}",
    "",
    " ",
    "ＡＢ.test",
];
const URIS: &[&str] = &[
    "spiffe://td/a",
    "spiffe://td/a/../b",
    "SPIFFE://TD/x",
    "http://a%2fb/",
    "http://a%00/",
    "http://a..b/",
    "http://.a/",
    "http://a./",
    "http://a:80/",
    "http://:80/",
    "http:///x",
    "http://[::1]/",
    "http://[::1%25e]/",
    "http://[::ffff:1.2.3.4]/",
    "http://u@a/",
    "http://u%40b@a/",
    "http://a b/",
    "urn:a:b",
    "mailto:a@b",
    "//a/x",
    "x:",
    "?",
    "#",
    "a",
    "http://ü/",
    "http://a/ü",
    "http://a/%zz",
    "http://a/\n",
    "http://a/?%zz",
    "http://a/?<>",
    "http://a#%zz",
    "http://*.a/",
    "",
];
const IPS: &[&str] = &[
    "10.0.0.1",
    "::1",
    "::ffff:1.2.3.4",
    "192.168.1.1",
    "fe80::1",
    "1.2.3.4.5",
    " 10.0.0.2",
    "",
];
const OTHERS: &[&str] = &[
    "1.3.6.1.4.1.311.20.2.3;UTF8:u@a.test",
    "1.2.3;utf8:ü",
    "1.2.3;UTF8:a\u{0}b",
    "1.2.3;UTF8:",
    "2.999.1;UTF8:a",
    "1.2.4294967295;UTF8:a",
    "9.9.9;UTF8:a",
    "x",
];
const OIDS: &[&str] = &[
    "1.2.3",
    "1.3.6.1.5.5.7.3.17",
    "1.2.2147483647",
    "1.2.2147483648",
    "4.3.2.1",
];
const TEXTS: &[&str] = &[
    "Example",
    "Ö",
    "a\u{0}b",
    "a@b",
    "*&",
    "",
    " ",
    "x\u{85}",
    "DE",
    "long enough to be an address, 12",
];
const TIMES: &[&str] = &[
    "1969-12-31T23:59:59Z",
    "1970-01-01T00:00:00Z",
    "0001-01-01T00:00:00Z",
    "2026-11-01T00:00:00Z",
    "2049-12-31T23:59:59Z",
    "2050-01-01T00:00:00Z",
    "9999-12-31T23:59:59Z",
    "junk",
];

#[test]
fn every_reader_takes_what_is_issued() {
    let mut dice = Dice(SEED);
    let authorities = [
        Authority::new("Plain", "ec", None),
        Authority::new("Constrained", "ec", Some(constraints())),
        Authority::new("Old", "rsa", None),
    ];
    let key = generate("ec");
    let mut issued: [Vec<Certificate>; 3] = Default::default();
    let mut refused_by_lint = 0;
    for case in 0..CASES {
        // RSA signatures take longest, so they are fewer.
        let which = *dice.of(&[0, 0, 0, 0, 1, 1, 1, 0, 1, 2]);
        let authority = &authorities[which];
        let Ok(profile) = Profile::new(role(&mut dice)) else {
            continue;
        };
        let fields = Fields::new(&mut dice);
        let csr = dice.chance(30).then(|| csr(&mut dice, &key));
        let holder = csr
            .as_ref()
            .map_or_else(|| Holder::Key(key.public_key()), Holder::Csr);
        let serial = SerialNumber::random().unwrap();
        let prepared = issue::prepare(
            &profile,
            &authority.issuer,
            &fields.request(holder),
            now(),
            serial,
        );
        let (prepared, warnings) = match prepared {
            Ok(prepared) => prepared,
            Err(refusal) => {
                refused_by_lint +=
                    usize::from(refusal.to_string().contains("break the rule readers-"));
                continue;
            }
        };
        let certificate = prepared.sign(&authority.key).unwrap();
        if certificate.not_before().as_second() < 0 {
            // The built-in engine makes it, and webpki does not read the time: whoever asked is told.
            let told = warnings.iter().any(|one| one.contains("before 1970"));
            assert!(told, "case {case}: {warnings:?}");
            continue;
        }
        if let Err(why) = read_by_all(&certificate, &authority.certificate) {
            panic!(
                "case {case}: {why}\n{fields:?}\n{:?}\n{}",
                profile.settings(),
                certificate.pem()
            );
        }
        issued[which].push(certificate);
    }
    let counts = issued.each_ref().map(Vec::len);
    assert!(
        counts.iter().all(|count| *count > 100),
        "too few to say anything: {counts:?}"
    );
    assert!(
        refused_by_lint > 0,
        "nothing got as far as the lint that it has to stop"
    );
    for (authority, certificates) in authorities.iter().zip(&issued) {
        openssl_verifies(authority, certificates);
    }
}

struct Authority {
    certificate: Certificate,
    key: PrivateKey,
    issuer: Issuer,
}

impl Authority {
    fn new(name: &str, kind: &str, constraints: Option<NameConstraints>) -> Self {
        let key = generate(kind);
        let ski = key.public_key().ski();
        let mut extensions = vec![
            Extension::key_usage(KeyUsage::CERT_SIGN | KeyUsage::CRL_SIGN),
            Extension::basic_constraints(true, None),
            Extension::subject_key_id(&ski),
            Extension::authority_key_id(&ski),
        ];
        extensions.extend(constraints.map(|one| Extension::name_constraints(&one, true)));
        let subject = Subject::common_name(name).to_name();
        let template = Template {
            serial: SerialNumber::random().unwrap(),
            subject: subject.clone(),
            not_before: "1970-01-01T00:00:00Z".parse().unwrap(),
            not_after: landfast_pki::FOREVER,
            public_key: key.public_key().clone(),
            extensions,
        };
        let algorithm = SignatureAlgorithm::choose(key.public_key(), 0, false)
            .unwrap()
            .algorithm;
        let certificate = template
            .prepare(&subject, algorithm)
            .unwrap()
            .sign(&key)
            .unwrap();
        let urls = |text: &str| vec![text.to_owned()];
        let aia = AiaUrls {
            issuing_certificates: urls("http://ca.test/ca"),
            crl_distribution_points: urls("http://ca.test/crl"),
            delta_crl_distribution_points: Vec::new(),
            ocsp_servers: urls("http://ca.test/ocsp"),
        };
        Self {
            issuer: Issuer::new(certificate.clone(), &aia, LeafNotAfter::Permit),
            certificate,
            key,
        }
    }
}

/// Of the kinds that webpki knows.
fn constraints() -> NameConstraints {
    let dns = |names: &[&str]| Subtrees {
        dns: names.iter().map(ToString::to_string).collect(),
        ..Subtrees::default()
    };
    NameConstraints {
        permitted: Subtrees {
            ips: vec![("10.0.0.0".parse().unwrap(), 8)],
            ..dns(&["a.test", "localhost"])
        },
        excluded: dns(&["b.a.test"]),
    }
}

fn generate(kind: &str) -> PrivateKey {
    PrivateKey::generate(KeySpec::parse(kind, 0).unwrap()).unwrap()
}

fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

/// Says which reader does not take it.
fn read_by_all(certificate: &Certificate, root: &Certificate) -> Result<(), String> {
    let (rest, read) = X509Certificate::from_der(certificate.der())
        .map_err(|why| format!("x509-parser: {why}"))?;
    if !rest.is_empty() {
        return Err("x509-parser: there is more behind it".into());
    }
    for extension in read.extensions() {
        if matches!(
            extension.parsed_extension(),
            ParsedExtension::ParseError { .. }
        ) {
            return Err(format!("x509-parser: extension {}", extension.oid));
        }
    }
    let names = read
        .subject_alternative_name()
        .map_err(|why| format!("x509-parser: {why}"))?;
    for name in names.iter().flat_map(|names| &names.value.general_names) {
        match name {
            GeneralName::URI(uri) if !go_reads(uri) => return Err(format!("Go: {uri}")),
            GeneralName::Invalid(tag, _) => {
                return Err(format!("x509-parser: a name of tag {tag}"));
            }
            _ => {}
        }
    }

    let der = CertificateDer::from(certificate.der());
    let leaf = webpki::EndEntityCert::try_from(&der).map_err(|why| format!("webpki: {why}"))?;
    let purposes: Vec<String> = certificate
        .ext_key_usage()
        .iter()
        .map(Oid::to_string)
        .collect();
    let server = purposes.is_empty() || purposes.iter().any(|one| one == "1.3.6.1.5.5.7.3.1");
    let client = purposes.iter().any(|one| one == "1.3.6.1.5.5.7.3.2");
    let usage = match (server, client) {
        (true, _) => webpki::KeyUsage::server_auth(),
        (_, true) => webpki::KeyUsage::client_auth(),
        _ => return Ok(()),
    };
    let at = u64::try_from(certificate.not_before().as_second() + 1)
        .map_err(|_| "it starts before 1970")?;
    let anchor = CertificateDer::from(root.der());
    let anchor =
        webpki::anchor_from_trusted_cert(&anchor).map_err(|why| format!("webpki: {why}"))?;
    leaf.verify_for_usage(
        webpki::ALL_VERIFICATION_ALGS,
        &[anchor],
        &[],
        UnixTime::since_unix_epoch(Duration::from_secs(at)),
        usage,
        None,
        None,
    )
    .map(drop)
    .map_err(|why| format!("webpki: {why}"))
}

/// What Go's crypto/x509 asks of the host of a URI: no escapes, and labels of printable characters.
fn go_reads(uri: &str) -> bool {
    let authority = match uri.split_once("//") {
        Some((before, rest)) if before.is_empty() || before.ends_with(':') => {
            rest.split(['/', '?', '#']).next().unwrap_or_default()
        }
        _ => return true,
    };
    let host = authority.rsplit('@').next().unwrap_or_default();
    let label = |label: &str| !label.is_empty() && label.bytes().all(|b| (33..=126).contains(&b));
    host.is_empty() || host.starts_with('[') || (!host.contains('%') && host.split('.').all(label))
}

fn openssl_verifies(authority: &Authority, certificates: &[Certificate]) {
    let directory = tempfile::tempdir().unwrap();
    let write = |name: String, pem: &str| {
        let path = directory.path().join(name);
        std::fs::File::create(&path)
            .unwrap()
            .write_all(pem.as_bytes())
            .unwrap();
        path
    };
    let root = write("root.pem".to_owned(), &authority.certificate.pem());
    let step = (certificates.len() / FOR_OPENSSL).max(1);
    let sample = certificates.iter().step_by(step).enumerate();
    let files: Vec<_> = sample
        .map(|(at, one)| write(format!("{at}.pem"), &one.pem()))
        .collect();
    let output = Command::new("openssl")
        .args(["verify", "-no_check_time", "-x509_strict", "-CAfile"])
        .arg(root)
        .args(&files)
        .output()
        .expect("this test needs the openssl command");
    let errors = String::from_utf8_lossy(&output.stderr);
    let first = files
        .iter()
        .find(|file| errors.contains(&*file.to_string_lossy()));
    let pem = first.map(|file| std::fs::read_to_string(file).unwrap());
    assert!(
        output.status.success(),
        "{errors}\n{}",
        pem.unwrap_or_default()
    );
}

fn role(dice: &mut Dice) -> Settings {
    let strings = |list: Vec<&str>| list.into_iter().map(str::to_owned).collect::<Vec<_>>();
    let texts = |dice: &mut Dice| {
        let some = if dice.chance(15) {
            dice.some(TEXTS)
        } else {
            Vec::new()
        };
        some.into_iter().map(str::to_owned).collect::<Vec<_>>()
    };
    Settings {
        key_type: "ec".into(),
        key_bits: 256,
        allow_any_name: dice.chance(70),
        allow_bare_domains: dice.chance(60),
        allow_subdomains: dice.chance(60),
        allow_glob_domains: dice.chance(40),
        allow_ip_sans: dice.chance(90),
        allow_wildcard_certificates: dice.chance(75),
        enforce_hostnames: dice.chance(50),
        cn_validations: strings(vec![*dice.of(&["disabled", "email", "hostname"])]),
        require_cn: dice.chance(50),
        use_csr_common_name: dice.chance(75),
        use_csr_sans: dice.chance(75),
        allowed_domains: strings(dice.some(&["a.test", "*.test", "B.test", "x*"])),
        allowed_uri_sans: strings(vec!["*"]),
        allowed_other_sans: strings(vec!["*"]),
        allowed_serial_numbers: strings(vec!["*"]),
        allowed_user_ids: strings(vec!["*"]),
        server_flag: dice.chance(75),
        client_flag: dice.chance(75),
        code_signing_flag: dice.chance(25),
        basic_constraints_valid_for_non_ca: dice.chance(25),
        key_usage: strings(dice.some(&[
            "DigitalSignature",
            "keyencipherment",
            "EncipherOnly",
            "nonsense",
        ])),
        ext_key_usage: strings(dice.some(&["TimeStamping", "any", "nonsense"])),
        ext_key_usage_oids: strings(if dice.chance(15) {
            dice.some(OIDS)
        } else {
            Vec::new()
        }),
        policy_identifiers: strings(if dice.chance(15) {
            dice.some(&[
                "1.2.3",
                "{\"oid\":\"1.2.4\",\"cps\":\"http://c\",\"notice\":\"n\"}",
                "1.2.3",
            ])
        } else {
            Vec::new()
        }),
        not_before: if dice.chance(10) {
            (*dice.of(TIMES)).to_owned()
        } else {
            String::new()
        },
        not_after: if dice.chance(10) {
            (*dice.of(TIMES)).to_owned()
        } else {
            String::new()
        },
        use_pss: dice.chance(30),
        signature_bits: *dice.of(&[0, 256, 384, 512, 7]),
        attributes: Attributes {
            ou: texts(dice),
            organization: texts(dice),
            country: texts(dice),
            locality: texts(dice),
            postal_code: texts(dice),
            ..Attributes::default()
        },
        ..Settings::default()
    }
}

/// What a request says, owned.
#[derive(Debug)]
struct Fields {
    common_name: String,
    alt_names: String,
    lists: [Vec<String>; 4],
    serial_number: String,
    exclude_cn_from_sans: bool,
    times: [Option<String>; 2],
}

impl Fields {
    fn new(dice: &mut Dice) -> Self {
        let maybe = |dice: &mut Dice, percent, list: &[&str]| -> Vec<String> {
            let some = if dice.chance(percent) {
                dice.some(list)
            } else {
                Vec::new()
            };
            some.into_iter().map(|text| long(dice, text)).collect()
        };
        // Mostly one that a role may admit.
        let common_name = *dice.of(&NAMES[..7]);
        let common_name = long(dice, common_name);
        let alt_names = maybe(dice, 40, NAMES).join(",");
        let lists = [
            maybe(dice, 20, IPS),
            maybe(dice, 30, URIS),
            maybe(dice, 15, OTHERS),
            maybe(dice, 10, TEXTS),
        ];
        let time = |dice: &mut Dice| dice.chance(10).then(|| (*dice.of(TIMES)).to_owned());
        Self {
            common_name,
            alt_names,
            lists,
            serial_number: if dice.chance(10) {
                (*dice.of(TEXTS)).to_owned()
            } else {
                String::new()
            },
            exclude_cn_from_sans: dice.chance(20),
            times: [time(dice), time(dice)],
        }
    }

    fn request<'a>(&'a self, holder: Holder<'a>) -> LeafRequest<'a> {
        let [ip_sans, uri_sans, other_sans, user_ids] = &self.lists;
        let [not_before, not_after] = &self.times;
        LeafRequest {
            common_name: &self.common_name,
            alt_names: &self.alt_names,
            ip_sans,
            uri_sans,
            other_sans,
            user_ids,
            serial_number: &self.serial_number,
            exclude_cn_from_sans: self.exclude_cn_from_sans,
            not_before: not_before.as_deref(),
            not_after: not_after.as_deref(),
            ..LeafRequest::new(holder, MOUNT)
        }
    }
}

/// A text, sometimes with a label at or above its limit in front.
fn long(dice: &mut Dice, text: &str) -> String {
    match dice.roll() % 60 {
        0 => format!("{}.{text}", "a".repeat(63)),
        1 => format!("{}.{text}", "a".repeat(64)),
        2 => format!("{}{text}", "a.".repeat(120)),
        3 => format!("{}{text}", "b.".repeat(130)),
        _ => text.to_owned(),
    }
}

/// A request whose names are what a request may carry, not what one should.
fn csr(dice: &mut Dice, key: &PrivateKey) -> Csr {
    let ascii = |texts: Vec<&str>| {
        let kept = texts.into_iter().filter(|text| text.is_ascii());
        kept.map(str::to_owned).collect::<Vec<_>>()
    };
    let some = |dice: &mut Dice, percent, list: &'static [&'static str]| {
        if dice.chance(percent) {
            dice.some(list)
        } else {
            Vec::new()
        }
    };
    let names = GeneralNames {
        dns: ascii(some(dice, 50, NAMES)),
        emails: ascii(some(dice, 20, NAMES)),
        ips: some(dice, 20, IPS)
            .iter()
            .filter_map(|text| text.parse().ok())
            .collect(),
        uris: ascii(some(dice, 30, URIS)),
        other: some(dice, 10, TEXTS)
            .into_iter()
            .map(|text| OtherName {
                oid: Oid::new("1.2.3").unwrap(),
                value: text.to_owned(),
            })
            .collect(),
        rest: if dice.chance(10) {
            vec![vec![0x88, 1, 42]]
        } else {
            Vec::new()
        },
    };
    let subject = Subject {
        common_name: (*dice.of(NAMES)).to_owned(),
        user_ids: some(dice, 10, TEXTS)
            .into_iter()
            .map(str::to_owned)
            .collect(),
        ..Subject::default()
    };
    let algorithm = SignatureAlgorithm::choose(key.public_key(), 0, false)
        .unwrap()
        .algorithm;
    Csr::build(subject.to_name(), &names, &[], algorithm, key).unwrap()
}

/// Numbers that look random and are the same for a seed (splitmix64).
struct Dice(u64);

impl Dice {
    fn roll(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    fn chance(&mut self, percent: u64) -> bool {
        self.roll() % 100 < percent
    }

    fn of<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        let at = self.roll() % list.len() as u64;
        &list[usize::try_from(at).expect("a list is shorter than memory")]
    }

    /// Up to three of a list.
    fn some<'a>(&mut self, list: &[&'a str]) -> Vec<&'a str> {
        (0..self.roll() % 4).map(|_| *self.of(list)).collect()
    }
}
