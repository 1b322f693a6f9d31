//! Vault's weakly typed decoding, as a serde deserializer: `"1"` is true, `"2048"` is a number, 5 is the text `5`, null is
//! the zero value. Source of the rules and texts: `pki` of OpenBao 2.7.2, observed.

mod names;
mod refusal;
mod scalar;
mod value;

use std::cell::RefCell;

use serde::de::value::BorrowedStrDeserializer;
use serde::de::{DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::forward_to_deserialize_any;

pub(crate) use self::names::names_of;
pub(crate) use self::refusal::twice;
pub use self::scalar::parse_bool;

use self::refusal::Refusal;
use self::value::Weak;
use super::fields::SENT;
use super::json::{Json, Object};
use super::schema::{FieldSet, Kind};

/// All that a request type is decoded from: the parameters of its path, which win, over its data.
#[derive(Clone, Copy)]
pub(crate) struct Input<'j> {
    /// Text, which numbers and newtypes read like text in the data.
    pub(crate) captures: &'j [(&'static str, Json<'j>)],
    pub(crate) data: &'j Object<'j>,
    pub(crate) fields: &'j FieldSet,
    /// The names by which structs have asked for fields, for who wants to know.
    pub(crate) asked: Option<&'j Asked>,
}

/// Lists of names, aliases among them.
pub(crate) type Asked = RefCell<Vec<&'static [&'static str]>>;

impl<'j> Input<'j> {
    /// Decodes a request; the error is the text for the caller.
    pub(crate) fn decode<R: DeserializeOwned>(self) -> Result<R, String> {
        R::deserialize(self).map_err(|refusal| match refusal {
            Refusal::Missing(field) => format!("missing required field {field:?}"),
            Refusal::Text(text) | Refusal::Field(text) => {
                format!("Field validation failed: {text}")
            }
        })
    }

    /// A parameter of the path.
    fn capture(&self, name: &str) -> Option<&'j Json<'j>> {
        let mut captures = self.captures.iter();
        captures.find_map(|(key, text)| (*key == name).then_some(text))
    }

    /// Decodes the value of a field.
    fn field<T: DeserializeSeed<'j>>(
        &self,
        seed: T,
        (name, value): (&str, &'j Json<'j>),
    ) -> Result<T::Value, Refusal> {
        let field = self.fields.get(name);
        let kind = match field {
            // Null is told from the zero value also where the type is out of sight.
            Some(field) if field.patch && *value == Json::Null => Kind::Any,
            field => field.map_or(Kind::Any, |field| field.kind),
        };
        let weak = Weak {
            value,
            kind,
            top: true,
        };
        seed.deserialize(weak)
            .map_err(|refusal| refusal.of_field(name))
    }

    /// Whether a field counts as sent. A duration sent as null does not, except where null is told apart; other fields take their zero value
    /// from null.
    fn counts(self, name: &str, value: &Json<'_>) -> bool {
        *value != Json::Null
            || self
                .fields
                .get(name)
                .is_none_or(|field| field.kind != Kind::Ttl || field.patch)
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
        if let Some(asked) = self.asked {
            asked.borrow_mut().push(fields);
        }
        visitor.visit_map(Known {
            input: self,
            fields: fields.iter(),
            current: None,
        })
    }

    fn deserialize_map<V: Visitor<'j>>(self, visitor: V) -> Result<V::Value, Refusal> {
        visitor.visit_map(All::new(self, false))
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
        name: &'static str,
        visitor: V,
    ) -> Result<V::Value, Refusal> {
        if name == SENT {
            return visitor.visit_map(All::new(self, true));
        }
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
    current: Option<(&'static str, &'j Json<'j>)>,
}

impl<'j> MapAccess<'j> for Known<'j> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'j>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refusal> {
        for name in self.fields.by_ref() {
            let sent = || {
                let value = self.input.data.get(name)?;
                self.input.counts(name, value).then_some(value)
            };
            let Some(value) = self.input.capture(name).or_else(sent) else {
                continue;
            };
            self.current = Some((name, value));
            return seed
                .deserialize(BorrowedStrDeserializer::new(name))
                .map(Some);
        }
        Ok(None)
    }

    fn next_value_seed<T: DeserializeSeed<'j>>(&mut self, seed: T) -> Result<T::Value, Refusal> {
        let field = self.current.take();
        self.input
            .field(seed, field.expect("serde asks for a value after its key"))
    }
}

/// Hands over everything that was sent, for types that take any field.
struct All<'j> {
    input: Input<'j>,
    /// Whether each value is handed over as it was sent, whatever its field is.
    raw: bool,
    capture: usize,
    entry: usize,
    current: Option<(&'j str, &'j Json<'j>)>,
}

impl<'j> All<'j> {
    fn new(input: Input<'j>, raw: bool) -> Self {
        Self {
            input,
            raw,
            capture: 0,
            entry: 0,
            current: None,
        }
    }
}

impl<'j> MapAccess<'j> for All<'j> {
    type Error = Refusal;

    fn next_key_seed<K: DeserializeSeed<'j>>(
        &mut self,
        seed: K,
    ) -> Result<Option<K::Value>, Refusal> {
        if let Some((name, text)) = self.input.captures.get(self.capture) {
            self.capture += 1;
            self.current = Some((name, text));
            return seed
                .deserialize(BorrowedStrDeserializer::new(name))
                .map(Some);
        }
        while let Some((name, value)) = self.input.data.entry(self.entry) {
            self.entry += 1;
            let counts = self.raw || self.input.counts(name, value);
            if counts && self.input.capture(name).is_none() {
                self.current = Some((name, value));
                return seed
                    .deserialize(BorrowedStrDeserializer::new(name))
                    .map(Some);
            }
        }
        Ok(None)
    }

    fn next_value_seed<T: DeserializeSeed<'j>>(&mut self, seed: T) -> Result<T::Value, Refusal> {
        let field = self.current.take();
        let (name, value) = field.expect("serde asks for a value after its key");
        if self.raw {
            return seed
                .deserialize(Weak {
                    value,
                    kind: Kind::Any,
                    top: false,
                })
                .map_err(|refusal| refusal.of_field(name));
        }
        self.input.field(seed, (name, value))
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

#[cfg(test)]
mod tests;
