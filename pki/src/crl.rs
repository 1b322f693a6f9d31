//! Certificate revocation lists (RFC 5280 section 5).

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use der::{Reader, SliceReader};
use jiff::Timestamp;

use crate::asn1::{self, Writer};
use crate::cert::{Certificate, range_in};
use crate::ext::{self, Extension, KeyUsage};
use crate::key::PublicKey;
use crate::name::Name;
use crate::reason::Reason;
use crate::sign::SignatureAlgorithm;
use crate::unsigned::{Tbs, Unsigned};
use crate::{Error, Oid, SerialNumber, pem};

/// Revoked certificates, kept encoded: a list of a hundred thousand is rebuilt by copying, not by encoding.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct RevokedEntries {
    der: Vec<u8>,
    count: usize,
}

impl RevokedEntries {
    /// No entry.
    pub const fn new() -> Self {
        Self {
            der: Vec::new(),
            count: 0,
        }
    }

    /// No entry, and room for so many without extensions and for what a list has around them.
    pub fn with_capacity(entries: usize) -> Self {
        /// Octets of an entry: a serial number of 20 octets, and a UTCTime.
        const ENTRY: usize = 40;
        /// Octets of everything else in an ordinary list.
        const AROUND: usize = 4 << 10;
        Self {
            der: Vec::with_capacity(entries.saturating_mul(ENTRY).saturating_add(AROUND)),
            count: 0,
        }
    }

    /// Adds a certificate, revoked at this second, without a reason.
    pub fn push(&mut self, serial: &SerialNumber, revoked_at: Timestamp) {
        self.push_octets(serial.as_bytes(), revoked_at, None);
    }

    /// As [`push_because`](Self::push_because), for a serial number by its octets.
    pub fn push_octets(&mut self, serial: &[u8], revoked_at: Timestamp, reason: Option<Reason>) {
        match reason {
            Some(reason) => self.write(serial, revoked_at, &[reason.extension()]),
            None => self.write(serial, revoked_at, &[]),
        }
    }

    /// As [`push`](Self::push), for this reason if there is one.
    pub fn push_because(
        &mut self,
        serial: &SerialNumber,
        revoked_at: Timestamp,
        reason: Option<Reason>,
    ) {
        self.push_octets(serial.as_bytes(), revoked_at, reason);
    }

    /// As [`push`](Self::push), with extensions of the entry (RFC 5280 section 5.3).
    pub fn push_with(
        &mut self,
        serial: &SerialNumber,
        revoked_at: Timestamp,
        extensions: &[Extension],
    ) {
        self.write(serial.as_bytes(), revoked_at, extensions);
    }

    fn write(&mut self, serial: &[u8], revoked_at: Timestamp, extensions: &[Extension]) {
        let mut w = Writer::on(std::mem::take(&mut self.der));
        w.sequence(|w| {
            w.unsigned(serial);
            w.time(revoked_at);
            // RFC 5280 section 5.1: where there is no extension there is no list of them.
            if !extensions.is_empty() {
                Extension::write_list(w, extensions);
            }
        });
        self.der = w.finish();
        self.count += 1;
    }

    /// Adds an entry as another list has it, with its extensions.
    pub fn push_encoded(&mut self, entry: &RevokedEntry<'_>) {
        self.der.extend_from_slice(entry.der);
        self.count += 1;
    }

    /// Adds the entries of another collection.
    pub fn append(&mut self, other: &Self) {
        self.der.extend_from_slice(&other.der);
        self.count += other.count;
    }

    /// How many there are.
    pub const fn len(&self) -> usize {
        self.count
    }

