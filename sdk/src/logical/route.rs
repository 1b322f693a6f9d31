//! Finds the row of a path: a tree of segments, walked without allocating.
//!
//! A literal is tried before a parameter and a parameter before a tail, with a step back when the rest does not fit, so that
//! the order of rows does not matter.

use std::borrow::Cow;

use super::json::Json;
use super::rule::{self, Rule};

/// Most parameters in one path.
pub(crate) const MAX_CAPTURES: usize = 8;

/// The parameters of a matched path.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Captures<'p> {
    entries: [(&'static str, &'p str); MAX_CAPTURES],
    len: usize,
}

impl<'p> Captures<'p> {
    pub(crate) fn get(&self, name: &str) -> Option<&'p str> {
        self.as_slice()
            .iter()
            .find(|(key, _)| *key == name)
            .map(|(_, value)| *value)
    }

    /// The parameters as the data would have them: texts.
    pub(crate) fn values(&self) -> Vec<(&'static str, Json<'p>)> {
        let value = |(key, text): &(_, &'p str)| (*key, Json::String(Cow::Borrowed(*text)));
        self.as_slice().iter().map(value).collect()
    }

    pub(crate) fn as_slice(&self) -> &[(&'static str, &'p str)] {
        &self.entries[..self.len]
    }
}

