//! The messages that a program builds: what its result is made of (OpenBao pki: `cert_template.proto`).
//!
//! A field that has the zero value of its type is not kept, as in protocol buffers: `has()` says no, and two messages that differ in such
//! a field only are equal.

use std::collections::BTreeMap;

use cel::common::types::{
    CelBool, CelBytes, CelInt, CelList, CelNull, CelOptional, CelString, CelStruct, CelTimestamp,
    CelUInt, Type,
};
use cel::common::value::{CowVal, Val};
use cel::{ExecutionError, StructType};

use crate::fault::error;

/// What a field holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Holds {
    Bool,
    /// `int32` of an enumeration.
    Enum,
    Int64,
    Uint32,
    Uint64,
    Text,
    Octets,
    Timestamp,
    /// A message, by its full name.
    Message(&'static str),
}

/// One field of a message.
#[derive(Debug)]
pub(crate) struct Field {
    pub(crate) name: &'static str,
    pub(crate) holds: Holds,
    pub(crate) repeated: bool,
}

/// One message.
#[derive(Debug)]
pub(crate) struct Message {
    pub(crate) name: &'static str,
    pub(crate) fields: &'static [Field],
}

impl Message {
    /// The message of this full name.
    pub(crate) fn find(name: &str) -> Option<&'static Self> {
        MESSAGES.iter().find(|message| message.name == name)
    }

    /// One of its fields.
    pub(crate) fn field(&self, name: &str) -> Option<&'static Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// The name of the message that a program's result is.
pub(crate) const OUTPUT: &str = "openbao.pki.ValidationOutput";

const fn one(name: &'static str, holds: Holds) -> Field {
    Field {
        name,
        holds,
        repeated: false,
    }
}

const fn many(name: &'static str, holds: Holds) -> Field {
    Field {
        name,
        holds,
        repeated: true,
    }
}

const NAME: Holds = Holds::Message("openbao.pki.PKIX.Name");
const EXTENSION: Holds = Holds::Message("openbao.pki.PKIX.Extension");
const OBJECT_IDENTIFIER: Holds = Holds::Message("openbao.pki.ObjectIdentifier");
const OID: Holds = Holds::Message("openbao.pki.OID");
const IP: Holds = Holds::Message("openbao.pki.net.IP");
const IP_NET: Holds = Holds::Message("openbao.pki.net.IPNet");
const IP_MASK: Holds = Holds::Message("openbao.pki.net.IPMask");
const URL: Holds = Holds::Message("openbao.pki.url.URL");
const USERINFO: Holds = Holds::Message("openbao.pki.Userinfo");
const MAPPING: Holds = Holds::Message("openbao.pki.PolicyMapping");
const TEMPLATE: Holds = Holds::Message("openbao.pki.CertTemplate");

