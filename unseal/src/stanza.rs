//! The seal stanza out of a server's configuration file.
//!
//! Reads as much of HCL as such a stanza has: one block of assignments of texts, numbers and truth values. Other blocks are skipped.

use std::collections::BTreeMap;

use crate::error::Error;

/// The type of a `seal` block and its values, all as text.
pub type Seal = (String, BTreeMap<String, String>);

/// The `seal` blocks of a configuration, each with its type and its values. A block with `disabled = true` is left out, as only a migration uses it.
///
/// # Errors
/// A block that this reader does not understand. Values are not repeated.
pub fn seals(text: &str) -> Result<Vec<Seal>, Error> {
    let tokens = tokens(text)?;
    let mut tokens = tokens.as_slice();
    let mut found = Vec::new();
    let mut depth = 0usize;
    while let [token, rest @ ..] = tokens {
        tokens = rest;
        match token {
            Token::Sign('{' | '[') => depth += 1,
            Token::Sign('}' | ']') => depth = depth.saturating_sub(1),
            Token::Word(word) if word == "seal" && depth == 0 => {
                let (kind, values, rest) = block(tokens)?;
                tokens = rest;
                let disabled = values
                    .get("disabled")
                    .is_some_and(|value| matches!(value.as_str(), "true" | "1"));
                if !disabled {
                    found.push((kind, values));
                }
            }
            _ => {}
        }
    }
    Ok(found)
}

#[derive(Debug)]
enum Token {
    Word(String),
    Text(String),
    Sign(char),
}

type Block<'a> = (String, BTreeMap<String, String>, &'a [Token]);

fn block(tokens: &[Token]) -> Result<Block<'_>, Error> {
    let refuse = |what: &str| {
        Err(Error::Config(format!(
            "the seal stanza cannot be read: {what}"
        )))
    };
    let [
        Token::Text(kind) | Token::Word(kind),
        Token::Sign('{'),
        rest @ ..,
    ] = tokens
    else {
        return refuse("its type and an opening brace are missing");
    };
    let mut rest = rest;
    let mut values = BTreeMap::new();
    loop {
        match rest {
            [Token::Sign('}'), tail @ ..] => return Ok((kind.clone(), values, tail)),
            [
                Token::Word(key) | Token::Text(key),
                Token::Sign('='),
                Token::Text(value) | Token::Word(value),
                tail @ ..,
            ] => {
                values.insert(key.clone(), value.clone());
                rest = tail;
            }
            [Token::Word(key) | Token::Text(key), ..] => {
                return refuse(&format!("{key} has no plain value"));
            }
            _ => return refuse("its end is missing"),
        }
    }
}

fn tokens(text: &str) -> Result<Vec<Token>, Error> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with('#') || rest.starts_with("//") {
            rest = rest.split_once('\n').map_or("", |(_, tail)| tail);
        } else if let Some(comment) = rest.strip_prefix("/*") {
            rest = comment.split_once("*/").map_or("", |(_, tail)| tail);
        } else if first == '"' {
            let (value, tail) = quoted(&rest[1..])?;
            tokens.push(Token::Text(value));
            rest = tail;
        } else if first.is_alphanumeric() || matches!(first, '_' | '-' | '.') {
            let end = rest
                .find(|c: char| !(c.is_alphanumeric() || matches!(c, '_' | '-' | '.')))
                .unwrap_or(rest.len());
            tokens.push(Token::Word(rest[..end].to_owned()));
            rest = &rest[end..];
        } else {
            if !first.is_whitespace() {
                tokens.push(Token::Sign(first));
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    Ok(tokens)
}

fn quoted(text: &str) -> Result<(String, &str), Error> {
    let mut value = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '"' => return Ok((value, &text[at + 1..])),
            '\\' => match chars.next() {
                Some((_, 'n')) => value.push('\n'),
                Some((_, 't')) => value.push('\t'),
                Some((_, other)) => value.push(other),
                None => break,
            },
            '\n' => break,
            other => value.push(other),
        }
    }
    Err(Error::Config(
        "the configuration cannot be read: a text has no closing quote".to_owned(),
    ))
}

/// Keys that the server takes out of the stanza before a seal sees it.
const OF_THE_SERVER: [&str; 6] = [
    "disabled",
    "health_check_enabled",
    "health_check_interval",
    "health_check_interval_unhealthy",
    "health_check_timeout",
    "purpose",
];

/// Whether the server takes this key out of the stanza before a seal sees it.
pub(crate) fn is_of_the_server(key: &str) -> bool {
    OF_THE_SERVER.contains(&key)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_stanza_is_found_among_other_blocks_and_comments() {
        let text = r#"
            # seal "awskms" { region = "commented" }
            storage "raft" { path = "/x" retry_join { leader = "seal" } }
            plugin "kms" "awskms" { command = "landfast" args = ["seal"] }
            seal "awskms" { // the real one
              region     = "eu-central-1"
              kms_key_id = "alias/\"quoted\"" /* odd */
              key_not_required = true
              number = 5
            }
            seal "transit" {
              disabled = true
            }
        "#;
        let found = seals(text).expect("reads");
        assert_eq!(found.len(), 1);
        let (kind, values) = &found[0];
        assert_eq!(kind, "awskms");
        let pairs: Vec<_> = values
            .iter()
            .map(|(key, value)| format!("{key}={value}"))
            .collect();
        assert_eq!(
            pairs,
            [
                "key_not_required=true",
                "kms_key_id=alias/\"quoted\"",
                "number=5",
                "region=eu-central-1"
            ]
        );
    }

    #[test]
    fn what_is_not_understood_is_refused_without_its_values() {
        for text in [
            "seal \"awskms\" { secret_key = [\"hunter2\"] }",
            "seal \"awskms\" { region = \"x\"",
            "seal { }",
            "seal \"awskms\" { secret_key = \"hunter2\n }",
        ] {
            let error = seals(text).expect_err(text).to_string();
            assert!(!error.contains("hunter2"), "{error}");
        }
        assert!(seals("storage \"file\" {}").expect("reads").is_empty());
    }

    proptest! {
        #[test]
        fn no_text_makes_the_reader_panic(text in "[seal\"{}=#/*\\\\a-z\n ]{0,80}") {
            let _ = seals(&text).map(|found| found.len());
        }
    }
}
