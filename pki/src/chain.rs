//! The chain of every issuer of a mount, from all of its issuers.
//!
//! A chain starts with the issuer itself and goes upwards as far as the mount knows (OpenBao pki: `ca_chain`). Who is
//! whose parent is settled by verified signatures, not by names alone, so that two authorities of one name with
//! different keys stay apart. Issuers are visited in descending order of their ids, which makes the result the same
//! on every rebuild. Where an issuer has several parents, self-issued ones go first, then cross-signed ones, each
//! followed by its own chain; nothing is there twice.

use std::collections::HashMap;
use std::hash::Hash;

use crate::Certificate;
use crate::ext::KeyUsage;

pub use self::signatures::Signatures;

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
    let graph = Graph {
        parents: parents(&certificates, signatures),
    };
    let chains = graph.chains(manual);
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

/// Issuers and who signed them. Cross-signing and reissuing with the same key make it cyclic.
struct Graph {
    parents: Vec<Vec<usize>>,
}

impl Graph {
    fn chains(&self, manual: impl Fn(usize) -> Option<Vec<usize>>) -> Vec<Vec<usize>> {
        let mut chains: Vec<Option<Vec<usize>>> = (0..self.parents.len()).map(manual).collect();
        // Components come parents first, so that the chains above a component are there when it is reached.
        for component in self.components() {
            let open: Vec<usize> = component
                .iter()
                .copied()
                .filter(|one| chains[*one].is_none())
                .collect();
            let made: Vec<Vec<usize>> = open
                .iter()
                .map(|one| self.chain(*one, &open, &chains))
                .collect();
            for (one, chain) in open.into_iter().zip(made) {
                chains[one] = Some(chain);
            }
        }
        chains.into_iter().map(Option::unwrap_or_default).collect()
    }

    /// One chain: the issuer, then depth first what signed it within its component, then what lies above.
    fn chain(
        &self,
        start: usize,
        component: &[usize],
        chains: &[Option<Vec<usize>>],
    ) -> Vec<usize> {
        let mut inside = Vec::new();
        let mut stack = vec![start];
        while let Some(one) = stack.pop() {
            if inside.contains(&one) {
                continue;
            }
            inside.push(one);
            let next = self.parents[one].iter().rev().copied();
            stack.extend(next.filter(|parent| component.contains(parent)));
        }
        let mut chain = inside.clone();
        for one in inside {
            let above = self.parents[one]
                .iter()
                .filter(|parent| !component.contains(parent));
            for ancestor in above
                .filter_map(|parent| chains[*parent].as_ref())
                .flatten()
            {
                if !chain.contains(ancestor) {
                    chain.push(*ancestor);
                }
            }
        }
        chain
    }

    /// The strongly connected components, those of the parents before those of the children (Tarjan's algorithm,
    /// without recursion because chains can be long).
    fn components(&self) -> Vec<Vec<usize>> {
        let count = self.parents.len();
        let mut number = vec![usize::MAX; count];
        let mut low = vec![0; count];
        let mut open = vec![false; count];
        let mut path = Vec::new();
        let mut components = Vec::new();
        let mut next = 0;
        for root in 0..count {
            if number[root] != usize::MAX {
                continue;
            }
            let mut calls = vec![(root, 0)];
            while let Some((node, edge)) = calls.pop() {
                if edge == 0 {
                    number[node] = next;
                    low[node] = next;
                    next += 1;
                    open[node] = true;
                    path.push(node);
                }
                match self.parents[node].get(edge) {
                    Some(&parent) => {
                        calls.push((node, edge + 1));
                        if number[parent] == usize::MAX {
                            calls.push((parent, 0));
                        } else if open[parent] {
                            low[node] = low[node].min(number[parent]);
                        }
                    }
                    None => {
                        if low[node] == number[node] {
                            let start = path
                                .iter()
                                .rposition(|one| *one == node)
                                .unwrap_or_default();
                            let mut component = path.split_off(start);
                            component.iter().for_each(|one| open[*one] = false);
                            component.sort_unstable();
                            components.push(component);
                        }
                        if let Some((child, _)) = calls.last() {
                            low[*child] = low[*child].min(low[node]);
                        }
                    }
                }
            }
        }
        components
    }
}

#[cfg(test)]
mod tests;
