//! Distinguished names (RFC 5280 section 4.1.2.4).

use std::collections::HashSet;
use std::fmt;

use der::{Reader, SliceReader};

use crate::asn1::{self, Writer};
use crate::{Error, Oid, usage};

/// Attribute types that names are built from.
pub mod attribute {
    use crate::Oid;

    /// commonName.
    pub const COMMON_NAME: Oid = Oid::new_unwrap("2.5.4.3");
    /// serialNumber, of the subject and not of the certificate.
    pub const SERIAL_NUMBER: Oid = Oid::new_unwrap("2.5.4.5");
    /// countryName.
    pub const COUNTRY: Oid = Oid::new_unwrap("2.5.4.6");
    /// localityName.
    pub const LOCALITY: Oid = Oid::new_unwrap("2.5.4.7");
    /// stateOrProvinceName.
    pub const PROVINCE: Oid = Oid::new_unwrap("2.5.4.8");
    /// streetAddress.
    pub const STREET_ADDRESS: Oid = Oid::new_unwrap("2.5.4.9");
    /// organizationName.
    pub const ORGANIZATION: Oid = Oid::new_unwrap("2.5.4.10");
    /// organizationalUnitName.
    pub const ORGANIZATIONAL_UNIT: Oid = Oid::new_unwrap("2.5.4.11");
    /// postalCode.
    pub const POSTAL_CODE: Oid = Oid::new_unwrap("2.5.4.17");
    /// userId (RFC 4519).
    pub const USER_ID: Oid = Oid::new_unwrap("0.9.2342.19200300.100.1.1");
}

/// A distinguished name exactly as encoded. Two names are equal if their encodings are.
///
/// Keeping the encoding is what makes chains hold: an issuer name is copied octet for octet from the CA certificate,
/// whatever string types and order it uses.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct Name(Vec<u8>);

/// One attribute of a name, decoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attribute {
    /// Its type.
    pub oid: Oid,
    /// Its value as text; `#` and the encoding in hexadecimal if the value is no string (RFC 4514 section 2.4).
    pub value: String,
}

impl Name {
    /// From an encoded Name.
    ///
    /// # Errors
    /// The structure is not that of a Name, or a text holds octets that its type does not have.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let mut legible = true;
        let body = asn1::decode(der, |r| asn1::value(r, asn1::SEQUENCE));
        let checked = body.and_then(|body| walk(body, |_, _, value| legible &= is_legible(value)));
        checked.map_err(|why| Error::malformed("name", why))?;
        if !legible {
            let why = "an attribute holds octets that its string type does not have";
            return Err(Error::malformed("name", why));
        }
        Ok(Self(der.to_vec()))
    }

    /// The name without any attribute.
    pub fn empty() -> Self {
        Self(vec![asn1::SEQUENCE, 0])
    }

    /// The encoding.
    pub fn der(&self) -> &[u8] {
        &self.0
    }

    /// Whether there is no attribute.
    pub fn is_empty(&self) -> bool {
        self.0 == [asn1::SEQUENCE, 0]
    }

    /// The attributes, grouped as encoded.
    pub fn rdns(&self) -> Vec<Vec<Attribute>> {
        let mut rdns: Vec<Vec<Attribute>> = Vec::new();
        let body = asn1::decode(&self.0, |r| asn1::value(r, asn1::SEQUENCE)).unwrap_or_default();
        let read = walk(body, |index, oid, value| {
            rdns.resize_with(index + 1, Vec::new);
            rdns[index].push(Attribute {
                oid,
                value: text(value),
            });
        });
        debug_assert!(
            read.is_ok(),
            "the structure was checked when the name was made"
        );
        rdns
    }

    /// Whether Go, OpenSSL and webpki read every attribute: strings of the kinds that RFC 5280 names, made of the characters
    /// that their kinds have, and types whose numbers have at most 31 bits.
    pub(crate) fn is_portable(&self) -> bool {
        let mut portable = true;
        let body = asn1::decode(&self.0, |r| asn1::value(r, asn1::SEQUENCE)).unwrap_or_default();
        let read = walk(body, |_, oid, value| {
            portable &= usage::is_portable(&oid) && is_common_string(value);
        });
        portable && read.is_ok()
    }

    /// All values of one attribute type, in order.
    pub fn values(&self, oid: &Oid) -> Vec<String> {
        let attributes = self.rdns().into_iter().flatten();
        attributes
            .filter(|one| one.oid == *oid)
            .map(|one| one.value)
            .collect()
    }

    /// Calls `visit` with the type of each attribute, the tag of its value, and the octets of the value.
    pub(crate) fn each(&self, mut visit: impl FnMut(&Oid, u8, &[u8])) {
        let body = asn1::decode(&self.0, |r| asn1::value(r, asn1::SEQUENCE)).unwrap_or_default();
        let _ = walk(body, |_, oid, value| {
            let tag = value.first().copied().unwrap_or_default();
            let octets = asn1::decode(value, |r| asn1::value(r, tag));
            visit(&oid, tag, octets.unwrap_or_default());
        });
    }

    /// The common name; the last one if there are several, as Go reads it.
    pub fn common_name(&self) -> Option<String> {
        self.values(&attribute::COMMON_NAME).pop()
    }
}

