//! Who signed what, found out once.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::{Certificate, PublicKey};

/// Pairs that are remembered at most; then all of them are forgotten.
const MOST: usize = 1 << 16;

/// Remembers which keys signed which certificates, for as long as the same certificates are looked at again and again.
///
/// A certificate was signed by one key. So the search for its signer ends with the first key that verifies it, and begins with the one that the
/// authority key identifier names (RFC 5280 section 4.2.1.1): among many authorities of one name it is found with one check.
#[derive(Debug, Default)]
pub struct Signatures {
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// By the fingerprint of the certificate and that of the key.
    pairs: HashMap<([u8; 32], [u8; 32]), bool>,
    checks: u64,
}

impl Signatures {
    /// Which of `candidates` have the key that signed `child`, as positions in their order. Names and usages are the caller's to check.
    pub fn signers(&self, child: &Certificate, candidates: &[&Certificate]) -> Vec<usize> {
        if candidates.is_empty() {
            return Vec::new();
        }
        let named =
            |candidate: &Certificate| child.aki().is_some() && child.aki() == candidate.ski();
        let (first, then): (Vec<usize>, Vec<usize>) =
            (0..candidates.len()).partition(|at| named(candidates[*at]));
        let fingerprint = child.fingerprint();
        let mut refuted: Vec<&[u8]> = Vec::new();
        for at in first.into_iter().chain(then) {
            let key = candidates[at].public_key();
            if refuted.contains(&key.spki_der()) {
                continue;
            }
            if self.holds(&fingerprint, child, key) {
                let spki = key.spki_der();
                let same = |at: &usize| candidates[*at].public_key().spki_der() == spki;
                return (0..candidates.len()).filter(same).collect();
            }
            refuted.push(key.spki_der());
        }
        Vec::new()
    }

    /// How many signatures were checked so far.
    pub fn checks(&self) -> u64 {
        self.known().checks
    }

    fn holds(&self, fingerprint: &[u8; 32], child: &Certificate, key: &PublicKey) -> bool {
        let pair = (*fingerprint, landfast_base::sha256(key.spki_der()));
        if let Some(known) = self.known().pairs.get(&pair) {
            return *known;
        }
        // Without the lock: this is what takes its time.
        let holds = child.verify_signed_by(key).is_ok();
        let mut known = self.known();
        known.checks += 1;
        if known.pairs.len() >= MOST {
            known.pairs.clear();
        }
        known.pairs.insert(pair, holds);
        holds
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing;

    #[test]
    fn among_many_of_one_name_a_signer_is_found_with_one_check_and_once() {
        let roots: Vec<Certificate> = (0..40)
            .map(|_| testing::root("root.example", "ec", 256).certificate)
            .collect();
        let all: Vec<&Certificate> = roots.iter().collect();
        let signatures = Signatures::default();
        for (at, root) in roots.iter().enumerate() {
            assert_eq!(signatures.signers(root, &all), [at]);
        }
        assert_eq!(signatures.checks(), 40);
        for (at, root) in roots.iter().enumerate() {
            assert_eq!(signatures.signers(root, &all), [at]);
        }
        assert_eq!(signatures.checks(), 40);
    }

    #[test]
    fn a_certificate_of_an_unknown_signer_is_refuted_once_a_key() {
        let (root, other) = (
            testing::root("root.example", "ec", 256),
            testing::root("root.example", "ec", 256),
        );
        let low = testing::root("low", "ec", 256);
        let low = testing::subordinate(&root, "low", low.key.public_key());
        let again = testing::subordinate(&other, "root.example", other.key.public_key());
        let signatures = Signatures::default();
        let others = [&other.certificate, &again];
        for _ in 0..3 {
            assert!(signatures.signers(&low, &others).is_empty());
        }
        assert_eq!(signatures.checks(), 1, "both have one key");
        assert_eq!(signatures.signers(&again, &others), [0, 1]);
    }
}
