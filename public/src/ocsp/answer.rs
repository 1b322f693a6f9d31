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
    /// Reads the answer to a plain question. If one of `known` has the name of the responder, it has to have signed it. None if it is about another certificate:
    /// about one that is of no CA of theirs, the engines answer so.
    ///
    /// # Errors
    /// It is no answer, or somebody else's.
    pub(crate) fn to(
        question: &[u8],
        der: &[u8],
        known: &[Certificate],
    ) -> Result<Option<Self>, String> {
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
                return Self::read(&mut one).map(Some).map_err(broken);
            }
        }
        Ok(None)
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

/// A question about the certificate with the number 7 of a CA whose hashes are of ones and twos, as the tests have it.
fn seven() -> Vec<u8> {
    let mut id = vec![0x30, 9 + 2 + 22 + 22 + 3];
    id.extend([0x30, 9, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0]);
    for part in [1, 2] {
        id.extend([4, 20]);
        id.extend([part; 20]);
    }
    id.extend([2, 1, 7]);
    // Nothing here is as long as 128 octets.
    (0..4).fold(id, |inner, _| {
        let mut outer = vec![0x30, u8::try_from(inner.len()).unwrap_or_default()];
        outer.extend(inner);
        outer
    })
}

/// Reads any octets as an answer, as a fuzz target does: nothing of it may panic.
pub(crate) fn try_answer(bytes: &[u8]) {
    let _ = Answer::to(&seven(), bytes, &[]);
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use landfast_pki::{CertStatus, Certificate, OcspFailure, OcspRequest, OcspTemplate};
    use proptest::prelude::*;
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, KeyPair, SigningKey as _};

    use super::*;

    fn ca(key: &KeyPair) -> Certificate {
        let mut params = CertificateParams::default();
        params.distinguished_name.push(DnType::CommonName, "CA");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let made = params.self_signed(key).expect("signed");
        Certificate::from_der(made.der()).expect("a certificate")
    }

    fn second(text: &str) -> Timestamp {
        text.parse().expect("a time")
    }

    /// A signed answer to [`seven`]'s form of question about this CA.
    fn answer(
        ca: &Certificate,
        key: &KeyPair,
        question: &[u8],
        next: Option<Timestamp>,
    ) -> Vec<u8> {
        let request = OcspRequest::from_der(question).expect("a request");
        let template = OcspTemplate {
            request: &request,
            responder: ca,
            status: CertStatus::Good,
            this_update: second("2030-01-01T00:00:00Z"),
            next_update: next,
        };
        let algorithm = SignatureAlgorithm::choose(ca.public_key(), 0, false);
        let prepared = template.prepare(algorithm.expect("a CA's key").algorithm);
        let signature = key.sign(prepared.tbs()).expect("signed");
        prepared.finish(&signature).expect("an answer")
    }

    /// A question about a certificate of this CA, in the form that [`seven`] has.
    fn question(ca: &Certificate) -> Vec<u8> {
        let mut question = seven();
        let at = question.len() - 3 - 44;
        question[at + 2..at + 22].copy_from_slice(&landfast_base::sha1(ca.subject().der()));
        question[at + 24..at + 44].copy_from_slice(&ca.public_key().ski());
        question
    }

    #[test]
    fn an_answer_is_taken_from_its_own_ca_to_its_own_question() {
        let keys = [KeyPair::generate(), KeyPair::generate()].map(|key| key.expect("a key"));
        let (ours, namesake) = (ca(&keys[0]), ca(&keys[1]));
        let question = question(&ours);
        let next = second("2030-01-01T12:00:00Z");
        let good = answer(&ours, &keys[0], &question, Some(next));
        let read = Answer::to(&question, &good, std::slice::from_ref(&ours)).expect("ours");
        let wanted = Answer {
            this_update: second("2030-01-01T00:00:00Z").as_second(),
            next_update: Some(next.as_second()),
        };
        assert_eq!(read.as_ref(), Some(&wanted));
        // Of a CA that is not known here nothing can be said.
        assert_eq!(Answer::to(&question, &good, &[]), Ok(read));
        let without_end = answer(&ours, &keys[0], &question, None);
        let read = Answer::to(&question, &without_end, std::slice::from_ref(&ours)).expect("ours");
        assert_eq!(read.map(|read| read.next_update), Some(None));

        let forged = answer(&ours, &keys[1], &question, Some(next));
        let mut other = question.clone();
        *other.last_mut().expect("a serial number") = 8;
        let ours = std::slice::from_ref(&ours);
        assert_eq!(Answer::to(&other, &good, ours), Ok(None));
        for (question, der, known, wanted) in [
            (&question, &forged, ours, "did not sign"),
            (
                &question,
                &good,
                std::slice::from_ref(&namesake),
                "did not sign",
            ),
            (&question, &good[1..].to_vec(), ours, "cannot be read"),
            (
                &question,
                &OcspFailure::Unauthorized.der().to_vec(),
                ours,
                "without a signed response",
            ),
            (&question, &b"<html>".to_vec(), ours, "cannot be read"),
        ] {
            let error = Answer::to(question, der, known).expect_err("not taken");
            assert!(error.contains(wanted), "{wanted}: {error}");
        }
    }

    proptest! {
        #[test]
        fn nothing_makes_the_reader_panic(bytes: Vec<u8>, at: prop::sample::Index, byte: u8) {
            try_answer(&bytes);
            let key = KeyPair::generate().expect("a key");
            let ca = ca(&key);
            let question = question(&ca);
            let mut good = answer(&ca, &key, &question, None);
            let at = at.index(good.len());
            good[at] = byte;
            let _ = Answer::to(&question, &good, &[ca]);
        }
    }
}
