//! Bytes from outside never panic a reader, and what is read stays the same when read again.

use proptest::prelude::*;
use proptest::sample::Index;

use super::*;
use crate::ext::{self, BasicConstraints, NameConstraints};
use crate::key::KeyEncoding;
use crate::{Crl, CrlTemplate, Csr, Name, OcspRequest, RevokedEntries, ocsp, pem};

/// One good example of everything that is read, made once.
fn samples() -> &'static [Vec<u8>] {
    static SAMPLES: std::sync::LazyLock<Vec<Vec<u8>>> = std::sync::LazyLock::new(|| {
        let root = root("root.example", "ec", 256);
        let leaf = leaf(&root, "a.example.com", root.key.public_key());
        let mut entries = RevokedEntries::new();
        entries.push(leaf.serial(), now());
        entries.push(root.certificate.serial(), now());
        let template = CrlTemplate {
            issuer: root.certificate.subject().clone(),
            authority_key_id: vec![1; 20],
            number: 7,
            this_update: now(),
            next_update: now(),
            delta_base: Some(6),
            freshest: Vec::new(),
            more: Vec::new(),
        };
        let crl = template
            .prepare(entries, algorithm(&root.key))
            .sign(&root.key)
            .unwrap();
        let mut all = vec![
            root.certificate.der().to_vec(),
            leaf.der().to_vec(),
            crl.der().to_vec(),
            ocsp::tests::request(&root.certificate, leaf.serial().as_bytes()),
            root.key.public_key().spki_der().to_vec(),
            root.key
                .to_der(KeyEncoding::Pkcs8)
                .unwrap()
                .expose()
                .clone(),
            root.key
                .to_der(KeyEncoding::Traditional)
                .unwrap()
                .expose()
                .clone(),
        ];
        let openbao: [&[u8]; 6] = [
            include_bytes!("../../tests/data/openbao-2.7.2/leaf-full.pem"),
            include_bytes!("../../tests/data/openbao-2.7.2/root-ec.pem"),
            include_bytes!("../../tests/data/openbao-2.7.2/int.csr.pem"),
            include_bytes!("../../tests/data/openbao-2.7.2/leaf-rsa2048.key.pem"),
            include_bytes!("../../tests/data/openbao-2.7.2/ed25519.pkcs8.pem"),
            include_bytes!("../../tests/data/openbao-2.7.2/ca-rsa2048-512-pss.pem"),
        ];
        all.extend(
            openbao
                .iter()
                .flat_map(|text| pem::blocks(text))
                .map(|block| block.contents.to_vec()),
        );
        all
    });
    &SAMPLES
}

/// A change of one place in a sample.
#[derive(Debug, Clone)]
enum Change {
    Set(Index, u8),
    Flip(Index, u8),
    Cut(Index),
    Remove(Index, u8),
    Insert(Index, Vec<u8>),
    Repeat(Index, u8),
}

impl Change {
    fn apply(&self, der: &mut Vec<u8>) {
        if der.is_empty() {
            return;
        }
        let whole = der.len();
        let span = |at: &Index, length: u8| {
            let start = at.index(whole);
            start..whole.min(start + usize::from(length))
        };
        match self {
            Self::Set(at, value) => der[at.index(whole)] = *value,
            Self::Flip(at, bit) => der[at.index(whole)] ^= 1 << (bit % 8),
            Self::Cut(at) => der.truncate(at.index(whole)),
            Self::Remove(at, length) => drop(der.drain(span(at, *length))),
            Self::Insert(at, bytes) => drop(der.splice(span(at, 0), bytes.clone())),
            Self::Repeat(at, length) => {
                let piece = der[span(at, *length)].to_vec();
                drop(der.splice(span(at, 0), piece));
            }
        }
    }
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, value)| Change::Set(at, value)),
        4 => (any::<Index>(), any::<u8>()).prop_map(|(at, bit)| Change::Flip(at, bit)),
        1 => any::<Index>().prop_map(Change::Cut),
        1 => (any::<Index>(), 1..20_u8).prop_map(|(at, length)| Change::Remove(at, length)),
        1 => (any::<Index>(), proptest::collection::vec(any::<u8>(), 1..12))
            .prop_map(|(at, bytes)| Change::Insert(at, bytes)),
        1 => (any::<Index>(), 1..40_u8).prop_map(|(at, length)| Change::Repeat(at, length)),
    ]
}

