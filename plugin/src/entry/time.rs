//! Times as the built-in engine stores them: RFC 3339 text with up to nine
//! fractional digits, trailing zeros cut, and year 1 standing for "never".

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A moment in a storage entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct StoredTime(pub Timestamp);

impl StoredTime {
    /// The value the built-in engine writes where nothing happened yet.
    pub fn never() -> Self {
        let text = "0001-01-01T00:00:00Z";
        Self(text.parse().expect("a constant RFC 3339 time"))
    }

    /// Whether this is [`Self::never`].
    pub fn is_never(&self) -> bool {
        *self == Self::never()
    }
}

impl Default for StoredTime {
    fn default() -> Self {
        Self::never()
    }
}

impl std::fmt::Display for StoredTime {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl Serialize for StoredTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for StoredTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        // A server outside UTC stores its own offset, so any offset is read.
        let text = String::deserialize(deserializer)?;
        text.parse().map(Self).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn offsets_are_read_and_utc_is_written() {
        let time: StoredTime = serde_json::from_str("\"2026-11-22T14:12:20.5+01:00\"").unwrap();
        assert_eq!(
            serde_json::to_string(&time).unwrap(),
            "\"2026-11-22T13:12:20.5Z\""
        );
        assert_eq!(
            serde_json::to_string(&StoredTime::never()).unwrap(),
            "\"0001-01-01T00:00:00Z\""
        );
        assert!(StoredTime::default().is_never());
    }
}
