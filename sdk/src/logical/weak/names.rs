//! The names of a request type's fields, without a request and without a schema.

use serde::de::{
    DeserializeOwned, DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor, value::Error,
};
use serde::forward_to_deserialize_any;

/// The names under which a type looks for its fields, aliases among them. Of a tuple only those of the first type, and none of a type that does
/// not know them beforehand: its schema knows more.
pub(crate) fn names_of<R: DeserializeOwned>() -> &'static [&'static str] {
    let mut names: &[&str] = &[];
    // It always fails: there is nothing to decode.
    let _ = R::deserialize(Names(&mut names));
    names
}

struct Names<'n>(&'n mut &'static [&'static str]);

impl<'de> Deserializer<'de> for Names<'_> {
    type Error = Error;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        _: V,
    ) -> Result<V::Value, Error> {
        *self.0 = fields;
        Err(Error::custom("seen"))
    }

    fn deserialize_tuple<V: Visitor<'de>>(self, _: usize, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(self)
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("no struct"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 i128 u8 u16 u32 u64 u128 f32 f64 char str string bytes byte_buf option unit unit_struct
        newtype_struct seq tuple_struct map enum identifier ignored_any
    }
}

impl<'de> SeqAccess<'de> for Names<'_> {
    type Error = Error;

    fn next_element_seed<T: DeserializeSeed<'de>>(
        &mut self,
        seed: T,
    ) -> Result<Option<T::Value>, Error> {
        seed.deserialize(Names(self.0)).map(Some)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only the names count")]
    struct Role {
        name: String,
        #[serde(alias = "lifetime")]
        ttl: u32,
    }

    #[derive(Deserialize)]
    #[expect(dead_code, reason = "only the names count")]
    struct Flat {
        #[serde(flatten)]
        role: Role,
    }

    #[test]
    fn a_struct_tells_its_names_and_aliases() {
        let sorted = |names: &[&'static str]| {
            let mut names = names.to_vec();
            names.sort_unstable();
            names
        };
        assert_eq!(sorted(names_of::<Role>()), ["lifetime", "name", "ttl"]);
        assert_eq!(
            sorted(names_of::<(Role, Flat)>()),
            ["lifetime", "name", "ttl"]
        );
        assert!(names_of::<Flat>().is_empty());
        assert!(names_of::<serde_json::Value>().is_empty());
    }
}
