//! One value of the data, decoded by what the visitor asks for.

use serde::de::value::{BorrowedStrDeserializer, MapAccessDeserializer};
use serde::de::{DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

use super::refusal::Refusal;
use super::scalar::{Integer, boolean, integer};
use crate::logical::duration::parse_duration;
use crate::logical::fields::{COMMA_LIST, KEY_VALUES, PATCH, TTL};
use crate::logical::json::{Json, Object, number};
use crate::logical::schema::Kind;

/// A value of the data.
#[derive(Clone, Copy)]
pub(super) struct Weak<'j> {
    pub(super) value: &'j Json<'j>,
    /// How to read it when the visitor does not say.
    pub(super) kind: Kind,
    /// A field of the request itself, where null means the zero value; further in, null is an absent option.
    pub(super) top: bool,
}

impl<'j> Weak<'j> {
    fn inner(value: &'j Json<'j>, kind: Kind) -> Self {
        Self {
            value,
            kind,
            top: false,
        }
    }

    fn members(
        self,
        object: Option<&'j Object<'j>>,
        known: Option<&'static [&'static str]>,
    ) -> Members<'j> {
        let kind = match self.kind {
            Kind::KeyValues => Kind::Text,
            Kind::MapPatch => Kind::TextOrNull,
            _ => Kind::Any,
        };
        Members {
            object,
            at: 0,
            known,
            kind,
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
            // Null is told from the zero value.
            PATCH => return visitor.visit_newtype_struct(Weak { top: false, ..self }),
            _ => return visitor.visit_newtype_struct(self),
        };
        Weak { kind, ..self }.deserialize_any(visitor)
    }

    fn deserialize_seq<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
        let items = match self.value {
            Json::Null => &[],
            Json::Array(items) => items.as_slice(),
            Json::String(text) if text.is_empty() => &[],
            Json::Object(object) if object.iter().len() == 0 => &[],
            // A single value stands for a list of one.
            single => std::slice::from_ref(single),
        };
        visitor.visit_seq(Items {
            items: items.iter(),
            next: 0,
            kind: self.kind,
        })
    }

    fn deserialize_tuple<V: Visitor<'j>>(self, _: usize, visitor: V) -> Result<V::Value, Refusal> {
        self.deserialize_seq(visitor)
    }

    fn deserialize_map<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
        match self.value {
            Json::Null => visitor.visit_map(self.members(None, None)),
            Json::Object(object) => visitor.visit_map(self.members(Some(object), None)),
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
            Json::Object(object) => visitor.visit_map(self.members(Some(object), Some(fields))),
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
                let members = self.members(Some(object), None);
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
            (Kind::CommaList, Json::String(text)) => visitor.visit_seq(Pieces {
                rest: Some(&**text).filter(|text| !text.is_empty()),
            }),
            (Kind::KeyValues | Kind::MapPatch, Json::Object(_) | Json::Null) => {
                self.deserialize_map(visitor)
            }
            (Kind::KeyValues | Kind::MapPatch, Json::String(_)) => self.deserialize_str(visitor),
            (Kind::List | Kind::Texts | Kind::CommaList | Kind::KeyValues | Kind::MapPatch, _) => {
                self.deserialize_seq(visitor)
            }
            (Kind::Any | Kind::TextOrNull, Json::Null) => visitor.visit_unit(),
            (Kind::TextOrNull, _) => self.deserialize_str(visitor),
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

/// Elements of a list.
struct Items<'j> {
    items: std::slice::Iter<'j, Json<'j>>,
    next: usize,
    /// The kind of the list.
    kind: Kind,
}

impl<'j> SeqAccess<'j> for Items<'j> {
    type Error = Refusal;

    fn next_element_seed<T: DeserializeSeed<'j>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Refusal> {
        let Some(item) = self.items.next() else {
            return Ok(None);
        };
        let at = self.next;
        self.next += 1;
        let decoded = match self.kind {
            Kind::CommaList => Weak::inner(item, Kind::Text)
                .text()
                .and_then(|text| seed.deserialize(BorrowedStrDeserializer::new(text.trim()))),
            Kind::Texts | Kind::KeyValues | Kind::MapPatch => {
                seed.deserialize(Weak::inner(item, Kind::Text))
            }
            _ => seed.deserialize(Weak::inner(item, Kind::Any)),
        };
        decoded.map(Some).map_err(|refusal| refusal.of_element(at))
    }

    fn size_hint(&self) -> Option<usize> {
        Some(self.items.len())
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
    /// The kind of the values.
    kind: Kind,
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
        seed.deserialize(Weak::inner(value, self.kind))
    }
}
