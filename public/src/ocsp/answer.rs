//! What a mount answers (RFC 6960 section 4.2.1): enough of it to know whether and for how long it may be given out again.

use der::{DateTime, Decode as _, Reader as _, SliceReader, Tag};
use landfast_pki::sign::SignatureAlgorithm;
use landfast_pki::{Certificate, Oid};

use super::{CertId, any, field, finish, inside, octets, optional};

/// id-pkix-ocsp-basic.
const BASIC: Oid = Oid::new_unwrap("1.3.6.1.5.5.7.48.1.1");

/// A signed answer about one certificate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Answer {
    /// Seconds since 1970.
    pub(crate) this_update: i64,
    /// Seconds since 1970; none says that newer information is there at any time.
    pub(crate) next_update: Option<i64>,
}

impl Answer {
    /// Reads the answer to a plain question, and checks that it is about the same certificate. If one of `known` has the name of the responder, it has to have
    /// signed it.
    ///
    /// # Errors
    /// It is none, or not to this question, or somebody else's.
    pub(crate) fn to(question: &[u8], der: &[u8], known: &[Certificate]) -> Result<Self, String> {
        let broken = |error: der::Error| format!("an answer that cannot be read: {error}");
        let basic = basic(der).map_err(broken)?;
        let basic = basic.ok_or("an answer without a signed response")?;
        let signed = Signed::read(basic).map_err(broken)?;
        signed.check(known)?;
        let asked = asked(question).map_err(broken)?;
        let mut list = signed.data().map_err(broken)?;
        while !list.is_finished() {
            let mut one = inside(&mut list, Tag::Sequence).map_err(broken)?;
            if CertId::read(&mut one).map_err(broken)? == asked {
                return Self::read(&mut one).map_err(broken);
            }
        }
        Err("an answer about another certificate".to_owned())
    }

    /// What follows the name of the certificate.
    fn read(r: &mut SliceReader<'_>) -> der::Result<Self> {
        // The status.
        any(r)?;
        let this_update = time(octets(r, Tag::GeneralizedTime)?)?;
        let next_update = match optional(r, field(0))? {
            Some(next) => {
                let mut next = SliceReader::new(next)?;
                Some(time(octets(&mut next, Tag::GeneralizedTime)?)?)
            }
            None => None,
        };
        Ok(Self {
            this_update,
            next_update,
        })
    }
}

/// The BasicOCSPResponse in an OCSPResponse that succeeded.
fn basic(der: &[u8]) -> der::Result<Option<&[u8]>> {
    let mut r = SliceReader::new(der)?;
    let mut response = inside(&mut r, Tag::Sequence)?;
    finish(&r)?;
    if octets(&mut response, Tag::Enumerated)? != [0] {
        return Ok(None);
    }
    let mut bytes = SliceReader::new(octets(&mut response, field(0))?)?;
    let mut bytes = inside(&mut bytes, Tag::Sequence)?;
    let kind = octets(&mut bytes, Tag::ObjectIdentifier)?;
    if kind != BASIC.as_bytes() {
        return Ok(None);
    }
    octets(&mut bytes, Tag::OctetString).map(Some)
}

/// The name of the certificate in a plain question.
fn asked(question: &[u8]) -> der::Result<CertId<'_>> {
    let mut r = SliceReader::new(question)?;
    // OCSPRequest, TBSRequest, requestList, Request.
    for _ in 0..4 {
        r = inside(&mut r, Tag::Sequence)?;
    }
    CertId::read(&mut r)
}

struct Signed<'a> {
    /// ResponseData with tag and length: what is signed.
    tbs: &'a [u8],
    algorithm: &'a [u8],
    signature: &'a [u8],
}

impl<'a> Signed<'a> {
    fn read(basic: &'a [u8]) -> der::Result<Self> {
        let mut r = SliceReader::new(basic)?;
        let mut r = inside(&mut r, Tag::Sequence)?;
        let tbs = r.tlv_bytes()?;
        let algorithm = r.tlv_bytes()?;
        let signature = octets(&mut r, Tag::BitString)?;
        // The first octet of a bit string says how many bits of the last one do not count.
        let signature = signature.strip_prefix(&[0]).ok_or(der::ErrorKind::Failed)?;
        Ok(Self {
            tbs,
            algorithm,
            signature,
        })
    }

    /// The list of single responses.
    fn data(&self) -> der::Result<SliceReader<'a>> {
        let mut r = SliceReader::new(self.tbs)?;
        let mut data = inside(&mut r, Tag::Sequence)?;
        optional(&mut data, field(0))?;
        // The responder and the time of the answer.
        any(&mut data)?;
        any(&mut data)?;
        inside(&mut data, Tag::Sequence)
    }

    /// The responder's name, if it is named so.
    fn responder(&self) -> der::Result<Option<&'a [u8]>> {
        let mut r = SliceReader::new(self.tbs)?;
        let mut data = inside(&mut r, Tag::Sequence)?;
        optional(&mut data, field(0))?;
        optional(&mut data, field(1))
    }

    fn check(&self, known: &[Certificate]) -> Result<(), String> {
        let Ok(Some(name)) = self.responder() else {
            return Ok(());
        };
        let mut named = known
            .iter()
            .filter(|ca| ca.subject().der() == name)
            .peekable();
        // Of an algorithm that is not implemented here nothing can be said.
        let (Some(_), Ok(algorithm)) = (
            named.peek(),
            SignatureAlgorithm::from_identifier(self.algorithm),
        ) else {
            return Ok(());
        };
        let verifies = |ca: &Certificate| {
            ca.public_key()
                .verify(algorithm, self.tbs, self.signature)
                .is_ok()
        };
        if named.any(verifies) {
            Ok(())
        } else {
            Err("an answer that the CA of its name did not sign".to_owned())
        }
    }
}

/// GeneralizedTime (RFC 5280 section 4.1.2.5.2), in seconds since 1970.
fn time(octets: &[u8]) -> der::Result<i64> {
    let mut der = vec![
        0x18,
        u8::try_from(octets.len()).map_err(|_| der::ErrorKind::DateTime)?,
    ];
    der.extend_from_slice(octets);
    let time = der::asn1::GeneralizedTime::from_der(&der)?;
    let time: DateTime = time.to_date_time();
    i64::try_from(time.unix_duration().as_secs()).map_err(|_| der::ErrorKind::DateTime.into())
}
