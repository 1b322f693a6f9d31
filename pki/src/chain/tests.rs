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
fn a_root_that_was_cross_signed_comes_last() {
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
    assert_eq!(chains(&known), ["a", "bca", "ca", "dcab"]);
}

/// Lines of `ID:SUBJECT<ISSUER`, and the chains in letters by the place in the line. Certificates of one name have one key.
#[test]
fn the_order_is_that_of_openbao() {
    let mut seen = 0;
    for line in include_str!("openbao-2.7.2.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
    {
        let (known, theirs) = line.split_once(" | ").unwrap();
        let mut authorities: HashMap<&str, Authority> = HashMap::new();
        let known: Vec<(&str, &str, &str)> = known
            .split(' ')
            .map(|one| {
                let (id, names) = one.split_once(':').unwrap();
                let (subject, issuer) = names.split_once('<').unwrap();
                (id, subject, issuer)
            })
            .collect();
        for (_, subject, issuer) in &known {
            for name in [subject, issuer] {
                authorities
                    .entry(name)
                    .or_insert_with(|| testing::root(name, "ec", 256));
            }
        }
        let issuers: Vec<(&str, Certificate)> = known
            .iter()
            .map(|(id, subject, issuer)| {
                let key = authorities[subject].key.public_key();
                (
                    *id,
                    testing::subordinate(&authorities[issuer], subject, key),
                )
            })
            .collect();
        let ours = ordered(&issuers, &HashMap::new(), &Signatures::default(), false);
        let letter = |id: &&str| {
            let at = known.iter().position(|(known, ..)| known == id).unwrap();
            char::from(b'A' + at as u8)
        };
        let ours: Vec<String> = known
            .iter()
            .map(|(id, ..)| ours[id].iter().map(letter).collect())
            .collect();
        assert_eq!(ours.join(" "), theirs, "{line}");
        seen += 1;
    }
    assert_eq!(seen, 80);
}

#[test]
fn issuers_that_all_signed_each_other_are_no_endless_work() {
    let names: Vec<String> = (0..9).map(|one| format!("ca{one}")).collect();
    let authorities: Vec<Authority> = names
        .iter()
        .map(|name| testing::root(name, "ec", 256))
        .collect();
    let mut issuers = Vec::new();
    for (child, name) in authorities.iter().zip(&names) {
        for (parent, by) in authorities.iter().zip(&names) {
            let certificate = testing::subordinate(parent, name, child.key.public_key());
            issuers.push((format!("{name}<{by}"), certificate));
        }
    }
    let built = build(&issuers);
    assert!(
        issuers
            .iter()
            .all(|(id, _)| built[id].len() == issuers.len() && built[id][0] == *id)
    );
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
    let count = 2000;
    let above = |one: usize| if one > 0 { vec![one - 1] } else { vec![] };
    let straight = order::Graph::new((0..count).map(above).collect(), vec![None; count]);
    assert_eq!(straight.chains(|_| None)[count - 1].len(), count);
    let ring = order::Graph::new(
        (0..count).map(|one| vec![(one + 1) % count]).collect(),
        vec![None; count],
    );
    assert_eq!(ring.chains(|_| None)[0].len(), count);
}
