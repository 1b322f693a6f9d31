//! General names and constraints on them.

use std::net::IpAddr;

use der::{Reader, SliceReader};

use crate::asn1::{self, Writer};
use crate::{Error, Name, Oid};

/// The names of a subjectAltName (RFC 5280 section 4.2.1.6).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GeneralNames {
    /// dNSName.
    pub dns: Vec<String>,
    /// rfc822Name.
    pub emails: Vec<String>,
    /// iPAddress.
    pub ips: Vec<IpAddr>,
    /// uniformResourceIdentifier.
    pub uris: Vec<String>,
    /// otherName with a UTF8String inside.
    pub other: Vec<OtherName>,
    /// Encodings of names of any other kind, met when reading; written back as they are.
    pub rest: Vec<Vec<u8>>,
}

/// An otherName with a UTF8String inside, such as a user principal name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OtherName {
    /// The type of name.
    pub oid: Oid,
    /// The name.
    pub value: String,
}

/// nameConstraints (RFC 5280 section 4.2.1.10).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct NameConstraints {
    /// Names must be under one of these.
    pub permitted: Subtrees,
    /// Names must be under none of these.
    pub excluded: Subtrees,
}

/// The subtrees on one side of name constraints.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Subtrees {
    /// Domains.
    pub dns: Vec<String>,
    /// Address ranges: address and prefix length in bits.
    pub ips: Vec<(IpAddr, u8)>,
    /// Mail addresses, hosts or domains.
    pub emails: Vec<String>,
    /// Hosts or domains of URIs.
    pub uris: Vec<String>,
    /// Directory names, of which a subject must be a continuation.
    pub directories: Vec<Name>,
}

impl GeneralNames {
    /// Whether there is no name.
    pub const fn is_empty(&self) -> bool {
        self.dns.is_empty()
            && self.emails.is_empty()
            && self.ips.is_empty()
            && self.uris.is_empty()
            && self.other.is_empty()
            && self.rest.is_empty()
    }

    /// The directory names among them, in order.
    pub fn directories(&self) -> Vec<Name> {
        let name = |der: &Vec<u8>| {
            let content = asn1::decode(der, |r| asn1::value(r, DIRECTORY));
            Name::from_der(content.ok()?).ok()
        };
        self.rest.iter().filter_map(name).collect()
    }

    /// Reads the extension's value.
    ///
    /// # Errors
    /// Broken structure, text outside of ASCII, or an address of neither 4 nor 16 octets.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let mut names = Self::default();
        let read = asn1::decode(der, |r| asn1::value(r, asn1::SEQUENCE)).and_then(|body| {
            let mut reader = SliceReader::new(body)?;
            while !reader.is_finished() {
                names.read_one(&mut reader)?;
            }
            Ok(())
        });
        read.map_err(|why| Error::malformed("subject alternative name", why))?;
        Ok(names)
    }

    /// The extension's value: other names first, then DNS, mail, IP, URI, as the built-in engine writes them.
    pub(crate) fn to_der(&self) -> Vec<u8> {
        let mut w = Writer::with_capacity(64);
        w.sequence(|w| {
            for other in &self.other {
                w.nested(asn1::context_constructed(0), |w| {
                    w.oid(&other.oid);
                    w.nested(asn1::context_constructed(0), |w| {
                        w.tlv(asn1::UTF8_STRING, other.value.as_bytes());
                    });
                });
            }
            self.dns.iter().for_each(|name| w.tlv(DNS, name.as_bytes()));
            self.emails
                .iter()
                .for_each(|name| w.tlv(EMAIL, name.as_bytes()));
            self.ips.iter().for_each(|address| match address {
                IpAddr::V4(four) => w.tlv(IP, &four.octets()),
                IpAddr::V6(six) => w.tlv(IP, &six.octets()),
            });
            self.uris
                .iter()
                .for_each(|name| w.tlv(URI, name.as_bytes()));
            self.rest.iter().for_each(|name| w.raw(name));
        });
        w.finish()
    }

    fn read_one<'a>(&mut self, reader: &mut SliceReader<'a>) -> der::Result<()> {
        let tag = asn1::peek(reader).unwrap_or_default();
        match tag {
            DNS => self.dns.push(ascii(reader, tag)?),
            EMAIL => self.emails.push(ascii(reader, tag)?),
            URI => self.uris.push(ascii(reader, tag)?),
            IP => {
                let octets = asn1::value(reader, IP)?;
                let four = <[u8; 4]>::try_from(octets).map(IpAddr::from);
                let address = four.or_else(|_| <[u8; 16]>::try_from(octets).map(IpAddr::from));
                self.ips
                    .push(address.map_err(|_| reader.error(der::ErrorKind::Failed))?);
            }
            _ => {
                let tlv = reader.tlv_bytes()?;
                match other_name(tlv) {
                    Some(other) => self.other.push(other),
                    None => self.rest.push(tlv.to_vec()),
                }
            }
        }
        Ok(())
    }
}

