//! Signed answers, to be given again.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;
use landfast_pki::OcspRequest;

use crate::entry::revoked;

/// The answers of keys in AWS KMS. They are about one state of revocations, issuers and settings: any change of these ends them all.
#[derive(Debug, Default)]
pub(crate) struct Answers {
    kept: Mutex<Kept>,
}

/// What an OCSP client asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Asker {
    /// A certificate that is on record.
    Known,
    /// Any other serial number, such as one that was made up.
    Stranger,
}

/// Taken before the state was read that an answer is about. A change in between voids it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ticket(u64);

#[derive(Debug, Default)]
struct Kept {
    generation: u64,
    /// Of certificates that are on record.
    known: HashMap<OcspRequest, Answer>,
    /// Of all others. Apart, because serial numbers can be made up: they push out each other only.
    strange: HashMap<OcspRequest, Answer>,
}

#[derive(Debug)]
struct Answer {
    until: Timestamp,
    der: Arc<[u8]>,
}

impl Answers {
    /// To be taken before anything is read.
    pub(crate) fn ticket(&self) -> Ticket {
        Ticket(self.lock().generation)
    }

    /// The answer to `request`, if it is kept.
    pub(crate) fn find(&self, request: &OcspRequest, now: Timestamp) -> Option<Arc<[u8]>> {
        let kept = self.lock();
        let found = kept
            .known
            .get(request)
            .or_else(|| kept.strange.get(request));
        let fresh = found.filter(|answer| now < answer.until);
        fresh.map(|answer| Arc::clone(&answer.der))
    }

    /// Keeps an answer, unless something changed since `ticket` was taken.
    pub(crate) fn keep(
        &self,
        ticket: Ticket,
        asker: Asker,
        request: OcspRequest,
        until: Timestamp,
        der: &Arc<[u8]>,
    ) {
        let mut kept = self.lock();
        if kept.generation != ticket.0 {
            return;
        }
        let (answers, most) = match asker {
            Asker::Known => (&mut kept.known, MOST_KNOWN),
            Asker::Stranger => (&mut kept.strange, MOST_STRANGE),
        };
        if answers.len() >= most {
            answers.clear();
        }
        let der = Arc::clone(der);
        answers.insert(request, Answer { until, der });
    }

    /// Ends all answers if the storage entry `key` could change one.
    pub(crate) fn invalidate(&self, key: &str) {
        if key.starts_with(revoked::PREFIX) || key.starts_with("config/") {
            self.clear();
        }
    }

    /// Ends all answers.
    pub(crate) fn clear(&self) {
        let mut kept = self.lock();
        kept.generation += 1;
        kept.known.clear();
        kept.strange.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// About 600 octets each with the request, so a few megabytes at most.
const MOST_KNOWN: usize = 4096;
const MOST_STRANGE: usize = 256;

#[cfg(test)]
mod tests {
    use super::*;

    fn request(serial: u8) -> OcspRequest {
        // CertID with empty hashes.
        let id = [
            0x30, 0x12, 0x30, 0x09, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0, 4, 0, 4, 0, 2, 1, serial,
        ];
        let wrap = |inner: &[u8]| [&[0x30, inner.len() as u8], inner].concat();
        OcspRequest::from_der(&wrap(&wrap(&wrap(&wrap(&id))))).unwrap()
    }

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(second).unwrap()
    }

    fn keep(answers: &Answers, ticket: Ticket, asker: Asker, serial: u8) {
        answers.keep(
            ticket,
            asker,
            request(serial),
            at(10),
            &[serial].as_slice().into(),
        );
    }

    fn is_kept(answers: &Answers, serial: u8) -> bool {
        answers.find(&request(serial), at(9)).is_some()
    }

    #[test]
    fn an_answer_is_kept_until_its_time_or_a_change() {
        let answers = Answers::default();
        let ticket = answers.ticket();
        assert!(!is_kept(&answers, 1));
        keep(&answers, ticket, Asker::Known, 1);
        assert_eq!(
            answers.find(&request(1), at(9)).as_deref(),
            Some(&[1_u8][..])
        );
        assert!(answers.find(&request(1), at(10)).is_none());
        assert!(!is_kept(&answers, 2));
        for other in ["certs/01", "role/web", "crls/config"] {
            answers.invalidate(other);
            assert!(is_kept(&answers, 1), "{other}");
        }
        for change in [
            "revoked/01",
            "config/crl",
            "config/issuer/x",
            "config/issuers",
            "config/key/x",
        ] {
            keep(&answers, answers.ticket(), Asker::Known, 1);
            assert!(is_kept(&answers, 1));
            answers.invalidate(change);
            assert!(!is_kept(&answers, 1), "{change}");
        }
        keep(&answers, ticket, Asker::Known, 1);
        assert!(!is_kept(&answers, 1), "it is about a state that is past");
    }

    #[test]
    fn made_up_serial_numbers_push_out_nothing_that_is_on_record() {
        let answers = Answers::default();
        let ticket = answers.ticket();
        keep(&answers, ticket, Asker::Known, 1);
        for hash in 0..=MOST_STRANGE {
            let octets = u16::try_from(hash).unwrap().to_be_bytes();
            let id = [
                &[
                    0x30, 0x14, 0x30, 0x09, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0, 4, 2,
                ],
                &octets[..],
                &[4, 0, 2, 1, 7],
            ]
            .concat();
            let wrap = |inner: Vec<u8>| [vec![0x30, inner.len() as u8], inner].concat();
            let request = OcspRequest::from_der(&wrap(wrap(wrap(wrap(id))))).unwrap();
            answers.keep(
                ticket,
                Asker::Stranger,
                request,
                at(10),
                &[7].as_slice().into(),
            );
        }
        assert!(is_kept(&answers, 1));
        assert!(answers.lock().strange.len() <= MOST_STRANGE);
    }
}
