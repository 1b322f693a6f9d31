//! Private keys and requests that are broken in one thing each.

use std::fmt::Write as _;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::json;

use super::on;
use crate::support::{MlDsa, Pair, Reply, tlv};

fn pem(label: &str, der: &[u8]) -> String {
    let mut text = format!("-----BEGIN {label}-----\n");
    for line in STANDARD.encode(der).as_bytes().chunks(64) {
        writeln!(text, "{}", String::from_utf8_lossy(line)).expect("into a text");
    }
    text + &format!("-----END {label}-----\n")
}

/// An AlgorithmIdentifier of `id-ml-dsa-…`, whose last number this is.
fn algorithm(last: u8, parameters: &[u8]) -> Vec<u8> {
    let oid = [6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, last];
    tlv(0x30, &[&oid[..], parameters].concat())
}

const NULL: &[u8] = &[5, 0];

#[test]
fn what_is_no_private_key_is_refused_alike() {
    let pair = Pair::new();
    let seed = [7; 32];
    let alone = tlv(0x80, &seed);
    let key = landfast_pki::PrivateKey::from_der(&private(17, &[], &alone)).expect("a key");
    let public = key.public_key().key_bits().to_vec();
    let both_forms = |seed: &[u8]| {
        let pair = aws_lc_rs::signature::PqdsaKeyPair::from_seed(
            &aws_lc_rs::signature::ML_DSA_44_SIGNING,
            &[7; 32],
        );
        let pair = pair.expect("a key");
        let expanded = aws_lc_rs::encoding::AsRawBytes::as_raw_bytes(&pair.private_key());
        let expanded = expanded.expect("its form");
        (
            tlv(0x30, &[tlv(4, seed), tlv(4, expanded.as_ref())].concat()),
            tlv(4, expanded.as_ref()),
        )
    };
    let version_two = tlv(
        0x30,
        &[
            &[2, 1, 1][..],
            &algorithm(17, &[]),
            &tlv(4, &alone),
            &tlv(0x81, &[&[0], &public[..]].concat()),
        ]
        .concat(),
    );
    for (what, der, good) in [
        ("the seed", private(17, &[], &alone), true),
        ("version 2", version_two, true),
        ("both forms", private(17, &[], &both_forms(&seed).0), true),
        (
            "the wrong seed",
            private(17, &[], &both_forms(&[8; 32]).0),
            false,
        ),
        (
            "the expanded key",
            private(17, &[], &both_forms(&seed).1),
            false,
        ),
        ("31 octets", private(17, &[], &tlv(0x80, &seed[1..])), false),
        ("33 octets", private(18, &[], &tlv(0x80, &[7; 33])), false),
        ("another tag", private(19, &[], &tlv(0x81, &seed)), false),
        ("no tag", private(17, &[], &seed), false),
        ("nothing", private(17, &[], &[]), false),
        (
            "more",
            private(17, &[], &[&alone[..], &[0]].concat()),
            false,
        ),
        ("parameters", private(17, NULL, &alone), false),
        ("200 kB", private(17, &[], &tlv(0x80, &[7; 200_000])), false),
        (
            "an octet after it",
            [&private(17, &[], &alone)[..], &[0]].concat(),
            false,
        ),
        ("another algorithm", private(20, &[], &alone), false),
    ] {
        let body = json!({"pem_bundle": pem("PRIVATE KEY", &der)});
        let both = pair.both("POST", "keys/import", Some(&body));
        let status = |good| if good { 200 } else { 400 };
        // Go takes a seed beside its expanded form from nobody, though OpenSSL writes keys so; and leaves out what follows any key.
        let theirs = status((good && what != "both forms") || what == "an octet after it");
        assert_eq!(
            (both.theirs.status, both.ours.status),
            (theirs, status(good)),
            "{what}: {} {}",
            both.theirs.body,
            both.ours.body
        );
        let refused = [&both.theirs, &both.ours];
        for reply in refused.into_iter().filter(|reply| reply.status == 400) {
            let said = reply.errors().join("");
            assert!(
                said.starts_with("failed to parse PEM block: "),
                "{what}: {said}"
            );
        }
    }
}

