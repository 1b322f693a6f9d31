//! What the server answers, read into types. Tokens and keys are wiped where they were read.

use hyper::body::Bytes;
use landfast_base::Secret;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Deserializer};
use zeroize::{Zeroize as _, Zeroizing};

use super::refusal::Refusal;
use crate::upstream::Answer;

/// The frame of an answer.
#[derive(Deserialize)]
struct Frame<T> {
    data: T,
}

/// The `data` of an answer whose status was looked at. The octets are wiped.
pub(crate) fn data<T: DeserializeOwned>(answer: Answer) -> Result<T, Refusal> {
    whole::<Frame<T>>(answer).map(|frame| frame.data)
}

/// A whole answer. The octets are wiped.
pub(crate) fn whole<T: DeserializeOwned>(answer: Answer) -> Result<T, Refusal> {
    let read = serde_json::from_slice(&answer.body);
    wipe(answer.body);
    // The parser's error may repeat what it read.
    read.map_err(|_| Refusal::upstream("the server's answer has another form than this one knows"))
}

/// Wipes octets that nobody else holds.
fn wipe(body: Bytes) {
    if let Ok(mut own) = body.try_into_mut() {
        own.as_mut().zeroize();
    }
}

/// A body of JSON with something secret in it, in a buffer that never grows and is wiped when it was sent.
pub(crate) fn secret_body(fields: &[(&str, &str)]) -> Bytes {
    // An escaped octet takes six.
    let length: usize = fields
        .iter()
        .map(|(name, value)| name.len() + 6 * value.len() + 6)
        .sum();
    let mut body = Zeroizing::new(Vec::with_capacity(length + 2));
    body.push(b'{');
    for (index, (name, value)) in fields.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        // Writing text into memory does not fail.
        let _ = serde_json::to_writer(&mut *body, name);
        body.push(b':');
        let _ = serde_json::to_writer(&mut *body, value);
    }
    body.push(b'}');
    Bytes::from_owner(body)
}

/// Takes a text into its box.
pub(crate) fn secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Secret<String>, D::Error> {
    String::deserialize(deserializer).map(Secret::new)
}

/// The same, for a text that may be missing.
pub(crate) fn maybe_secret<'de, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Secret<String>>, D::Error> {
    Ok(Option::<String>::deserialize(deserializer)?.map(Secret::new))
}

#[cfg(test)]
mod tests {
    use serde_json::Value;

    use super::*;

    #[test]
    fn a_body_is_json_whatever_is_in_it() {
        let hard = "a\"b\\c\n\u{1}\u{1f600}";
        let body = secret_body(&[("password", hard), ("role", "x")]);
        let read: Value = serde_json::from_slice(&body).unwrap();
        assert_eq!(read, serde_json::json!({"password": hard, "role": "x"}));
        assert_eq!(&secret_body(&[])[..], b"{}");
    }
}
