//! Patterns in which `*` stands for any run of characters, dots and slashes included.

/// A compiled pattern. Matching is case-sensitive and takes linear time.
///
/// OpenBao pki: `allow_glob_domains`, `allowed_uri_sans`, `allowed_serial_numbers`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Glob {
    /// The literal pieces between the stars; at least one. One piece: no star in the pattern. Only the first and the last may be
    /// empty, since two stars side by side are as good as one.
    pieces: Vec<Box<str>>,
}

impl Glob {
    /// Compiles a pattern. Every text is a pattern; one without `*` matches itself only.
    pub fn new(pattern: &str) -> Self {
        let last = pattern.matches('*').count();
        let pieces = pattern.split('*').enumerate();
        let kept = pieces.filter(|(at, piece)| *at == 0 || *at == last || !piece.is_empty());
        Self {
            pieces: kept.map(|(_, piece)| piece.into()).collect(),
        }
    }

    /// Whether the whole of `text` fits.
    pub fn matches(&self, text: &str) -> bool {
        let (first, rest) = self
            .pieces
            .split_first()
            .expect("split yields at least one piece");
        let Some((last, middle)) = rest.split_last() else {
            return text == &**first;
        };
        let Some(mut text) = text.strip_prefix(&**first) else {
            return false;
        };
        // The leftmost place for each piece leaves the most room for those after it.
        for piece in middle {
            match text.find(&**piece) {
                Some(at) => text = &text[at + piece.len()..],
                None => return false,
            }
        }
        text.ends_with(&**last)
    }

    /// What it takes to hold `names` texts of `octets` together against the pattern, in steps of some ten nanoseconds. A piece between two stars is
    /// looked for all along each text, the ends only at its ends.
    pub(crate) fn work(&self, names: usize, octets: usize) -> usize {
        if self.pieces.len() > 2 {
            octets
        } else {
            names + octets / 256
        }
    }

    /// Whether the pattern contains a star.
    pub fn is_wild(&self) -> bool {
        self.pieces.len() > 1
    }

    /// Whether every text fits.
    pub fn is_any(&self) -> bool {
        self.pieces.len() == 2 && self.pieces.iter().all(|piece| piece.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The definition, by backtracking: slow, obviously right.
    fn naive(pattern: &[char], text: &[char]) -> bool {
        match pattern.split_first() {
            None => text.is_empty(),
            Some(('*', rest)) => (0..=text.len()).any(|skip| naive(rest, &text[skip..])),
            Some((c, rest)) => text.first() == Some(c) && naive(rest, &text[1..]),
        }
    }

    #[test]
    fn examples() {
        for (pattern, text, want) in [
            ("", "", true),
            ("", "a", false),
            ("*", "", true),
            ("*", "a.b/c", true),
            ("***", "a.b/c", true),
            ("a**b", "ab", true),
            ("a**b", "ba", false),
            ("ftp*.example.com", "ftp1.example.com", true),
            ("ftp*.example.com", "ftp.a.b.example.com", true),
            ("ftp*.example.com", "Ftp1.example.com", false),
            ("*.example.com", "example.com", false),
            ("a*a", "a", false),
            ("a*a", "aa", true),
            ("ab*ba", "aba", false),
            ("*b*b*", "b", false),
            ("spiffe://td/*", "spiffe://td/a/b", true),
            ("exact", "exact", true),
            ("exact", "exactly", false),
        ] {
            assert_eq!(
                Glob::new(pattern).matches(text),
                want,
                "{pattern} on {text}"
            );
        }
    }

    #[test]
    fn stars_side_by_side_are_one() {
        assert_eq!(Glob::new(&"*".repeat(1000)), Glob::new("*"));
        assert!(Glob::new("**").is_any() && !Glob::new("*a").is_any() && !Glob::new("").is_any());
    }

    proptest! {
        #[test]
        fn agrees_with_the_definition(pattern in "[ab*ü]{0,8}", text in "[abü]{0,10}") {
            let p: Vec<char> = pattern.chars().collect();
            let t: Vec<char> = text.chars().collect();
            prop_assert_eq!(Glob::new(&pattern).matches(&text), naive(&p, &t));
        }

        #[test]
        fn never_panics(pattern in ".*", text in ".*") {
            let _ = Glob::new(&pattern).matches(&text);
        }
    }
}
