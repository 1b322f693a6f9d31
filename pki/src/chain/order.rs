//! In which order the certificates of a chain follow each other: as in the built-in engine of OpenBao 2.7.2, for every set of issuers.
//!
//! Where no issuer is above itself, a chain is the issuer, then the chains of its parents, self-issued ones first. Reissued and cross-signed
//! certificates make circles, which are resolved as a whole: groups of self-issued certificates of one name and key ("twins"), and rings of
//! certificates that sign each other around such groups. All members of a circle get all of it, each starting with itself.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

/// Issuers by number, in descending order of their ids, and who signed whom.
pub(super) struct Graph {
    /// In ascending order of numbers.
    parents: Vec<Vec<usize>>,
    children: Vec<Vec<usize>>,
    /// Which are self-issued.
    roots: Vec<bool>,
    /// Which kind of self-issued certificate it is: those of one name and key have the same number.
    twins: Vec<Option<usize>>,
}

/// A circle in the making.
#[derive(Default)]
struct Circle {
    members: BTreeSet<usize>,
    twins: Vec<Vec<usize>>,
    rings: Vec<Vec<usize>>,
}

type Chains = Vec<Option<Vec<usize>>>;

impl Graph {
    /// Of `parents`, and of what kind of self-issued certificate each is, if it is one.
    pub(super) fn new(mut parents: Vec<Vec<usize>>, twins: Vec<Option<usize>>) -> Self {
        let mut children = vec![Vec::new(); parents.len()];
        for (child, above) in parents.iter_mut().enumerate() {
            above.sort_unstable();
            for parent in above {
                children[*parent].push(child);
            }
        }
        Self {
            parents,
            children,
            roots: twins.iter().map(Option::is_some).collect(),
            twins,
        }
    }

    /// The chains of all, where those that `manual` names are as it says.
    pub(super) fn chains(&self, manual: impl Fn(usize) -> Option<Vec<usize>>) -> Vec<Vec<usize>> {
        let count = self.parents.len();
        let mut chains: Chains = (0..count).map(manual).collect();
        let given = (0..count).filter(|one| chains[*one].is_some());
        let mut queue: VecDeque<usize> = given.flat_map(|one| self.children[one].clone()).collect();
        queue.extend((0..count).filter(|one| self.parents[*one].is_empty()));
        loop {
            while let Some(one) = queue.pop_front() {
                if chains[one].is_none()
                    && let Some(chain) = self.straight(one, &chains)
                {
                    chains[one] = Some(chain);
                    queue.extend(&self.children[one]);
                }
            }
            let settled = self.settle(&mut chains);
            if settled.is_empty() {
                break;
            }
            queue.extend(settled.iter().flat_map(|one| &self.children[*one]));
        }
        let rest: Vec<_> = (0..count).filter(|one| chains[*one].is_none()).collect();
        let made: Vec<_> = rest.iter().map(|one| self.deep(*one, &chains)).collect();
        for (one, chain) in rest.into_iter().zip(made) {
            chains[one] = Some(chain);
        }
        chains.into_iter().map(Option::unwrap_or_default).collect()
    }

    /// The chain of an issuer whose parents all have theirs.
    fn straight(&self, one: usize, chains: &Chains) -> Option<Vec<usize>> {
        let mut chain = self.chain(one);
        let parents = &self.parents[one];
        let (roots, others): (Vec<&usize>, Vec<&usize>) =
            parents.iter().partition(|parent| self.roots[**parent]);
        for parent in roots.into_iter().chain(others) {
            chain.extend(chains[*parent].as_ref()?);
        }
        Some(chain.list)
    }

    /// Resolves the circles that have nothing open above them; answers with their members.
    fn settle(&self, chains: &mut Chains) -> Vec<usize> {
        let mut settled = Vec::new();
        let groups = self.groups(chains);
        let grouped: Vec<usize> = groups.iter().flatten().copied().collect();
        for start in 0..self.parents.len() {
            if chains[start].is_some() {
                continue;
            }
            let circle = self.around(start, &groups, &grouped, chains);
            self.resolve(&circle, chains, &mut settled);
        }
        for start in 0..self.parents.len() {
            if chains[start].is_some() {
                continue;
            }
            let rings = self.rings(start, &grouped, chains).unwrap_or_default();
            let circle = Circle {
                members: rings.iter().flatten().copied().collect(),
                twins: Vec::new(),
                rings,
            };
            self.resolve(&circle, chains, &mut settled);
        }
        settled
    }

