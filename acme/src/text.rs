//! Base64url without padding (RFC 4648 section 5), as JWS has it, and JSON that came in it.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::de::DeserializeOwned;

use crate::{Kind, Problem};

/// The text of these octets.
pub(crate) fn encode(octets: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(octets)
}

/// The octets of a text. Padding, other alphabets, white space and bits that do not count are refused, so that octets have one text.
pub(crate) fn decode(text: &str) -> Option<Vec<u8>> {
    URL_SAFE_NO_PAD.decode(text).ok()
}

/// The octets of a text of at most `most` octets once decoded, for the field of this name.
pub(crate) fn decode_bounded(field: &str, text: &str, most: usize) -> Result<Vec<u8>, Problem> {
    if text.len() / 4 * 3 > most {
        let detail = format!("'{field}' is longer than {most} octets");
        return Err(Problem::new(Kind::Malformed, detail));
    }
    decode(text).ok_or_else(|| {
        let detail =
            format!("failed to base64 parse '{field}': it must be base64url without padding");
        Problem::new(Kind::Malformed, detail)
    })
}

/// A JSON value. A member that stands twice is refused, for which reader takes which of them is anybody's guess.
pub(crate) fn json<T: DeserializeOwned>(field: &str, octets: &[u8]) -> Result<T, Problem> {
    serde_json::from_slice(octets).map_err(|why| {
        let detail = format!(
            "failed to json unmarshal '{field}': {}",
            shown(&why.to_string())
        );
        Problem::new(Kind::Malformed, detail)
    })
}

/// As much of a text from outside as an error repeats, without control characters.
pub(crate) fn shown(text: &str) -> String {
    const MOST: usize = 200;
    let mut shown: String = text
        .chars()
        .map(|c| if c.is_control() { '\u{fffd}' } else { c })
        .take(MOST)
        .collect();
    if text.chars().nth(MOST).is_some() {
        shown.push('…');
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_have_one_text() {
        assert_eq!(decode("AQ"), Some(vec![1]));
        for other in ["AQ==", "AR", "AQ\n", " AQ", "A", "A+", "A/"] {
            assert_eq!(decode(other), None, "{other:?}");
        }
        assert_eq!(decode("-_8"), Some(vec![0xfb, 0xff]));
    }

    #[test]
    fn what_an_error_repeats_is_short_and_plain() {
        assert_eq!(shown("a\nb\u{1b}[0m"), "a\u{fffd}b\u{fffd}[0m");
        assert_eq!(shown(&"é".repeat(1000)).chars().count(), 201);
    }

    #[test]
    fn length_is_looked_at_before_anything_is_decoded() {
        let long = "A".repeat(1 << 20);
        let problem = decode_bounded("payload", &long, 1000).unwrap_err();
        assert_eq!(problem.detail, "'payload' is longer than 1000 octets");
        assert!(decode_bounded("payload", "AAAA", 3).is_ok());
    }
}
