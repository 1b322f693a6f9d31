//! What a key may be used for.

use std::ops::{BitAnd, BitOr, BitOrAssign};

use der::Decode;
use der::asn1::BitStringRef;

use crate::{Error, Oid, asn1};

/// A set of key usages (RFC 5280 section 4.2.1.3). Bit n is the standard's bit n.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct KeyUsage(u16);

impl KeyUsage {
    /// digitalSignature.
    pub const DIGITAL_SIGNATURE: Self = Self(1);
    /// contentCommitment, once called nonRepudiation.
    pub const CONTENT_COMMITMENT: Self = Self(1 << 1);
    /// keyEncipherment.
    pub const KEY_ENCIPHERMENT: Self = Self(1 << 2);
    /// dataEncipherment.
    pub const DATA_ENCIPHERMENT: Self = Self(1 << 3);
    /// keyAgreement.
    pub const KEY_AGREEMENT: Self = Self(1 << 4);
    /// keyCertSign.
    pub const CERT_SIGN: Self = Self(1 << 5);
    /// cRLSign.
    pub const CRL_SIGN: Self = Self(1 << 6);
    /// encipherOnly.
    pub const ENCIPHER_ONLY: Self = Self(1 << 7);
    /// decipherOnly.
    pub const DECIPHER_ONLY: Self = Self(1 << 8);

    /// The usages of a key that does nothing but sign.
    pub const SIGNING: Self = Self(
        Self::DIGITAL_SIGNATURE.0
            | Self::CONTENT_COMMITMENT.0
            | Self::CERT_SIGN.0
            | Self::CRL_SIGN.0,
    );

    /// No usage.
    pub const fn empty() -> Self {
        Self(0)
    }

    /// From bits, bit n being the standard's bit n; those beyond the ninth are dropped.
    pub const fn from_bits(bits: u16) -> Self {
        Self(bits & 0x1ff)
    }

    /// Whether no usage is in the set.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `other` is in the set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The usage of this name in the API, such as `DigitalSignature`, in any case and with blanks around it.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.trim();
        NAMES
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, usage)| *usage)
    }

    /// The names of the usages in the set, in the standard's order.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        NAMES
            .iter()
            .filter(move |(_, usage)| self.contains(*usage))
            .map(|(name, _)| *name)
    }

    /// Reads the extension's value; bits beyond the ninth are ignored.
    ///
    /// # Errors
    /// It is not a BIT STRING.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let bits = BitStringRef::from_der(der).map_err(|why| Error::malformed("key usage", why))?;
        Ok(bits
            .bits()
            .take(9)
            .enumerate()
            .fold(
                Self(0),
                |set, (bit, on)| {
                    if on { set | Self(1 << bit) } else { set }
                },
            ))
    }

    /// The extension's value: a named bit list without trailing zeros (X.690 section 11.2.2).
    pub(crate) fn to_der(self) -> Vec<u8> {
        let [high, low] = [(self.0 & 0xff) as u8, (self.0 >> 8) as u8].map(u8::reverse_bits);
        let octets: &[u8] = match (high, low) {
            (0, 0) => &[],
            (_, 0) => &[high],
            _ => &[high, low],
        };
        let unused = octets
            .last()
            .map_or(0, |octet| octet.trailing_zeros() as u8);
        asn1::encode(|w| w.tlv(asn1::BIT_STRING, &[&[unused], octets].concat()))
    }
}

impl BitOr for KeyUsage {
    type Output = Self;

    fn bitor(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }
}

impl BitOrAssign for KeyUsage {
    fn bitor_assign(&mut self, other: Self) {
        self.0 |= other.0;
    }
}

impl BitAnd for KeyUsage {
    type Output = Self;

    fn bitand(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }
}

/// The extended key usages that have a name in the API, in the order in which certificates list them.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[allow(missing_docs, reason = "the names are those of the standards")]
pub enum ExtKeyUsage {
    Any,
    ServerAuth,
    ClientAuth,
    CodeSigning,
    EmailProtection,
    IpsecEndSystem,
    IpsecTunnel,
    IpsecUser,
    TimeStamping,
    OcspSigning,
    MicrosoftServerGatedCrypto,
    NetscapeServerGatedCrypto,
}