    /// The groups of two and more twins among those without a chain.
    fn groups(&self, chains: &Chains) -> Vec<Vec<usize>> {
        let mut groups: Vec<Vec<usize>> = Vec::new();
        let mut known: HashMap<usize, usize> = HashMap::new();
        for one in (0..self.parents.len()).filter(|one| chains[*one].is_none()) {
            if let Some(kind) = self.twins[one] {
                let at = *known.entry(kind).or_insert_with(|| {
                    groups.push(Vec::new());
                    groups.len() - 1
                });
                groups[at].push(one);
            }
        }
        groups.retain(|group| group.len() > 1);
        groups
    }

    /// The circle that `start` is in by way of its twins: their group, the rings beside the first group, and the groups below those.
    fn around(
        &self,
        start: usize,
        groups: &[Vec<usize>],
        grouped: &[usize],
        chains: &Chains,
    ) -> Circle {
        let mut circle = Circle::default();
        let mut beside = None;
        let mut look = VecDeque::from([start]);
        while let Some(one) = look.pop_front() {
            if chains[one].is_some() || circle.members.contains(&one) {
                continue;
            }
            let Some(group) = groups.iter().find(|group| group.contains(&one)) else {
                continue;
            };
            circle.members.extend(group);
            circle.twins.push(group.clone());
            let rings = beside.get_or_insert_with(|| self.beside(grouped, chains));
            for ring in rings.iter() {
                if !circle.rings.contains(ring) {
                    circle.rings.push(ring.clone());
                }
                for member in ring {
                    circle.members.insert(*member);
                    look.extend(&self.children[*member]);
                }
            }
        }
        circle
    }

    /// Gives the members of a circle their chains, unless something above it has none yet.
    fn resolve(&self, circle: &Circle, chains: &mut Chains, settled: &mut Vec<usize>) {
        let above: BTreeSet<usize> = circle
            .members
            .iter()
            .flat_map(|one| &self.parents[*one])
            .copied()
            .filter(|parent| !circle.members.contains(parent))
            .collect();
        if above.iter().any(|parent| chains[*parent].is_none()) {
            return;
        }
        for one in circle.members.iter().copied() {
            if chains[one].is_some() {
                continue;
            }
            let mut chain = self.chain(one);
            if let Some(ring) = circle.rings.iter().find(|ring| ring.contains(&one)) {
                let at = ring.iter().position(|member| *member == one).unwrap_or(0);
                self.join(&mut chain, &[&ring[at..], &ring[..at]].concat());
                circle
                    .twins
                    .iter()
                    .for_each(|group| self.join(&mut chain, group));
                circle
                    .rings
                    .iter()
                    .for_each(|ring| self.join(&mut chain, ring));
            } else {
                let own = circle.twins.iter().filter(|group| group.contains(&one));
                own.for_each(|group| self.join(&mut chain, group));
                circle
                    .rings
                    .iter()
                    .for_each(|ring| self.join(&mut chain, ring));
                circle
                    .twins
                    .iter()
                    .for_each(|group| self.join(&mut chain, group));
            }
            for parent in &above {
                if let Some(more) = &chains[*parent] {
                    chain.extend(more);
                }
            }
            chains[one] = Some(chain.list);
            settled.push(one);
        }
    }

    /// Adds the members of a group or ring, from the first on that signed something in the chain.
    fn join(&self, chain: &mut Chain, members: &[usize]) {
        let signed = |one: &usize| self.children[*one].iter().any(|child| chain.has[*child]);
        let first = members.iter().position(signed).unwrap_or(0);
        let turned = [&members[first..], &members[..first]].concat();
        chain.extend(&turned);
    }