    /// Whether there is none.
    pub const fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// What stands around the entries of a list.
#[derive(Debug, Clone)]
pub struct CrlTemplate {
    /// The subject of the CA certificate, as encoded there.
    pub issuer: Name,
    /// The subject key identifier of the CA certificate.
    pub authority_key_id: Vec<u8>,
    /// The list's number, greater than that of every earlier list (RFC 5280 section 5.2.3).
    pub number: u64,
    /// When the list is made.
    pub this_update: Timestamp,
    /// When the next one will be there at the latest.
    pub next_update: Timestamp,
    /// Makes a delta list to the complete list of this number (RFC 5280 section 5.2.4).
    pub delta_base: Option<u64>,
    /// Where delta lists are; not written into a delta list.
    pub freshest: Vec<String>,
    /// More extensions, none of those above.
    pub more: Vec<Extension>,
}

impl CrlTemplate {
    /// Builds the bytes to sign, around the entries where they are.
    pub fn prepare(
        &self,
        entries: RevokedEntries,
        algorithm: SignatureAlgorithm,
    ) -> Unsigned<Tbs<Crl>> {
        let mut extensions = vec![
            Extension::authority_key_id(&self.authority_key_id),
            number_extension(ext::id::CRL_NUMBER, false, self.number),
        ];
        extensions.extend_from_slice(&self.more);
        match self.delta_base {
            Some(base) => {
                extensions.push(number_extension(ext::id::DELTA_CRL_INDICATOR, true, base))
            }
            None if !self.freshest.is_empty() => {
                extensions.push(Extension::freshest_crl(&self.freshest))
            }
            None => {}
        }
        let mut head = Writer::with_capacity(self.issuer.der().len() + 128);
        head.number(1);
        head.raw(algorithm.identifier());
        head.raw(self.issuer.der());
        head.time(self.this_update);
        head.time(self.next_update);
        if !entries.is_empty() {
            head.raw(&asn1::header(asn1::SEQUENCE, entries.der.len()));
        }
        let head = head.finish();
        let tail = asn1::encode(|w| {
            w.nested(asn1::context_constructed(0), |w| {
                Extension::write_list(w, &extensions)
            });
        });
        let length = head.len() + entries.der.len() + tail.len();
        let mut front = asn1::header(asn1::SEQUENCE, length);
        front.extend_from_slice(&head);
        let mut der = entries.der;
        // And for what the signature adds.
        der.reserve(front.len() + tail.len() + ROOM);
        der.splice(0..0, front);
        der.extend_from_slice(&tail);
        Unsigned::encoded(der, algorithm, Crl::from_vec)
    }
}

/// A revocation list. Cheap to clone; the entries stay encoded.
#[derive(Clone)]
pub struct Crl {
    der: Arc<Vec<u8>>,
    tbs: Range<usize>,
    signature: Range<usize>,
    entries: Range<usize>,
    parsed: Arc<Parsed>,
}

/// One entry of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevokedEntry<'a> {
    /// The certificate.
    pub serial: SerialNumber,
    /// Since when it is revoked.
    pub revoked_at: Timestamp,
    /// The reason code, if the entry has one (RFC 5280 section 5.3.1).
    pub reason: Option<u8>,
    /// The whole entry.
    pub der: &'a [u8],
}

