//! Reading a TBSCertificate (RFC 5280 section 4.1).

use std::ops::Range;

use der::{Reader, SliceReader};
use jiff::Timestamp;

use super::range_in;
use crate::asn1;
use crate::ext::{self, BasicConstraints, GeneralNames, KeyUsage, NameConstraints};
use crate::key::PublicKey;
use crate::name::Name;
use crate::{Error, Oid, SerialNumber};

/// What was read from a TBSCertificate; ranges count from its start.
pub(super) struct Parsed {
    pub(super) version: u8,
    pub(super) serial: SerialNumber,
    pub(super) algorithm: Range<usize>,
    pub(super) issuer: Name,
    pub(super) not_before: Timestamp,
    pub(super) not_after: Timestamp,
    pub(super) subject: Name,
    pub(super) public_key: PublicKey,
    pub(super) extensions: Vec<(Oid, bool, Range<usize>)>,
    pub(super) basic_constraints: Option<BasicConstraints>,
    pub(super) key_usage: Option<KeyUsage>,
    pub(super) ext_key_usage: Vec<Oid>,
    pub(super) ski: Option<Range<usize>>,
    pub(super) aki: Option<Range<usize>>,
    pub(super) names: GeneralNames,
}

/// The fields of a TBSCertificate, still encoded.
struct Fields<'a> {
    version: u8,
    serial: &'a [u8],
    algorithm: &'a [u8],
    issuer: &'a [u8],
    not_before: Timestamp,
    not_after: Timestamp,
    subject: &'a [u8],
    spki: &'a [u8],
    extensions: Option<&'a [u8]>,
}

impl Parsed {
    /// Reads a TBSCertificate. `key` is the public key where it is known to be what the encoding holds.
    pub(super) fn read(tbs: &[u8], key: Option<PublicKey>) -> Result<Self, Error> {
        let broken = |why: der::Error| Error::malformed("certificate", why);
        let body = asn1::decode(tbs, |r| asn1::value(r, asn1::SEQUENCE)).map_err(broken)?;
        let fields = asn1::decode(body, Fields::read).map_err(broken)?;
        let public_key = match key {
            Some(key) => key,
            None => PublicKey::from_spki_der(fields.spki)?,
        };
        let mut parsed = Self {
            version: fields.version,
            serial: SerialNumber::from_bytes(fields.serial),
            algorithm: range_in(tbs, fields.algorithm),
            issuer: Name::from_der(fields.issuer)?,
            not_before: fields.not_before,
            not_after: fields.not_after,
            subject: Name::from_der(fields.subject)?,
            public_key,
            extensions: Vec::with_capacity(12),
            basic_constraints: None,
            key_usage: None,
            ext_key_usage: Vec::new(),
            ski: None,
            aki: None,
            names: GeneralNames::default(),
        };
        if let Some(extensions) = fields.extensions {
            let list = &mut parsed.extensions;
            ext::walk(extensions, |oid, critical, value| {
                list.push((oid, critical, range_in(tbs, value)))
            })
            .map_err(broken)?;
        }
        ext::refuse_duplicates(parsed.extensions.iter().map(|(oid, ..)| *oid))?;
        let extensions = std::mem::take(&mut parsed.extensions);
        for (oid, _, range) in &extensions {
            parsed.note(oid, tbs, range.clone())?;
        }
        parsed.extensions = extensions;
        Ok(parsed)
    }

    /// Takes note of a well-known extension.
    fn note(&mut self, oid: &Oid, tbs: &[u8], range: Range<usize>) -> Result<(), Error> {
        let value = &tbs[range];
        match *oid {
            ext::id::BASIC_CONSTRAINTS => {
                self.basic_constraints = Some(BasicConstraints::from_der(value)?)
            }
            ext::id::KEY_USAGE => self.key_usage = Some(KeyUsage::from_der(value)?),
            ext::id::EXT_KEY_USAGE => {
                let body = asn1::decode(value, |r| asn1::value(r, asn1::SEQUENCE));
                let read = body.and_then(|body| {
                    asn1::decode(body, |r| {
                        while !r.is_finished() {
                            self.ext_key_usage.push(asn1::oid(r)?);
                        }
                        Ok(())
                    })
                });
                read.map_err(|why| Error::malformed("extended key usage", why))?;
            }
            ext::id::SUBJECT_KEY_ID => {
                let key_id = asn1::decode(value, |r| asn1::value(r, asn1::OCTET_STRING));
                let key_id =
                    key_id.map_err(|why| Error::malformed("subject key identifier", why))?;
                self.ski = Some(range_in(tbs, key_id));
            }
            ext::id::AUTHORITY_KEY_ID => {
                self.aki = ext::authority_key_id(value)?.map(|key_id| range_in(tbs, key_id));
            }
            ext::id::SUBJECT_ALT_NAME => self.names = GeneralNames::from_der(value)?,
            ext::id::NAME_CONSTRAINTS => drop(NameConstraints::from_der(value)?),
            _ => {}
        }
        Ok(())
    }
}

impl<'a> Fields<'a> {
    fn read(r: &mut SliceReader<'a>) -> der::Result<Self> {
        let version = match asn1::optional(r, asn1::context_constructed(0))? {
            None => 1,
            Some(explicit) => match asn1::decode(explicit, asn1::number)? {
                number @ 0..=2 => number as u8 + 1,
                _ => return Err(r.error(der::ErrorKind::Failed)),
            },
        };
        let serial = asn1::unsigned(r)?;
        let algorithm = asn1::raw_sequence(r)?;
        let issuer = asn1::raw_sequence(r)?;
        let validity = asn1::value(r, asn1::SEQUENCE)?;
        let (not_before, not_after) =
            asn1::decode(validity, |r| Ok((asn1::time(r)?, asn1::time(r)?)))?;
        let subject = asn1::raw_sequence(r)?;
        let spki = asn1::raw_sequence(r)?;
        // The unique identifiers of version 2 have no use.
        asn1::optional(r, asn1::context(1))?;
        asn1::optional(r, asn1::context(2))?;
        let extensions = asn1::optional(r, asn1::context_constructed(3))?;
        if extensions.is_some() && version != 3 {
            return Err(r.error(der::ErrorKind::Failed));
        }
        Ok(Self {
            version,
            serial,
            algorithm,
            issuer,
            not_before,
            not_after,
            subject,
            spki,
            extensions,
        })
    }
}
