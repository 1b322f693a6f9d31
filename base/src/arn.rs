//! Amazon Resource Names.
//!
//! Source: AWS IAM user guide, "Identify AWS resources with ARNs"; the Roles
//! Anywhere API model for the resource kinds.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A parsed `arn:partition:service:region:account:resource`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Arn {
    /// `aws`, `aws-cn`, `aws-us-gov`, `aws-eusc` or another partition.
    pub partition: String,
    /// The service name, such as `rolesanywhere` or `iam`.
    pub service: String,
    /// The Region; empty for global services.
    pub region: String,
    /// The twelve digits of the account.
    pub account: String,
    /// Everything behind the fifth colon, such as `role/path/name`.
    pub resource: String,
}

/// What an ARN must name where it is used: the kinds that IAM Roles Anywhere takes part in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ArnKind {
    /// `arn:…:iam::ACCOUNT:role/PATH/NAME`
    Role,
    /// `arn:…:rolesanywhere:REGION:ACCOUNT:profile/UUID`
    Profile,
    /// `arn:…:rolesanywhere:REGION:ACCOUNT:trust-anchor/UUID`
    TrustAnchor,
    /// `arn:…:rolesanywhere:REGION:ACCOUNT:crl/UUID`
    Crl,
    /// `arn:…:iam::ACCOUNT:policy/PATH/NAME`; those that AWS manages have `aws` for an account.
    Policy,
}

/// Why a text is not the ARN that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ArnError {
    /// Fewer than six parts, or the first is not `arn`.
    #[error("an ARN has the form arn:partition:service:region:account:resource")]
    Shape,
    /// The account is not twelve digits.
    #[error("the account in an ARN has twelve digits")]
    Account,
    /// A part that must be present is empty or holds a character no ARN has.
    #[error("the {0} of the ARN is empty or holds characters that no ARN has")]
    Part(&'static str),
    /// A well-formed ARN of another kind.
    #[error("expected the ARN of a {expected}, such as {example}")]
    Kind {
        /// What was wanted.
        expected: &'static str,
        /// A model of it.
        example: &'static str,
    },
}

impl Arn {
    /// Parses any ARN.
    ///
    /// # Errors
    /// [`ArnError`] names the part that is wrong.
    pub fn parse(text: &str) -> Result<Self, ArnError> {
        let mut parts = text.splitn(6, ':');
        let mut next = || parts.next().ok_or(ArnError::Shape);
        if next()? != "arn" {
            return Err(ArnError::Shape);
        }
        let arn = Self {
            partition: next()?.to_owned(),
            service: next()?.to_owned(),
            region: next()?.to_owned(),
            account: next()?.to_owned(),
            resource: next()?.to_owned(),
        };
        let word = |text: &str| {
            text.bytes()
                .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        };
        if arn.partition.is_empty() || !word(&arn.partition) {
            return Err(ArnError::Part("partition"));
        }
        if arn.service.is_empty() || !word(&arn.service) {
            return Err(ArnError::Part("service"));
        }
        if !word(&arn.region) {
            return Err(ArnError::Part("Region"));
        }
        let number = arn.account.len() == 12 && arn.account.bytes().all(|b| b.is_ascii_digit());
        // Managed policies of AWS itself.
        let managed =
            arn.account == "aws" && arn.service == "iam" && arn.resource.starts_with("policy/");
        if !number && !managed {
            return Err(ArnError::Account);
        }
        if arn.resource.is_empty() || arn.resource.bytes().any(|b| b <= b' ' || b == 0x7f) {
            return Err(ArnError::Part("resource"));
        }
        Ok(arn)
    }

    /// Parses an ARN and requires it to name a resource of `kind`.
    ///
    /// # Errors
    /// [`ArnError::Kind`] when the ARN is well formed but names something else.
    pub fn parse_as(text: &str, kind: ArnKind) -> Result<Self, ArnError> {
        let arn = Self::parse(text)?;
        let (service, prefix, regional) = match kind {
            ArnKind::Role => ("iam", "role/", false),
            ArnKind::Profile => ("rolesanywhere", "profile/", true),
            ArnKind::TrustAnchor => ("rolesanywhere", "trust-anchor/", true),
            ArnKind::Crl => ("rolesanywhere", "crl/", true),
            ArnKind::Policy => ("iam", "policy/", false),
        };
        let named = arn
            .resource
            .strip_prefix(prefix)
            .is_some_and(|name| !name.is_empty() && !name.ends_with('/'));
        if arn.service != service || !named || arn.region.is_empty() == regional {
            return Err(kind.mismatch());
        }
        Ok(arn)
    }