impl ExtKeyUsage {
    /// All of them, in order.
    pub const ALL: [Self; 12] = [
        Self::Any,
        Self::ServerAuth,
        Self::ClientAuth,
        Self::CodeSigning,
        Self::EmailProtection,
        Self::IpsecEndSystem,
        Self::IpsecTunnel,
        Self::IpsecUser,
        Self::TimeStamping,
        Self::OcspSigning,
        Self::MicrosoftServerGatedCrypto,
        Self::NetscapeServerGatedCrypto,
    ];

    /// The object identifier.
    pub const fn oid(self) -> Oid {
        match self {
            Self::Any => Oid::new_unwrap("2.5.29.37.0"),
            Self::ServerAuth => Oid::new_unwrap("1.3.6.1.5.5.7.3.1"),
            Self::ClientAuth => Oid::new_unwrap("1.3.6.1.5.5.7.3.2"),
            Self::CodeSigning => Oid::new_unwrap("1.3.6.1.5.5.7.3.3"),
            Self::EmailProtection => Oid::new_unwrap("1.3.6.1.5.5.7.3.4"),
            Self::IpsecEndSystem => Oid::new_unwrap("1.3.6.1.5.5.7.3.5"),
            Self::IpsecTunnel => Oid::new_unwrap("1.3.6.1.5.5.7.3.6"),
            Self::IpsecUser => Oid::new_unwrap("1.3.6.1.5.5.7.3.7"),
            Self::TimeStamping => Oid::new_unwrap("1.3.6.1.5.5.7.3.8"),
            Self::OcspSigning => Oid::new_unwrap("1.3.6.1.5.5.7.3.9"),
            Self::MicrosoftServerGatedCrypto => Oid::new_unwrap("1.3.6.1.4.1.311.10.3.3"),
            Self::NetscapeServerGatedCrypto => Oid::new_unwrap("2.16.840.1.113730.4.1"),
        }
    }

    /// The name in the API.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Any => "Any",
            Self::ServerAuth => "ServerAuth",
            Self::ClientAuth => "ClientAuth",
            Self::CodeSigning => "CodeSigning",
            Self::EmailProtection => "EmailProtection",
            Self::IpsecEndSystem => "IPSECEndSystem",
            Self::IpsecTunnel => "IPSECTunnel",
            Self::IpsecUser => "IPSECUser",
            Self::TimeStamping => "TimeStamping",
            Self::OcspSigning => "OCSPSigning",
            Self::MicrosoftServerGatedCrypto => "MicrosoftServerGatedCrypto",
            Self::NetscapeServerGatedCrypto => "NetscapeServerGatedCrypto",
        }
    }

    /// The usage of this name, in any case and with blanks around it.
    pub fn from_name(name: &str) -> Option<Self> {
        let name = name.trim();
        Self::ALL
            .into_iter()
            .find(|usage| usage.name().eq_ignore_ascii_case(name))
    }

    /// The usage with this object identifier.
    pub fn from_oid(oid: &Oid) -> Option<Self> {
        Self::ALL.into_iter().find(|usage| usage.oid() == *oid)
    }
}

const NAMES: [(&str, KeyUsage); 9] = [
    ("DigitalSignature", KeyUsage::DIGITAL_SIGNATURE),
    ("ContentCommitment", KeyUsage::CONTENT_COMMITMENT),
    ("KeyEncipherment", KeyUsage::KEY_ENCIPHERMENT),
    ("DataEncipherment", KeyUsage::DATA_ENCIPHERMENT),
    ("KeyAgreement", KeyUsage::KEY_AGREEMENT),
    ("CertSign", KeyUsage::CERT_SIGN),
    ("CRLSign", KeyUsage::CRL_SIGN),
    ("EncipherOnly", KeyUsage::ENCIPHER_ONLY),
    ("DecipherOnly", KeyUsage::DECIPHER_ONLY),
];
