//! Lists of usages and object identifiers as roles and requests write them.

use std::collections::HashSet;

use crate::Oid;
use crate::ext::{ExtKeyUsage, KeyUsage};

/// The usages of a list of names.
///
/// Names are compared without case and without blanks around; unknown ones are ignored (OpenBao
/// pki: roles do not check them).
pub fn key_usage<S: AsRef<str>>(names: &[S]) -> KeyUsage {
    names
        .iter()
        .filter_map(|name| KeyUsage::from_name(name.as_ref()))
        .fold(KeyUsage::empty(), |set, usage| set | usage)
}

/// The purposes of a list of names, each once, in the order in which the extension lists them;
/// unknown names are ignored.
pub fn ext_key_usage<S: AsRef<str>>(names: &[S]) -> Vec<Oid> {
    let mut purposes: Vec<_> = names
        .iter()
        .filter_map(|name| ExtKeyUsage::from_name(name.as_ref()))
        .collect();
    purposes.sort_unstable();
    purposes.dedup();
    purposes.into_iter().map(ExtKeyUsage::oid).collect()
}

/// Reads an object identifier; `None` if it cannot be encoded, or if readers do not take it: Go keeps each number in 31 bits.
pub fn oid(text: &str) -> Option<Oid> {
    let oid = looks_like_oid(text).then(|| Oid::new(text).ok()).flatten();
    oid.filter(is_portable)
}

/// Whether each number of an object identifier has at most 31 bits.
pub(crate) fn is_portable(oid: &Oid) -> bool {
    oid.arcs().all(|arc| i32::try_from(arc).is_ok())
}

/// Two lists one behind the other, each element once: RFC 5280 knows no use for a repetition.
pub(crate) fn distinct(first: Vec<Oid>, second: Vec<Oid>) -> Vec<Oid> {
    let mut seen = HashSet::new();
    let both = first.into_iter().chain(second);
    both.filter(|oid| seen.insert(*oid)).collect()
}

/// Whether a text has the form that a role accepts for an object identifier: decimal numbers
/// between dots. Whether it can be encoded shows only on use.
pub(crate) fn looks_like_oid(text: &str) -> bool {
    bad_arc(text).is_none()
}

/// The first arc that is not a number of at most 63 bits.
pub(crate) fn bad_arc(text: &str) -> Option<&str> {
    text.split('.').find(|arc| {
        arc.is_empty() || arc.parse::<i64>().is_err() || !arc.bytes().all(|b| b.is_ascii_digit())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// OpenBao 2.7.2: the prefix `KeyUsage` is not known, contrary to its documentation.
    #[test]
    fn key_usage_names() {
        let names = |names: &[&str]| key_usage(names).names().collect::<Vec<_>>();
        assert_eq!(
            names(&[
                "digitalsignature",
                "KeyUsageKeyAgreement",
                "x",
                " CertSign "
            ]),
            ["DigitalSignature", "CertSign"]
        );
        assert_eq!(
            names(&["decipheronly", "EncipherOnly"]),
            ["EncipherOnly", "DecipherOnly"]
        );
        assert!(key_usage::<&str>(&[]).is_empty());
    }

    #[test]
    fn purposes_come_in_the_order_of_the_extension() {
        let text = |names: &[&str]| {
            ext_key_usage(names)
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
        };
        assert_eq!(
            text(&[
                "OCSPSigning",
                "ExtKeyUsageTimeStamping",
                "any",
                "IPSECUser",
                "ServerAuth",
                "serverauth"
            ]),
            [
                "2.5.29.37.0",
                "1.3.6.1.5.5.7.3.1",
                "1.3.6.1.5.5.7.3.7",
                "1.3.6.1.5.5.7.3.9"
            ]
        );
        // OpenBao 2.7.2 knows no name for the code signing purposes of Microsoft.
        let none = text(&[
            "MicrosoftCommercialCodeSigning",
            "MicrosoftKernelCodeSigning",
        ]);
        assert!(none.is_empty(), "{none:?}");
    }

    #[test]
    fn object_identifiers() {
        for good in ["1.2.3", "1", "3.3", "2.999.1"] {
            assert!(looks_like_oid(good), "{good}");
        }
        for (bad, arc) in [
            ("1.2.x", "x"),
            ("", ""),
            ("1.2.", ""),
            ("99999999999999999999.1", "99999999999999999999"),
            ("1.-2", "-2"),
        ] {
            assert_eq!(bad_arc(bad), Some(arc), "{bad}");
        }
        assert_eq!(oid("1.2.3"), Some(Oid::new_unwrap("1.2.3")));
        assert!(oid("1.2.2147483647").is_some());
        for bad in ["1", "3.3", "4.3.2.1", "x", "1.2.2147483648"] {
            assert_eq!(oid(bad), None, "{bad}");
        }
    }
}
