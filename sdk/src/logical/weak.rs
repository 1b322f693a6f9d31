//! Vault's weakly typed decoding, as a serde deserializer: `"1"` is true, `"2048"` is a number, 5 is the text `5`, null is
//! the zero value. Source of the rules and texts: `pki` of OpenBao 2.7.2, observed.

use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer};
use serde::de::{
    self, DeserializeOwned, DeserializeSeed, Deserializer, Expected, MapAccess, SeqAccess,
    Unexpected, Visitor,
};
use serde::forward_to_deserialize_any;

use super::duration::parse_duration;
use super::fields::{COMMA_LIST, KEY_VALUES, TTL};
use super::json::{Json, Object, number};
use super::route::Captures;
use super::schema::{FieldSet, Kind};

/// All that a request type is decoded from: the parameters of its path, which win, over its data.
#[derive(Clone, Copy)]
pub(crate) struct Input<'j> {
    pub(crate) captures: &'j Captures<'j>,
    pub(crate) data: &'j Object<'j>,
    pub(crate) fields: &'j FieldSet,
}

impl Input<'_> {
    /// Decodes a request; the error is the text for the caller.
    pub(crate) fn decode<R: DeserializeOwned>(self) -> Result<R, String> {
        R::deserialize(self).map_err(|refusal| match refusal {
            Refusal::Missing(field) => format!("missing required field {field:?}"),
            Refusal::Text(text) | Refusal::Field(text) => {
                format!("Field validation failed: {text}")
            }
        })
    }
}

/// Why a value does not decode. Texts name the field and the wanted type, never the value.
#[derive(Debug)]
pub(crate) enum Refusal {
    Text(String),
    /// Already names its field.
    Field(String),
    Missing(&'static str),
}

impl Refusal {
    fn unconvertible(wanted: &dyn Expected, value: &Json<'_>) -> Self {
        Self::Text(format!(
            "'' expected type '{wanted}', got unconvertible type '{}'",
            value.go_type()
        ))
    }

    fn unparsable(wanted: &str, why: &str) -> Self {
        Self::Text(format!("'' cannot parse value as '{wanted}': {why}"))
    }

    fn of_field(self, name: &str) -> Self {
        match self {
            Self::Text(text) => {
                Self::Field(format!("error converting input for field {name:?}: {text}"))
            }
            Self::Missing(inner) => Self::Field(format!(
                "error converting input for field {name:?}: missing required field {inner:?}"
            )),
            named @ Self::Field(_) => named,
        }
    }
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Text(text) | Self::Field(text) => f.write_str(text),
            Self::Missing(field) => write!(f, "missing required field {field:?}"),
        }
    }
}

impl std::error::Error for Refusal {}

impl de::Error for Refusal {
    fn custom<T: std::fmt::Display>(text: T) -> Self {
        Self::Text(text.to_string())
    }

    fn invalid_type(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        let found = match found {
            Unexpected::Bool(_) => "bool",
            Unexpected::Unsigned(_) | Unexpected::Signed(_) | Unexpected::Float(_) => "json.Number",
            Unexpected::Str(_) | Unexpected::Char(_) => "string",
            Unexpected::Seq => "[]interface {}",
            Unexpected::Unit | Unexpected::Option => "nil",
            _ => "map[string]interface {}",
        };
        Self::Text(format!(
            "'' expected type '{expected}', got unconvertible type '{found}'"
        ))
    }

    fn invalid_value(found: Unexpected<'_>, expected: &dyn Expected) -> Self {
        match found {
            Unexpected::Unsigned(_) | Unexpected::Signed(_) => {
                Self::unparsable("int", "strconv.ParseInt: value out of range")
            }
            _ => Self::Text(format!("'' expected {expected}")),
        }
    }

    fn unknown_variant(_: &str, expected: &'static [&'static str]) -> Self {
        Self::Text(format!("'' expected one of {}", expected.join(", ")))
    }

    fn missing_field(field: &'static str) -> Self {
        Self::Missing(field)
    }

    fn duplicate_field(field: &'static str) -> Self {
        Self::Text(format!(
            "field {field:?} was sent twice under different names"
        ))
    }
}