    /// The last segment of the resource: a role's name, an anchor's id.
    pub fn name(&self) -> &str {
        self.resource.rsplit('/').next().unwrap_or(&self.resource)
    }
}

impl ArnKind {
    fn mismatch(self) -> ArnError {
        let (expected, example) = match self {
            Self::Role => ("role", "arn:aws:iam::111122223333:role/hybrid-node"),
            Self::Profile => (
                "Roles Anywhere profile",
                "arn:aws:rolesanywhere:us-west-2:111122223333:profile/66666666-7777-4888-9999-aaaaaaaaaaaa",
            ),
            Self::TrustAnchor => (
                "Roles Anywhere trust anchor",
                "arn:aws:rolesanywhere:us-west-2:111122223333:trust-anchor/11111111-2222-4333-8444-555555555555",
            ),
            Self::Crl => (
                "Roles Anywhere CRL",
                "arn:aws:rolesanywhere:us-west-2:111122223333:crl/22222222-3333-4444-8555-666666666666",
            ),
            Self::Policy => ("managed policy", "arn:aws:iam::aws:policy/ReadOnlyAccess"),
        };
        ArnError::Kind { expected, example }
    }
}

impl fmt::Display for Arn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "arn:{}:{}:{}:{}:{}",
            self.partition, self.service, self.region, self.account, self.resource
        )
    }
}

impl Serialize for Arn {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Arn {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_arn_survives_a_round_trip() {
        for text in [
            "arn:aws:iam::111122223333:role/hybrid/HybridNode+Role@lab",
            "arn:aws-cn:rolesanywhere:cn-north-1:111122223333:profile/66666666-7777-4888-9999-aaaaaaaaaaaa",
        ] {
            assert_eq!(Arn::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn a_wrong_part_is_named() {
        assert_eq!(Arn::parse("role/x"), Err(ArnError::Shape));
        assert_eq!(Arn::parse("arn:aws:iam:"), Err(ArnError::Shape));
        assert_eq!(
            Arn::parse("arn:aws:iam::1111:role/x"),
            Err(ArnError::Account)
        );
        assert_eq!(
            Arn::parse("arn:aws:iam::111122223333:"),
            Err(ArnError::Part("resource"))
        );
        assert_eq!(
            Arn::parse("arn:aws:iam::111122223333:role/a b"),
            Err(ArnError::Part("resource"))
        );
        assert_eq!(
            Arn::parse("arn:aws:ia m::111122223333:role/a"),
            Err(ArnError::Part("service"))
        );
    }

    #[test]
    fn a_policy_may_be_one_that_aws_manages() {
        for good in [
            "arn:aws:iam::aws:policy/ReadOnlyAccess",
            "arn:aws-cn:iam::aws:policy/service-role/X",
            "arn:aws:iam::111122223333:policy/own",
        ] {
            assert!(Arn::parse_as(good, ArnKind::Policy).is_ok(), "{good}");
        }
        for bad in [
            "arn:aws:iam::aws:role/x",
            "arn:aws:iam::AWS:policy/x",
            "arn:aws:kms::aws:policy/x",
            "arn:aws:iam::111122223333:role/x",
        ] {
            assert!(Arn::parse_as(bad, ArnKind::Policy).is_err(), "{bad}");
        }
    }

    #[test]
    fn the_kind_is_checked() {
        let role = "arn:aws:iam::111122223333:role/path/node";
        assert_eq!(Arn::parse_as(role, ArnKind::Role).unwrap().name(), "node");
        assert!(matches!(
            Arn::parse_as(role, ArnKind::Profile),
            Err(ArnError::Kind { .. })
        ));
        let global =
            "arn:aws:rolesanywhere::111122223333:profile/66666666-7777-4888-9999-aaaaaaaaaaaa";
        assert!(Arn::parse_as(global, ArnKind::Profile).is_err());
        assert!(Arn::parse_as("arn:aws:iam::111122223333:role/", ArnKind::Role).is_err());
    }
}
