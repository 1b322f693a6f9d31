use super::*;
use crate::sign::Hash;

fn specs() -> [KeySpec; 9] {
    [
        ("ec", 224),
        ("ec", 256),
        ("ec", 384),
        ("ec", 521),
        ("ed25519", 0),
        ("mldsa", 44),
        ("mldsa", 65),
        ("mldsa", 87),
        ("rsa", 2048),
    ]
    .map(|(kind, bits)| KeySpec::parse(kind, bits).unwrap())
}

#[test]
fn sizes_are_checked_in_the_words_of_the_built_in_engine() {
    let text = |kind, bits| KeySpec::parse(kind, bits).unwrap_err().to_string();
    assert_eq!(
        text("rsa", 1024),
        "RSA keys < 2048 bits are unsafe and not supported: got 1024"
    );
    assert_eq!(
        text("rsa", 2049),
        "unsupported bit length for RSA key: 2049"
    );
    assert_eq!(text("ec", 512), "unsupported bit length for EC key: 512");
    assert_eq!(KeySpec::parse("ec", 224).unwrap().bits, 224);
    assert_eq!(text("foo", 0), "unknown key type foo");
    assert_eq!(
        text("mldsa", 64),
        "unsupported bit length for ML-DSA key: 64"
    );
    for (bits, set) in [(0, 44), (44, 44), (65, 65), (87, 87)] {
        assert_eq!(KeySpec::parse("mldsa", bits).unwrap().bits, set);
    }
    assert_eq!(
        KeySpec::parse("rsa", 0),
        Ok(KeySpec {
            kind: KeyType::Rsa,
            bits: 2048
        })
    );
    assert_eq!(
        KeySpec::parse("ec", 0),
        Ok(KeySpec {
            kind: KeyType::Ec,
            bits: 256
        })
    );
    assert_eq!(
        KeySpec::parse("ed25519", 7),
        Ok(KeySpec {
            kind: KeyType::Ed25519,
            bits: 0
        })
    );
}

#[test]
fn every_key_survives_both_encodings() {
    for spec in specs() {
        let key = PrivateKey::generate(spec).unwrap();
        for encoding in [KeyEncoding::Traditional, KeyEncoding::Pkcs8] {
            let pem = key.to_pem(encoding).unwrap();
            let back = PrivateKey::from_pem(pem.expose().as_bytes()).unwrap();
            assert_eq!(back.public_key(), key.public_key());
            assert_eq!(
                back.to_der(encoding).unwrap().expose(),
                key.to_der(encoding).unwrap().expose()
            );
        }
        let public = PublicKey::from_spki_der(key.public_key().spki_der()).unwrap();
        assert_eq!(&public, key.public_key());
        assert_eq!(
            PublicKey::from_pem(key.public_key().to_pem().as_bytes()).unwrap(),
            public
        );
    }
}

#[test]
fn signatures_verify_with_their_key_only() {
    let keys: Vec<PrivateKey> = specs()
        .map(|spec| PrivateKey::generate(spec).unwrap())
        .into();
    for key in &keys {
        let algorithms = SignatureAlgorithm::ALL
            .into_iter()
            .filter(|one| one.fits(key.public_key()).is_ok());
        let mut made = 0;
        for algorithm in algorithms {
            made += 1;
            let signature = key.sign(algorithm, b"message").unwrap();
            key.public_key()
                .verify(algorithm, b"message", &signature)
                .unwrap();
            assert_eq!(
                key.public_key().verify(algorithm, b"massage", &signature),
                Err(Error::BadSignature)
            );
            for other in keys
                .iter()
                .filter(|other| other.public_key() != key.public_key())
            {
                assert!(
                    other
                        .public_key()
                        .verify(algorithm, b"message", &signature)
                        .is_err()
                );
            }
        }
        assert_eq!(
            made,
            if key.public_key().key_type() == KeyType::Rsa {
                6
            } else {
                1
            }
        );
        for algorithm in SignatureAlgorithm::ALL {
            assert_eq!(
                key.sign(algorithm, b"m").is_ok(),
                algorithm.fits(key.public_key()).is_ok()
            );
        }
    }
}

#[test]
fn an_ec_key_keeps_the_hash_of_its_curve() {
    let key = PrivateKey::generate(KeySpec {
        kind: KeyType::Ec,
        bits: 256,
    })
    .unwrap();
    let chosen = SignatureAlgorithm::choose(key.public_key(), 512, false).unwrap();
    assert_eq!(chosen.algorithm, SignatureAlgorithm::Ecdsa(Hash::Sha256));
    assert_eq!(
        chosen.warning.as_deref(),
        Some("signature_bits 512 was not used: a key on P-256 signs with ECDSA-SHA256")
    );
    for bits in [0, 256] {
        assert_eq!(
            SignatureAlgorithm::choose(key.public_key(), bits, true)
                .unwrap()
                .warning,
            None
        );
    }
    let refused = SignatureAlgorithm::choose(key.public_key(), 1, false).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "unsupported hash signature algorithm: 1"
    );
}