impl<'j> Deserializer<'j> for Input<'j> {
    type Error = Refusal;

    fn deserialize_struct<V: Visitor<'j>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_map(Known {
            input: self,
            fields: fields.iter(),
            current: None,
        })
    }

    fn deserialize_map<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_map(All {
            input: self,
            capture: 0,
            entry: 0,
            current: None,
        })
    }

    fn deserialize_any<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_map(visitor)
    }

    /// A tuple of request types: each decodes from the same fields.
    fn deserialize_tuple<V: Visitor<'j>>(
        self,
        len: usize,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_seq(Repeat {
            input: self,
            left: len,
        })
    }

    fn deserialize_newtype_struct<V: Visitor<'j>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_option<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_some(self)
    }

    fn deserialize_unit<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }

    fn deserialize_unit_struct<V: Visitor<'j>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }

    forward_to_deserialize_any! {
        <V: Visitor<'j>>
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf seq tuple_struct enum
        identifier ignored_any
    }
}

/// Hands a struct the fields that it names and that were sent.
struct Known<'j> {
    input: Input<'j>,
    fields: std::slice::Iter<'static, &'static str>,
    current: Option<(&'static str, Source<'j>)>,
}

#[derive(Clone, Copy)]
enum Source<'j> {
    Capture(&'j str),
    Sent(&'j Json<'j>),
}

impl<'j> Source<'j> {
    fn decode<T: DeserializeSeed<'j>>(
        self,
        seed: T,
        name: &str,
        fields: &FieldSet,
    ) -> Result<T::Value, Refusal> {
        match self {
            Self::Capture(text) => seed.deserialize(BorrowedText(text)),
            Self::Sent(value) => seed.deserialize(Weak {
                value,
                kind: fields.get(name).map_or(Kind::Any, |field| field.kind),
                top: true,
            }),
        }
        .map_err(|refusal| refusal.of_field(name))
    }
}

impl<'j> MapAccess<'j> for Known<'j> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'j>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refusal> {
        for name in self.fields.by_ref() {
            let source = match self.input.captures.get(name) {
                Some(text) => Source::Capture(text),
                None => match self.input.data.get(name) {
                    Some(value) => Source::Sent(value),
                    None => continue,
                },
            };
            self.current = Some((name, source));
            return seed
                .deserialize(BorrowedStrDeserializer::new(name))
                .map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<T: DeserializeSeed<'j>>(&mut self, seed: T) -> Result<T::Value, Refusal> {
        let (name, source) = self
            .current
            .take()
            .expect("serde asks for a value after its key");
        source.decode(seed, name, self.input.fields)
    }
}

/// Hands over everything that was sent, for types that take any field.
struct All<'j> {
    input: Input<'j>,
    capture: usize,
    entry: usize,
    current: Option<(&'j str, Source<'j>)>,
}

impl<'j> MapAccess<'j> for All<'j> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'j>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refusal> {
        if let Some((name, text)) = self.input.captures.as_slice().get(self.capture) {
            self.capture += 1;
            self.current = Some((name, Source::Capture(text)));
            return seed
                .deserialize(BorrowedStrDeserializer::new(name))
                .map(Some);
        }
        while let Some((name, value)) = self.input.data.entry(self.entry) {
            self.entry += 1;
            if self.input.captures.get(name).is_none() {
                self.current = Some((name, Source::Sent(value)));
                return seed
                    .deserialize(BorrowedStrDeserializer::new(name))
                    .map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<T: DeserializeSeed<'j>>(&mut self, seed: T) -> Result<T::Value, Refusal> {
        let (name, source) = self
            .current
            .take()
            .expect("serde asks for a value after its key");
        source.decode(seed, name, self.input.fields)
    }
}

struct Repeat<'j> {
    input: Input<'j>,
    left: usize,
}

impl<'j> SeqAccess<'j> for Repeat<'j> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'j>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refusal> {
        if self.left == 0 {
            return Ok(None);
        }
        self.left -= 1;
        seed.deserialize(self.input).map(Some)
    }
}

/// A path parameter: text, which numbers and newtypes read like text in the data.
struct BorrowedText<'j>(&'j str);

macro_rules! text_as_number {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
            match integer(self.0, "int")? {
                Integer::Signed(value) => visitor.visit_i64(value),
                Integer::Unsigned(value) => visitor.visit_u64(value),
            }
        }
    )*};
}

