//! The chain of every issuer of a mount, from all of its issuers.
//!
//! A chain starts with the issuer itself and goes upwards as far as the mount knows (OpenBao pki: `ca_chain`). Who is
//! whose parent is settled by verified signatures, not by names alone, so that two authorities of one name with
//! different keys stay apart. Issuers are visited in descending order of their ids, which makes the result the same
//! on every rebuild. The order is that of the built-in engine, but for one thing: a self-issued certificate whose
//! authority is there cross-signed as well goes to the end.

use std::collections::HashMap;
use std::hash::Hash;

use crate::Certificate;
use crate::ext::KeyUsage;

pub use self::signatures::Signatures;

mod order;
mod signatures;

/// The chain of each issuer as a list of ids, its own first.
pub fn build<I: Clone + Ord + Hash>(issuers: &[(I, Certificate)]) -> HashMap<I, Vec<I>> {
    build_with(issuers, &HashMap::new(), &Signatures::default())
}

/// Like [`build`], but the chains in `manual` are taken as they are, and so are the parents' chains that come from
/// them. Ids in a manual chain that are no issuers any more are left out. What is known of signatures is not found out
/// again.
pub fn build_with<I: Clone + Ord + Hash>(
    issuers: &[(I, Certificate)],
    manual: &HashMap<I, Vec<I>>,
    signatures: &Signatures,
) -> HashMap<I, Vec<I>> {
    ordered(issuers, manual, signatures, true)
}

/// As [`build_with`]; without `crosses_first` the order is the built-in engine's to the last.
pub(crate) fn ordered<I: Clone + Ord + Hash>(
    issuers: &[(I, Certificate)],
    manual: &HashMap<I, Vec<I>>,
    signatures: &Signatures,
    crosses_first: bool,
) -> HashMap<I, Vec<I>> {
    let mut sorted: Vec<&(I, Certificate)> = issuers.iter().collect();
    sorted.sort_by(|left, right| right.0.cmp(&left.0));
    let index: HashMap<&I, usize> = sorted
        .iter()
        .enumerate()
        .map(|(at, (id, _))| (id, at))
        .collect();
    let manual = |at: usize| -> Option<Vec<usize>> {
        let chain = manual
            .get(&sorted[at].0)
            .filter(|chain| !chain.is_empty())?;
        Some(
            chain
                .iter()
                .filter_map(|id| index.get(id).copied())
                .collect(),
        )
    };
    let certificates: Vec<&Certificate> =
        sorted.iter().map(|(_, certificate)| certificate).collect();
    let twins = twins(&certificates);
    let manual: Vec<_> = (0..sorted.len()).map(manual).collect();
    let graph = order::Graph::new(parents(&certificates, signatures), twins);
    let mut chains = graph.chains(|at| manual[at].clone());
    if crosses_first {
        for (at, chain) in chains.iter_mut().enumerate() {
            let by_hand = chain.iter().any(|one| manual[*one].is_some());
            if manual[at].is_none() && !by_hand {
                put_crosses_first(chain, &certificates);
            }
        }
    }
    let named = chains.into_iter().enumerate().map(|(at, chain)| {
        let ids = chain.into_iter().map(|one| sorted[one].0.clone()).collect();
        (sorted[at].0.clone(), ids)
    });
    named.collect()
}

/// The indexes of each certificate's parents: self-issued ones first, then in the given order.
fn parents(certificates: &[&Certificate], signatures: &Signatures) -> Vec<Vec<usize>> {
    let mut by_subject: HashMap<&[u8], Vec<usize>> = HashMap::new();
    for (at, certificate) in certificates.iter().enumerate() {
        by_subject
            .entry(certificate.subject().der())
            .or_default()
            .push(at);
    }
    let of = |(at, child): (usize, &&Certificate)| {
        let named = by_subject
            .get(child.issuer().der())
            .map(Vec::as_slice)
            .unwrap_or_default();
        let may = |one: &usize| certificates[*one].may_sign(KeyUsage::CERT_SIGN).is_ok();
        let named: Vec<usize> = named.iter().copied().filter(may).collect();
        let candidates: Vec<&Certificate> = named.iter().map(|one| certificates[*one]).collect();
        let signers = signatures.signers(child, &candidates).into_iter();
        let mut signers: Vec<usize> = signers
            .map(|one| named[one])
            .filter(|one| *one != at)
            .collect();
        signers.sort_by_key(|one| !certificates[*one].is_self_issued());
        signers
    };
    certificates.iter().enumerate().map(of).collect()
}

/// A number for each self-issued certificate; those of one name and key have the same.
fn twins(certificates: &[&Certificate]) -> Vec<Option<usize>> {
    let mut known = HashMap::new();
    let of = |(at, one): (usize, &&Certificate)| {
        let key = (
            one.subject().der().to_vec(),
            one.public_key().spki_der().to_vec(),
        );
        one.is_self_issued()
            .then(|| *known.entry(key).or_insert(at))
    };
    certificates.iter().enumerate().map(of).collect()
}

/// Moves the self-issued certificates of authorities that are there cross-signed as well to the end of the chain, unless one is its head.
///
/// A client that trusts only the old root must be led to the cross-signed certificate: OpenSSL takes the first certificate that could have signed
/// the one before, and ends at a self-signed one that it does not trust. One that trusts the new root finds that in its own store.
fn put_crosses_first(chain: &mut Vec<usize>, certificates: &[&Certificate]) {
    let crossed = |one: &Certificate| {
        one.is_self_issued()
            && chain.iter().any(|other| {
                let other = certificates[*other];
                !other.is_self_issued()
                    && other.subject() == one.subject()
                    && other.public_key() == one.public_key()
            })
    };
    let Some((head, rest)) = chain.split_first() else {
        return;
    };
    let (last, first): (Vec<usize>, Vec<usize>) =
        rest.iter().partition(|one| crossed(certificates[**one]));
    *chain = [&[*head][..], &first, &last].concat();
}

#[cfg(test)]
mod tests;
