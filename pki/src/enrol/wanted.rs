//! What a server wants to find in requests: the CsrAttrs of EST (RFC 7030 section 4.5.2).

use crate::asn1::{self, Writer};
use crate::ext;
use crate::key::{EC_PUBLIC_KEY, ED25519, KeySpec, KeyType, MlDsa, RSA_ENCRYPTION};
use crate::{Curve, Oid};

/// One wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Wanted {
    /// An attribute, or an algorithm to sign the request with.
    Object(Oid),
    /// The kind and size of the key. Where the size cannot be said (Ed25519), it is only the algorithm.
    Key(KeySpec),
    /// Extensions to ask for.
    Extensions(Vec<Oid>),
}

impl Wanted {
    /// The DER of a list of wishes, in the order given.
    ///
    /// An extension is named as RFC 8951 section 3.2 has it: in one extensionRequest attribute, by an Extension whose value is empty, since it is
    /// the client that knows the value (RFC 9908 section 3.2).
    pub fn list_to_der(wanted: &[Self]) -> Vec<u8> {
        asn1::encode(|w| w.sequence(|w| wanted.iter().for_each(|one| one.write(w))))
    }

    fn write(&self, w: &mut Writer) {
        match self {
            Self::Object(oid) => w.oid(oid),
            Self::Key(key) => write_key(w, *key),
            Self::Extensions(oids) => attribute(w, &EXTENSION_REQUEST, |w| {
                w.sequence(|w| {
                    for oid in oids {
                        w.sequence(|w| {
                            w.oid(oid);
                            w.octet_string(&[]);
                        });
                    }
                });
            }),
        }
    }

    /// The alternative names of a certificate, as an extension to ask for.
    pub fn alternative_names() -> Self {
        Self::Extensions(vec![ext::id::SUBJECT_ALT_NAME])
    }
}

const EXTENSION_REQUEST: Oid = Oid::new_unwrap("1.2.840.113549.1.9.14");

fn write_key(w: &mut Writer, key: KeySpec) {
    match key.kind {
        KeyType::Rsa => attribute(w, &RSA_ENCRYPTION, |w| w.number(key.bits.into())),
        KeyType::Ec => {
            let curve = Curve::from_bits(key.bits.into()).unwrap_or(Curve::P256);
            attribute(w, &EC_PUBLIC_KEY, |w| w.oid(&curve.oid()));
        }
        KeyType::Ed25519 => w.oid(&ED25519),
        KeyType::MlDsa => {
            let set = MlDsa::from_bits(key.bits.into()).unwrap_or(MlDsa::MlDsa44);
            w.oid(&set.oid());
        }
        // No spec that was read from text is of this kind.
        KeyType::Other => {}
    }
}

fn attribute(w: &mut Writer, oid: &Oid, value: impl FnOnce(&mut Writer)) {
    w.sequence(|w| {
        w.oid(oid);
        w.nested(asn1::SET, value);
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    fn parsed(wanted: &[Wanted]) -> String {
        let der = Wanted::list_to_der(wanted);
        let text = testing::openssl(&["asn1parse", "-inform", "DER"], &der);
        String::from_utf8(text).unwrap()
    }

    fn key(kind: &str, bits: i64) -> Wanted {
        Wanted::Key(KeySpec::parse(kind, bits).unwrap())
    }

    #[test]
    fn the_list_of_the_standard_s_example_is_its_octets() {
        // RFC 7030 section 4.5.2: challengePassword, an EC key on secp384r1, a MAC address to ask for, SHA-384 with ECDSA; the
        // extension in the form of RFC 8951.
        let oid = |text| Oid::new_unwrap(text);
        let wanted = [
            Wanted::Object(oid("1.2.840.113549.1.9.7")),
            key("ec", 384),
            Wanted::Object(oid("1.2.840.10045.4.3.3")),
        ];
        let hex: String = Wanted::list_to_der(&wanted)
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        assert_eq!(
            hex,
            "3029\
             06092a864886f70d010907\
             301206072a8648ce3d0201310706052b81040022\
             06082a8648ce3d040303"
                .replace(' ', "")
        );
    }

    #[test]
    fn each_kind_of_key_is_named_as_far_as_it_can_be() {
        let text = parsed(&[
            key("rsa", 3072),
            key("ec", 521),
            key("ed25519", 0),
            key("mldsa", 65),
        ]);
        for part in ["rsaEncryption", "INTEGER           :0C00", "secp521r1"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert!(text.contains("ED25519"), "{text}");
        assert!(text.contains("2.16.840.1.101.3.4.3.18"), "{text}");
    }

    #[test]
    fn extensions_are_asked_for_in_one_attribute_with_empty_values() {
        let text = parsed(&[Wanted::alternative_names()]);
        assert!(text.contains("Extension Request"), "{text}");
        assert!(text.contains("X509v3 Subject Alternative Name"), "{text}");
        assert!(text.contains("l=   0 prim: OCTET STRING"), "{text}");
    }

    #[test]
    fn no_wish_is_an_empty_sequence() {
        assert_eq!(Wanted::list_to_der(&[]), [0x30, 0]);
    }
}
