//! Who is asking, and templates in a role that are filled from it.

use std::collections::BTreeMap;

use crate::issue::has_dot_segments;

/// What a host knows of the caller. Passed in by whoever serves the request.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// Entity id.
    pub id: String,
    /// Entity name.
    pub name: String,
    /// Entity metadata.
    pub metadata: BTreeMap<String, String>,
    /// One for each auth mount the entity has logged in through.
    pub aliases: Vec<Alias>,
    /// The groups the entity belongs to.
    pub groups: Vec<Group>,
}

/// The name an entity has at one auth mount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alias {
    /// Accessor of the auth mount. Templates name aliases by it alone, since names repeat across
    /// mounts.
    pub accessor: String,
    /// Alias id.
    pub id: String,
    /// Alias name: the user name for userpass, the role id for AppRole.
    pub name: String,
    /// Metadata written by the auth mount; AppRole puts `role_name` here.
    pub metadata: BTreeMap<String, String>,
    /// Metadata written by operators.
    pub custom_metadata: BTreeMap<String, String>,
}

/// A group of entities.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Group id.
    pub id: String,
    /// Group name.
    pub name: String,
    /// Group metadata.
    pub metadata: BTreeMap<String, String>,
}

/// A text with `{{identity.…}}` places, compiled once with the role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Template {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Text(String),
    Value(Selector),
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Selector {
    EntityId,
    EntityName,
    EntityMetadata(String),
    Alias {
        accessor: String,
        field: AliasField,
    },
    Group {
        by: GroupKey,
        key: String,
        field: GroupField,
    },
    /// Something a name cannot be made of (lists, times, misspellings): never yields a value.
    Unknown,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum AliasField {
    Id,
    Name,
    Metadata(String),
    CustomMetadata(String),
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum GroupKey {
    Id,
    Name,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum GroupField {
    Id,
    Name,
    Metadata(String),
}

impl Template {
    /// Compiles a text; `None` if it has no place to fill.
    ///
    /// Braces that do not pair up make a template that never yields anything.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        if !text.contains("{{") && !text.contains("}}") {
            return None;
        }
        let mut pieces = text.split("{{");
        let head = pieces.next().unwrap_or_default();
        let broken = Some(Self {
            parts: vec![Part::Value(Selector::Unknown)],
        });
        if head.contains("}}") {
            return broken;
        }
        let mut parts = vec![Part::Text(head.to_owned())];
        for piece in pieces {
            match piece.split_once("}}") {
                Some((selector, tail)) if !tail.contains("}}") => {
                    parts.push(Part::Value(Selector::parse(selector.trim())));
                    parts.push(Part::Text(tail.to_owned()));
                }
                _ => return broken,
            }
        }
        Some(Self { parts })
    }

    /// Fills the places from `identity`.
    ///
    /// `None` if a value is missing, empty, or contains a character that would mean something to
    /// the rule it becomes part of (GHSA-59w7-v8rr-pr4p): `*`, unless `allow_globs`, and `+`, `/`
    /// and `,` always. An entry that cannot be filled admits nothing.
    pub(crate) fn fill(&self, identity: &Identity, allow_globs: bool) -> Option<String> {
        self.fill_with(identity, |c| match c {
            '*' => allow_globs,
            '+' | '/' | ',' => false,
            c => !c.is_control() && !c.is_whitespace(),
        })
    }

    /// As [`fill`](Self::fill), for a pattern of URIs: values are made of the characters that have no meaning in any part of a
    /// URI (RFC 3986 section 2.3), so that none ends the host, moves it, or starts a query.
    ///
    /// A value that is the whole pattern has nothing beside it to move: it may hold all that a URI is made of (RFC 3986 section 2).
    ///
    /// `None` as well if a value makes a segment `.` or `..`, which whoever reads the URI may take for another path.
    pub(crate) fn fill_uri(&self, identity: &Identity, allow_globs: bool) -> Option<String> {
        let whole = self.is_one_value();
        let unreserved = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '.' | '_' | '~');
        let other = |c: char| whole && ":/?#[]@!$&'()+,;=%".contains(c);
        let star = |c: char| c == '*' && allow_globs;
        self.fill_with(identity, |c| unreserved(c) || other(c) || star(c))
            .filter(|filled| !has_dot_segments(filled))
    }

    /// Whether there is nothing beside one place to fill.
    fn is_one_value(&self) -> bool {
        let mut values = 0;
        self.parts.iter().all(|part| match part {
            Part::Text(text) => text.is_empty(),
            Part::Value(_) => {
                values += 1;
                values == 1
            }
        })
    }

    fn fill_with(&self, identity: &Identity, may_hold: impl Fn(char) -> bool) -> Option<String> {
        let mut out = String::new();
        for part in &self.parts {
            match part {
                Part::Text(text) => out.push_str(text),
                Part::Value(selector) => {
                    let value = selector.value(identity)?;
                    if value.is_empty() || !value.chars().all(&may_hold) {
                        return None;
                    }
                    out.push_str(value);
                }
            }
        }
        Some(out)
    }
}

