//! Regular expressions in Go's syntax: `matches`, `regex.replace`, `regex.extract`, `regex.extractAll`.
//!
//! The crate that runs them has another dialect: its classes such as `\d` are Unicode's, and in brackets it knows operators that Go does not.
//! A pattern is brought over before it is compiled, so that it admits here what it admits there.

use cel::common::types::{CelBool, CelInt, CelList, CelOptional, CelString, STRING_TYPE};
use cel::common::value::{CowVal, Val};
use cel::{DeclarationError, Env, ExecutionError, add_member_overload, add_overload};
use regex::{Regex, RegexBuilder};

use super::strings::no_overload;
use crate::budget::charge;
use crate::fault::error;

pub(super) fn register(env: &mut Env) -> Result<(), DeclarationError> {
    add_overload!(env, fn matches: (CelString<'_>, CelString<'_>) -> Result<CelBool>, name = "matches", id = "matches")?;
    add_member_overload!(env, fn matches: (CelString<'_>, CelString<'_>) -> Result<CelBool>, name = "matches", id = "matches_string")?;
    add_overload!(env, fn replace: (CelString<'_>, CelString<'_>, CelString<'_>) -> Result<CelString<'static>>, name = "regex.replace", id = "regex_replace")?;
    add_overload!(env, fn replace_some: (CelString<'_>, CelString<'_>, CelString<'_>, CelInt) -> Result<CelString<'static>>, name = "regex.replace", id = "regex_replace_some")?;
    env.add_overload(
        "regex.extract",
        "regex_extract",
        vec![STRING_TYPE, STRING_TYPE],
        extract,
    )?;
    env.add_overload(
        "regex.extractAll",
        "regex_extract_all",
        vec![STRING_TYPE, STRING_TYPE],
        extract_all,
    )
}

/// What a compiled pattern may take, in octets.
const MAX_COMPILED: usize = 256 << 10;

/// What compiling one counts as.
const COMPILING: usize = 16 << 10;

fn compile(pattern: &str) -> Result<Regex, ExecutionError> {
    charge(COMPILING + pattern.len())?;
    let pattern = brought_over(pattern)?;
    let compiled = RegexBuilder::new(&pattern)
        .size_limit(MAX_COMPILED)
        .dfa_size_limit(MAX_COMPILED)
        .nest_limit(64)
        .build();
    compiled.map_err(|why| match why {
        regex::Error::CompiledTooBig(_) => error("the regular expression is too large"),
        _ => error("error parsing regexp: the pattern is none, or uses what is not supported"),
    })
}

fn matches(text: &CelString<'_>, pattern: &CelString<'_>) -> Result<CelBool, ExecutionError> {
    Ok(compile(pattern.inner())?.is_match(text.inner()).into())
}

fn replace(
    text: &CelString<'_>,
    pattern: &CelString<'_>,
    with: &CelString<'_>,
) -> Result<CelString<'static>, ExecutionError> {
    replace_some(text, pattern, with, &CelInt::from(-1))
}

/// Replaces the first so many, all for a negative number. `\1` in the replacement is the first group, `\0` all that was found.
fn replace_some(
    text: &CelString<'_>,
    pattern: &CelString<'_>,
    with: &CelString<'_>,
    count: &CelInt,
) -> Result<CelString<'static>, ExecutionError> {
    let (text, pattern) = (text.inner(), compile(pattern.inner())?);
    let most = usize::try_from(*count.inner()).unwrap_or(usize::MAX);
    let parts = parts(with.inner(), pattern.captures_len() - 1)?;
    let (mut made, mut end) = (String::new(), 0);
    for found in pattern.captures_iter(text).take(most) {
        let Some(whole) = found.get(0) else { continue };
        made.push_str(&text[end..whole.start()]);
        let before = made.len();
        for part in &parts {
            match part {
                Part::Text(text) => made.push_str(text),
                Part::Group(number) => {
                    made.push_str(found.get(*number).map_or("", |group| group.as_str()));
                }
            }
        }
        charge(made.len() - before + 1)?;
        end = whole.end();
    }
    made.push_str(&text[end..]);
    Ok(made.into())
}

enum Part {
    Text(String),
    Group(usize),
}

fn parts(with: &str, groups: usize) -> Result<Vec<Part>, ExecutionError> {
    let mut parts = Vec::new();
    let mut text = String::new();
    let mut rest = with.chars();
    while let Some(c) = rest.next() {
        if c != '\\' {
            text.push(c);
            continue;
        }
        match rest.next() {
            Some('\\') => text.push('\\'),
            Some(digit) if digit.is_ascii_digit() => {
                let number = digit
                    .to_digit(10)
                    .and_then(|digit| usize::try_from(digit).ok());
                let number = number.filter(|number| *number <= groups).ok_or_else(|| {
                    error(format!("replacement string references group {digit} but regex has only {groups} group(s)"))
                })?;
                parts.push(Part::Text(std::mem::take(&mut text)));
                parts.push(Part::Group(number));
            }
            _ => {
                return Err(error(
                    "invalid replacement string: \\ must be followed by a digit",
                ));
            }
        }
    }
    parts.push(Part::Text(text));
    Ok(parts)
}