impl<'j> Deserializer<'j> for BorrowedText<'j> {
    type Error = Refusal;

    text_as_number! { deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
    deserialize_u32 deserialize_u64 }

    fn deserialize_any<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_borrowed_str(self.0)
    }

    fn deserialize_bool<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_bool(boolean(self.0)?)
    }

    fn deserialize_option<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'j>>(
        self,
        _: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_enum<V: Visitor<'j>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        BorrowedStrDeserializer::new(self.0).deserialize_enum(name, variants, visitor)
    }

    forward_to_deserialize_any! {
        <V: Visitor<'j>>
        i128 u128 f32 f64 char str string bytes byte_buf unit unit_struct seq tuple tuple_struct map struct identifier
        ignored_any
    }
}

/// A value of the data.
#[derive(Clone, Copy)]
struct Weak<'j> {
    value: &'j Json<'j>,
    /// How to read it when the visitor does not say.
    kind: Kind,
    /// A field of the request itself, where null means the zero value; further in, null is an absent option.
    top: bool,
}

impl<'j> Weak<'j> {
    fn inner(value: &'j Json<'j>) -> Self {
        Self {
            value,
            kind: Kind::Any,
            top: false,
        }
    }

    fn integer(self, wanted: &'static str) -> Result<Integer, Refusal> {
        match self.value {
            Json::Null => Ok(Integer::Signed(0)),
            Json::Bool(value) => Ok(Integer::Signed(i64::from(*value))),
            Json::Number(text) => integer(text, wanted),
            Json::String(text) => integer(text, wanted),
            other => Err(Refusal::unconvertible(&wanted, other)),
        }
    }

    fn boolean(self) -> Result<bool, Refusal> {
        match self.value {
            Json::Null => Ok(false),
            Json::Bool(value) => Ok(*value),
            Json::Number(text) => boolean(text),
            Json::String(text) => boolean(text),
            other => Err(Refusal::unconvertible(&"bool", other)),
        }
    }

    fn float(self) -> Result<f64, Refusal> {
        let parse = |text: &str| {
            if text.is_empty() {
                Ok(0.0)
            } else {
                text.parse::<f64>()
            }
            .map_err(|_| Refusal::unparsable("float64", "strconv.ParseFloat: invalid syntax"))
        };
        match self.value {
            Json::Null => Ok(0.0),
            Json::Bool(value) => Ok(f64::from(u8::from(*value))),
            Json::Number(text) => parse(text),
            Json::String(text) => parse(text),
            other => Err(Refusal::unconvertible(&"float64", other)),
        }
    }

    fn text(self) -> Result<&'j str, Refusal> {
        match self.value {
            Json::Null => Ok(""),
            Json::Bool(true) => Ok("1"),
            Json::Bool(false) => Ok("0"),
            Json::Number(text) => Ok(text),
            Json::String(text) => Ok(text),
            other => Err(Refusal::unconvertible(&"string", other)),
        }
    }

    fn seconds(self) -> Result<u64, Refusal> {
        let text = match self.value {
            Json::Null => "",
            Json::Number(text) => text,
            Json::String(text) => text.as_ref(),
            _ => {
                return Err(Refusal::Text(
                    "could not parse duration from input".to_owned(),
                ));
            }
        };
        parse_duration(text)
            .map(|duration| duration.as_secs())
            .map_err(|error| Refusal::Text(error.to_string()))
    }
}

enum Integer {
    Signed(i64),
    Unsigned(u64),
}

/// Go's `strconv.ParseInt` with base 0: prefixes `0x`, `0o`, `0b` and `0`, and `_` between digits of such.
fn integer(text: &str, wanted: &'static str) -> Result<Integer, Refusal> {
    if let Ok(value) = text.parse::<i64>()
        && !leading_zero(text)
    {
        return Ok(Integer::Signed(value));
    }
    if text.is_empty() {
        return Ok(Integer::Signed(0));
    }
    let (negative, digits) = match text.as_bytes()[0] {
        b'-' => (true, &text[1..]),
        b'+' => (false, &text[1..]),
        _ => (false, text),
    };
    let lower = digits.to_ascii_lowercase();
    let (base, digits) = match lower.as_bytes() {
        [b'0', b'x', ..] => (16, &lower[2..]),
        [b'0', b'b', ..] => (2, &lower[2..]),
        [b'0', b'o', ..] => (8, &lower[2..]),
        [b'0', _, ..] => (8, &lower[1..]),
        _ => (10, lower.as_str()),
    };
    let syntax = || Refusal::unparsable(wanted, "strconv.ParseInt: invalid syntax");
    let plain = digits.replace('_', "");
    // Underscores only between digits, or between the prefix and a digit.
    let misplaced = digits.ends_with('_') || digits.contains("__") || (lower.starts_with('_'));
    if plain.is_empty() || misplaced || !plain.chars().all(|c| c.is_digit(base)) {
        return Err(syntax());
    }
    let range = || Refusal::unparsable(wanted, "strconv.ParseInt: value out of range");
    let magnitude = u64::from_str_radix(&plain, base).map_err(|_| range())?;
    if negative {
        0i64.checked_sub_unsigned(magnitude)
            .map(Integer::Signed)
            .ok_or_else(range)
    } else {
        Ok(i64::try_from(magnitude).map_or(Integer::Unsigned(magnitude), Integer::Signed))
    }
}

