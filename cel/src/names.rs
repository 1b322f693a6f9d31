//! Where names are looked up.

/// Names are looked up below it first.
pub(crate) const CONTAINER: &str = "openbao.pki";

/// The full names that `name` may stand for, the first that there is wins.
pub(crate) fn candidates(name: &str) -> Vec<String> {
    if let Some(absolute) = name.strip_prefix('.') {
        return vec![absolute.to_owned()];
    }
    let mut scope = Some(CONTAINER);
    let mut found = Vec::new();
    while let Some(above) = scope {
        found.push(format!("{above}.{name}"));
        scope = above.rsplit_once('.').map(|(above, _)| above);
    }
    found.push(name.to_owned());
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_looked_up_from_the_container_outwards() {
        assert_eq!(candidates("a.b"), ["openbao.pki.a.b", "openbao.a.b", "a.b"]);
        assert_eq!(candidates(".a.b"), ["a.b"]);
    }
}