impl NameConstraints {
    /// Reads the extension's value; subtrees of other kinds of names are left out.
    ///
    /// # Errors
    /// Broken structure, or an address range that is no prefix.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let read = asn1::decode(der, |r| asn1::value(r, asn1::SEQUENCE)).and_then(|body| {
            asn1::decode(body, |r| {
                let permitted = asn1::optional(r, asn1::context_constructed(0))?;
                let excluded = asn1::optional(r, asn1::context_constructed(1))?;
                Ok(Self {
                    permitted: permitted
                        .map(Subtrees::read)
                        .transpose()?
                        .unwrap_or_default(),
                    excluded: excluded
                        .map(Subtrees::read)
                        .transpose()?
                        .unwrap_or_default(),
                })
            })
        });
        read.map_err(|why| Error::malformed("name constraints", why))
    }

    /// Whether nothing is constrained.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }

    pub(crate) fn to_der(&self) -> Vec<u8> {
        asn1::encode(|w| {
            w.sequence(|w| {
                for (number, subtrees) in [(0, &self.permitted), (1, &self.excluded)] {
                    if *subtrees != Subtrees::default() {
                        w.nested(asn1::context_constructed(number), |w| subtrees.write(w));
                    }
                }
            });
        })
    }
}

impl Subtrees {
    fn write(&self, w: &mut Writer) {
        let mut subtree = |tag: u8, base: &[u8]| w.sequence(|w| w.tlv(tag, base));
        self.dns
            .iter()
            .for_each(|name| subtree(DNS, name.as_bytes()));
        for (address, prefix) in &self.ips {
            let octets = match address {
                IpAddr::V4(four) => four.octets().to_vec(),
                IpAddr::V6(six) => six.octets().to_vec(),
            };
            let mask = (0..octets.len()).map(|index| {
                let bits = usize::from(*prefix).saturating_sub(index * 8).min(8);
                !(0xff_u16 >> bits) as u8
            });
            let mask: Vec<u8> = mask.collect();
            let base: Vec<u8> = octets
                .iter()
                .zip(&mask)
                .map(|(octet, mask)| octet & mask)
                .collect();
            subtree(IP, &[base, mask].concat());
        }
        self.emails
            .iter()
            .for_each(|name| subtree(EMAIL, name.as_bytes()));
        self.uris
            .iter()
            .for_each(|name| subtree(URI, name.as_bytes()));
        self.directories
            .iter()
            .for_each(|name| subtree(DIRECTORY, name.der()));
    }

    fn read(body: &[u8]) -> der::Result<Self> {
        let mut subtrees = Self::default();
        let mut reader = SliceReader::new(body)?;
        while !reader.is_finished() {
            let mut one = SliceReader::new(asn1::value(&mut reader, asn1::SEQUENCE)?)?;
            let tag = asn1::peek(&one).unwrap_or_default();
            match tag {
                DNS => subtrees.dns.push(ascii(&mut one, tag)?),
                EMAIL => subtrees.emails.push(ascii(&mut one, tag)?),
                URI => subtrees.uris.push(ascii(&mut one, tag)?),
                IP => {
                    let range = range(asn1::value(&mut one, IP)?);
                    subtrees
                        .ips
                        .push(range.ok_or_else(|| one.error(der::ErrorKind::Failed))?);
                }
                DIRECTORY => {
                    let name = Name::from_der(asn1::value(&mut one, DIRECTORY)?);
                    subtrees
                        .directories
                        .push(name.map_err(|_| one.error(der::ErrorKind::Failed))?);
                }
                _ => {}
            }
        }
        Ok(subtrees)
    }
}

/// An address and a contiguous mask of the same length.
fn range(octets: &[u8]) -> Option<(IpAddr, u8)> {
    let (address, mask) = octets.split_at(octets.len() / 2);
    let ones: u32 = mask.iter().map(|octet| octet.count_ones()).sum();
    let leading = mask
        .iter()
        .position(|octet| *octet != 0xff)
        .map_or(mask.len() * 8, |index| {
            index * 8 + mask[index].leading_ones() as usize
        });
    if leading != ones as usize {
        return None;
    }
    let four = <[u8; 4]>::try_from(address)
        .ok()
        .filter(|_| mask.len() == 4)
        .map(IpAddr::from);
    let address = four.or_else(|| {
        <[u8; 16]>::try_from(address)
            .ok()
            .filter(|_| mask.len() == 16)
            .map(IpAddr::from)
    })?;
    Some((address, ones as u8))
}

/// An otherName whose value is a UTF8String.
fn other_name(tlv: &[u8]) -> Option<OtherName> {
    let body = asn1::decode(tlv, |r| asn1::value(r, asn1::context_constructed(0))).ok()?;
    let read = asn1::decode(body, |r| {
        let oid = asn1::oid(r)?;
        let explicit = asn1::value(r, asn1::context_constructed(0))?;
        Ok((
            oid,
            asn1::decode(explicit, |r| asn1::value(r, asn1::UTF8_STRING))?,
        ))
    });
    let (oid, value) = read.ok()?;
    Some(OtherName {
        oid,
        value: std::str::from_utf8(value).ok()?.to_owned(),
    })
}

fn ascii(reader: &mut SliceReader<'_>, tag: u8) -> der::Result<String> {
    let octets = asn1::value(reader, tag)?;
    let text = std::str::from_utf8(octets)
        .ok()
        .filter(|text| text.is_ascii());
    text.map(str::to_owned)
        .ok_or_else(|| reader.error(der::ErrorKind::Failed))
}

const EMAIL: u8 = asn1::context(1);
const DNS: u8 = asn1::context(2);
const DIRECTORY: u8 = asn1::context_constructed(4);
const URI: u8 = asn1::context(6);
const IP: u8 = asn1::context(7);
