//! The online certificate status protocol (RFC 6960): what a client asks, and what a responder answers that is the CA itself.
//!
//! The forms are those of the built-in engine: only the first of several requests is answered, extensions of the request are not
//! looked at (so no nonce comes back), the responder is named by its subject, and no certificate is enclosed.

use der::{Reader, SliceReader};
use jiff::Timestamp;

use crate::asn1::{self, Writer};
use crate::cert::Certificate;
use crate::crypto;
use crate::name::Name;
use crate::reason::Reason;
use crate::sign::{Hash as Digest, SignatureAlgorithm};
use crate::unsigned::{Tbs, Unsigned};
use crate::{Error, Oid, SerialNumber};

/// Octets of a request beyond which it is not read.
pub const MAX_REQUEST: usize = 2048;

/// Which certificate a client asks about: the CertID of its first request (RFC 6960 section 4.1.1).
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct OcspRequest {
    hash: CertIdHash,
    name_hash: Vec<u8>,
    key_hash: Vec<u8>,
    /// The octets of the INTEGER, with its sign.
    serial: Vec<u8>,
}

impl OcspRequest {
    /// From DER. Read as leniently as the built-in engine reads: what stands after the known fields of a sequence, such as extensions
    /// and the requester's signature, is passed over.
    ///
    /// # Errors
    /// Broken structure, more than [`MAX_REQUEST`] octets, no request in it, or a hash other than SHA-1, SHA-256, SHA-384 and SHA-512.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let malformed = |why: &str| Error::malformed("OCSP request", why);
        if der.len() > MAX_REQUEST {
            return Err(malformed("it is too large"));
        }
        let broken = |why: der::Error| Error::malformed("OCSP request", why);
        let body = asn1::decode(der, |r| asn1::value(r, asn1::SEQUENCE)).map_err(broken)?;
        let list = start(body, |r| {
            let tbs = asn1::value(r, asn1::SEQUENCE)?;
            start(tbs, |r| {
                if let Some(version) = asn1::optional(r, asn1::context_constructed(0))? {
                    asn1::decode(version, asn1::number)?;
                }
                let requester = asn1::optional(r, asn1::context_constructed(1))?;
                Ok((requester, asn1::value(r, asn1::SEQUENCE)?))
            })
        });
        let (requester, list) = list.map_err(broken)?;
        // The built-in engine takes a bare name here, where RFC 6960 has a GeneralName.
        if let Some(requester) = requester {
            Name::from_der(requester)?;
        }
        let mut list = SliceReader::new(list).map_err(broken)?;
        let mut first = None;
        while !list.is_finished() {
            let request = asn1::value(&mut list, asn1::SEQUENCE).map_err(broken)?;
            let id = start(request, |r| asn1::value(r, asn1::SEQUENCE)).map_err(broken)?;
            let (oid, name_hash, key_hash, serial) = start(id, cert_id).map_err(broken)?;
            if first.is_none() {
                first = Some((oid, name_hash, key_hash, serial));
            }
        }
        let (oid, name_hash, key_hash, serial) =
            first.ok_or_else(|| malformed("it asks nothing"))?;
        Ok(Self {
            hash: hash_of(&oid).ok_or_else(|| malformed("unknown hash function"))?,
            name_hash: name_hash.to_vec(),
            key_hash: key_hash.to_vec(),
            serial: serial.to_vec(),
        })
    }

    /// Whether the client means certificates of this CA: name and key have the hashes that it sent.
    pub fn is_about(&self, ca: &Certificate) -> bool {
        let (name, key) = hashes(self.hash, ca);
        self.name_hash == name && self.key_hash == key
    }

    /// The certificate's serial number; none for a negative one, which no certificate of ours has.
    pub fn serial(&self) -> Option<SerialNumber> {
        let negative = self.serial.first().is_some_and(|octet| *octet >= 0x80);
        (!negative).then(|| SerialNumber::from_bytes(&self.serial))
    }
}

/// How a CertID names its CA.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum CertIdHash {
    Sha1,
    Sha2(Digest),
}

impl CertIdHash {
    fn of(self, data: &[u8]) -> Vec<u8> {
        match self {
            Self::Sha1 => landfast_base::sha1(data).to_vec(),
            Self::Sha2(hash) => crypto::digest(hash, data),
        }
    }
}

/// Status of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CertStatus {
    /// Not revoked; whether it was ever issued is not said.
    Good,
    /// Revoked since then, for this reason if one is told.
    Revoked(Timestamp, Option<Reason>),
    /// Of a CA that the responder does not answer for.
    Unknown,
}

/// An answer before it is signed.
#[derive(Debug)]
pub struct OcspTemplate<'a> {
    /// The question.
    pub request: &'a OcspRequest,
    /// The CA that answers. The answer's CertID has its hashes, also for an unknown certificate.
    pub responder: &'a Certificate,
    /// The certificate's status.
    pub status: CertStatus,
    /// The time that the status is true for.
    pub this_update: Timestamp,
    /// When newer information will be there at the latest; none says that it is there at any time.
    pub next_update: Option<Timestamp>,
}

