//! YAML from JSON values: mappings and lists in blocks, every text quoted as in
//! JSON (which YAML reads as the same text), texts of several lines as literal
//! blocks.

use std::fmt::Write as _;

use serde_json::Value;

/// One document.
pub(super) fn render(value: &Value) -> String {
    let mut out = String::new();
    block(value, 0, &mut out);
    out
}

fn block(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(map) if !map.is_empty() => {
            for (key, value) in map {
                let _ = write!(out, "{:1$}{2}:", "", depth * 2, plain(key));
                inner(value, depth + 1, out);
            }
        }
        Value::Array(list) if !list.is_empty() => {
            for value in list {
                let start = out.len();
                match value {
                    // The first line of an item stands behind its dash.
                    Value::Object(_) | Value::Array(_) if !is_empty(value) => {
                        block(value, depth + 1, out);
                        let dash = start + depth * 2;
                        out.replace_range(dash..=dash, "-");
                    }
                    _ => {
                        let _ = write!(out, "{:1$}-", "", depth * 2);
                        inner(value, depth + 1, out);
                    }
                }
            }
        }
        other => {
            let _ = writeln!(out, "{:1$}{other}", "", depth * 2);
        }
    }
}

/// What follows a key or a dash.
fn inner(value: &Value, depth: usize, out: &mut String) {
    match value {
        Value::Object(_) | Value::Array(_) if !is_empty(value) => {
            out.push('\n');
            block(value, depth, out);
        }
        Value::String(text) if is_literal(text) => {
            out.push_str(" |\n");
            for line in text.lines() {
                let _ = writeln!(out, "{:1$}{line}", "", depth * 2);
            }
        }
        other => {
            let _ = writeln!(out, " {other}");
        }
    }
}

fn is_empty(value: &Value) -> bool {
    value.as_object().is_some_and(serde_json::Map::is_empty)
        || value.as_array().is_some_and(Vec::is_empty)
}

/// Texts that a literal block keeps as they are.
fn is_literal(text: &str) -> bool {
    text.trim_end_matches('\n').contains('\n')
        && text.ends_with('\n')
        && !text.ends_with("\n\n")
        && !text.starts_with([' ', '\n'])
        && text.chars().all(|c| c == '\n' || (' '..='~').contains(&c))
        && text
            .lines()
            .all(|line| !line.is_empty() && !line.ends_with(' '))
}

/// A key, quoted unless it is a word.
fn plain(key: &str) -> String {
    let word = |c: char| c.is_ascii_alphanumeric() || "_-./".contains(c);
    let lower = key.to_ascii_lowercase();
    let meant = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    if key.starts_with(|c: char| c.is_ascii_alphabetic())
        && key.chars().all(word)
        && !meant.contains(&lower.as_str())
    {
        key.to_owned()
    } else {
        Value::from(key).to_string()
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn blocks_items_and_texts() {
        let value = json!({
            "kind": "X", "empty": {}, "list": ["a: b", 1, {"k": true, "l": [2]}, []],
            "text": "one\ntwo\n", "odd": "one\n two \n", "on": null,
        });
        assert_eq!(
            render(&value),
            "empty: {}\nkind: \"X\"\nlist:\n  - \"a: b\"\n  - 1\n  - k: true\n    l:\n      - 2\n  - []\n\
             odd: \"one\\n two \\n\"\n\"on\": null\ntext: |\n  one\n  two\n"
        );
    }
}