fn leading_zero(text: &str) -> bool {
    let digits = text.trim_start_matches(['-', '+']);
    digits.len() > 1 && digits.starts_with('0')
}

/// Go's `strconv.ParseBool`; nothing is false.
fn boolean(text: &str) -> Result<bool, Refusal> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Ok(true),
        "" | "0" | "f" | "F" | "false" | "FALSE" | "False" => Ok(false),
        _ => Err(Refusal::unparsable(
            "bool",
            "strconv.ParseBool: invalid syntax",
        )),
    }
}

macro_rules! weak_integer {
    ($($method:ident)*) => {$(
        fn $method<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
            match self.integer("int")? {
                Integer::Signed(value) => visitor.visit_i64(value),
                Integer::Unsigned(value) => visitor.visit_u64(value),
            }
        }
    )*};
}

impl<'j> Deserializer<'j> for Weak<'j> {
    type Error = Refusal;

    weak_integer! { deserialize_i8 deserialize_i16 deserialize_i32 deserialize_i64 deserialize_u8 deserialize_u16
    deserialize_u32 deserialize_u64 }

    fn deserialize_bool<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_bool(self.boolean()?)
    }

    fn deserialize_f32<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_f64(self.float()?)
    }

    fn deserialize_f64<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_f64(self.float()?)
    }

    fn deserialize_str<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_borrowed_str(self.text()?)
    }

    fn deserialize_string<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_str(visitor)
    }

    fn deserialize_option<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
        if !self.top && *self.value == Json::Null {
            visitor.visit_none()
        } else {
            visitor.visit_some(self)
        }
    }

    fn deserialize_newtype_struct<V: Visitor<'j>>(
        self,
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        let kind = match name {
            TTL => Kind::Ttl,
            COMMA_LIST => Kind::CommaList,
            KEY_VALUES => Kind::KeyValues,
            _ => return visitor.visit_newtype_struct(self),
        };
        Weak { kind, ..self }.deserialize_any(visitor)
    }

    fn deserialize_seq<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let items = match self.value {
            Json::Null => &[],
            Json::Array(items) => items.as_slice(),
            Json::String(text) if text.is_empty() => &[],
            // A single value stands for a list of one.
            single => std::slice::from_ref(single),
        };
        visitor.visit_seq(Items(items.iter()))
    }

    fn deserialize_tuple<V: Visitor<'j>>(self, _: usize, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.value {
            Json::Null => visitor.visit_map(Members {
                object: None,
                at: 0,
                known: None,
            }),
            Json::Object(object) => visitor.visit_map(Members {
                object: Some(object),
                at: 0,
                known: None,
            }),
            other => Err(Refusal::Text(format!(
                "'' expected a map, got '{}'",
                other.go_type()
            ))),
        }
    }

    fn deserialize_struct<V: Visitor<'j>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        match self.value {
            Json::Object(object) => visitor.visit_map(Members {
                object: Some(object),
                at: 0,
                known: Some(fields),
            }),
            _ => self.deserialize_map(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'j>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        match self.value {
            Json::Object(object) => {
                let members = Members {
                    object: Some(object),
                    at: 0,
                    known: None,
                };
                MapAccessDeserializer::new(members).deserialize_enum(name, variants, visitor)
            }
            _ => {
                BorrowedStrDeserializer::new(self.text()?).deserialize_enum(name, variants, visitor)
            }
        }
    }

    fn deserialize_unit<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }

    fn deserialize_ignored_any<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_unit()
    }

    fn deserialize_any<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match (self.kind, self.value) {
            (Kind::Bool, _) => self.deserialize_bool(visitor),
            (Kind::Integer, _) => self.deserialize_i64(visitor),
            (Kind::Number, _) => self.deserialize_f64(visitor),
            (Kind::Text, _) => self.deserialize_str(visitor),
            (Kind::Ttl, _) => visitor.visit_u64(self.seconds()?),
            (Kind::List, _) => self.deserialize_seq(visitor),
            (Kind::CommaList, Json::String(text)) => visitor.visit_seq(Pieces {
                rest: Some(&**text).filter(|text| !text.is_empty()),
            }),
            (Kind::CommaList, Json::Array(items)) => visitor.visit_seq(Trimmed(items.iter())),
            (Kind::CommaList, Json::Object(_)) => {
                Err(Refusal::unconvertible(&"string", self.value))
            }
            (Kind::CommaList, _) => self.deserialize_seq(visitor),
            (Kind::KeyValues, Json::Object(_) | Json::Null) => self.deserialize_map(visitor),
            (Kind::KeyValues, Json::String(_)) => self.deserialize_str(visitor),
            (Kind::KeyValues, _) => self.deserialize_seq(visitor),
            (Kind::Any, Json::Null) => visitor.visit_unit(),
            (Kind::Any, Json::Bool(value)) => visitor.visit_bool(*value),
            (Kind::Any, Json::String(text)) => visitor.visit_borrowed_str(text),
            (Kind::Any, Json::Array(_)) => self.deserialize_seq(visitor),
            (Kind::Any, Json::Object(_)) => self.deserialize_map(visitor),
            (Kind::Any, Json::Number(text)) => {
                let number = number(text).ok_or_else(|| {
                    Refusal::unparsable("float64", "strconv.ParseFloat: value out of range")
                })?;
                match (number.as_u64(), number.as_i64(), number.as_f64()) {
                    (Some(value), _, _) => visitor.visit_u64(value),
                    (_, Some(value), _) => visitor.visit_i64(value),
                    (_, _, value) => visitor.visit_f64(value.unwrap_or_default()),
                }
            }
        }
    }

    forward_to_deserialize_any! {
    <V: Visitor<'j>> i128 u128 char bytes byte_buf unit_struct tuple_struct identifier }
}