    /// The rings beside the first of the grouped issuers, shortest first.
    fn beside(&self, grouped: &[usize], chains: &Chains) -> Vec<Vec<usize>> {
        let mut excluded = grouped.to_vec();
        let mut found: Vec<Vec<usize>> = Vec::new();
        let below = grouped.first().map_or(&[][..], |one| &self.children[*one]);
        for child in below {
            if excluded.contains(child) {
                continue;
            }
            for ring in self.rings(*child, &excluded, chains).unwrap_or_default() {
                if !found.contains(&ring) {
                    found.push(ring);
                }
            }
            excluded.push(*child);
        }
        found.sort_by_key(Vec::len);
        found
    }

    /// The rings through `source` that avoid `excluded`, from child to parent, longest first. `None` when there are too many or one is too long:
    /// the built-in engine refuses such issuers, and the search must not grow beyond measure.
    fn rings(&self, source: usize, excluded: &[usize], chains: &Chains) -> Option<Vec<Vec<usize>>> {
        let mut paths: HashMap<usize, Vec<Vec<usize>>> =
            HashMap::from([(source, vec![vec![source]])]);
        let (mut visited, mut met, mut known) = (HashSet::new(), HashSet::new(), HashSet::new());
        let mut queue = VecDeque::from([source]);
        while let Some(current) = queue.pop_front() {
            if !visited.insert(current) {
                continue;
            }
            for &child in &self.children[current] {
                if chains[child].is_some() || excluded.contains(&child) {
                    continue;
                }
                let mut fresh = met.insert((current, child));
                for path in paths.get(&current).cloned().unwrap_or_default() {
                    if child != source && path.contains(&child) {
                        continue;
                    }
                    let longer = [path.as_slice(), &[child]].concat();
                    if known.insert(longer.clone()) {
                        if longer.len() > LONGEST || known.len() > MOST {
                            return None;
                        }
                        paths.entry(child).or_default().push(longer);
                        fresh = true;
                    }
                }
                queue.push_back(child);
                if fresh {
                    visited.remove(&child);
                }
            }
        }
        let mut rings: Vec<Vec<usize>> = Vec::new();
        for path in paths.remove(&source).unwrap_or_default() {
            let [ring @ .., _] = path.as_slice() else {
                continue;
            };
            if ring.is_empty() {
                continue;
            }
            let mut ring: Vec<usize> = ring.iter().rev().copied().collect();
            // The lowest id, which is the highest number, comes first.
            let lowest = ring.iter().max().copied().unwrap_or_default();
            let first = ring.iter().position(|one| *one == lowest).unwrap_or(0);
            ring.rotate_left(first);
            if !rings.contains(&ring) {
                rings.push(ring);
            }
        }
        rings.sort_by_key(|ring| std::cmp::Reverse(ring.len()));
        Some(rings)
    }

    /// For circles that are not resolved: the issuer, then depth first what signed it, and the chains that are there.
    fn deep(&self, start: usize, chains: &Chains) -> Vec<usize> {
        let mut chain = self.chain(start);
        let mut above = Vec::new();
        let mut stack: Vec<usize> = Vec::new();
        let mut next = Some(start);
        while let Some(one) = next {
            chain.extend(&[one]);
            for parent in self.parents[one].iter().rev() {
                match &chains[*parent] {
                    Some(chain) => above.extend(chain),
                    None => stack.push(*parent),
                }
            }
            while stack.last().is_some_and(|one| chain.has[*one]) {
                stack.pop();
            }
            next = stack.pop();
        }
        chain.extend(&above);
        chain.list
    }

    fn chain(&self, one: usize) -> Chain {
        let mut chain = Chain {
            list: Vec::new(),
            has: vec![false; self.parents.len()],
        };
        chain.extend(&[one]);
        chain
    }
}

/// A chain with nothing in it twice.
struct Chain {
    list: Vec<usize>,
    /// Whether the chain has the issuer of that number.
    has: Vec<bool>,
}

impl Chain {
    /// Adds what is not there yet.
    fn extend(&mut self, more: &[usize]) {
        for one in more {
            if !std::mem::replace(&mut self.has[*one], true) {
                self.list.push(*one);
            }
        }
    }
}

/// Certificates on a path around a ring, the first one counted twice.
const LONGEST: usize = 9;
/// Paths looked at in one search.
const MOST: usize = 2048;
