//! What of the certificates between a trust anchor and a node a quantum computer could not forge, for an auditor.
//!
//! RSA and elliptic curves fall to Shor's algorithm, whatever their size; of the keys that Roles Anywhere takes, those of ML-DSA
//! (FIPS 204) do not. What is not known here counts as what falls.

use std::collections::HashSet;

use landfast_pki::{Certificate, KeyType, PublicKey, SignatureAlgorithm};
use serde::Serialize;

/// Where a certificate stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Place {
    /// In the trust anchor: it is trusted as it is, and nobody looks at its signature.
    Anchor,
    /// Between the anchor and the node, and not in the anchor.
    Chain,
    /// The node's own.
    Node,
}

impl Place {
    /// The name in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Anchor => "anchor",
            Self::Chain => "chain",
            Self::Node => "node",
        }
    }
}

/// A certificate, with its two algorithms.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audited {
    /// Where it stands.
    pub place: Place,
    /// Its subject.
    pub subject: String,
    /// Its serial number, in pairs of hexadecimal digits with colons.
    pub serial_number: String,
    /// Its end, in RFC 3339.
    pub not_after: String,
    /// Its key, such as `P-256`, `RSA 2048` or `ML-DSA-65`.
    pub key: String,
    /// Whether the key is post-quantum.
    pub key_is_post_quantum: bool,
    /// By which algorithm it was signed, such as `ECDSA-SHA256` or `ML-DSA-65`.
    pub signature: String,
    /// Whether the signature is post-quantum.
    pub signature_is_post_quantum: bool,
    /// Its length as DER, in octets.
    pub octets: usize,
    /// Whether it can be relied on: its key is post-quantum, and so is its signature, where somebody looks at that.
    pub post_quantum: bool,
}

impl Audited {
    /// What is to be said of a certificate in this place.
    pub fn of(place: Place, certificate: &Certificate) -> Self {
        let public = certificate.public_key();
        let key_is_post_quantum = public.key_type() == KeyType::MlDsa;
        let signature = certificate.signature_algorithm().ok();
        let signature_is_post_quantum = matches!(signature, Some(SignatureAlgorithm::MlDsa(_)));
        Self {
            place,
            subject: certificate.subject().to_string(),
            serial_number: certificate.serial().colon(),
            not_after: certificate.not_after().to_string(),
            key: key_name(public),
            key_is_post_quantum,
            signature: signature
                .map_or(UNKNOWN, SignatureAlgorithm::display_name)
                .to_owned(),
            signature_is_post_quantum,
            octets: certificate.der().len(),
            post_quantum: key_is_post_quantum
                && (signature_is_post_quantum || place == Place::Anchor),
        }
    }
}

/// What was said of all of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Audit {
    /// Whether there were any, and each is post-quantum: one CA of another kind in the anchor is enough for a forger.
    pub all: bool,
    /// Those of the anchor first, the node's last; each once.
    pub certificates: Vec<Audited>,
}

impl Audit {
    /// Looks at the anchor's certificates, a chain, and the node's.
    pub fn of(anchor: &[Certificate], chain: &[Certificate], node: Option<&Certificate>) -> Self {
        let mut seen = HashSet::new();
        let certificates: Vec<_> = [
            (Place::Anchor, anchor),
            (Place::Chain, chain),
            (Place::Node, node.map_or(&[], std::slice::from_ref)),
        ]
        .into_iter()
        .flat_map(|(place, those)| those.iter().map(move |one| (place, one)))
        .filter(|(_, one)| seen.insert(one.der()))
        .map(|(place, one)| Audited::of(place, one))
        .collect();
        Self {
            all: !certificates.is_empty() && certificates.iter().all(|one| one.post_quantum),
            certificates,
        }
    }
}

/// What stands for an algorithm that is not known here.
const UNKNOWN: &str = "unknown";

fn key_name(key: &PublicKey) -> String {
    let bits = key.bits();
    match key.key_type() {
        KeyType::Rsa => format!("RSA {bits}"),
        KeyType::Ec => format!("P-{bits}"),
        KeyType::Ed25519 => "Ed25519".to_owned(),
        KeyType::MlDsa => format!("ML-DSA-{bits}"),
        KeyType::Other => UNKNOWN.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(name: &str) -> Certificate {
        let path = format!("../node/tests/data/pki/{name}");
        Certificate::from_pem(&std::fs::read(path).unwrap()).unwrap()
    }

    #[test]
    fn keys_and_signatures_are_told_by_their_names() {
        for (name, key, signature) in [
            ("rsa-leaf.crt", ("RSA 2048", false), ("SHA256-RSA", false)),
            ("ec-leaf.crt", ("P-256", false), ("ECDSA-SHA256", false)),
            (
                "mldsa44-leaf.crt",
                ("ML-DSA-44", true),
                ("SHA256-RSA", false),
            ),
            ("bad/leaf-sha1.crt", ("RSA 2048", false), ("unknown", false)),
        ] {
            let found = Audited::of(Place::Node, &read(name));
            let told = (found.key.as_str(), found.key_is_post_quantum);
            assert_eq!(told, key, "{name}");
            let told = (found.signature.as_str(), found.signature_is_post_quantum);
            assert_eq!(told, signature, "{name}");
            // Whoever forges the signature needs no key.
            assert!(!found.post_quantum, "{name}");
        }
    }

    #[test]
    fn one_of_another_kind_is_enough_for_a_forger() {
        let (old, new) = (read("rsa-int.crt"), read("mldsa44-leaf.crt"));
        let all = |anchor: &[Certificate]| Audit::of(anchor, &[], None).all;
        assert!(all(std::slice::from_ref(&new)));
        assert!(!all(&[new.clone(), old.clone()]));
        assert!(!all(&[]), "nothing is not post-quantum");
        // What the node sends and the anchor has is told once, as the anchor's.
        let audit = Audit::of(std::slice::from_ref(&old), &[old.clone(), new], None);
        let places: Vec<_> = audit.certificates.iter().map(|one| one.place).collect();
        assert_eq!(places, [Place::Anchor, Place::Chain]);
    }
}