/// All messages.
pub(crate) static MESSAGES: &[Message] = &[
    Message {
        name: OUTPUT,
        fields: &[
            one("template", TEMPLATE),
            one("issuer_ref", Holds::Text),
            one("use_pss", Holds::Bool),
            one("signature_bits", Holds::Uint32),
            one("generate_lease", Holds::Bool),
            one("no_store", Holds::Bool),
            many("warnings", Holds::Text),
            one("subject_key_id", Holds::Octets),
            one("key_type", Holds::Text),
            one("key_bits", Holds::Uint64),
        ],
    },
    Message {
        name: "openbao.pki.CertTemplate",
        fields: &[
            one("Version", Holds::Int64),
            one("Subject", NAME),
            one("NotBefore", Holds::Timestamp),
            one("NotAfter", Holds::Timestamp),
            one("KeyUsage", Holds::Enum),
            many("ExtraExtensions", EXTENSION),
            many("ExtKeyUsage", Holds::Enum),
            many("UnknownExtKeyUsage", OBJECT_IDENTIFIER),
            one("BasicConstraintsValid", Holds::Bool),
            one("IsCA", Holds::Bool),
            one("MaxPathLen", Holds::Int64),
            one("MaxPathLenZero", Holds::Bool),
            one("SubjectKeyId", Holds::Octets),
            many("DNSNames", Holds::Text),
            many("EmailAddresses", Holds::Text),
            many("IPAddresses", IP),
            many("URIs", URL),
            one("PermittedDNSDomainsCritical", Holds::Bool),
            many("PermittedDNSDomains", Holds::Text),
            many("ExcludedDNSDomains", Holds::Text),
            many("PermittedIPRanges", IP_NET),
            many("ExcludedIPRanges", IP_NET),
            many("PermittedEmailAddresses", Holds::Text),
            many("ExcludedEmailAddresses", Holds::Text),
            many("PermittedURIDomains", Holds::Text),
            many("ExcludedURIDomains", Holds::Text),
            many("PolicyIdentifiers", OBJECT_IDENTIFIER),
            many("Policies", OID),
            one("InhibitAnyPolicy", Holds::Int64),
            one("InhibitAnyPolicyZero", Holds::Bool),
            one("InhibitPolicyMapping", Holds::Int64),
            one("InhibitPolicyMappingZero", Holds::Bool),
            one("RequireExplicitPolicy", Holds::Int64),
            one("RequireExplicitPolicyZero", Holds::Bool),
            many("PolicyMappings", MAPPING),
        ],
    },
    Message {
        name: "openbao.pki.PKIX",
        fields: &[],
    },
    Message {
        name: "openbao.pki.PKIX.Name",
        fields: &[
            many("Country", Holds::Text),
            many("Organization", Holds::Text),
            many("OrganizationUnit", Holds::Text),
            many("Locality", Holds::Text),
            many("Province", Holds::Text),
            many("StreetAddress", Holds::Text),
            many("PostalCode", Holds::Text),
            one("SerialNumber", Holds::Text),
            one("CommonName", Holds::Text),
        ],
    },
    Message {
        name: "openbao.pki.PKIX.Extension",
        fields: &[
            many("Id", Holds::Int64),
            one("Critical", Holds::Bool),
            one("Value", Holds::Octets),
        ],
    },
    Message {
        name: "openbao.pki.ObjectIdentifier",
        fields: &[many("arc", Holds::Uint32)],
    },
    Message {
        name: "openbao.pki.OID",
        fields: &[many("arc", Holds::Uint64)],
    },
    Message {
        name: "openbao.pki.net",
        fields: &[],
    },
    Message {
        name: "openbao.pki.net.IP",
        fields: &[one("IP", Holds::Octets)],
    },
    Message {
        name: "openbao.pki.net.IPNet",
        fields: &[one("IP", IP), one("Mask", IP_MASK)],
    },
    Message {
        name: "openbao.pki.net.IPMask",
        fields: &[one("IPMask", Holds::Octets)],
    },
    Message {
        name: "openbao.pki.Userinfo",
        fields: &[
            one("username", Holds::Text),
            one("password", Holds::Text),
            one("password_set", Holds::Bool),
        ],
    },
    Message {
        name: "openbao.pki.url",
        fields: &[],
    },
    Message {
        name: "openbao.pki.url.URL",
        fields: &[
            one("Scheme", Holds::Text),
            one("Opaque", Holds::Text),
            one("User", USERINFO),
            one("Host", Holds::Text),
            one("Path", Holds::Text),
            one("RawPath", Holds::Text),
            one("OmitHost", Holds::Bool),
            one("ForceQuery", Holds::Bool),
            one("RawQuery", Holds::Text),
            one("Fragment", Holds::Text),
            one("RawFragment", Holds::Text),
        ],
    },
    Message {
        name: "openbao.pki.PolicyMapping",
        fields: &[
            one("IssuerDomainPolicy", OID),
            one("SubjectDomainPolicy", OID),
        ],
    },
];

/// The names that stand for a number, below `openbao.pki.`. Those of KeyUsage count the usages, while the field takes bits: the built-in
/// engine has them so.
pub(crate) static NUMBERS: &[(&str, &[&str])] = &[
    (
        "KeyUsage",
        &[
            "KeyUsageUnspecified",
            "KeyUsageDigitalSignature",
            "KeyUsageContentCommitment",
            "KeyUsageKeyEncipherment",
            "KeyUsageDataEncipherment",
            "KeyUsageKeyAgreement",
            "KeyUsageCertSign",
            "KeyUsageCRLSign",
            "KeyUsageEncipherOnly",
            "KeyUsageDecipherOnly",
        ],
    ),
    (
        "ExtKeyUsage",
        &[
            "ExtKeyUsageAny",
            "ExtKeyUsageServerAuth",
            "ExtKeyUsageClientAuth",
            "ExtKeyUsageCodeSigning",
            "ExtKeyUsageEmailProtection",
            "ExtKeyUsageIPSECEndSystem",
            "ExtKeyUsageIPSECTunnel",
            "ExtKeyUsageIPSECUser",
            "ExtKeyUsageTimeStamping",
            "ExtKeyUsageOCSPSigning",
            "ExtKeyUsageMicrosoftServerGatedCrypto",
            "ExtKeyUsageNetscapeServerGatedCrypto",
            "ExtKeyUsageMicrosoftCommercialCodeSigning",
            "ExtKeyUsageMicrosoftKernelCodeSigning",
        ],
    ),
];

