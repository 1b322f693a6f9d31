//! What the result of a program says: a certificate, and what is to be done with it.

use std::net::IpAddr;

use cel::Value;
use cel::common::types::{
    CelBool, CelBytes, CelInt, CelList, CelString, CelStruct, CelTimestamp, CelUInt,
};
use cel::common::value::Val;
use jiff::Timestamp;
use landfast_pki::name::Attributes;
use landfast_pki::{
    Blueprint, ExtKeyUsage, Extension, FOREVER, GeneralNames, KeyUsage, Oid, Subject, usage,
};

use crate::fault::Fault;
use crate::messages::OUTPUT;
use crate::url;

/// What a program wants.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The certificate.
    pub blueprint: Blueprint,
    /// Which issuer signs; empty for the default.
    pub issuer_ref: String,
    /// Whether a lease comes with it.
    pub generate_lease: bool,
    /// Whether it is kept off the record.
    pub no_store: bool,
    /// What the caller is told.
    pub warnings: Vec<String>,
    /// The type of the key to make; empty for RSA.
    pub key_type: String,
    /// Its size; 0 for the usual one.
    pub key_bits: u64,
}

/// Reads the value of a program's main expression.
///
/// # Errors
/// It is no certificate: a text or a truth value refuses, any other is a fault of the program.
pub(crate) fn read(value: Value) -> Result<Wanted, Fault> {
    let other = match value {
        Value::Struct(message) if message.name() == OUTPUT => {
            return wanted(Message(Some(&message)));
        }
        Value::Struct(message) => {
            return Err(Fault::new(format!(
                "the program's result is a {}, and must be a {OUTPUT}",
                message.name()
            )));
        }
        Value::String(text) => return Err(Fault::new(text.as_str())),
        Value::Bool(_) => return Err(Fault::new("request denied")),
        Value::Int(_) => "int64",
        Value::UInt(_) => "uint64",
        Value::Float(_) => "float64",
        Value::Bytes(_) => "[]uint8",
        Value::List(_) => "[]ref.Val",
        Value::Map(_) => "map[ref.Val]ref.Val",
        Value::Timestamp(_) => "time.Time",
        Value::Duration(_) => "time.Duration",
        Value::Null => "structpb.NullValue",
        _ => "<nil>",
    };
    Err(Fault::new(format!(
        "unexpected mainProgram result type {other}"
    )))
}

/// The fields of a message; one that is not there has none.
#[derive(Clone, Copy)]
struct Message<'a>(Option<&'a CelStruct<'static>>);

impl<'a> Message<'a> {
    fn value(self, name: &str) -> Option<&'a (dyn Val + 'static)> {
        self.0?.field_value(name)
    }

    fn message(self, name: &str) -> Self {
        Self(self.value(name).and_then(|value| value.downcast_ref()))
    }

    fn list(self, name: &str) -> impl Iterator<Item = &'a (dyn Val + 'static)> + use<'a> {
        let list = self
            .value(name)
            .and_then(|value| value.downcast_ref::<CelList<'static>>());
        list.into_iter()
            .flat_map(|list| list.inner())
            .map(AsRef::as_ref)
    }

    fn messages(self, name: &str) -> impl Iterator<Item = Self> + use<'a> {
        self.list(name).map(|value| Self(value.downcast_ref()))
    }

    fn text(self, name: &str) -> String {
        self.value(name).map(text).unwrap_or_default()
    }

    fn texts(self, name: &str) -> Vec<String> {
        self.list(name).map(text).collect()
    }

    fn octets(self, name: &str) -> Vec<u8> {
        let octets = self
            .value(name)
            .and_then(|value| value.downcast_ref::<CelBytes<'static>>());
        octets
            .map(|octets| octets.inner().to_vec())
            .unwrap_or_default()
    }

    fn truth(self, name: &str) -> bool {
        let truth = self
            .value(name)
            .and_then(|value| value.downcast_ref::<CelBool>());
        truth.is_some_and(|truth| *truth.inner())
    }

    fn int(self, name: &str) -> i64 {
        self.value(name).map_or(0, int)
    }

    fn uint(self, name: &str) -> u64 {
        self.value(name).map_or(0, uint)
    }

    /// The beginning of 1970 where there is none.
    fn time(self, name: &str) -> Result<Timestamp, Fault> {
        let Some(value) = self.value(name) else {
            return Ok(Timestamp::UNIX_EPOCH);
        };
        value
            .downcast_ref::<CelTimestamp>()
            .and_then(time)
            .ok_or_else(|| Fault::new(format!("{name} is out of range")))
    }

    /// An object identifier of its field `arc` or `Id`.
    fn oid(self, name: &str) -> Result<Oid, Fault> {
        let arcs: Vec<String> = self
            .list(name)
            .map(|arc| match arc.downcast_ref::<CelInt>() {
                Some(number) => number.inner().to_string(),
                None => uint(arc).to_string(),
            })
            .collect();
        usage::oid(&arcs.join(".")).ok_or_else(|| {
            Fault::new(
                "unable to create certificate: asn1: structure error: invalid object identifier",
            )
        })
    }
}

