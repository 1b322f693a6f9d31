//! Configuration files in JSON: what is wrong with one is told by key and kind, never by a value, which may be a credential.

use std::ops::RangeInclusive;

use serde::de::DeserializeOwned;

/// Reads the whole of a file's text. `hint` knows what is wanted where the parser's own words say little: it gets them, and has the right words or none.
///
/// # Errors
/// Which key is wrong and how, with line and column.
pub fn read<T: DeserializeOwned>(
    text: &str,
    hint: impl Fn(&str) -> Option<&'static str>,
) -> Result<T, String> {
    let mut parser = serde_json::Deserializer::from_str(text);
    let value = serde_path_to_error::deserialize(&mut parser);
    let value = value.map_err(|error| explain(&error, hint))?;
    parser
        .end()
        .map_err(|error| place("something follows its end", &error))?;
    Ok(value)
}

/// Refuses a number out of range, by the name of its field.
///
/// # Errors
/// The range.
pub fn within(field: &str, value: u64, range: &RangeInclusive<u64>) -> Result<(), String> {
    if range.contains(&value) {
        return Ok(());
    }
    Err(format!(
        "{field} is {value}, but must be from {} to {}",
        range.start(),
        range.end()
    ))
}

/// Which key is wrong and how. The parser's own text would repeat what it could not read, which may be a credential.
fn explain(
    error: &serde_path_to_error::Error<serde_json::Error>,
    hint: impl Fn(&str) -> Option<&'static str>,
) -> String {
    let said = error.inner().to_string();
    let said = said
        .rsplit_once(" at line ")
        .map_or(said.as_str(), |(said, _)| said);
    let what = match said.rsplit_once(", expected ") {
        // The keys themselves are no secret, and the list of them is the help that is needed.
        _ if ["unknown field", "missing field", "duplicate field"]
            .iter()
            .any(|known| said.starts_with(known)) =>
        {
            said.to_owned()
        }
        Some((found, expected)) if found.starts_with("invalid ") => {
            format!("{} is wanted, this is {}", wanted(expected), given(found))
        }
        _ if said.starts_with("invalid socket address") => {
            "an address with a port is wanted, such as 127.0.0.1:8300".to_owned()
        }
        _ => hint(said).unwrap_or("is not valid JSON").to_owned(),
    };
    let path = error.path().to_string();
    let path: String = path.chars().filter(|c| !c.is_control()).collect();
    let what = match path.as_str() {
        "." | "" | "?" => what,
        path => format!("{path}: {what}"),
    };
    place(&what, error.inner())
}

fn place(what: &str, error: &serde_json::Error) -> String {
    format!("{what} (line {}, column {})", error.line(), error.column())
}

/// The parser's word for a kind, in the words of JSON.
fn wanted(expected: &str) -> &str {
    match expected {
        "u32" | "u64" | "usize" => "a whole number",
        "a string" | "path string" => "a text",
        "a boolean" => "true or false",
        "a sequence" => "a list",
        "a map" => "an object",
        "socket address" => "an address with a port",
        other if other.starts_with("struct ") => "an object",
        _ => "another kind of value",
    }
}

fn given(found: &str) -> &'static str {
    let kind = found.split_once(": ").map_or("", |(_, kind)| kind);
    match kind.split([' ', ',']).next().unwrap_or_default() {
        "string" => "a text",
        "integer" => "a number out of range or of the wrong kind",
        "floating" => "a number with a fraction",
        "boolean" => "true or false",
        "null" | "unit" => "null",
        "sequence" => "a list",
        "map" => "an object",
        _ => "something else",
    }
}