/// The two texts of a call, with the pattern compiled; at most one group.
fn extraction<'a>(arguments: &'a [CowVal<'_, '_>]) -> Result<(&'a str, Regex), ExecutionError> {
    let text = |at: usize| {
        let value: Option<&CowVal<'_, '_>> = arguments.get(at);
        value
            .and_then(|value| value.downcast_ref::<CelString<'_>>())
            .map(CelString::inner)
            .ok_or_else(no_overload)
    };
    let pattern = compile(text(1)?)?;
    if pattern.captures_len() > 2 {
        return Err(error(format!(
            "regular expression has more than one capturing group: {:?}",
            text(1)?
        )));
    }
    Ok((text(0)?, pattern))
}

/// The group of a match, or all of it where the pattern has no group; nothing for a group that took no part.
fn wanted<'t>(found: &regex::Captures<'t>) -> Option<&'t str> {
    let group = found.get(found.len() - 1)?.as_str();
    (found.len() == 1 || !group.is_empty()).then_some(group)
}

fn extract<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let (text, pattern) = extraction(&arguments)?;
    let found = pattern.captures(text).and_then(|found| wanted(&found));
    Ok(CowVal::owned(match found {
        Some(found) => CelOptional::of(Box::new(CelString::from(found.to_owned()))),
        None => CelOptional::none(),
    }))
}

fn extract_all<'b, 'v>(arguments: Vec<CowVal<'b, 'v>>) -> Result<CowVal<'b, 'v>, ExecutionError> {
    let (text, pattern) = extraction(&arguments)?;
    let mut all: Vec<Box<dyn Val>> = Vec::new();
    for found in pattern.captures_iter(text) {
        if let Some(found) = wanted(&found) {
            charge(64 + found.len())?;
            all.push(Box::new(CelString::from(found.to_owned())));
        }
    }
    Ok(CowVal::owned(CelList::from(all)))
}

/// A pattern of Go in the dialect of the crate that runs it.
fn brought_over(pattern: &str) -> Result<String, ExecutionError> {
    let unsupported =
        || error("error parsing regexp: the pattern is none, or uses what is not supported");
    let mut made = String::with_capacity(pattern.len());
    let mut rest = pattern.chars().peekable();
    let mut class = false;
    while let Some(c) = rest.next() {
        match c {
            '\\' => match rest.next().ok_or_else(unsupported)? {
                'd' => made.push_str(if class { "0-9" } else { "[0-9]" }),
                'w' => made.push_str(if class { "0-9A-Za-z_" } else { "[0-9A-Za-z_]" }),
                's' => made.push_str(if class { r"\t\n\f\r " } else { r"[\t\n\f\r ]" }),
                'D' => made.push_str("[^0-9]"),
                'W' => made.push_str("[^0-9A-Za-z_]"),
                'S' => made.push_str(r"[^\t\n\f\r ]"),
                'b' if !class => made.push_str(r"(?-u:\b)"),
                // Places between octets of one character, a quoted run, and what Go does not have.
                'B' | 'Q' | 'E' | 'C' | 'u' | 'U' | '<' | '>' => return Err(unsupported()),
                other => made.extend(['\\', other]),
            },
            '[' if class => match rest.peek() {
                Some(':') => made.push('['),
                _ => made.push_str(r"\["),
            },
            '[' => {
                class = true;
                made.push('[');
                if rest.next_if_eq(&'^').is_some() {
                    made.push('^');
                }
                // A closing bracket in the first place stands for itself.
                if rest.next_if_eq(&']').is_some() {
                    made.push_str(r"\]");
                }
            }
            ']' if class => {
                // The end of `[:alpha:]` is none of the class.
                class = made.ends_with(':')
                    && made.rfind("[:").is_some_and(|at| !made[at..].contains(']'));
                made.push(']');
            }
            '&' | '~' if class => made.extend(['\\', c]),
            '-' if class && rest.peek() == Some(&'-') => return Err(unsupported()),
            other => made.push(other),
        }
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::budget;

    fn finds(pattern: &str, text: &str) -> Option<bool> {
        budget::begin(budget::GivenUp::default());
        compile(pattern).ok().map(|pattern| pattern.is_match(text))
    }

    #[test]
    fn classes_are_those_of_ascii() {
        for (pattern, text, expected) in [
            (r"^\d+$", "12", Some(true)),
            (r"^\d+$", "١٢", Some(false)),
            (r"^\w+$", "aé", Some(false)),
            (r"^[\w.-]+$", "a_1.b-c", Some(true)),
            (r"^[^\s]+$", "a\u{a0}b", Some(true)),
            (r"^\S+$", "a b", Some(false)),
            (r"\bé", "aé", Some(true)),
            (r"^[[a]+$", "[a", Some(true)),
            (r"^[a&&b]+$", "a&b", Some(true)),
            (r"^[[:alpha:]-]+$", "a-b", Some(true)),
            (r"^[[:alpha:]]\]$", "a]", Some(true)),
            (r"^[]a]+$", "]a", Some(true)),
            (r"^[^]a]+$", "bc", Some(true)),
            (r"^(?P<x>a)(?:b)$", "ab", Some(true)),
            (r"^.$", "é", Some(true)),
            ("^a$", "a\n", Some(false)),
            (r"\Qa\E", "a", None),
            ("[", "a", None),
            ("(", "a", None),
            ("\\", "a", None),
            (r"[a--b]", "a", None),
            (r"(?:(?:x{100}){100}){100}", "x", None),
        ] {
            assert_eq!(finds(pattern, text), expected, "{pattern} on {text}");
        }
    }
}
