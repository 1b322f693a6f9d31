//! Names of AWS KMS keys.

use std::fmt;

use landfast_base::arn::Arn;
use landfast_base::region::is_region;

use crate::error::Error;

/// A key as an operator names it: id, ARN, alias name or alias ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct KeyReference {
    text: String,
    arn: Option<Arn>,
}

impl KeyReference {
    /// Checks the form of a key name (KMS API reference, `KeyId`).
    ///
    /// # Errors
    /// It is none of the four forms, or the Region of an ARN cannot be one.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let refuse = |why: &str| {
            Error::Config(format!(
                "{text:?} does not name an AWS KMS key ({why}): give a key id, a key ARN, alias/NAME or an alias ARN"
            ))
        };
        if text.len() > 2048 || text.chars().any(|c| c.is_control() || c.is_whitespace()) {
            return Err(Error::Config(
                "kms_key_id holds white space, control characters or too much text".to_owned(),
            ));
        }
        let arn = match text.strip_prefix("arn:") {
            None => None,
            Some(rest) => {
                let mut parts = rest.split(':').skip(1);
                if parts.next() != Some("kms") {
                    return Err(refuse("the ARN is of another service"));
                }
                check_region(parts.next().unwrap_or_default())?;
                Some(Arn::parse(text).map_err(|error| refuse(&error.to_string()))?)
            }
        };
        let resource = arn.as_ref().map_or(text, |arn| arn.resource.as_str());
        let id = match (&arn, resource.split_once('/')) {
            (_, Some(("alias", name)))
                if !name.is_empty() && name.chars().all(|c| plain(c) || c == '/' || c == '_') =>
            {
                None
            }
            (Some(_), Some(("key", id))) => Some(id),
            (None, None) => Some(resource),
            _ => return Err(refuse("unknown form")),
        };
        if id.is_some_and(|id| id.is_empty() || !id.chars().all(plain)) {
            return Err(refuse(
                "the key id holds other characters than letters, digits and -",
            ));
        }
        Ok(Self {
            text: text.to_owned(),
            arn,
        })
    }

    /// The name as it was given.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The Region, if it is an ARN.
    pub fn region(&self) -> Option<&str> {
        self.arn.as_ref().map(|arn| arn.region.as_str())
    }

    /// Whether the key has replicas in other Regions; `None` for an alias, which does not tell.
    pub fn is_multi_region(&self) -> Option<bool> {
        let id = match &self.arn {
            Some(arn) => arn.resource.strip_prefix("key/")?,
            None if self.text.starts_with("alias/") => return None,
            None => &self.text,
        };
        Some(id.starts_with("mrk-"))
    }

    /// Whether this is the ARN of a key, the form that blobs carry.
    pub fn is_key_arn(&self) -> bool {
        self.arn
            .as_ref()
            .is_some_and(|arn| arn.resource.starts_with("key/"))
    }

    /// The name of this key's replica in another Region: an ARN changes its Region, an id or alias stays as it is.
    pub fn in_region(&self, region: &str) -> String {
        match &self.arn {
            Some(arn) => Arn {
                region: region.to_owned(),
                ..arn.clone()
            }
            .to_string(),
            None => self.text.clone(),
        }
    }
}

impl fmt::Display for KeyReference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// Refuses what cannot be the name of a Region.
pub(super) fn check_region(name: &str) -> Result<(), Error> {
    if is_region(name) {
        return Ok(());
    }
    Err(Error::Config(format!(
        "{name:?} is not the name of a Region such as eu-central-1"
    )))
}

fn plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '-'
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ID: &str = "56a8845f-5459-443d-a710-41dc72237c19";

    #[test]
    fn all_four_forms_are_taken() {
        for text in [
            ID.to_owned(),
            "mrk-1234abcd12ab34cd56ef1234567890ab".to_owned(),
            "alias/bao-unseal".to_owned(),
            "alias/team/a_b-c".to_owned(),
            format!("arn:aws:kms:eu-central-1:123456789012:key/{ID}"),
            "arn:aws-us-gov:kms:us-gov-west-1:123456789012:alias/x".to_owned(),
        ] {
            assert_eq!(KeyReference::parse(&text).expect(&text).as_str(), text);
        }
    }

    #[test]
    fn other_forms_are_refused() {
        for text in [
            "",
            "alias/",
            "key/abc",
            "with space",
            "line\nbreak",
            "arn:aws:kms:eu-central-1:123456789012",
            "arn:aws:s3:eu-central-1:123456789012:key/abc",
            "arn:aws:kms::123456789012:key/abc",
            "arn:aws:kms:eu-central-1:123456789012:abc",
            "arn:aws:kms:eu-central-1:123456789012:key/",
            "a/b",
            "vault:v1:abc",
        ] {
            assert!(KeyReference::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn the_region_of_an_arn_is_checked() {
        for region in [
            "EU-WEST-1",
            "eu/../x",
            "eu.example.org",
            "1",
            &"a".repeat(41),
        ] {
            let text = format!("arn:aws:kms:{region}:123456789012:key/{ID}");
            let error = KeyReference::parse(&text).expect_err(region).to_string();
            assert!(error.contains("is not the name of a Region"), "{error}");
        }
    }

    #[test]
    fn region_and_replicas_come_from_the_name() {
        let mrk =
            KeyReference::parse("arn:aws:kms:eu-west-1:123456789012:key/mrk-1").expect("parses");
        assert_eq!(
            (mrk.region(), mrk.is_multi_region(), mrk.is_key_arn()),
            (Some("eu-west-1"), Some(true), true)
        );
        assert_eq!(
            mrk.in_region("us-east-1"),
            "arn:aws:kms:us-east-1:123456789012:key/mrk-1"
        );
        let alias = KeyReference::parse("alias/x").expect("parses");
        assert_eq!(
            (alias.region(), alias.is_multi_region(), alias.is_key_arn()),
            (None, None, false)
        );
        assert_eq!(alias.in_region("us-east-1"), "alias/x");
        assert_eq!(
            KeyReference::parse(ID).expect("parses").is_multi_region(),
            Some(false)
        );
        let alias_arn =
            KeyReference::parse("arn:aws:kms:eu-west-1:123456789012:alias/x").expect("parses");
        assert_eq!(
            (alias_arn.is_multi_region(), alias_arn.is_key_arn()),
            (None, false)
        );
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parser_panic(text: String) {
            if let Ok(key) = KeyReference::parse(&text) {
                prop_assert_eq!(key.as_str(), text.as_str());
            }
        }

        #[test]
        fn moving_a_key_there_and_back_changes_nothing(
            region in "[a-z]{2}-[a-z]{4,9}-[1-9]", other in "[a-z]{2}-[a-z]{4,9}-[1-9]", id in "mrk-[0-9a-f]{32}",
        ) {
            let text = format!("arn:aws:kms:{region}:123456789012:key/{id}");
            let key = KeyReference::parse(&text).expect("parses");
            let moved = KeyReference::parse(&key.in_region(&other)).expect("parses");
            prop_assert_eq!(moved.in_region(&region), text);
        }
    }
}