struct Items<'j>(std::slice::Iter<'j, Json<'j>>);

impl<'j> SeqAccess<'j> for Items<'j> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'j>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refusal> {
        self.0
            .next()
            .map(|item| seed.deserialize(Weak::inner(item)))
            .transpose()
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.0.len())
    }
}

/// Elements of a list of texts, without the blanks around them.
struct Trimmed<'j>(std::slice::Iter<'j, Json<'j>>);

impl<'j> SeqAccess<'j> for Trimmed<'j> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'j>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refusal> {
        let Some(item) = self.0.next() else {
            return Ok(None);
        };
        let text = Weak::inner(item).text()?.trim();
        seed.deserialize(BorrowedStrDeserializer::new(text))
            .map(Some)
    }
}

/// A text split at commas; empty pieces are kept.
struct Pieces<'j> {
    rest: Option<&'j str>,
}

impl<'j> SeqAccess<'j> for Pieces<'j> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'j>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refusal> {
        let Some(rest) = self.rest.take() else {
            return Ok(None);
        };
        let piece = match rest.split_once(',') {
            Some((piece, rest)) => {
                self.rest = Some(rest);
                piece
            }
            None => rest,
        };
        seed.deserialize(BorrowedStrDeserializer::new(piece.trim()))
            .map(Some)
    }
}

struct Members<'j> {
    object: Option<&'j Object<'j>>,
    at: usize,
    known: Option<&'static [&'static str]>,
}

impl<'j> MapAccess<'j> for Members<'j> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'j>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refusal> {
        while let Some((name, _)) = self.object.and_then(|object| object.entry(self.at)) {
            if self.known.is_none_or(|known| known.contains(&name)) {
                return seed
                    .deserialize(BorrowedStrDeserializer::new(name))
                    .map(Some);
            }
            self.at += 1;
        }
        Ok(None)
    }

    fn next_value_seed<T: DeserializeSeed<'j>>(&mut self, seed: T) -> Result<T::Value, Refusal> {
        let (_, value) = self
            .object
            .and_then(|object| object.entry(self.at))
            .expect("serde asks for a value after its key");
        self.at += 1;
        seed.deserialize(Weak::inner(value))
    }
}