#[test]
fn debug_output_shows_no_key() {
    let key = PrivateKey::generate(KeySpec {
        kind: KeyType::Ec,
        bits: 256,
    })
    .unwrap();
    assert_eq!(format!("{key:?}"), "PrivateKey(ec 256)");
}

#[test]
fn a_point_off_the_curve_is_refused() {
    let key = PrivateKey::generate(KeySpec {
        kind: KeyType::Ec,
        bits: 256,
    })
    .unwrap();
    let mut spki = key.public_key().spki_der().to_vec();
    *spki.last_mut().unwrap() ^= 1;
    assert!(PublicKey::from_spki_der(&spki).is_err());
    let start = spki.len() - 65;
    spki[start] = 2;
    assert!(PublicKey::from_spki_der(&spki).is_err());
}

#[test]
fn short_and_long_ec_scalars_are_read() {
    // The scalar 1, once in one octet and once behind more zeros than the field has.
    for zeros in [0, 40] {
        let mut scalar = vec![0; zeros];
        scalar.push(1);
        let der = asn1::encode(|w| {
            w.sequence(|w| {
                w.number(1);
                w.octet_string(&scalar);
                w.nested(asn1::context_constructed(0), |w| w.oid(&Curve::P256.oid()));
            });
        });
        let key = PrivateKey::from_der(&der).unwrap();
        assert!(
            key.public_key()
                .key_bits()
                .starts_with(&[4, 0x6b, 0x17, 0xd1, 0xf2]),
            "the base point of P-256"
        );
    }
}

#[test]
fn keys_of_other_kinds_are_told_apart() {
    let der = asn1::encode(|w| {
        w.sequence(|w| {
            w.sequence(|w| {
                w.oid(&EC_PUBLIC_KEY);
                w.oid(&Oid::new_unwrap("1.3.132.0.10"));
            });
            w.bit_string(&[4; 65]);
        });
    });
    let key = PublicKey::from_spki_der(&der).unwrap();
    assert_eq!((key.key_type(), key.bits()), (KeyType::Other, 0));
    assert!(
        key.verify(SignatureAlgorithm::Ecdsa(Hash::Sha256), b"", b"")
            .is_err()
    );
    assert!(SignatureAlgorithm::choose(&key, 0, false).is_err());
    assert!(
        PrivateKey::from_pem(
            b"-----BEGIN ENCRYPTED PRIVATE KEY-----\nAQID\n-----END ENCRYPTED PRIVATE KEY-----\n"
        )
        .unwrap_err()
        .to_string()
        .contains("encrypted")
    );
}

#[test]
fn larger_rsa_keys_have_the_size_asked_for() {
    let key = PrivateKey::generate(KeySpec::parse("rsa", 3072).unwrap()).unwrap();
    assert_eq!(
        (key.public_key().key_type(), key.public_key().bits()),
        (KeyType::Rsa, 3072)
    );
}

/// Made by openssl 3.0; OpenBao keeps such keys.
#[test]
fn a_key_on_p224_of_others_is_read_and_signs() {
    let key = PrivateKey::from_pem(include_bytes!("../testing/p224.key")).unwrap();
    assert_eq!(key.public_key().curve(), Some(Curve::P224));
    assert_eq!(key.public_key().bits(), 224);
    let algorithm = SignatureAlgorithm::Ecdsa(Hash::Sha256);
    let signature = key.sign(algorithm, b"message").unwrap();
    let public = key.public_key();
    assert_eq!(public.verify(algorithm, b"message", &signature), Ok(()));
    let refused = public.verify(algorithm, b"massage", &signature);
    assert_eq!(refused, Err(Error::BadSignature));
    for encoding in [KeyEncoding::Traditional, KeyEncoding::Pkcs8] {
        let again = PrivateKey::from_der(key.to_der(encoding).unwrap().expose()).unwrap();
        assert_eq!(again.public_key(), public);
    }
    assert_eq!(key.pem_label(KeyEncoding::Traditional), "EC PRIVATE KEY");
    let other = SignatureAlgorithm::Ecdsa(Hash::Sha384);
    assert!(key.sign(other, b"message").is_err());
}
