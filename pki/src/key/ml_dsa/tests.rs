use ml_dsa::{ExpandedSigningKey, MlDsa44, MlDsa65, MlDsa87, MlDsaParams};
use proptest::prelude::*;

use super::*;
use crate::asn1::Writer;
use crate::{KeyEncoding, KeySpec, PrivateKey, PublicKey, SignatureAlgorithm, Signer, digest_for};

/// PKCS#8 around `private`, which holds a private key, with `parameters` after the identifier.
fn pkcs8(set: MlDsa, parameters: &[u8], private: impl FnOnce(&mut Writer)) -> Vec<u8> {
    asn1::encode(|w| {
        w.sequence(|w| {
            w.number(0);
            w.sequence(|w| {
                w.oid(&set.oid());
                w.raw(parameters);
            });
            w.nested(asn1::OCTET_STRING, private);
        });
    })
}

fn seed_alone(seed: &[u8]) -> impl FnOnce(&mut Writer) {
    move |w| w.tlv(SEED_ALONE, seed)
}

fn both(seed: &[u8], expanded: &[u8]) -> impl FnOnce(&mut Writer) {
    move |w| {
        w.sequence(|w| {
            w.octet_string(seed);
            w.octet_string(expanded);
        });
    }
}

/// The expanded form of the key of this seed, as the library writes it.
fn expanded(set: MlDsa, seed: &[u8]) -> Vec<u8> {
    KeyPair::from_ml_dsa_seed(set, seed)
        .unwrap()
        .expanded()
        .unwrap()
        .expose()
        .clone()
}

fn refusal(der: &[u8]) -> String {
    PrivateKey::from_der(der).unwrap_err().to_string()
}

/// Made by OpenBao 2.7.2 (`tests/data/openbao-2.7.2`): the private key of each has the public half of its certificate.
#[test]
fn the_seed_alone_is_read_and_written() {
    for set in MlDsa::ALL {
        let seed = [7; SEED];
        let der = pkcs8(set, &[], seed_alone(&seed));
        let key = PrivateKey::from_der(&der).unwrap();
        assert_eq!(key.public_key().ml_dsa(), Some(set));
        assert_eq!(key.public_key().bits(), set.bits());
        assert_eq!(key.public_key().key_bits().len(), set.public_octets());
        for encoding in [KeyEncoding::Traditional, KeyEncoding::Pkcs8] {
            assert_eq!(key.to_der(encoding).unwrap().expose(), &der, "{set}");
            assert_eq!(key.pem_label(encoding), "PRIVATE KEY");
        }
    }
}

#[test]
fn a_seed_with_its_expanded_key_is_read_and_written_as_the_seed() {
    for set in MlDsa::ALL {
        let seed = [9; SEED];
        let expanded = expanded(set, &seed);
        let key = PrivateKey::from_der(&pkcs8(set, &[], both(&seed, &expanded))).unwrap();
        let alone = pkcs8(set, &[], seed_alone(&seed));
        assert_eq!(
            key.to_der(KeyEncoding::Traditional).unwrap().expose(),
            &alone
        );

        let said = refusal(&pkcs8(set, &[], both(&[8; SEED], &expanded)));
        assert!(said.contains("is not that of the seed"), "{said}");
        let mut wrong = expanded.clone();
        *wrong.last_mut().unwrap() ^= 1;
        let said = refusal(&pkcs8(set, &[], both(&seed, &wrong)));
        assert!(said.contains("is not that of the seed"), "{said}");
        let said = refusal(&pkcs8(set, &[], |w| w.octet_string(&expanded)));
        assert!(said.contains("without its seed"), "{said}");
    }
}

/// Each of these is refused by OpenBao 2.7.2 as well.
#[test]
fn what_is_no_key_is_refused() {
    let set = MlDsa::MlDsa44;
    let seed = [7; SEED];
    for (der, why) in [
        (
            pkcs8(set, &[], seed_alone(&seed[..31])),
            "a seed of 32 octets",
        ),
        (pkcs8(set, &[], seed_alone(&[7; 33])), "a seed of 32 octets"),
        (pkcs8(set, &[], seed_alone(&[])), "a seed of 32 octets"),
        (pkcs8(set, &[], |w| w.raw(&seed)), "a seed of 32 octets"),
        (pkcs8(set, &[], |_| ()), "a seed of 32 octets"),
        (
            pkcs8(set, &[], |w| {
                w.tlv(SEED_ALONE, &seed);
                w.raw(&[0]);
            }),
            "a seed of 32 octets",
        ),
        (
            pkcs8(set, &[], |w| w.octet_string(&seed)),
            "without its seed",
        ),
        (
            pkcs8(set, &[asn1::NULL, 0], seed_alone(&seed)),
            "no parameters",
        ),
    ] {
        let said = refusal(&der);
        assert!(said.contains(why), "{why}: {said}");
    }
}

#[test]
fn public_keys_have_their_length_and_no_parameters() {
    let spki = |set: MlDsa, parameters: &[u8], octets: usize| {
        asn1::encode(|w| {
            w.sequence(|w| {
                w.sequence(|w| {
                    w.oid(&set.oid());
                    w.raw(parameters);
                });
                w.bit_string(&vec![0x78; octets]);
            });
        })
    };
    for set in MlDsa::ALL {
        let right = set.public_octets();
        let key = PublicKey::from_spki_der(&spki(set, &[], right)).unwrap();
        assert_eq!(key.ml_dsa(), Some(set));
        assert!(key.is_portable());
        assert_eq!(key.unusable(), None);
        for octets in [0, 32, right - 1, right + 1] {
            assert!(
                PublicKey::from_spki_der(&spki(set, &[], octets)).is_err(),
                "{set} {octets}"
            );
        }
        let said = PublicKey::from_spki_der(&spki(set, &[asn1::NULL, 0], right)).unwrap_err();
        assert!(said.to_string().contains("no parameters"), "{said}");
        for other in MlDsa::ALL.into_iter().filter(|other| *other != set) {
            assert!(PublicKey::from_spki_der(&spki(other, &[], right)).is_err());
        }
    }
}