impl Crl {
    /// From DER.
    ///
    /// # Errors
    /// Broken structure, also of an entry.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        Self::from_vec(der.to_vec())
    }

    /// As [`from_der`](Self::from_der), without a copy.
    ///
    /// # Errors
    /// As for it.
    pub fn from_vec(der: Vec<u8>) -> Result<Self, Error> {
        let broken = |why: der::Error| Error::malformed("CRL", why);
        let (tbs, algorithm, signature) = asn1::signed(&der).map_err(broken)?;
        let (parsed, entries) = Parsed::read(tbs)?;
        if parsed.algorithm != algorithm {
            return Err(Error::malformed(
                "CRL",
                "inner and outer signature algorithms differ",
            ));
        }
        let mut reader = SliceReader::new(entries).map_err(broken)?;
        while !reader.is_finished() {
            Row::read(&mut reader).map_err(broken)?;
        }
        let start = range_in(&der, tbs).start;
        Ok(Self {
            tbs: start..start + tbs.len(),
            signature: der.len() - signature.len()..der.len(),
            entries: if entries.is_empty() {
                0..0
            } else {
                range_in(&der, entries)
            },
            der: Arc::new(der),
            parsed: Arc::new(parsed),
        })
    }

    /// From the first block of PEM text.
    ///
    /// # Errors
    /// No block, one that is no CRL, or as for [`from_der`](Self::from_der).
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        Self::from_der(&pem::one(text, &["X509 CRL"])?)
    }

    /// The encoding.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The encoding, without a copy where nobody else has this list.
    pub fn into_der(self) -> Vec<u8> {
        Arc::unwrap_or_clone(self.der)
    }

    /// PEM with a final newline.
    pub fn pem(&self) -> String {
        pem::encode("X509 CRL", &self.der)
    }

    /// Who made the list.
    pub fn issuer(&self) -> &Name {
        &self.parsed.issuer
    }

    /// When it was made.
    pub fn this_update(&self) -> Timestamp {
        self.parsed.this_update
    }

    /// When the next one will be there at the latest, if the list says so.
    pub fn next_update(&self) -> Option<Timestamp> {
        self.parsed.next_update
    }

    /// How it is signed.
    ///
    /// # Errors
    /// By an algorithm that is not implemented.
    pub fn signature_algorithm(&self) -> Result<SignatureAlgorithm, Error> {
        SignatureAlgorithm::from_identifier(&self.parsed.algorithm)
    }

    /// The list's extensions, in order.
    pub fn extensions(&self) -> &[Extension] {
        &self.parsed.extensions
    }

    /// One extension of the list.
    pub fn extension(&self, oid: &Oid) -> Option<&Extension> {
        self.parsed
            .extensions
            .iter()
            .find(|extension| extension.oid == *oid)
    }

    /// The list's number; none if it is absent or beyond 64 bits.
    pub fn number(&self) -> Option<u64> {
        self.number_in(&ext::id::CRL_NUMBER)
    }

    /// The number of the complete list that this delta list is for.
    pub fn delta_base(&self) -> Option<u64> {
        self.number_in(&ext::id::DELTA_CRL_INDICATOR)
    }

    /// Whether it lists changes only.
    pub fn is_delta(&self) -> bool {
        self.extension(&ext::id::DELTA_CRL_INDICATOR).is_some()
    }

    /// The authority key identifier's key identifier.
    pub fn aki(&self) -> Option<&[u8]> {
        let extension = self.extension(&ext::id::AUTHORITY_KEY_ID)?;
        ext::authority_key_id(&extension.value).ok().flatten()
    }

    /// The entries, in order.
    pub fn entries(&self) -> impl Iterator<Item = RevokedEntry<'_>> {
        self.rows().map(Row::entry)
    }

    /// The entry of a certificate, if it is listed.
    pub fn find(&self, serial: &SerialNumber) -> Option<RevokedEntry<'_>> {
        self.rows()
            .find(|row| row.serial == serial.as_bytes())
            .map(Row::entry)
    }

    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        let mut reader = SliceReader::new(&self.der[self.entries.clone()]).ok();
        std::iter::from_fn(move || {
            let reader = reader.as_mut().filter(|reader| !reader.is_finished())?;
            Row::read(reader).ok()
        })
    }

    /// Checks the signature, and nothing else, against a key.
    ///
    /// # Errors
    /// It is not that key's signature, or by an algorithm that is not implemented.
    pub fn verify_signed_by(&self, key: &PublicKey) -> Result<(), Error> {
        let signature = &self.der[self.signature.clone()];
        key.verify(
            self.signature_algorithm()?,
            &self.der[self.tbs.clone()],
            signature,
        )
    }

    /// Checks that `issuer` signed the list and may do so. Times are not looked at.
    ///
    /// # Errors
    /// The names differ, the certificate does not permit it, or the signature is wrong.
    pub fn verify(&self, issuer: &Certificate) -> Result<(), Error> {
        if self.issuer() != issuer.subject() {
            return Err(Error::IssuerMismatch);
        }
        issuer.may_sign(KeyUsage::CRL_SIGN)?;
        self.verify_signed_by(issuer.public_key())
    }

    fn number_in(&self, oid: &Oid) -> Option<u64> {
        asn1::decode(&self.extension(oid)?.value, asn1::number).ok()
    }
}

