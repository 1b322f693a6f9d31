//! Request bodies: a JSON reader with limits that keeps numbers as they were written.
//!
//! The host forwards what clients send, and nested or huge documents have been used to exhaust servers (CVE-2025-6203,
//! CVE-2025-59043): depth, number of values and length of strings are checked while reading, before anything is decoded.

use std::borrow::Cow;

use serde_json::Number;
#[cfg(test)]
use serde_json::{Map, Value};
use zeroize::Zeroize as _;

/// Deepest nesting of arrays and objects.
pub(crate) const MAX_DEPTH: usize = 64;
/// Most values in one document.
pub(crate) const MAX_VALUES: usize = 100_000;
/// Longest string, in bytes of the document: room for a bundle of certificates.
pub(crate) const MAX_STRING: usize = 4 << 20;
/// Largest document: the host's own limit on a request.
pub(crate) const MAX_BYTES: usize = 32 << 20;

/// A JSON value borrowing from its text.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Json<'a> {
    Null,
    Bool(bool),
    /// As written: `1e3`, `2048.7`.
    Number(&'a str),
    String(Cow<'a, str>),
    Array(Vec<Self>),
    Object(Object<'a>),
}

/// An object; sorted by key, the last of equal keys counts.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Object<'a>(Vec<(Cow<'a, str>, Json<'a>)>);

impl<'a> Object<'a> {
    pub(crate) fn get(&self, key: &str) -> Option<&Json<'a>> {
        self.0
            .binary_search_by(|(name, _)| name.as_ref().cmp(key))
            .ok()
            .map(|at| &self.0[at].1)
    }

    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = (&str, &Json<'a>)> {
        self.0.iter().map(|(key, value)| (key.as_ref(), value))
    }

    pub(crate) fn entry(&self, at: usize) -> Option<(&str, &Json<'a>)> {
        self.0.get(at).map(|(key, value)| (key.as_ref(), value))
    }
}

impl Object<'_> {
    /// Wipes the texts that are copies of the document's: those that were written with escapes.
    pub(crate) fn wipe(&mut self) {
        self.0.iter_mut().for_each(|(_, value)| value.wipe());
    }
}

impl Json<'_> {
    fn wipe(&mut self) {
        match self {
            Self::String(Cow::Owned(text)) => text.zeroize(),
            Self::Array(items) => items.iter_mut().for_each(Self::wipe),
            Self::Object(object) => object.wipe(),
            Self::Null | Self::Bool(_) | Self::Number(_) | Self::String(Cow::Borrowed(_)) => {}
        }
    }

    /// The name that Go has for this kind of value, as it appears in error texts.
    pub(crate) fn go_type(&self) -> &'static str {
        match self {
            Self::Null => "nil",
            Self::Bool(_) => "bool",
            Self::Number(_) => "json.Number",
            Self::String(_) => "string",
            Self::Array(_) => "[]interface {}",
            Self::Object(_) => "map[string]interface {}",
        }
    }

    #[cfg(test)]
    fn to_value(&self) -> Value {
        match self {
            Self::Null => Value::Null,
            Self::Bool(value) => Value::Bool(*value),
            Self::Number(text) => number(text).map_or(Value::Null, Value::Number),
            Self::String(text) => Value::String(text.clone().into_owned()),
            Self::Array(items) => items.iter().map(Json::to_value).collect(),
            Self::Object(object) => Value::Object(
                object
                    .iter()
                    .map(|(k, v)| (k.to_owned(), v.to_value()))
                    .collect::<Map<_, _>>(),
            ),
        }
    }
}

/// A number as serde knows it; `None` when it is too large for a float.
pub(crate) fn number(text: &str) -> Option<Number> {
    if let Ok(value) = text.parse::<u64>() {
        return Some(value.into());
    }
    if let Ok(value) = text.parse::<i64>() {
        return Some(value.into());
    }
    text.parse::<f64>().ok().and_then(Number::from_f64)
}

/// Reads a request's data: an object. The texts `null` and nothing are an empty one.
pub(crate) fn parse_object(text: &str) -> Result<Object<'_>, &'static str> {
    if text.is_empty() || text == "null" {
        return Ok(Object::default());
    }
    match parse(text)? {
        Json::Object(object) => Ok(object),
        Json::Null => Ok(Object::default()),
        _ => Err("the request data is not an object"),
    }
}

fn parse(text: &str) -> Result<Json<'_>, &'static str> {
    if text.len() > MAX_BYTES {
        return Err("the document is too large");
    }
    let mut reader = Reader {
        text,
        bytes: text.as_bytes(),
        at: 0,
        depth: 0,
        values: 0,
    };
    let value = reader.value()?;
    reader.blank();
    if reader.at == text.len() {
        Ok(value)
    } else {
        Err("text after the value")
    }
}

struct Reader<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    values: usize,
}

impl<'a> Reader<'a> {
    fn peek(&self) -> Option<u8> {
        self.bytes.get(self.at).copied()
    }