/// The form of RFC 4514 (last RDN first), with the short names and escapes that Go prints.
impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, rdn) in self.rdns().iter().rev().enumerate() {
            if index > 0 {
                f.write_str(",")?;
            }
            for (index, attribute) in rdn.iter().enumerate() {
                if index > 0 {
                    f.write_str("+")?;
                }
                match short_name(&attribute.oid) {
                    Some(name) => f.write_str(name)?,
                    None => write!(f, "{}", attribute.oid)?,
                }
                write!(f, "={}", escape(&attribute.value))?;
            }
        }
        Ok(())
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

/// The parts of a subject that may have several values each, as roles and requests for CAs have them.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Attributes {
    /// organizationalUnitName.
    pub ou: Vec<String>,
    /// organizationName.
    pub organization: Vec<String>,
    /// countryName.
    pub country: Vec<String>,
    /// localityName.
    pub locality: Vec<String>,
    /// stateOrProvinceName.
    pub province: Vec<String>,
    /// streetAddress.
    pub street_address: Vec<String>,
    /// postalCode.
    pub postal_code: Vec<String>,
}

impl Attributes {
    /// Without what is empty or repeated; the first of each value counts.
    pub(crate) fn distinct(&self) -> Self {
        let mut first = self.clone();
        for (_, values) in first.each_mut() {
            *values = self::distinct(values);
        }
        first
    }

    fn each_mut(&mut self) -> [(Oid, &mut Vec<String>); 7] {
        [
            (attribute::COUNTRY, &mut self.country),
            (attribute::PROVINCE, &mut self.province),
            (attribute::LOCALITY, &mut self.locality),
            (attribute::STREET_ADDRESS, &mut self.street_address),
            (attribute::POSTAL_CODE, &mut self.postal_code),
            (attribute::ORGANIZATION, &mut self.organization),
            (attribute::ORGANIZATIONAL_UNIT, &mut self.ou),
        ]
    }
}

/// The parts of a subject that can be asked for.
///
/// Several values of one attribute share one SET, in the order DER demands.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subject {
    /// commonName; empty for none.
    pub common_name: String,
    /// What may have several values.
    pub attributes: Attributes,
    /// serialNumber attribute; empty for none.
    pub serial_number: String,
    /// userId, one RDN each.
    pub user_ids: Vec<String>,
}

impl Subject {
    /// A subject of a common name alone.
    pub fn common_name(name: impl Into<String>) -> Self {
        Self {
            common_name: name.into(),
            ..Self::default()
        }
    }

    /// Picks the known attributes out of a name; others are left out.
    pub fn from_name(name: &Name) -> Self {
        let mut subject = Self::default();
        for Attribute { oid, value } in name.rdns().into_iter().flatten() {
            match oid {
                attribute::COMMON_NAME => subject.common_name = value,
                attribute::SERIAL_NUMBER => subject.serial_number = value,
                attribute::USER_ID => subject.user_ids.push(value),
                other => {
                    let mut lists = subject.attributes.each_mut().into_iter();
                    if let Some((_, values)) = lists.find(|(oid, _)| *oid == other) {
                        values.push(value);
                    }
                }
            }
        }
        subject
    }