impl Selector {
    fn parse(text: &str) -> Self {
        if let Some(rest) = text.strip_prefix("identity.entity.") {
            return Self::entity(rest).unwrap_or(Self::Unknown);
        }
        if let Some(rest) = text.strip_prefix("identity.groups.") {
            return Self::group(rest).unwrap_or(Self::Unknown);
        }
        Self::Unknown
    }

    fn entity(rest: &str) -> Option<Self> {
        Some(match rest {
            "id" => Self::EntityId,
            "name" => Self::EntityName,
            _ => {
                if let Some(key) = rest.strip_prefix("metadata.") {
                    return Some(Self::EntityMetadata(key.to_owned()));
                }
                let (accessor, field) = rest.strip_prefix("aliases.")?.split_once('.')?;
                let field = match field {
                    "id" => AliasField::Id,
                    "name" => AliasField::Name,
                    _ => match field.split_once('.')? {
                        ("metadata", key) => AliasField::Metadata(key.to_owned()),
                        ("custom_metadata", key) => AliasField::CustomMetadata(key.to_owned()),
                        _ => return None,
                    },
                };
                Self::Alias {
                    accessor: accessor.to_owned(),
                    field,
                }
            }
        })
    }

    fn group(rest: &str) -> Option<Self> {
        let (by, rest) = rest.split_once('.')?;
        let by = match by {
            "ids" => GroupKey::Id,
            "names" => GroupKey::Name,
            _ => return None,
        };
        let (key, field) = rest.split_once('.')?;
        let field = match field {
            "id" => GroupField::Id,
            "name" => GroupField::Name,
            _ => GroupField::Metadata(field.strip_prefix("metadata.")?.to_owned()),
        };
        Some(Self::Group {
            by,
            key: key.to_owned(),
            field,
        })
    }

