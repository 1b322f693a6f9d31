//! Names of key usages, extended key usages and object identifiers as roles write them.

use crate::Oid;

/// digitalSignature as a bit of [`key_usage`].
pub const DIGITAL_SIGNATURE: u16 = 1 << 0;
/// keyCertSign as a bit of [`key_usage`].
pub const KEY_CERT_SIGN: u16 = 1 << 5;
/// cRLSign as a bit of [`key_usage`].
pub const CRL_SIGN: u16 = 1 << 6;

/// Bits of the key usage extension, bit `n` of RFC 5280 section 4.2.1.3 as `1 << n`.
///
/// Names are compared without case and without blanks around; unknown ones are ignored (OpenBao
/// pki: roles do not check them).
pub fn key_usage<S: AsRef<str>>(names: &[S]) -> u16 {
    names.iter().fold(0, |bits, name| {
        bits | KEY_USAGES
            .iter()
            .position(|known| name.as_ref().trim().eq_ignore_ascii_case(known))
            .map_or(0, |bit| 1 << bit)
    })
}

/// Object identifiers of the named purposes, in the order in which the extension lists them.
///
/// Unknown names are ignored.
pub fn ext_key_usage<S: AsRef<str>>(names: &[S]) -> Vec<Oid> {
    EXT_KEY_USAGES
        .iter()
        .filter(|(known, _)| {
            names
                .iter()
                .any(|name| name.as_ref().trim().eq_ignore_ascii_case(known))
        })
        .map(|(_, oid)| *oid)
        .collect()
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

/// In the order of the bits.
const KEY_USAGES: [&str; 9] = [
    "digitalsignature",
    "contentcommitment",
    "keyencipherment",
    "dataencipherment",
    "keyagreement",
    "certsign",
    "crlsign",
    "encipheronly",
    "decipheronly",
];

const fn oid(text: &str) -> Oid {
    Oid::new_unwrap(text)
}

/// In the order of the extension.
const EXT_KEY_USAGES: [(&str, Oid); 12] = [
    ("any", oid("2.5.29.37.0")),
    ("serverauth", oid("1.3.6.1.5.5.7.3.1")),
    ("clientauth", oid("1.3.6.1.5.5.7.3.2")),
    ("codesigning", oid("1.3.6.1.5.5.7.3.3")),
    ("emailprotection", oid("1.3.6.1.5.5.7.3.4")),
    ("ipsecendsystem", oid("1.3.6.1.5.5.7.3.5")),
    ("ipsectunnel", oid("1.3.6.1.5.5.7.3.6")),
    ("ipsecuser", oid("1.3.6.1.5.5.7.3.7")),
    ("timestamping", oid("1.3.6.1.5.5.7.3.8")),
    ("ocspsigning", oid("1.3.6.1.5.5.7.3.9")),
    ("microsoftservergatedcrypto", oid("1.3.6.1.4.1.311.10.3.3")),
    ("netscapeservergatedcrypto", oid("2.16.840.1.113730.4.1")),
];

#[cfg(test)]
mod tests {
    use super::*;

    /// OpenBao 2.7.2: the prefix `KeyUsage` is not known, contrary to its documentation.
    #[test]
    fn key_usage_names() {
        for (names, want) in [
            (
                &[
                    "digitalsignature",
                    "KeyUsageKeyAgreement",
                    "x",
                    " CertSign ",
                ][..],
                DIGITAL_SIGNATURE | KEY_CERT_SIGN,
            ),
            (
                &["DigitalSignature", "KeyAgreement", "KeyEncipherment"],
                0b1_0101,
            ),
            (&["EncipherOnly", "decipheronly"], 0b1_1000_0000),
            (&["CRLSign"], CRL_SIGN),
            (&[], 0),
        ] {
            assert_eq!(key_usage(names), want, "{names:?}");
        }
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
                "ServerAuth"
            ]),
            [
                "2.5.29.37.0",
                "1.3.6.1.5.5.7.3.1",
                "1.3.6.1.5.5.7.3.7",
                "1.3.6.1.5.5.7.3.9"
            ]
        );
        assert!(text(&["MicrosoftKernelCodeSigning"]).is_empty());
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
    }
}