fn text(value: &(dyn Val + 'static)) -> String {
    let text = value.downcast_ref::<CelString<'static>>();
    text.map(|text| text.inner().to_owned()).unwrap_or_default()
}

fn int(value: &(dyn Val + 'static)) -> i64 {
    value
        .downcast_ref::<CelInt>()
        .map_or(0, |number| *number.inner())
}

fn uint(value: &(dyn Val + 'static)) -> u64 {
    value
        .downcast_ref::<CelUInt>()
        .map_or(0, |number| *number.inner())
}

/// A time of the language's crate.
pub(crate) fn time(time: &CelTimestamp) -> Option<Timestamp> {
    let time = time.inner();
    let seconds = time.timestamp();
    let nanoseconds = i32::try_from(time.timestamp_subsec_nanos()).ok()?;
    // The last day of 9999 lies beyond what the other type of times counts.
    if seconds >= FOREVER.as_second() {
        return Some(FOREVER);
    }
    Timestamp::new(seconds, nanoseconds).ok()
}

fn wanted(output: Message<'_>) -> Result<Wanted, Fault> {
    let template = output.message("template");
    if template.0.is_none() {
        return Err(Fault::new("template is nil"));
    }
    let mut blueprint = blueprint(template)?;
    let key_id = output.octets("subject_key_id");
    blueprint.key_id = (!key_id.is_empty()).then_some(key_id);
    blueprint.signature_bits = u32::try_from(output.uint("signature_bits")).unwrap_or(u32::MAX);
    blueprint.use_pss = output.truth("use_pss");
    let warnings = output.texts("warnings").into_iter();
    Ok(Wanted {
        blueprint,
        issuer_ref: output.text("issuer_ref"),
        generate_lease: output.truth("generate_lease"),
        no_store: output.truth("no_store"),
        warnings: warnings.filter(|text| !text.is_empty()).collect(),
        key_type: output.text("key_type"),
        key_bits: output.uint("key_bits"),
    })
}

/// Fields that say what only a CA certificate has.
const CONSTRAINTS: [&str; 8] = [
    "PermittedDNSDomains",
    "ExcludedDNSDomains",
    "PermittedIPRanges",
    "ExcludedIPRanges",
    "PermittedEmailAddresses",
    "ExcludedEmailAddresses",
    "PermittedURIDomains",
    "ExcludedURIDomains",
];

fn blueprint(template: Message<'_>) -> Result<Blueprint, Fault> {
    let constraints = template.truth("BasicConstraintsValid");
    let is_ca = constraints && template.truth("IsCA");
    if is_ca
        || CONSTRAINTS
            .iter()
            .any(|name| template.list(name).next().is_some())
    {
        return Err(Fault::new(landfast_pki::Refusal::ProgramCa.to_string()));
    }
    let path_length = template.int("MaxPathLen");
    if constraints && path_length != -1 && (path_length != 0 || template.truth("MaxPathLenZero")) {
        return Err(Fault::new(
            "unable to create certificate: x509: only CAs are allowed to specify MaxPathLen",
        ));
    }
    let extra = template.messages("ExtraExtensions").map(|one| {
        Ok(Extension {
            oid: one.oid("Id")?,
            critical: one.truth("Critical"),
            value: one.octets("Value"),
        })
    });
    let policies = template.messages("Policies").map(|one| one.oid("arc"));
    Ok(Blueprint {
        subject: subject(template.message("Subject")),
        not_before: template.time("NotBefore")?,
        not_after: template.time("NotAfter")?,
        key_usage: key_usage(template.int("KeyUsage"))?,
        purposes: purposes(template)?,
        basic_constraints: constraints,
        names: names(template)?,
        policies: policies.collect::<Result<_, _>>()?,
        extra: extra.collect::<Result<_, Fault>>()?,
        ..Blueprint::default()
    })
}

fn subject(name: Message<'_>) -> Subject {
    Subject {
        common_name: name.text("CommonName"),
        serial_number: name.text("SerialNumber"),
        user_ids: Vec::new(),
        attributes: Attributes {
            ou: name.texts("OrganizationUnit"),
            organization: name.texts("Organization"),
            country: name.texts("Country"),
            locality: name.texts("Locality"),
            province: name.texts("Province"),
            street_address: name.texts("StreetAddress"),
            postal_code: name.texts("PostalCode"),
        },
    }
}

/// Usages by bit. The names of `KeyUsage` are no bits, there as here.
fn key_usage(bits: i64) -> Result<KeyUsage, Fault> {
    match u16::try_from(bits) {
        Ok(bits @ 0..=0x1ff) => Ok(KeyUsage::from_bits(bits)),
        _ => Err(Fault::new(format!(
            "KeyUsage {bits} has bits that stand for no usage: the nine usages are 1, 2, 4 to 256"
        ))),
    }
}

fn purposes(template: Message<'_>) -> Result<Vec<Oid>, Fault> {
    const CODE_SIGNING: [Oid; 2] = [
        Oid::new_unwrap("1.3.6.1.4.1.311.2.1.22"),
        Oid::new_unwrap("1.3.6.1.4.1.311.61.1.1"),
    ];
    let known = template.list("ExtKeyUsage").map(|value| {
        let number = usize::try_from(int(value)).unwrap_or(usize::MAX);
        let named = ExtKeyUsage::ALL.get(number).map(|one| one.oid());
        named
            .or_else(|| {
                CODE_SIGNING
                    .get(number.checked_sub(ExtKeyUsage::ALL.len())?)
                    .copied()
            })
            .ok_or_else(|| {
                Fault::new("unable to create certificate: x509: unknown extended key usage")
            })
    });
    let others = template
        .messages("UnknownExtKeyUsage")
        .map(|one| one.oid("arc"));
    known.chain(others).collect()
}

fn names(template: Message<'_>) -> Result<GeneralNames, Fault> {
    let uris: Vec<String> = template.messages("URIs").map(uri).collect();
    let (dns, emails) = (template.texts("DNSNames"), template.texts("EmailAddresses"));
    if let Some(name) = [&dns, &emails, &uris]
        .into_iter()
        .flatten()
        .find(|name| !name.is_ascii())
    {
        return Err(Fault::new(format!(
            "unable to create certificate: x509: {name:?} cannot be encoded as an IA5String"
        )));
    }
    let mut ips = Vec::new();
    for one in template.messages("IPAddresses") {
        let octets = one.octets("IP");
        if octets.is_empty() {
            continue;
        }
        let four = <[u8; 4]>::try_from(octets.as_slice()).map(IpAddr::from);
        let address = four.or_else(|_| <[u8; 16]>::try_from(octets.as_slice()).map(IpAddr::from));
        let address = address.map_err(|_| {
            let shown: String = octets
                .iter()
                .take(32)
                .map(|octet| format!("{octet:02x}"))
                .collect();
            Fault::new(format!("bad IP address: invalid IP bytes: {shown}"))
        })?;
        ips.push(address.to_canonical());
    }
    Ok(GeneralNames {
        dns,
        emails,
        ips,
        uris,
        ..GeneralNames::default()
    })
}

fn uri(one: Message<'_>) -> String {
    let user = one.message("User");
    let owner = user.0.map(|_| url::Owner {
        name: user.text("username"),
        password: user.truth("password_set").then(|| user.text("password")),
    });
    url::Url {
        scheme: one.text("Scheme"),
        opaque: one.text("Opaque"),
        owner,
        host: one.text("Host"),
        path: one.text("Path"),
        raw_path: one.text("RawPath"),
        force_query: one.truth("ForceQuery"),
        raw_query: one.text("RawQuery"),
        fragment: one.text("Fragment"),
        raw_fragment: one.text("RawFragment"),
    }
    .to_string()
}
