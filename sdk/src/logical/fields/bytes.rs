//! Bytes in a field.

use std::borrow::Cow;
use std::fmt;
use std::ops::Deref;

use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, STANDARD_NO_PAD};
use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde::de::{self, Deserialize, Deserializer, Visitor};
use serde::{Serialize, Serializer};
use zeroize::{Zeroize, Zeroizing};

/// Bytes, written in base64 (RFC 4648 section 4), with or without padding; line breaks and blanks are passed over.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub struct Base64(pub Vec<u8>);

impl Zeroize for Base64 {
    fn zeroize(&mut self) {
        self.0.zeroize();
    }
}

impl Deref for Base64 {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0
    }
}

impl AsRef<[u8]> for Base64 {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for Base64 {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&STANDARD.encode(&self.0))
    }
}

impl<'de> Deserialize<'de> for Base64 {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl Visitor<'_> for Text {
            type Value = Base64;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Base64, E> {
                let bytes = if text.bytes().any(|byte| byte.is_ascii_whitespace()) {
                    // It may be a secret, see `Secret`.
                    let mut kept = Zeroizing::new(text.to_owned());
                    kept.retain(|letter| !letter.is_ascii_whitespace());
                    STANDARD_NO_PAD.decode(kept.trim_end_matches('='))
                } else {
                    STANDARD_NO_PAD.decode(text.trim_end_matches('='))
                };
                bytes
                    .map(Base64)
                    .map_err(|_| E::custom("the text is no base64"))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

impl JsonSchema for Base64 {
    fn schema_name() -> Cow<'static, str> {
        "Base64".into()
    }

    fn inline_schema() -> bool {
        true
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({ "type": "string", "format": "byte" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn base64_is_taken_as_tools_write_it() {
        let read = |text: &str| serde_json::from_value::<Base64>(json!(text));
        for text in ["AAEC/w==", "AAEC/w", "AAEC\n/w==\n", " AAEC/w== "] {
            assert_eq!(read(text).unwrap().0, [0, 1, 2, 255], "{text:?}");
        }
        assert_eq!(
            serde_json::to_value(Base64(vec![0, 1, 2, 255])).unwrap(),
            "AAEC/w=="
        );
        assert!(read("").unwrap().is_empty());
        for bad in ["AAEC_w==", "AAEC/x==", "A", "ä"] {
            assert!(read(bad).is_err(), "{bad:?}");
        }
    }
}