/// Reads the bytes as everything, and looks at all that was read.
fn read_as_everything(der: &[u8]) {
    if let Ok(certificate) = Certificate::from_der(der) {
        look_at(&certificate);
    }
    if let Ok(csr) = Csr::from_der(der) {
        let _ = (
            csr.verify(),
            csr.basic_constraints(),
            csr.subject().to_string(),
            csr.signature_algorithm(),
        );
        assert_eq!(Csr::from_pem(csr.pem().as_bytes()).unwrap().der(), der);
    }
    if let Ok(crl) = Crl::from_der(der) {
        let listed: Vec<_> = crl.entries().collect();
        for entry in &listed {
            assert!(crl.find(&entry.serial).is_some());
        }
        let _ = (
            crl.number(),
            crl.delta_base(),
            crl.aki(),
            crl.issuer().to_string(),
            crl.next_update(),
        );
        assert_eq!(
            Crl::from_pem(crl.pem().as_bytes())
                .unwrap()
                .entries()
                .count(),
            listed.len()
        );
    }
    if let Ok(request) = OcspRequest::from_der(der) {
        ocsp::tests::answer_to(&request);
    }
    if let Ok(key) = PublicKey::from_spki_der(der) {
        let _ = (
            key.ski(),
            key.bits(),
            key.key_bits().len(),
            SignatureAlgorithm::choose(&key, 0, true),
        );
        for algorithm in SignatureAlgorithm::ALL {
            assert!(key.verify(algorithm, b"message", der).is_err());
        }
    }
    if let Ok(key) = PrivateKey::from_der(der) {
        let algorithm = algorithm(&key);
        let signature = key.sign(algorithm, b"message").unwrap();
        key.public_key()
            .verify(algorithm, b"message", &signature)
            .unwrap();
    }
    if let Ok(name) = Name::from_der(der) {
        let _ = (
            name.to_string(),
            Subject::from_name(&name),
            name.common_name(),
        );
    }
    let _ = SignatureAlgorithm::from_identifier(der);
    let _ = (
        Extension::list_from_der(der),
        KeyUsage::from_der(der),
        BasicConstraints::from_der(der),
    );
    let _ = (
        GeneralNames::from_der(der),
        NameConstraints::from_der(der),
        ext::authority_key_id(der),
    );
    let _ = (ext::distribution_point_uris(der), ext::access_uris(der));
    let _ = pem::blocks(der);
}

fn look_at(certificate: &Certificate) {
    let again = Certificate::from_pem(certificate.pem().as_bytes()).unwrap();
    assert_eq!(again.serial(), certificate.serial());
    let _ = (
        certificate.is_self_signed(),
        certificate.verify_issued_by(certificate),
        certificate.signature_algorithm(),
    );
    let _ = (
        certificate.subject().to_string(),
        certificate.issuer().rdns(),
        certificate.subject_alt_names(),
    );
    let _ = (
        certificate.crl_distribution_points(),
        certificate.authority_info_access(),
        certificate.name_constraints(),
    );
    let _ = (
        certificate.key_usage(),
        certificate.path_len(),
        certificate.ski(),
        certificate.aki(),
    );
    let inside: usize = certificate.extensions().map(|one| one.value.len()).sum();
    assert!(inside < certificate.tbs().len());
    for extension in certificate.extensions() {
        read_part(extension.value);
    }
}

fn read_part(der: &[u8]) {
    let _ = (
        KeyUsage::from_der(der),
        GeneralNames::from_der(der),
        NameConstraints::from_der(der),
    );
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn changed_samples_are_read_without_panic(
        which in any::<Index>(),
        changes in proptest::collection::vec(change(), 1..4),
    ) {
        let mut der = samples()[which.index(samples().len())].clone();
        changes.iter().for_each(|change| change.apply(&mut der));
        read_as_everything(&der);
    }

    #[test]
    fn any_bytes_are_read_without_panic(der in proptest::collection::vec(any::<u8>(), 0..200)) {
        read_as_everything(&der);
    }

    /// A part of a good value, taken for something else.
    #[test]
    fn pieces_of_samples_are_read_without_panic(which in any::<Index>(), start in any::<Index>()) {
        let sample = &samples()[which.index(samples().len())];
        read_as_everything(&sample[start.index(sample.len())..]);
    }
}

#[test]
fn every_sample_is_read_by_its_reader() {
    for der in samples() {
        let good = Certificate::from_der(der).is_ok()
            || Csr::from_der(der).is_ok()
            || Crl::from_der(der).is_ok()
            || OcspRequest::from_der(der).is_ok()
            || PublicKey::from_spki_der(der).is_ok()
            || PrivateKey::from_der(der).is_ok();
        assert!(good, "{:02x?}", &der[..16]);
    }
}

/// One flipped bit anywhere in the signed part must not leave a valid certificate of the same issuer.
#[test]
fn no_bit_of_a_certificate_can_change() {
    let root = root("root.example", "ec", 256);
    let leaf = leaf(&root, "a.example.com", root.key.public_key());
    for at in 0..leaf.der().len() {
        for bit in 0..8 {
            let mut der = leaf.der().to_vec();
            der[at] ^= 1 << bit;
            if let Ok(changed) = Certificate::from_der(&der) {
                assert!(
                    changed.verify_issued_by(&root.certificate).is_err(),
                    "octet {at} bit {bit}"
                );
            }
        }
    }
}

#[test]
fn enormous_lists_of_blocks_are_read_in_linear_time() {
    let open = "-----BEGIN A-----\n".repeat(50_000);
    assert!(pem::blocks(open.as_bytes()).is_empty());
    let mismatched = format!("{open}-----END B-----\n");
    assert!(pem::blocks(mismatched.as_bytes()).is_empty());
    let ends = "-----BEGIN A-----\n-----END B-----\n".repeat(50_000);
    assert!(pem::blocks(ends.as_bytes()).is_empty());
}