/// CA certificates of others with one octet or one field changed.
#[test]
fn broken_certificates_are_refused() {
    let (pair, others) = (Pair::new(), MlDsa::new());
    let key = others.key(44);
    let good = der(&others.authority(&key, "Broken"));
    let identifier = [6, 9, 0x60, 0x86, 0x48, 1, 0x65, 3, 4, 3, 17];
    let places: Vec<usize> = (0..good.len() - identifier.len())
        .filter(|at| good[*at..].starts_with(&identifier))
        .collect();
    let [inside, beside_key, outside] = places[..] else {
        panic!("{places:?}")
    };
    let changed = |changes: &[usize], set: u8| {
        let mut certificate = good.clone();
        for at in changes {
            certificate[at + identifier.len() - 1] = set;
        }
        certificate
    };
    for (what, certificate) in [
        ("another set outside", changed(&[outside], 18)),
        ("another set inside", changed(&[inside], 18)),
        ("another set signs", changed(&[inside, outside], 18)),
        ("a key of another set", changed(&[beside_key], 18)),
        (
            "an unknown set",
            changed(&[inside, beside_key, outside], 20),
        ),
        (
            "another set everywhere",
            changed(&[inside, beside_key, outside], 19),
        ),
        ("an octet after it", [&good[..], &[0]].concat()),
        ("an octet less", good[..good.len() - 1].to_vec()),
    ] {
        let bundle = pem("CERTIFICATE", &certificate);
        for body in [
            json!({"pem_bundle": bundle}),
            json!({"pem_bundle": format!("{bundle}{key}")}),
        ] {
            let both = pair.both("POST", "issuers/import/bundle", Some(&body));
            // Who signed it is not in the bundle, so that this signature is nobody's business yet.
            let good = what == "another set signs";
            let status = if good { 200 } else { 400 };
            assert_eq!(
                (both.theirs.status, both.ours.status),
                (status, status),
                "{what}: {} {}",
                both.theirs.body,
                both.ours.body
            );
            let said = both.ours.errors().join("");
            assert!(
                good || said.starts_with("Error parsing issuer 0: "),
                "{what}: {said}"
            );
        }
    }
}

fn der(pem: &str) -> Vec<u8> {
    let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    STANDARD.decode(body).expect("PEM of others")
}

fn private(last: u8, parameters: &[u8], enclosed: &[u8]) -> Vec<u8> {
    let parts = [
        &[2, 1, 0][..],
        &algorithm(last, parameters),
        &tlv(4, enclosed),
    ];
    tlv(0x30, &parts.concat())
}

#[test]
fn broken_requests_are_refused_alike() {
    let pair = on(44);
    let request = |key: Vec<u8>, octets: usize, by: Vec<u8>, signature: &[u8]| {
        let public = tlv(0x30, &[key, bits(&vec![0x78; octets])].concat());
        let info = [&[2, 1, 0, 0x30, 0][..], &public, &[0xa0, 0]].concat();
        let csr = [tlv(0x30, &info), by, bits(signature)].concat();
        pem("CERTIFICATE REQUEST", &tlv(0x30, &csr))
    };
    let (none, right) = (&[][..], vec![1; 2420]);
    for (what, csr) in [
        (
            "a signature of nobody",
            request(algorithm(17, none), 1312, algorithm(17, none), &right),
        ),
        (
            "no signature",
            request(algorithm(17, none), 1312, algorithm(17, none), none),
        ),
        (
            "a huge signature",
            request(
                algorithm(17, none),
                1312,
                algorithm(17, none),
                &vec![1; 200_000],
            ),
        ),
        (
            "another set signs",
            request(
                algorithm(17, none),
                1312,
                algorithm(18, none),
                &vec![1; 3309],
            ),
        ),
        (
            "another kind signs",
            request(
                algorithm(17, none),
                1312,
                tlv(0x30, &[6, 3, 0x2b, 0x65, 0x70]),
                &[1; 64],
            ),
        ),
        (
            "parameters beside the signature",
            request(algorithm(17, none), 1312, algorithm(17, NULL), &right),
        ),
        (
            "parameters beside the key",
            request(algorithm(17, NULL), 1312, algorithm(17, none), &right),
        ),
        (
            "a key of another set",
            request(algorithm(17, none), 1952, algorithm(17, none), &right),
        ),
        (
            "a short key",
            request(
                algorithm(19, none),
                2591,
                algorithm(19, none),
                &vec![1; 4627],
            ),
        ),
        (
            "no key",
            request(algorithm(18, none), 0, algorithm(18, none), &vec![1; 3309]),
        ),
        (
            "an unknown set",
            request(algorithm(20, none), 1312, algorithm(20, none), &right),
        ),
    ] {
        for path in [
            "sign/any",
            "sign/r44",
            "sign-verbatim",
            "root/sign-intermediate",
        ] {
            let body = json!({"csr": csr, "common_name": "a.test"});
            let both = pair.both("POST", path, Some(&body));
            assert_eq!(
                (refused(&both.theirs), refused(&both.ours)),
                (true, true),
                "{what} {path}: {} {}",
                both.theirs.body,
                both.ours.body
            );
            assert_eq!(both.ours.status, 400, "{what} {path}: {}", both.ours.body);
        }
    }
}

fn refused(reply: &Reply) -> bool {
    matches!(reply.status, 400 | 500) && !reply.errors().is_empty()
}

fn bits(octets: &[u8]) -> Vec<u8> {
    tlv(3, &[&[0], octets].concat())
}