    fn blank(&mut self) {
        while matches!(self.peek(), Some(b' ' | b'\t' | b'\n' | b'\r')) {
            self.at += 1;
        }
    }

    fn take(&mut self, byte: u8) -> bool {
        let found = self.peek() == Some(byte);
        self.at += usize::from(found);
        found
    }

    fn value(&mut self) -> Result<Json<'a>, &'static str> {
        self.values += 1;
        if self.values > MAX_VALUES {
            return Err("the document has too many values");
        }
        self.blank();
        match self.peek().ok_or("unexpected end")? {
            b'"' => self.string().map(Json::String),
            b'{' => self.nested(Self::object),
            b'[' => self.nested(Self::array),
            b't' => self.word("true", Json::Bool(true)),
            b'f' => self.word("false", Json::Bool(false)),
            b'n' => self.word("null", Json::Null),
            b'-' | b'0'..=b'9' => self.number(),
            _ => Err("unexpected character"),
        }
    }

    fn nested(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<Json<'a>, &'static str>,
    ) -> Result<Json<'a>, &'static str> {
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err("the document is nested too deeply");
        }
        self.at += 1;
        let value = read(self)?;
        self.depth -= 1;
        Ok(value)
    }

    fn object(&mut self) -> Result<Json<'a>, &'static str> {
        let mut entries = Vec::new();
        self.blank();
        if !self.take(b'}') {
            loop {
                self.blank();
                if self.peek() != Some(b'"') {
                    return Err("expected a member name");
                }
                let key = self.string()?;
                self.blank();
                if !self.take(b':') {
                    return Err("expected a colon");
                }
                entries.push((key, self.value()?));
                self.blank();
                if self.take(b'}') {
                    break;
                }
                if !self.take(b',') {
                    return Err("expected a comma or the end of the object");
                }
            }
        }
        // The sort is stable: reversed, the last of equal keys comes first and survives.
        entries.reverse();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        entries.dedup_by(|(later, _), (kept, _)| later == kept);
        Ok(Json::Object(Object(entries)))
    }

    fn array(&mut self) -> Result<Json<'a>, &'static str> {
        let mut items = Vec::new();
        self.blank();
        if self.take(b']') {
            return Ok(Json::Array(items));
        }
        loop {
            items.push(self.value()?);
            self.blank();
            if self.take(b']') {
                return Ok(Json::Array(items));
            }
            if !self.take(b',') {
                return Err("expected a comma or the end of the array");
            }
        }
    }

    fn word(&mut self, word: &str, value: Json<'a>) -> Result<Json<'a>, &'static str> {
        if self.bytes[self.at..].starts_with(word.as_bytes()) {
            self.at += word.len();
            Ok(value)
        } else {
            Err("unexpected character")
        }
    }

    fn number(&mut self) -> Result<Json<'a>, &'static str> {
        let start = self.at;
        self.take(b'-');
        if !self.take(b'0') {
            self.digits()?;
        }
        if self.take(b'.') {
            self.digits()?;
        }
        if matches!(self.peek(), Some(b'e' | b'E')) {
            self.at += 1;
            if matches!(self.peek(), Some(b'+' | b'-')) {
                self.at += 1;
            }
            self.digits()?;
        }
        Ok(Json::Number(&self.text[start..self.at]))
    }

    fn digits(&mut self) -> Result<(), &'static str> {
        let start = self.at;
        while matches!(self.peek(), Some(b'0'..=b'9')) {
            self.at += 1;
        }
        if self.at == start {
            Err("expected a digit")
        } else {
            Ok(())
        }
    }

    fn string(&mut self) -> Result<Cow<'a, str>, &'static str> {
        self.at += 1;
        let start = self.at;
        let mut owned: Option<String> = None;
        let mut copied = start;
        loop {
            let byte = self.peek().ok_or("unexpected end in a string")?;
            if self.at - start > MAX_STRING {
                return Err("a string is too long");
            }
            match byte {
                b'"' => {
                    let tail = &self.text[copied..self.at];
                    self.at += 1;
                    return Ok(match owned {
                        None => Cow::Borrowed(tail),
                        Some(mut text) => {
                            text.push_str(tail);
                            Cow::Owned(text)
                        }
                    });
                }
                b'\\' => {
                    let text = owned.get_or_insert_default();
                    text.push_str(&self.text[copied..self.at]);
                    self.at += 1;
                    let escaped = self.escape()?;
                    text.push(escaped);
                    copied = self.at;
                }
                0..=0x1f => return Err("control character in a string"),
                _ => self.at += 1,
            }
        }
    }

    fn escape(&mut self) -> Result<char, &'static str> {
        let byte = self.peek().ok_or("unexpected end in a string")?;
        self.at += 1;
        Ok(match byte {
            b'"' | b'\\' | b'/' => char::from(byte),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => {
                let high = self.hex()?;
                if !(0xd800..0xe000).contains(&high) {
                    return Ok(char::from_u32(high).unwrap_or(char::REPLACEMENT_CHARACTER));
                }
                // A lone surrogate becomes the replacement character, as Go does it.
                let back = self.at;
                if high < 0xdc00 && self.take(b'\\') && self.take(b'u') {
                    let low = self.hex()?;
                    if (0xdc00..0xe000).contains(&low) {
                        let scalar = 0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00);
                        return Ok(char::from_u32(scalar).unwrap_or(char::REPLACEMENT_CHARACTER));
                    }
                }
                self.at = back;
                char::REPLACEMENT_CHARACTER
            }
            _ => return Err("unknown escape in a string"),
        })
    }

    fn hex(&mut self) -> Result<u32, &'static str> {
        let digits = self
            .bytes
            .get(self.at..self.at + 4)
            .ok_or("unexpected end in a string")?;
        let mut value = 0;
        for digit in digits {
            value = value << 4
                | char::from(*digit)
                    .to_digit(16)
                    .ok_or("expected four hexadecimal digits")?;
        }
        self.at += 4;
        Ok(value)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<i64>().prop_map(Value::from),
            any::<u64>().prop_map(Value::from),
            (-1e9f64..1e9).prop_map(Value::from),
            any::<String>().prop_map(Value::from),
        ];
        leaf.prop_recursive(4, 40, 6, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
                prop::collection::btree_map(any::<String>(), inner, 0..5)
                    .prop_map(|map| Value::Object(map.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn reads_what_serde_writes(value in json()) {
            let (text, pretty) = (value.to_string(), format!("{value:#}"));
            prop_assert_eq!(&parse(&text).unwrap().to_value(), &value);
            prop_assert_eq!(&parse(&pretty).unwrap().to_value(), &value);
        }

        #[test]
        fn accepts_exactly_what_serde_accepts(text in r#"[\[\]{}",:0-9.eE+\-tfnrualse\\ ]{0,24}"#) {
            // Lone surrogates are the one difference, and this alphabet cannot write one.
            let ours = parse(&text).map(|value| value.to_value());
            let theirs = serde_json::from_str::<Value>(&text);
            match (ours, theirs) {
                (Ok(a), Ok(b)) => prop_assert_eq!(a, b),
                (Err(_), Err(_)) => {}
                (Ok(Value::Number(_) | Value::Null | Value::Array(_) | Value::Object(_)), Err(error))
                    if error.to_string().contains("out of range") => {}
                (a, b) => prop_assert!(false, "{:?} {:?} {:?}", text, a, b.map_err(|e| e.to_string())),
            }
        }

        #[test]
        fn never_panics(text in any::<String>()) {
            let _ = parse(&text);
            let _ = parse(&format!("\"{text}\""));
            let _ = parse(&format!("\"\\u{text}\""));
        }
    }

    #[test]
    fn refuses_deep_long_and_crowded_documents() {
        let deep = format!("{}{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1));
        assert_eq!(parse(&deep), Err("the document is nested too deeply"));
        assert!(parse(&deep[1..deep.len() - 1]).is_ok());
        assert_eq!(
            parse(&"[".repeat(1 << 20)),
            Err("the document is nested too deeply")
        );
        let crowded = format!("[{}0]", "0,".repeat(MAX_VALUES));
        assert_eq!(parse(&crowded), Err("the document has too many values"));
        let long = format!("\"{}\"", "x".repeat(MAX_STRING + 1));
        assert_eq!(parse(&long), Err("a string is too long"));
    }

    #[test]
    fn the_last_of_equal_keys_counts() {
        let object = parse_object(r#"{"a":1,"b":2,"a":3,"a":4}"#).unwrap();
        assert_eq!(object.get("a"), Some(&Json::Number("4")));
        assert_eq!(object.iter().len(), 2);
    }

    #[test]
    fn numbers_stay_as_written_and_surrogates_are_joined() {
        let object =
            parse_object(r#"{"n":2048.70,"s":"\ud83d\ude00 \ud83d x","z":"a\u003cb"}"#).unwrap();
        assert_eq!(object.get("n"), Some(&Json::Number("2048.70")));
        assert_eq!(
            object.get("s"),
            Some(&Json::String("\u{1f600} \u{fffd} x".into()))
        );
        assert_eq!(object.get("z"), Some(&Json::String("a<b".into())));
    }

    #[test]
    fn copies_of_texts_are_wiped() {
        let text = r#"{"a":"plain","b":["k\ney",{"c":"k\tey"}],"d":1}"#;
        let mut object = parse_object(text).unwrap();
        object.wipe();
        assert_eq!(
            object,
            parse_object(r#"{"a":"plain","b":["",{"c":""}],"d":1}"#).unwrap()
        );
    }

    #[test]
    fn nothing_and_null_are_empty_and_an_array_is_refused() {
        assert_eq!(parse_object(""), Ok(Object::default()));
        assert_eq!(parse_object("null"), Ok(Object::default()));
        assert!(parse_object("[]").is_err());
    }
}