    /// The encoded name, its RDNs in the order of the built-in engine.
    pub fn to_name(&self) -> Name {
        let attributes = &self.attributes;
        let mut w = Writer::with_capacity(64);
        w.sequence(|w| {
            rdn(w, &attribute::COUNTRY, &attributes.country);
            rdn(w, &attribute::PROVINCE, &attributes.province);
            rdn(w, &attribute::LOCALITY, &attributes.locality);
            rdn(w, &attribute::STREET_ADDRESS, &attributes.street_address);
            rdn(w, &attribute::POSTAL_CODE, &attributes.postal_code);
            rdn(w, &attribute::ORGANIZATION, &attributes.organization);
            rdn(w, &attribute::ORGANIZATIONAL_UNIT, &attributes.ou);
            for (oid, value) in [
                (&attribute::COMMON_NAME, &self.common_name),
                (&attribute::SERIAL_NUMBER, &self.serial_number),
            ] {
                if !value.is_empty() {
                    rdn(w, oid, std::slice::from_ref(value));
                }
            }
            for value in &self.user_ids {
                rdn(w, &attribute::USER_ID, std::slice::from_ref(value));
            }
        });
        Name(w.finish())
    }
}

/// The first of each value, in order.
pub(crate) fn distinct(values: &[String]) -> Vec<String> {
    let mut seen = HashSet::new();
    let values = values.iter().filter(|value| !value.is_empty());
    values
        .filter(|value| seen.insert(*value))
        .cloned()
        .collect()
}

/// One RDN of all the values.
fn rdn(w: &mut Writer, oid: &Oid, values: &[String]) {
    let one = |w: &mut Writer, value: &str| {
        w.sequence(|w| {
            w.oid(oid);
            w.tlv(string_tag(value), value.as_bytes());
        });
    };
    match values {
        [] => {}
        [value] => w.nested(asn1::SET, |w| one(w, value)),
        several => {
            let mut encoded: Vec<Vec<u8>> = several
                .iter()
                .map(|value| asn1::encode(|w| one(w, value)))
                .collect();
            encoded.sort();
            w.nested(asn1::SET, |w| encoded.iter().for_each(|value| w.raw(value)));
        }
    }
}

/// PrintableString where X.680 allows it, else UTF8String.
pub(crate) fn string_tag(value: &str) -> u8 {
    let printable = |octet: u8| octet.is_ascii_alphanumeric() || b" '()+,-./:=?".contains(&octet);
    if value.bytes().all(printable) {
        asn1::PRINTABLE_STRING
    } else {
        asn1::UTF8_STRING
    }
}

/// Calls `visit` with the RDN's index, the type and the whole encoded value of each attribute.
fn walk<'a>(body: &'a [u8], mut visit: impl FnMut(usize, Oid, &'a [u8])) -> der::Result<()> {
    let mut name = SliceReader::new(body)?;
    let mut index = 0;
    while !name.is_finished() {
        let mut rdn = SliceReader::new(asn1::value(&mut name, asn1::SET)?)?;
        while !rdn.is_finished() {
            let mut attribute = SliceReader::new(asn1::value(&mut rdn, asn1::SEQUENCE)?)?;
            let oid = asn1::oid(&mut attribute)?;
            let value = attribute.tlv_bytes()?;
            attribute.finish()?;
            visit(index, oid, value);
        }
        index += 1;
    }
    Ok(())
}

/// Whether a string value can be what its type says; what is no string is not looked at.
fn is_legible(tlv: &[u8]) -> bool {
    let tag = tlv.first().copied().unwrap_or_default();
    let Ok(content) = asn1::decode(tlv, |r| asn1::value(r, tag)) else {
        return false;
    };
    match tag {
        asn1::UTF8_STRING => std::str::from_utf8(content).is_ok(),
        asn1::PRINTABLE_STRING | asn1::IA5_STRING | NUMERIC_STRING | VISIBLE_STRING => {
            content.is_ascii()
        }
        BMP_STRING => content.len().is_multiple_of(2),
        _ => true,
    }
}