#[test]
fn a_set_signs_and_verifies_for_itself_alone() {
    for set in MlDsa::ALL {
        let key = KeyPair::from_ml_dsa_seed(set, &[1; SEED]).unwrap();
        let own = SignatureAlgorithm::MlDsa(set);
        let (one, two) = (
            key.sign(own, b"text").unwrap(),
            key.sign(own, b"text").unwrap(),
        );
        assert_eq!(one.len(), set.signature_octets());
        assert_ne!(one, two, "signatures are hedged (FIPS 204 section 3.4)");
        let public = PrivateKey::from_der(&pkcs8(set, &[], seed_alone(&[1; SEED]))).unwrap();
        let public = Signer::public_key(&public).clone();
        assert_eq!(public.verify(own, b"text", &one), Ok(()));
        assert_eq!(public.verify(own, b"text", &two), Ok(()));
        for wrong in [
            &one[..one.len() - 1],
            &[&one[..], &[0]].concat(),
            &[],
            &vec![0; 70_000],
        ] {
            let refused = public.verify(own, b"text", wrong);
            assert_eq!(refused, Err(Error::BadSignature), "{}", wrong.len());
        }
        for other in MlDsa::ALL.into_iter().filter(|other| *other != set) {
            let other = SignatureAlgorithm::MlDsa(other);
            assert_eq!(
                public.verify(other, b"text", &one),
                Err(Error::BadSignature)
            );
            let said = key.sign(other, b"text").unwrap_err().to_string();
            assert_eq!(
                said,
                format!("unable to use issuer of type ML-DSA to sign with {other} key type")
            );
        }
    }
}

#[test]
fn names_and_numbers_are_those_of_the_built_in_engine() {
    for (set, name, shown, number) in [
        (MlDsa::MlDsa44, "MLDSA44", "ML-DSA-44", 17),
        (MlDsa::MlDsa65, "MLDSA65", "ML-DSA-65", 18),
        (MlDsa::MlDsa87, "MLDSA87", "ML-DSA-87", 19),
    ] {
        let algorithm = SignatureAlgorithm::MlDsa(set);
        assert_eq!(algorithm.name(), name);
        assert_eq!(
            SignatureAlgorithm::from_name(&name.to_lowercase()),
            Some(algorithm)
        );
        assert_eq!(SignatureAlgorithm::from_name(shown), None);
        assert_eq!(algorithm.display_name(), shown);
        assert_eq!(set.to_string(), shown);
        assert_eq!(algorithm.storage_number(), number);
        assert_eq!(
            SignatureAlgorithm::from_storage_number(number),
            Some(algorithm)
        );
        assert_eq!(
            SignatureAlgorithm::from_identifier(algorithm.identifier()),
            Ok(algorithm)
        );
        // With parameters it is another algorithm (RFC 9881 section 2).
        let with_null = asn1::encode(|w| {
            w.sequence(|w| {
                w.oid(&set.oid());
                w.raw(&[asn1::NULL, 0]);
            });
        });
        assert!(SignatureAlgorithm::from_identifier(&with_null).is_err());
    }
}

/// A signature over the representative, by code of others, is one over the message.
#[test]
fn a_signature_over_the_representative_is_one_over_the_message() {
    fn signature<P: MlDsaParams>(seed: &[u8], mu: &[u8]) -> Vec<u8> {
        let key = ExpandedSigningKey::<P>::from_seed(seed.try_into().unwrap());
        let signature = key.sign_mu_deterministic(mu.try_into().unwrap());
        signature.encode().to_vec()
    }
    for set in MlDsa::ALL {
        let key = PrivateKey::generate(KeySpec::parse("mldsa", set.bits()).unwrap()).unwrap();
        let der = key.to_der(KeyEncoding::Pkcs8).unwrap();
        let seed = &der.expose()[der.expose().len() - 32..];
        let algorithm = SignatureAlgorithm::MlDsa(set);
        for message in [&b""[..], b"message", &[7; 100_000]] {
            let mu = digest_for(algorithm, key.public_key(), message).unwrap();
            let signature = match set {
                MlDsa::MlDsa44 => signature::<MlDsa44>(seed, &mu),
                MlDsa::MlDsa65 => signature::<MlDsa65>(seed, &mu),
                MlDsa::MlDsa87 => signature::<MlDsa87>(seed, &mu),
            };
            assert_eq!(
                key.public_key().verify(algorithm, message, &signature),
                Ok(())
            );
        }
        let other = MlDsa::ALL.into_iter().find(|other| *other != set).unwrap();
        assert_eq!(
            digest_for(SignatureAlgorithm::MlDsa(other), key.public_key(), b""),
            None
        );
    }
}

proptest! {
    /// Whatever is enclosed, it is a key of the same seed or refused.
    #[test]
    fn any_octets_are_read_or_refused(octets in proptest::collection::vec(any::<u8>(), 0..80), which in 0..3_usize) {
        let set = MlDsa::ALL[which];
        for der in [
            pkcs8(set, &[], |w| w.raw(&octets)),
            pkcs8(set, &[], seed_alone(&octets)),
            pkcs8(set, &[], both(&octets, &octets)),
        ] {
            if let Ok(key) = PrivateKey::from_der(&der) {
                prop_assert_eq!(octets.len(), SEED);
                let written = key.to_der(KeyEncoding::Pkcs8).unwrap();
                prop_assert_eq!(written.expose(), &der);
            }
        }
    }
}