/// A message as the language's crate makes its values.
pub(crate) struct Maker {
    message: &'static Message,
    kind: Type,
}

impl Maker {
    pub(crate) fn new(message: &'static Message) -> Self {
        Self {
            message,
            kind: CelStruct::new(message.name.to_owned())
                .get_type()
                .to_owned(),
        }
    }
}

impl StructType for Maker {
    fn get_type(&self) -> &Type {
        &self.kind
    }

    fn new_value<'b, 'v>(
        &self,
        fields: BTreeMap<String, CowVal<'b, 'v>>,
    ) -> Result<Box<dyn Val + 'v>, ExecutionError> {
        let mut made = CelStruct::new(self.message.name.to_owned());
        for (name, value) in fields {
            let Some(field) = self.message.field(&name) else {
                return Err(error(format!("no such field: {name}")));
            };
            let Some(value) = present(value) else {
                continue;
            };
            if !fits(field, value.as_ref()) {
                return Err(misfit(self.message, field, value.as_ref()));
            }
            if !is_zero(value.as_ref()) {
                made.add_field_value(name, value);
            }
        }
        Ok(Box::new(made))
    }
}

/// The value itself, or what an optional holds; nothing for null.
fn present<'b, 'v>(value: CowVal<'b, 'v>) -> Option<CowVal<'b, 'v>> {
    if value.downcast_ref::<CelNull>().is_some() {
        return None;
    }
    match value.downcast_ref::<CelOptional<'_>>() {
        Some(optional) => optional
            .option()
            .map(|inner| CowVal::Owned(inner.clone_as_boxed())),
        None => Some(value),
    }
}

fn fits(field: &Field, value: &dyn Val) -> bool {
    if !field.repeated {
        return holds(field.holds, value);
    }
    value.downcast_ref::<CelList<'_>>().is_some_and(|list| {
        list.inner()
            .iter()
            .all(|one| holds(field.holds, one.as_ref()))
    })
}

fn holds(kind: Holds, value: &dyn Val) -> bool {
    match kind {
        Holds::Bool => value.downcast_ref::<CelBool>().is_some(),
        Holds::Enum => value
            .downcast_ref::<CelInt>()
            .is_some_and(|number| i32::try_from(*number.inner()).is_ok()),
        Holds::Int64 => value.downcast_ref::<CelInt>().is_some(),
        Holds::Uint32 => value
            .downcast_ref::<CelUInt>()
            .is_some_and(|number| u32::try_from(*number.inner()).is_ok()),
        Holds::Uint64 => value.downcast_ref::<CelUInt>().is_some(),
        Holds::Text => value.downcast_ref::<CelString<'_>>().is_some(),
        Holds::Octets => value.downcast_ref::<CelBytes<'_>>().is_some(),
        Holds::Timestamp => value.downcast_ref::<CelTimestamp>().is_some(),
        Holds::Message(name) => value
            .downcast_ref::<CelStruct<'_>>()
            .is_some_and(|message| message.name() == name),
    }
}

/// Whether a field with this value is as if it were not set. A message is set even where it is empty.
fn is_zero(value: &dyn Val) -> bool {
    value.downcast_ref::<CelStruct<'_>>().is_none()
        && value.downcast_ref::<CelTimestamp>().is_none()
        && value
            .as_zeroer()
            .is_some_and(|zeroer| zeroer.is_zero_value())
}

fn misfit(message: &Message, field: &Field, value: &dyn Val) -> ExecutionError {
    error(format!(
        "field type conversion error for {}.{} value type: unsupported type conversion from '{}' to {}",
        message.name,
        field.name,
        value.get_type().name(),
        go_type(field),
    ))
}

fn go_type(field: &Field) -> String {
    let one = match field.holds {
        Holds::Bool => "bool",
        Holds::Enum => "int32",
        Holds::Int64 => "int64",
        Holds::Uint32 => "uint32",
        Holds::Uint64 => "uint64",
        Holds::Text => "string",
        Holds::Octets => "[]uint8",
        Holds::Timestamp => "google.protobuf.Timestamp",
        Holds::Message(name) => name,
    };
    if field.repeated {
        format!("list({one})")
    } else {
        one.to_owned()
    }
}