impl PartialEq for Crl {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Crl {}

impl fmt::Debug for Crl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "Crl({} of {})",
            self.number().unwrap_or_default(),
            self.issuer()
        )
    }
}

/// What was read from a TBSCertList, but for the entries.
struct Parsed {
    algorithm: Vec<u8>,
    issuer: Name,
    this_update: Timestamp,
    next_update: Option<Timestamp>,
    extensions: Vec<Extension>,
}

impl Parsed {
    /// Also gives the encoded entries.
    fn read(tbs: &[u8]) -> Result<(Self, &[u8]), Error> {
        let broken = |why: der::Error| Error::malformed("CRL", why);
        let body = asn1::decode(tbs, |r| asn1::value(r, asn1::SEQUENCE)).map_err(broken)?;
        let fields = asn1::decode(body, |r| {
            if asn1::peek(r) == Some(asn1::INTEGER) {
                asn1::number(r)?;
            }
            let algorithm = asn1::raw_sequence(r)?;
            let issuer = asn1::raw_sequence(r)?;
            let this_update = asn1::time(r)?;
            let next_update = match asn1::peek(r) {
                Some(asn1::UTC_TIME | asn1::GENERALIZED_TIME) => Some(asn1::time(r)?),
                _ => None,
            };
            let entries = asn1::optional(r, asn1::SEQUENCE)?.unwrap_or_default();
            let extensions = asn1::optional(r, asn1::context_constructed(0))?;
            Ok((
                algorithm,
                issuer,
                this_update,
                next_update,
                entries,
                extensions,
            ))
        });
        let (algorithm, issuer, this_update, next_update, entries, extensions) =
            fields.map_err(broken)?;
        let extensions = extensions
            .map(Extension::list_from_der)
            .transpose()?
            .unwrap_or_default();
        let issuer = Name::from_der(issuer)?;
        let parsed = Self {
            algorithm: algorithm.to_vec(),
            issuer,
            this_update,
            next_update,
            extensions,
        };
        Ok((parsed, entries))
    }
}

/// An entry as it is read: a large list is gone through without an allocation for each.
struct Row<'a> {
    serial: &'a [u8],
    revoked_at: Timestamp,
    reason: Option<u8>,
    der: &'a [u8],
}

impl<'a> Row<'a> {
    fn read(reader: &mut SliceReader<'a>) -> der::Result<Self> {
        let der = asn1::raw_sequence(reader)?;
        let body = asn1::decode(der, |r| asn1::value(r, asn1::SEQUENCE))?;
        asn1::decode(body, |r| {
            let serial = asn1::unsigned(r)?;
            let revoked_at = asn1::time(r)?;
            let mut reason = None;
            if !r.is_finished() {
                ext::walk(asn1::raw_sequence(r)?, |oid, _, value| {
                    if let (ext::id::REASON_CODE, [asn1::ENUMERATED, 1, code]) = (oid, value) {
                        reason = Some(*code);
                    }
                })?;
            }
            Ok(Row {
                serial,
                revoked_at,
                reason,
                der,
            })
        })
    }

    fn entry(self) -> RevokedEntry<'a> {
        RevokedEntry {
            serial: SerialNumber::from_bytes(self.serial),
            revoked_at: self.revoked_at,
            reason: self.reason,
            der: self.der,
        }
    }
}

/// Octets that a signature of the common algorithms adds to what it signs.
const ROOM: usize = 1 << 10;

fn number_extension(oid: Oid, critical: bool, number: u64) -> Extension {
    Extension {
        oid,
        critical,
        value: asn1::encode(|w| w.number(number)),
    }
}

#[cfg(test)]
mod tests;
