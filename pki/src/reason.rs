//! Why a certificate is revoked (RFC 5280 section 5.3.1).

use std::fmt;

use crate::asn1;
use crate::ext::{self, Extension};

/// A reason that can be told of a certificate of this CA.
///
/// Of the reasons of RFC 5280 these are not among them: `unspecified`, which a CRL is not to say (it says nothing instead); `certificateHold`, for what
/// is revoked here stays so; `removeFromCRL`, which ends a hold; and `aACompromise`, for certificates of attributes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Reason {
    /// Somebody else has the private key, or may have it.
    KeyCompromise = 1,
    /// The same of the key of a CA.
    CaCompromise = 2,
    /// The subject's name or other facts about it are no longer true.
    AffiliationChanged = 3,
    /// Another certificate took its place.
    Superseded = 4,
    /// It is no longer needed.
    CessationOfOperation = 5,
    /// What it allowed is no longer allowed.
    PrivilegeWithdrawn = 9,
}

impl Reason {
    /// All of them, by their numbers.
    pub const ALL: [Self; 6] = [
        Self::KeyCompromise,
        Self::CaCompromise,
        Self::AffiliationChanged,
        Self::Superseded,
        Self::CessationOfOperation,
        Self::PrivilegeWithdrawn,
    ];

    /// The name in RFC 5280.
    pub const fn name(self) -> &'static str {
        match self {
            Self::KeyCompromise => "keyCompromise",
            Self::CaCompromise => "cACompromise",
            Self::AffiliationChanged => "affiliationChanged",
            Self::Superseded => "superseded",
            Self::CessationOfOperation => "cessationOfOperation",
            Self::PrivilegeWithdrawn => "privilegeWithdrawn",
        }
    }

    /// The number of CRLReason.
    pub const fn code(self) -> u8 {
        self as u8
    }

    /// The reason with this number, if it is one of these.
    pub fn from_code(code: u8) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.code() == code)
    }

    /// Reads a name, in any case; `unspecified` and nothing are no reason.
    ///
    /// # Errors
    /// Any other text, and why.
    pub fn parse(name: &str) -> Result<Option<Self>, NoReason> {
        let name = name.trim();
        if name.is_empty() || name.eq_ignore_ascii_case("unspecified") {
            return Ok(None);
        }
        let found = Self::ALL
            .into_iter()
            .find(|reason| reason.name().eq_ignore_ascii_case(name));
        if found.is_some() {
            return Ok(found);
        }
        let is = |other: &str| name.eq_ignore_ascii_case(other);
        Err(if is("certificateHold") || is("removeFromCRL") {
            NoReason::Hold
        } else if is("aACompromise") {
            NoReason::Attributes
        } else {
            NoReason::Unknown
        })
    }

    /// The extension of a CRL's entry, which is never critical.
    pub fn extension(self) -> Extension {
        Extension {
            oid: ext::id::REASON_CODE,
            critical: false,
            value: self.der().to_vec(),
        }
    }

    /// The DER of CRLReason.
    pub(crate) const fn der(self) -> [u8; 3] {
        [asn1::ENUMERATED, 1, self.code()]
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Why a text is no reason.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NoReason {
    /// It is about a hold.
    #[error(
        "there is no hold here: what is revoked stays revoked. Leave the reason out, or take one of keyCompromise, cACompromise, affiliationChanged, superseded, cessationOfOperation, privilegeWithdrawn"
    )]
    Hold,
    /// It is about certificates of attributes.
    #[error(
        "aACompromise is about certificates of attributes, which this CA does not issue; take keyCompromise or cACompromise"
    )]
    Attributes,
    /// It is none of RFC 5280.
    #[error(
        "it must be one of keyCompromise, cACompromise, affiliationChanged, superseded, cessationOfOperation, privilegeWithdrawn, unspecified"
    )]
    Unknown,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_those_of_rfc_5280() {
        let known: Vec<_> = Reason::ALL.map(|one| (one.code(), one.name())).into();
        let wanted = [
            (1, "keyCompromise"),
            (2, "cACompromise"),
            (3, "affiliationChanged"),
            (4, "superseded"),
            (5, "cessationOfOperation"),
            (9, "privilegeWithdrawn"),
        ];
        assert_eq!(known, wanted);
        for reason in Reason::ALL {
            assert_eq!(Reason::parse(reason.name()), Ok(Some(reason)));
            assert_eq!(Reason::from_code(reason.code()), Some(reason));
        }
        for code in [0, 6, 7, 8, 10, 255] {
            assert_eq!(Reason::from_code(code), None, "{code}");
        }
        assert_eq!(
            Reason::parse(" keycompromise "),
            Ok(Some(Reason::KeyCompromise))
        );
    }

    #[test]
    fn what_is_no_reason_is_refused_and_what_says_nothing_is_none() {
        for nothing in ["", " ", "unspecified", "UNSPECIFIED"] {
            assert_eq!(Reason::parse(nothing), Ok(None), "{nothing:?}");
        }
        for (text, why) in [
            ("certificateHold", NoReason::Hold),
            ("removeFromCRL", NoReason::Hold),
            ("aACompromise", NoReason::Attributes),
            ("1", NoReason::Unknown),
            ("key compromise", NoReason::Unknown),
        ] {
            assert_eq!(Reason::parse(text), Err(why), "{text}");
        }
    }
}
