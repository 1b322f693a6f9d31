use super::*;
use crate::testing::{self, Authority};

/// The chains of certificates whose ids are letters, as text.
fn chains(issuers: &[(&str, &Certificate)]) -> Vec<String> {
    let owned: Vec<(String, Certificate)> = issuers
        .iter()
        .map(|(id, certificate)| ((*id).to_owned(), (*certificate).clone()))
        .collect();
    let built = build(&owned);
    // The order of the input must not matter.
    let mut reversed = owned.clone();
    reversed.reverse();
    assert_eq!(build(&reversed), built);
    owned.iter().map(|(id, _)| built[id].concat()).collect()
}

/// Another self-issued certificate of the same key and name.
fn reissue(ca: &Authority) -> Certificate {
    testing::subordinate(ca, "root.example", ca.key.public_key())
}

#[test]
fn a_chain_starts_with_the_issuer_and_goes_up_to_the_root() {
    let root = testing::root("root.example", "ec", 256);
    let middle = testing::root("middle", "ec", 256);
    let middle = Authority {
        certificate: testing::subordinate(&root, "middle", middle.key.public_key()),
        ..middle
    };
    let low = testing::root("low", "ec", 256);
    let low_certificate = testing::subordinate(&middle, "low", low.key.public_key());
    let known = [
        ("r", &root.certificate),
        ("m", &middle.certificate),
        ("l", &low_certificate),
    ];
    assert_eq!(chains(&known), ["r", "mr", "lmr"]);
    // Without the root the chain ends where knowledge ends.
    assert_eq!(chains(&known[1..]), ["m", "lm"]);
}

#[test]
fn authorities_of_one_name_are_told_apart_by_their_keys() {
    let (one, two) = (
        testing::root("root.example", "ec", 256),
        testing::root("root.example", "ec", 256),
    );
    let low = testing::root("low", "ec", 256);
    let low = testing::subordinate(&one, "low", low.key.public_key());
    assert_eq!(
        chains(&[
            ("a", &one.certificate),
            ("b", &two.certificate),
            ("c", &low)
        ]),
        ["a", "b", "ca"]
    );
}

#[test]
fn a_reissued_root_is_listed_with_its_twin_in_descending_order() {
    let root = testing::root("root.example", "ec", 256);
    let again = reissue(&root);
    let low = testing::root("low", "ec", 256);
    let low = testing::subordinate(&root, "low", low.key.public_key());
    assert_eq!(
        chains(&[("a", &root.certificate), ("b", &again), ("c", &low)]),
        ["ab", "ba", "cba"]
    );
}

#[test]
fn a_cross_signed_root_follows_the_root_itself() {
    let (old, new) = (
        testing::root("old", "ec", 256),
        testing::root("root.example", "ec", 256),
    );
    let cross = testing::subordinate(&old, "root.example", new.key.public_key());
    let low = testing::root("low", "ec", 256);
    let low = testing::subordinate(&new, "low", low.key.public_key());
    let known = [
        ("a", &old.certificate),
        ("b", &new.certificate),
        ("c", &cross),
        ("d", &low),
    ];
    // The new root verifies under the cross certificate too: both are of one key and one name.
    assert_eq!(chains(&known), ["a", "bca", "ca", "dbca"]);
}

#[test]
fn roots_that_cross_signed_each_other_make_a_ring() {
    let (one, two) = (
        testing::root("one", "ec", 256),
        testing::root("two", "ec", 256),
    );
    let one_by_two = testing::subordinate(&two, "one", one.key.public_key());
    let two_by_one = testing::subordinate(&one, "two", two.key.public_key());
    let known = [
        ("a", &one.certificate),
        ("b", &two.certificate),
        ("c", &one_by_two),
        ("d", &two_by_one),
    ];
    for chain in chains(&known) {
        let mut all: Vec<char> = chain.chars().collect();
        all.sort_unstable();
        assert_eq!(all, ['a', 'b', 'c', 'd'], "{chain}");
    }
}

#[test]
fn a_certificate_that_may_not_sign_is_no_parent() {
    let root = testing::root("root.example", "ec", 256);
    let leaf = testing::leaf(&root, "leaf", root.key.public_key());
    let other = testing::root("other", "ec", 256);
    let fake = Authority {
        certificate: leaf.clone(),
        key: root.key,
    };
    let below = testing::subordinate(&fake, "low", other.key.public_key());
    assert_eq!(chains(&[("a", &leaf), ("b", &below)]), ["a", "b"]);
}

#[test]
fn manual_chains_win_and_are_passed_on() {
    let root = testing::root("root.example", "ec", 256);
    let low = testing::root("low", "ec", 256);
    let low = testing::subordinate(&root, "low", low.key.public_key());
    let issuers = [
        ("a", root.certificate),
        ("b", low),
        ("c", testing::root("x", "ec", 256).certificate),
    ];
    let manual = HashMap::from([("a", vec!["a", "c", "gone"])]);
    let built = build_with(&issuers, &manual, &Signatures::default());
    assert_eq!(built["a"], ["a", "c"]);
    assert_eq!(built["b"], ["b", "a", "c"]);
    assert_eq!(built["c"], ["c"]);
}

#[test]
fn long_chains_do_not_exhaust_the_stack() {
    let count = 5000;
    let graph = Graph {
        parents: (0..count)
            .map(|one| if one > 0 { vec![one - 1] } else { vec![] })
            .collect(),
    };
    assert_eq!(graph.components().len(), count);
    let ring = Graph {
        parents: (0..count).map(|one| vec![(one + 1) % count]).collect(),
    };
    assert_eq!(ring.components().len(), 1);
}