    fn value<'a>(&self, identity: &'a Identity) -> Option<&'a str> {
        match self {
            Self::EntityId => Some(&identity.id),
            Self::EntityName => Some(&identity.name),
            Self::EntityMetadata(key) => identity.metadata.get(key).map(String::as_str),
            Self::Alias { accessor, field } => {
                let alias = identity.aliases.iter().find(|a| a.accessor == *accessor)?;
                match field {
                    AliasField::Id => Some(&alias.id),
                    AliasField::Name => Some(&alias.name),
                    AliasField::Metadata(key) => alias.metadata.get(key).map(String::as_str),
                    AliasField::CustomMetadata(key) => {
                        alias.custom_metadata.get(key).map(String::as_str)
                    }
                }
            }
            Self::Group { by, key, field } => {
                let group = identity.groups.iter().find(|g| match by {
                    GroupKey::Id => g.id == *key,
                    GroupKey::Name => g.name == *key,
                })?;
                match field {
                    GroupField::Id => Some(&group.id),
                    GroupField::Name => Some(&group.name),
                    GroupField::Metadata(key) => group.metadata.get(key).map(String::as_str),
                }
            }
            Self::Unknown => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn node(alias: &str) -> Identity {
        Identity {
            id: "e-1".into(),
            name: "entity_a".into(),
            metadata: [("site".to_owned(), "north".to_owned())].into(),
            aliases: vec![
                Alias {
                    accessor: "auth_other".into(),
                    name: "wrong".into(),
                    ..Alias::default()
                },
                Alias {
                    accessor: "auth_userpass_1".into(),
                    id: "a-1".into(),
                    name: alias.into(),
                    metadata: [("role_name".to_owned(), "node-7".to_owned())].into(),
                    custom_metadata: [("rack".to_owned(), String::new())].into(),
                },
            ],
            groups: vec![Group {
                id: "g-1".into(),
                name: "edge".into(),
                metadata: [("zone".to_owned(), "z1".to_owned())].into(),
            }],
        }
    }

    #[test]
    fn fills_each_kind_of_place() {
        for (text, want) in [
            ("{{identity.entity.id}}", Some("e-1")),
            ("{{ identity.entity.name }}.x", Some("entity_a.x")),
            ("{{identity.entity.metadata.site}}", Some("north")),
            (
                "a.{{identity.entity.aliases.auth_userpass_1.name}}.b",
                Some("a.node-1.b"),
            ),
            (
                "{{identity.entity.aliases.auth_userpass_1.id}}",
                Some("a-1"),
            ),
            (
                "{{identity.entity.aliases.auth_userpass_1.metadata.role_name}}",
                Some("node-7"),
            ),
            ("{{identity.groups.ids.g-1.name}}", Some("edge")),
            (
                "{{identity.groups.names.edge.id}}-{{identity.groups.names.edge.metadata.zone}}",
                Some("g-1-z1"),
            ),
            // Missing, empty, or not a single value.
            (
                "{{identity.entity.aliases.auth_userpass_1.custom_metadata.rack}}",
                None,
            ),
            ("{{identity.entity.aliases.auth_none.name}}", None),
            ("{{identity.entity.metadata.none}}", None),
            ("{{identity.entity.groups.names}}", None),
            ("{{identity.groups.names.other.id}}", None),
            ("{{time.now}}", None),
            ("{{}}", None),
            // Unbalanced.
            ("a}}{{identity.entity.id}}", None),
            ("{{identity.entity.id", None),
            ("{{identity.entity.id}}}}", None),
        ] {
            let template = Template::parse(text).expect("has braces");
            assert_eq!(
                template.fill(&node("node-1"), false).as_deref(),
                want,
                "{text}"
            );
        }
        assert_eq!(Template::parse("example.com"), None);
    }

    #[test]
    fn values_with_meaning_to_a_rule_are_refused() {
        let template = Template::parse("{{identity.entity.aliases.auth_userpass_1.name}}").unwrap();
        for (value, plain, globs) in [
            ("node-1", true, true),
            ("user@example.com", true, true),
            ("*", false, true),
            ("no*de", false, true),
            ("a+b", false, false),
            ("a/b", false, false),
            ("a,b", false, false),
            ("a b", false, false),
            ("a\nb", false, false),
            ("", false, false),
        ] {
            assert_eq!(
                template.fill(&node(value), false).is_some(),
                plain,
                "{value:?}"
            );
            assert_eq!(
                template.fill(&node(value), true).is_some(),
                globs,
                "{value:?}"
            );
        }
    }

    /// A value moves the host of a URI by `@`, `:`, `#` or `?`, and its path by `..`.
    #[test]
    fn values_in_uris_are_unreserved() {
        const NAME: &str = "{{identity.entity.aliases.auth_userpass_1.name}}";
        let path = Template::parse(&format!("spiffe://td/node/{NAME}/x")).unwrap();
        let host = Template::parse(&format!("https://{NAME}.example.com/")).unwrap();
        let beside = Template::parse(&format!("spiffe://td/.{NAME}/x")).unwrap();
        for value in ["node-1", "Node_1~a", "a.b", "...", "a..b"] {
            for template in [&path, &host] {
                assert!(template.fill_uri(&node(value), false).is_some(), "{value}");
            }
        }
        for value in [
            "a#",
            "a?",
            "u@evil.test",
            "a:1",
            "a/b",
            "%2e",
            "..",
            ".",
            "a b",
            "é",
            "a,b",
            "a[",
            "a&b",
            "*",
            "",
        ] {
            assert_eq!(path.fill_uri(&node(value), false), None, "{value:?}");
        }
        for value in [
            "evil.test#",
            "evil.test/",
            "evil.test?",
            "evil.test:1",
            "u@",
        ] {
            assert_eq!(host.fill_uri(&node(value), true), None, "{value:?}");
        }
        let whole = Template::parse(NAME).unwrap();
        for value in [
            "spiffe://td/users/a",
            "https://u@h.test:1/a?b#c",
            "urn:x:%41",
        ] {
            assert_eq!(whole.fill_uri(&node(value), false).as_deref(), Some(value));
        }
        for value in [
            "spiffe://td/users/*",
            "spiffe://td/../a",
            "a b",
            "é:a",
            "a:\u{0}",
        ] {
            assert_eq!(whole.fill_uri(&node(value), false), None, "{value:?}");
        }
        assert!(whole.fill_uri(&node("spiffe://td/users/*"), true).is_some());
        let two = Template::parse(&format!("{NAME}{NAME}")).unwrap();
        assert_eq!(two.fill_uri(&node("a:"), true), None);
        assert_eq!(beside.fill_uri(&node("."), false), None);
        assert!(beside.fill_uri(&node("a"), false).is_some());
        assert!(path.fill_uri(&node("a*"), true).is_some());
    }

    proptest! {
        #[test]
        fn never_panics(text in "[{}a.]{0,20}|.*") {
            if let Some(template) = Template::parse(&text) {
                let _ = template.fill(&node("n"), false);
                let _ = template.fill_uri(&node("n"), true);
            }
        }
    }
}