/// A pattern, taken apart: `roles/{name}/item/{*rest}`.
#[derive(Debug, Clone)]
pub(crate) struct Pattern {
    pub(crate) segments: Vec<Segment>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Segment {
    Literal(&'static str),
    Parameter(&'static str),
    /// The rest of the path, with its slashes; always last.
    Tail(&'static str),
}

impl Pattern {
    /// # Panics
    /// On a malformed pattern: patterns are constants of the plugin, and its first test finds this.
    pub(crate) fn parse(pattern: &'static str) -> Self {
        let segments: Vec<_> = match pattern {
            "" => Vec::new(),
            _ => pattern
                .split('/')
                .map(|segment| Segment::parse(pattern, segment))
                .collect(),
        };
        let (tails, parameters) = segments
            .iter()
            .fold((0, 0), |(t, p), segment| match segment {
                Segment::Literal(_) => (t, p),
                Segment::Parameter(_) => (t, p + 1),
                Segment::Tail(_) => (t + 1, p + 1),
            });
        assert!(
            parameters <= MAX_CAPTURES,
            "path {pattern:?}: too many parameters"
        );
        assert!(
            tails == 0 || tails == 1 && matches!(segments.last(), Some(Segment::Tail(_))),
            "path {pattern:?}: a tail must come last"
        );
        Self { segments }
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = &'static str> {
        self.segments.iter().filter_map(|segment| match segment {
            Segment::Literal(_) => None,
            Segment::Parameter(name) | Segment::Tail(name) => Some(*name),
        })
    }
}

impl Segment {
    fn parse(pattern: &'static str, segment: &'static str) -> Self {
        let inner = segment
            .strip_prefix('{')
            .and_then(|rest| rest.strip_suffix('}'));
        let parsed = match inner {
            Some(name) => name
                .strip_prefix('*')
                .map_or(Self::Parameter(name), Self::Tail),
            None => Self::Literal(segment),
        };
        let (Self::Literal(text) | Self::Parameter(text) | Self::Tail(text)) = parsed;
        assert!(
            !text.is_empty() && !text.contains(['{', '}', '*']),
            "path {pattern:?}: malformed segment {segment:?}"
        );
        parsed
    }
}

/// All patterns of a table.
#[derive(Debug, Default)]
pub(crate) struct Router {
    rows: Vec<Row>,
    root: Node,
}

#[derive(Debug)]
struct Row {
    parameters: Vec<(&'static str, Rule)>,
}

impl Row {
    /// Whether the parameters obey the same rules, whatever their names are.
    fn has_rules_of(&self, other: &Self) -> bool {
        let mut pairs = self.parameters.iter().zip(&other.parameters);
        pairs.all(|((_, one), (_, two))| std::ptr::fn_addr_eq(*one, *two))
    }
}

#[derive(Debug, Default)]
struct Node {
    /// Sorted by name.
    literals: Vec<(&'static str, Self)>,
    parameter: Option<Box<Self>>,
    /// Rows that end here. More than one when their parameters have different rules.
    rows: Vec<usize>,
    tails: Vec<usize>,
}

impl Router {
    /// Adds the next row; rows are numbered in the order of adding.
    ///
    /// # Errors
    /// The number of an earlier row that matches the same paths, so that this one would never be found.
    pub(crate) fn add(
        &mut self,
        pattern: &Pattern,
        rules: &[(&'static str, Rule)],
    ) -> Result<(), usize> {
        let number = self.rows.len();
        let parameters = pattern
            .segments
            .iter()
            .filter_map(|segment| {
                let (name, default): (_, Rule) = match segment {
                    Segment::Literal(_) => return None,
                    Segment::Parameter(name) => (*name, rule::name),
                    Segment::Tail(name) => (*name, rule::any),
                };
                let rule = rules
                    .iter()
                    .find(|(key, _)| *key == name)
                    .map_or(default, |(_, rule)| *rule);
                Some((name, rule))
            })
            .collect();
        self.rows.push(Row { parameters });

        let mut node = &mut self.root;
        for segment in &pattern.segments {
            node = match segment {
                Segment::Literal(text) => {
                    let at = match node.literals.binary_search_by(|(key, _)| (*key).cmp(text)) {
                        Ok(at) => at,
                        Err(at) => {
                            node.literals.insert(at, (text, Node::default()));
                            at
                        }
                    };
                    &mut node.literals[at].1
                }
                Segment::Parameter(_) => node.parameter.get_or_insert_default(),
                Segment::Tail(_) => break,
            };
        }
        let ends_in_tail = matches!(pattern.segments.last(), Some(Segment::Tail(_)));
        let list = if ends_in_tail {
            &mut node.tails
        } else {
            &mut node.rows
        };
        let twin = list
            .iter()
            .copied()
            .find(|row| self.rows[*row].has_rules_of(&self.rows[number]));
        list.push(number);
        twin.map_or(Ok(()), Err)
    }

    /// The row of a path without trailing `/`, and its parameters.
    pub(crate) fn find<'p>(&self, path: &'p str) -> Option<(usize, Captures<'p>)> {
        let mut values = [""; MAX_CAPTURES];
        let rest = if path.is_empty() { None } else { Some(path) };
        let number = self.walk(&self.root, rest, &mut values, 0)?;
        let mut captures = Captures::default();
        for (at, (name, _)) in self.rows[number].parameters.iter().enumerate() {
            captures.entries[at] = (name, values[at]);
            captures.len = at + 1;
        }
        Some((number, captures))
    }

    /// `rest` is what follows the node, or `None` at the end of the path.
    fn walk<'p>(
        &self,
        node: &Node,
        rest: Option<&'p str>,
        values: &mut [&'p str; MAX_CAPTURES],
        used: usize,
    ) -> Option<usize> {
        let Some(rest) = rest else {
            let found = self.fitting(&node.rows, values);
            // A tail that may be empty also matches its own folder.
            return found.or_else(|| self.tail(node, "", values, used));
        };
        let (segment, after) = match rest.split_once('/') {
            Some((segment, after)) => (segment, Some(after)),
            None => (rest, None),
        };
        if let Ok(at) = node
            .literals
            .binary_search_by(|(key, _)| (*key).cmp(segment))
            && let Some(found) = self.walk(&node.literals[at].1, after, values, used)
        {
            return Some(found);
        }
        if let Some(child) = &node.parameter
            && !segment.is_empty()
            && used < MAX_CAPTURES
        {
            values[used] = segment;
            if let Some(found) = self.walk(child, after, values, used + 1) {
                return Some(found);
            }
        }
        self.tail(node, rest, values, used)
    }

    fn tail<'p>(
        &self,
        node: &Node,
        rest: &'p str,
        values: &mut [&'p str; MAX_CAPTURES],
        used: usize,
    ) -> Option<usize> {
        if node.tails.is_empty() || used >= MAX_CAPTURES {
            return None;
        }
        values[used] = rest;
        self.fitting(&node.tails, values)
    }

    fn fitting(&self, rows: &[usize], values: &[&str; MAX_CAPTURES]) -> Option<usize> {
        rows.iter().copied().find(|row| {
            self.rows[*row]
                .parameters
                .iter()
                .zip(values)
                .all(|((_, rule), value)| rule(value))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn router(patterns: &[&'static str]) -> Router {
        let mut router = Router::default();
        for pattern in patterns {
            add(&mut router, pattern).unwrap();
        }
        router
    }

    fn add(router: &mut Router, pattern: &'static str) -> Result<(), usize> {
        let rules: [(_, Rule); 2] = [("serial", rule::serial), ("maybe", rule::maybe)];
        router.add(&Pattern::parse(pattern), &rules)
    }

    #[test]
    fn a_row_that_would_never_be_found_is_told() {
        let mut router = router(&["", "a/{name}", "a/{name}/b", "t/{*rest}"]);
        for (pattern, want) in [
            ("a/{other}", Err(1)),
            ("a/{name}/b", Err(2)),
            ("", Err(0)),
            ("t/{*all}", Err(3)),
            ("a/{serial}", Ok(())),
            ("t/{all}", Ok(())),
            ("a", Ok(())),
        ] {
            assert_eq!(add(&mut router, pattern), want, "{pattern}");
        }
    }

    #[test]
    fn a_literal_stands_beside_a_parameter() {
        let router = router(&[
            "cert/{serial}",
            "cert/ca",
            "cert/{serial}/raw",
            "cert/ca/raw/pem",
            "",
            "ocsp/{*request}",
        ]);
        let find = |path| {
            router
                .find(path)
                .map(|(row, captures)| (row, captures.as_slice().to_vec()))
        };
        assert_eq!(find("cert/ca"), Some((1, vec![])));
        assert_eq!(find("cert/ca/raw"), Some((2, vec![("serial", "ca")])));
        assert_eq!(find("cert/ca/raw/pem"), Some((3, vec![])));
        assert_eq!(find("cert/aa:bb"), Some((0, vec![("serial", "aa:bb")])));
        assert_eq!(find("cert/zz"), None);
        assert_eq!(find("cert"), None);
        assert_eq!(find("cert/"), None);
        assert_eq!(find(""), Some((4, vec![])));
        assert_eq!(find("ocsp/a/b=/c"), Some((5, vec![("request", "a/b=/c")])));
        assert_eq!(find("ocsp"), None);
        assert_eq!(find("nothing"), None);
    }

    #[test]
    fn steps_back_when_a_rule_does_not_fit() {
        let router = router(&[
            "x/{serial}",
            "x/{name}",
            "y/{maybe}/z",
            "y/{*rest}",
            "w/{*maybe}",
        ]);
        assert_eq!(router.find("x/abc").unwrap().0, 0);
        assert_eq!(router.find("x/name").unwrap().0, 1);
        assert!(router.find("x/-").is_some_and(|(row, _)| row == 0));
        assert_eq!(router.find("y/q/z").unwrap().0, 2);
        assert_eq!(
            router.find("y/q/other").unwrap().1.get("rest"),
            Some("q/other")
        );
        assert_eq!(router.find("w").unwrap().0, 4);
        assert_eq!(router.find("w/a").unwrap().1.get("maybe"), Some("a"));
    }

    #[test]
    #[should_panic(expected = "a tail must come last")]
    fn a_tail_in_the_middle_is_refused() {
        let _ = Pattern::parse("a/{*tail}/b");
    }
}