/// Whether a value is a string as all readers take it.
fn is_common_string(tlv: &[u8]) -> bool {
    let tag = tlv.first().copied().unwrap_or_default();
    let content = asn1::decode(tlv, |r| asn1::value(r, tag)).unwrap_or_default();
    match tag {
        // Stars and ampersands are in use, and taken by all.
        asn1::PRINTABLE_STRING => content
            .iter()
            .all(|octet| octet.is_ascii_alphanumeric() || b" '()+,-./:=?*&".contains(octet)),
        NUMERIC_STRING => content
            .iter()
            .all(|octet| octet.is_ascii_digit() || *octet == b' '),
        // No half of a character, and none that is reserved for ever (Unicode section 23.7).
        BMP_STRING => content.chunks(2).all(|two| {
            let unit = u16::from_be_bytes([two[0], two.get(1).copied().unwrap_or_default()]);
            !matches!(unit, 0xd800..=0xdfff | 0xfdd0..=0xfdef | 0xfffe | 0xffff)
        }),
        asn1::UTF8_STRING | asn1::IA5_STRING | TELETEX_STRING => is_legible(tlv),
        _ => false,
    }
}

/// A string value as text, by its type; anything else as `#` and hexadecimal.
pub(crate) fn text(tlv: &[u8]) -> String {
    let tag = tlv.first().copied().unwrap_or_default();
    let content = asn1::decode(tlv, |r| asn1::value(r, tag)).unwrap_or_default();
    let decoded = match tag {
        asn1::UTF8_STRING => std::str::from_utf8(content).ok().map(str::to_owned),
        asn1::PRINTABLE_STRING | asn1::IA5_STRING | NUMERIC_STRING | VISIBLE_STRING => content
            .is_ascii()
            .then(|| content.iter().map(|octet| char::from(*octet)).collect()),
        // In practice Latin-1, whatever T.61 says.
        TELETEX_STRING => Some(content.iter().map(|octet| char::from(*octet)).collect()),
        BMP_STRING if content.len().is_multiple_of(2) => {
            let units: Vec<u16> = content
                .chunks(2)
                .map(|two| u16::from_be_bytes([two[0], two[1]]))
                .collect();
            String::from_utf16(&units).ok()
        }
        _ => None,
    };
    decoded.unwrap_or_else(|| {
        let hex: String = tlv.iter().map(|octet| format!("{octet:02x}")).collect();
        format!("#{hex}")
    })
}

fn escape(value: &str) -> String {
    let mut escaped = String::with_capacity(value.len());
    let last = value.chars().count().saturating_sub(1);
    for (index, one) in value.chars().enumerate() {
        let special = matches!(one, ',' | '+' | '"' | '\\' | '<' | '>' | ';')
            || (one == ' ' && (index == 0 || index == last))
            || (one == '#' && index == 0);
        if special {
            escaped.push('\\');
        }
        escaped.push(one);
    }
    escaped
}

fn short_name(oid: &Oid) -> Option<&'static str> {
    Some(match *oid {
        attribute::COUNTRY => "C",
        attribute::ORGANIZATION => "O",
        attribute::ORGANIZATIONAL_UNIT => "OU",
        attribute::COMMON_NAME => "CN",
        attribute::SERIAL_NUMBER => "SERIALNUMBER",
        attribute::LOCALITY => "L",
        attribute::PROVINCE => "ST",
        attribute::STREET_ADDRESS => "STREET",
        attribute::POSTAL_CODE => "POSTALCODE",
        _ => return None,
    })
}

const NUMERIC_STRING: u8 = 0x12;
const TELETEX_STRING: u8 = 0x14;
const VISIBLE_STRING: u8 = 0x1a;
const BMP_STRING: u8 = 0x1e;

#[cfg(test)]
mod tests;