impl OcspTemplate<'_> {
    /// Builds the bytes to sign.
    pub fn prepare(&self, algorithm: SignatureAlgorithm) -> Unsigned<Tbs<Vec<u8>>> {
        let (name_hash, key_hash) = hashes(self.request.hash, self.responder);
        let tbs = asn1::encode(|w| {
            w.sequence(|w| {
                w.nested(asn1::context_constructed(1), |w| {
                    w.raw(self.responder.subject().der())
                });
                w.generalized_time(minute(self.this_update));
                w.sequence(|w| {
                    w.sequence(|w| {
                        w.sequence(|w| {
                            w.sequence(|w| {
                                w.oid(&oid_of(self.request.hash));
                                w.tlv(asn1::NULL, &[]);
                            });
                            w.octet_string(&name_hash);
                            w.octet_string(&key_hash);
                            w.tlv(asn1::INTEGER, &self.request.serial);
                        });
                        self.write_status(w);
                        w.generalized_time(self.this_update);
                        if let Some(next) = self.next_update {
                            w.nested(asn1::context_constructed(0), |w| w.generalized_time(next));
                        }
                    });
                });
            });
        });
        Unsigned::encoded(tbs, algorithm, |basic| Ok(response(&basic)))
    }

    fn write_status(&self, w: &mut Writer) {
        match self.status {
            CertStatus::Good => w.tlv(asn1::context(0), &[]),
            // RevokedInfo (RFC 6960 section 4.2.1).
            CertStatus::Revoked(since, reason) => {
                w.nested(asn1::context_constructed(1), |w| {
                    w.generalized_time(since);
                    if let Some(reason) = reason {
                        w.nested(asn1::context_constructed(0), |w| w.raw(&reason.der()));
                    }
                });
            }
            CertStatus::Unknown => w.tlv(asn1::context(2), &[]),
        }
    }
}

/// A DER OCSPResponse around a signed answer.
fn response(basic: &[u8]) -> Vec<u8> {
    let mut w = Writer::with_capacity(basic.len() + 32);
    w.sequence(|w| {
        w.tlv(asn1::ENUMERATED, &[SUCCESSFUL]);
        w.nested(asn1::context_constructed(0), |w| {
            w.sequence(|w| {
                w.oid(&BASIC);
                w.octet_string(basic);
            });
        });
    });
    w.finish()
}

/// Why there is no answer; not signed (RFC 6960 section 2.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum OcspFailure {
    /// The request cannot be read.
    MalformedRequest = 1,
    /// Something broke.
    InternalError = 2,
    /// The same request may be answered a little later.
    TryLater = 3,
    /// This responder does not answer for the CA.
    Unauthorized = 6,
}

impl OcspFailure {
    /// A DER OCSPResponse that says so.
    pub fn der(self) -> [u8; 5] {
        [asn1::SEQUENCE, 3, asn1::ENUMERATED, 1, self as u8]
    }
}

/// The algorithm for an answer where the CA's CRLs are signed by `algorithm`: the built-in engine signs none with PSS.
pub fn without_pss(algorithm: SignatureAlgorithm) -> SignatureAlgorithm {
    match algorithm {
        SignatureAlgorithm::RsaPss(hash) => SignatureAlgorithm::RsaPkcs1(hash),
        other => other,
    }
}

/// Reads the beginning of `bytes`; what follows is passed over.
fn start<'a, T>(
    bytes: &'a [u8],
    read: impl FnOnce(&mut SliceReader<'a>) -> der::Result<T>,
) -> der::Result<T> {
    read(&mut SliceReader::new(bytes)?)
}

type CertId<'a> = (Oid, &'a [u8], &'a [u8], &'a [u8]);

fn cert_id<'a>(r: &mut SliceReader<'a>) -> der::Result<CertId<'a>> {
    let algorithm = asn1::value(r, asn1::SEQUENCE)?;
    let oid = start(algorithm, asn1::oid)?;
    let name_hash = asn1::value(r, asn1::OCTET_STRING)?;
    let key_hash = asn1::value(r, asn1::OCTET_STRING)?;
    let serial = asn1::value(r, asn1::INTEGER)?;
    let minimal = match serial {
        [] | [0, 0..=0x7f, ..] | [0xff, 0x80..=0xff, ..] => false,
        [_, ..] => true,
    };
    if minimal {
        Ok((oid, name_hash, key_hash, serial))
    } else {
        Err(r.error(der::ErrorKind::Noncanonical {
            tag: der::Tag::Integer,
        }))
    }
}

fn hashes(hash: CertIdHash, ca: &Certificate) -> (Vec<u8>, Vec<u8>) {
    (
        hash.of(ca.subject().der()),
        hash.of(ca.public_key().key_bits()),
    )
}

fn minute(time: Timestamp) -> Timestamp {
    let second = time.as_second();
    Timestamp::from_second(second - second.rem_euclid(60)).unwrap_or(time)
}

const HASHES: [(CertIdHash, Oid); 4] = [
    (CertIdHash::Sha1, Oid::new_unwrap("1.3.14.3.2.26")),
    (
        CertIdHash::Sha2(Digest::Sha256),
        Oid::new_unwrap("2.16.840.1.101.3.4.2.1"),
    ),
    (
        CertIdHash::Sha2(Digest::Sha384),
        Oid::new_unwrap("2.16.840.1.101.3.4.2.2"),
    ),
    (
        CertIdHash::Sha2(Digest::Sha512),
        Oid::new_unwrap("2.16.840.1.101.3.4.2.3"),
    ),
];

fn hash_of(oid: &Oid) -> Option<CertIdHash> {
    let found = HASHES.iter().find(|(_, known)| known == oid);
    found.map(|(hash, _)| *hash)
}

fn oid_of(hash: CertIdHash) -> Oid {
    let found = HASHES.iter().find(|(known, _)| *known == hash);
    found.expect("every hash is in the list").1
}

/// id-pkix-ocsp-basic.
const BASIC: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.48.1.1");
const SUCCESSFUL: u8 = 0;

#[cfg(test)]
pub(crate) mod tests;
