//! Types of expressions, and signatures of functions.

use std::fmt;

use crate::messages::{Field, Holds};

/// The type of an expression.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Kind {
    /// Any; also what is wrong already, so that it is told once.
    Dyn,
    Null,
    Bool,
    Int,
    Uint,
    Double,
    Text,
    Octets,
    Timestamp,
    Duration,
    List(Box<Self>),
    Map(Box<Self>, Box<Self>),
    Message(&'static str),
    Type(Box<Self>),
    Optional(Box<Self>),
    /// A type that a call of a function decides on.
    Open(char),
}

/// One way of calling a function.
#[derive(Debug, Clone)]
pub(super) struct Signature {
    pub(super) member: bool,
    pub(super) arguments: Vec<Kind>,
    pub(super) result: Kind,
}

impl Kind {
    pub(super) fn list(of: Self) -> Self {
        Self::List(Box::new(of))
    }

    pub(super) fn map(keys: Self, values: Self) -> Self {
        Self::Map(Box::new(keys), Box::new(values))
    }

    pub(super) fn optional(of: Self) -> Self {
        Self::Optional(Box::new(of))
    }

    pub(super) fn of_type(of: Self) -> Self {
        Self::Type(Box::new(of))
    }

    /// What a field of a message holds.
    pub(super) fn of_field(field: &Field) -> Self {
        let one = match field.holds {
            Holds::Bool => Self::Bool,
            Holds::Enum | Holds::Int64 => Self::Int,
            Holds::Uint32 | Holds::Uint64 => Self::Uint,
            Holds::Text => Self::Text,
            Holds::Octets => Self::Octets,
            Holds::Timestamp => Self::Timestamp,
            Holds::Message(name) => Self::Message(name),
        };
        if field.repeated { Self::list(one) } else { one }
    }

    /// A simple type by its name in a program.
    pub(super) fn named(name: &str) -> Option<Self> {
        Some(match name {
            "dyn" => Self::Dyn,
            "null_type" => Self::Null,
            "bool" => Self::Bool,
            "int" => Self::Int,
            "uint" => Self::Uint,
            "double" => Self::Double,
            "string" => Self::Text,
            "bytes" => Self::Octets,
            "google.protobuf.Timestamp" | "timestamp" => Self::Timestamp,
            "google.protobuf.Duration" | "duration" => Self::Duration,
            "list" => Self::list(Self::Dyn),
            "map" => Self::map(Self::Dyn, Self::Dyn),
            "type" => Self::of_type(Self::Dyn),
            "optional_type" => Self::optional(Self::Dyn),
            _ => return None,
        })
    }

    /// Whether a value of this type can be where `wanted` is. Types that are open in `wanted` are decided in `open`.
    pub(super) fn fits(&self, wanted: &Self, open: &mut Vec<(char, Self)>) -> bool {
        match (self, wanted) {
            (_, Self::Open(name)) => match open.iter().position(|(known, _)| known == name) {
                None => {
                    open.push((*name, self.clone()));
                    true
                }
                Some(at) => {
                    let known = open[at].1.clone();
                    if *self == Self::Dyn || known == Self::Dyn {
                        open[at].1 = Self::Dyn;
                        return true;
                    }
                    self.fits(&known, open) || known.fits(self, open)
                }
            },
            (Self::Dyn, _) | (_, Self::Dyn) => true,
            (
                Self::Null,
                Self::Message(_) | Self::Timestamp | Self::Duration | Self::Optional(_),
            ) => true,
            (Self::List(one), Self::List(other)) | (Self::Optional(one), Self::Optional(other)) => {
                one.fits(other, open)
            }
            (Self::Type(_), Self::Type(_)) => true,
            (Self::Map(keys, values), Self::Map(other_keys, other_values)) => {
                keys.fits(other_keys, open) && values.fits(other_values, open)
            }
            _ => self == wanted,
        }
    }

    /// With the open types filled in.
    pub(super) fn filled(&self, open: &[(char, Self)]) -> Self {
        match self {
            Self::Open(name) => {
                let known = open.iter().find(|(known, _)| known == name);
                known.map_or(Self::Dyn, |(_, kind)| kind.clone())
            }
            Self::List(of) => Self::list(of.filled(open)),
            Self::Optional(of) => Self::optional(of.filled(open)),
            Self::Type(of) => Self::of_type(of.filled(open)),
            Self::Map(keys, values) => Self::map(keys.filled(open), values.filled(open)),
            other => other.clone(),
        }
    }

    /// The type of a list or map that holds both.
    pub(super) fn joined(self, other: &Self) -> Self {
        if self == *other { self } else { Self::Dyn }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Dyn | Self::Open(_) => f.write_str("dyn"),
            Self::Null => f.write_str("null"),
            Self::Bool => f.write_str("bool"),
            Self::Int => f.write_str("int"),
            Self::Uint => f.write_str("uint"),
            Self::Double => f.write_str("double"),
            Self::Text => f.write_str("string"),
            Self::Octets => f.write_str("bytes"),
            Self::Timestamp => f.write_str("timestamp"),
            Self::Duration => f.write_str("duration"),
            Self::List(of) => write!(f, "list({of})"),
            Self::Map(keys, values) => write!(f, "map({keys}, {values})"),
            Self::Message(name) => f.write_str(name),
            Self::Type(of) => write!(f, "type({of})"),
            Self::Optional(of) => write!(f, "optional_type({of})"),
        }
    }
}

impl Signature {
    /// Reads `(string, int) bool`, or `string.(int) bool` of a member; `A` and `B` are open.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let (target, rest) = match text.find(".(") {
            Some(at) => (Some(&text[..at]), &text[at + 1..]),
            None => (None, text),
        };
        let close = rest
            .rfind(')')
            .filter(|_| !rest.ends_with(')'))
            .or_else(|| matching(rest))?;
        let inside = rest.get(1..close)?;
        let mut arguments = Vec::new();
        if let Some(target) = target {
            arguments.push(kind(target)?);
        }
        for argument in split(inside) {
            arguments.push(kind(argument)?);
        }
        Some(Self {
            member: target.is_some(),
            arguments,
            result: kind(rest.get(close + 1..)?.trim())?,
        })
    }
}

/// Where the bracket closes that the text begins with.
fn matching(text: &str) -> Option<usize> {
    let mut depth = 0_usize;
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' if depth == 1 => return Some(at),
            ')' => depth = depth.checked_sub(1)?,
            _ => {}
        }
    }
    None
}

/// Parts between the commas that stand in no brackets.
fn split(text: &str) -> Vec<&str> {
    let (mut parts, mut depth, mut start) = (Vec::new(), 0_usize, 0);
    for (at, c) in text.char_indices() {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            ',' if depth == 0 => {
                parts.push(text[start..at].trim());
                start = at + 1;
            }
            _ => {}
        }
    }
    if !text.trim().is_empty() {
        parts.push(text[start..].trim());
    }
    parts
}

fn kind(text: &str) -> Option<Kind> {
    if let Some((name, rest)) = text.split_once('(') {
        let inside = split(rest.strip_suffix(')')?);
        return Some(match (name, inside.as_slice()) {
            ("list", [of]) => Kind::list(kind(of)?),
            ("optional", [of]) => Kind::optional(kind(of)?),
            ("type", [of]) => Kind::of_type(kind(of)?),
            ("map", [keys, values]) => Kind::map(kind(keys)?, kind(values)?),
            _ => return None,
        });
    }
    match text {
        "A" | "B" => text.chars().next().map(Kind::Open),
        name => Kind::named(name),
    }
}
