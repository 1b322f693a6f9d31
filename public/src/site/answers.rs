//! Answers of OCSP that are kept for others, by their own dates.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use http::header::CONTENT_TYPE;
use http::{HeaderMap, StatusCode};
use hyper::body::Bytes;

use crate::ocsp::{Answer, Question};
use crate::request::Reply;
use crate::sheet::Sheet;
use crate::slot::{Dated, Slot};
use crate::upstream;

/// RFC 6960 appendix A.2.
pub(super) const KIND: &str = "application/ocsp-response";

/// Octets of an answer. The largest signature of a CA is 4,627.
pub(super) const MOST: usize = 16 * 1024;

/// What a mount answered to a plain question.
#[derive(Debug)]
pub(super) enum Kept {
    /// Signed, and good for a while.
    Signed(Sheet),
    /// Why it does not answer, or an answer that may be another in a moment: for those who ask now.
    Passing(Reply),
}

impl Dated for Kept {
    fn valid_until(&self) -> i64 {
        match self {
            Self::Signed(sheet) => sheet.until(),
            Self::Passing(_) => i64::MAX,
        }
    }

    fn passes(&self) -> bool {
        matches!(self, Self::Passing(_))
    }
}

impl Kept {
    /// Checks an answer.
    ///
    /// # Errors
    /// It is of no use; the text is for the audit log.
    pub(super) fn new(
        question: &Question,
        answer: upstream::Answer,
        known: &[landfast_pki::Certificate],
        now: i64,
    ) -> Result<Self, String> {
        if answer.status != StatusCode::OK || !is_ocsp(&answer.headers) {
            return Ok(Self::Passing(relayed(answer)));
        }
        let read = Answer::to(question.der(), &answer.body, known)?;
        Ok(
            match read.and_then(|read| Some((read.this_update, read.next_update?))) {
                Some((made, next)) if now < next => {
                    Self::Signed(Sheet::new(answer.body, KIND, made, next))
                }
                _ => Self::Passing(relayed(answer)),
            },
        )
    }

    pub(super) fn reply(&self, asked: &HeaderMap, now: i64, keep: i64) -> Reply {
        match self {
            Self::Signed(sheet) => sheet.reply("ocsp", asked, now, 0, keep),
            Self::Passing(reply) => reply.clone(),
        }
    }
}

fn is_ocsp(headers: &HeaderMap) -> bool {
    headers.get(CONTENT_TYPE).is_some_and(|kind| kind == KIND)
}

/// The mount's own answer, for one client. What is no answer of OCSP says that something broke.
pub(super) fn relayed(answer: upstream::Answer) -> Reply {
    use landfast_pki::OcspFailure::InternalError;

    if !is_ocsp(&answer.headers) {
        let mut reply = super::failure(StatusCode::BAD_GATEWAY, InternalError);
        reply.note.error = Some(format!(
            "the mount answers {} and no OCSP",
            answer.status.as_u16()
        ));
        return reply;
    }
    // That it does not answer for a CA is an answer, and clients read it only with this status.
    let status = match answer.status {
        StatusCode::UNAUTHORIZED => StatusCode::OK,
        status => status,
    };
    Reply::new(status, "ocsp", KIND, answer.body).with(
        http::header::CACHE_CONTROL,
        http::HeaderValue::from_static("no-store"),
    )
}

/// Slots by question, of which the least used go first.
pub(super) struct Answers {
    most: usize,
    slots: Mutex<Slots>,
}

/// A slot, and when it was used last, in uses of all.
type Used = (Arc<Slot<Kept>>, u64);

#[derive(Default)]
struct Slots {
    by_question: HashMap<Box<[u8]>, Used>,
    /// By what clients sent, so that the same octets are taken apart once.
    as_sent: HashMap<Box<[u8]>, Arc<Slot<Kept>>>,
    uses: u64,
}

impl Answers {
    pub(super) fn new(most: usize) -> Self {
        Self {
            most,
            slots: Mutex::default(),
        }
    }

    /// How many answers are kept at the most.
    pub(super) fn most(&self) -> usize {
        self.most
    }

    /// The place of the answer to a plain question that came in these octets before.
    pub(super) fn as_sent(&self, octets: &[u8]) -> Option<Arc<Slot<Kept>>> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        slots.as_sent.get(octets).cloned()
    }

    /// Notes in which octets a plain question came.
    pub(super) fn note(&self, octets: &[u8], slot: &Arc<Slot<Kept>>) {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        if slots.as_sent.len() >= self.most.max(1) {
            slots.as_sent.clear();
        }
        slots.as_sent.insert(octets.into(), slot.clone());
    }

    /// The signed answers that are valid at `now`, each with its question, those that were used last first: `most` of them.
    pub(super) fn held(&self, most: usize, now: i64) -> Vec<(Box<[u8]>, Bytes)> {
        let slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let mut all: Vec<_> = slots
            .by_question
            .iter()
            .map(|(question, (slot, used))| (*used, question.clone(), slot.clone()))
            .collect();
        drop(slots);
        all.sort_unstable_by_key(|(used, ..)| std::cmp::Reverse(*used));
        let all = all
            .into_iter()
            .filter_map(|(_, question, slot)| match &*slot.held(now)? {
                Kept::Signed(sheet) => Some((question, sheet.body().clone())),
                Kept::Passing(_) => None,
            });
        all.take(most).collect()
    }

    /// The place of the answer to a question. Strangers choose the questions, so there is an end to their number.
    pub(super) fn slot(&self, question: &[u8]) -> Arc<Slot<Kept>> {
        let mut slots = self.slots.lock().unwrap_or_else(PoisonError::into_inner);
        let slots = &mut *slots;
        slots.uses += 1;
        if let Some((slot, used)) = slots.by_question.get_mut(question) {
            *used = slots.uses;
            return slot.clone();
        }
        if slots.by_question.len() >= self.most.max(1) {
            slots.shrink(self.most - self.most.div_ceil(8));
        }
        let slot = Arc::new(Slot::default());
        slots
            .by_question
            .insert(question.into(), (slot.clone(), slots.uses));
        slot
    }
}

impl Slots {
    /// Leaves the latest used. Done for an eighth at once, it costs a question no more than a constant.
    fn shrink(&mut self, most: usize) {
        let mut uses: Vec<u64> = self.by_question.values().map(|(_, used)| *used).collect();
        let Some(gone) = uses.len().checked_sub(most).filter(|gone| *gone > 0) else {
            return;
        };
        // What is gone is found by no other way either.
        self.as_sent.clear();
        let (_, last, _) = uses.select_nth_unstable(gone - 1);
        let last = *last;
        self.by_question.retain(|_, (_, used)| *used > last);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_of_answers_has_an_end_and_the_used_ones_stay() {
        let answers = Answers::new(16);
        let favourite = answers.slot(b"favourite");
        for number in 0..1000_u32 {
            answers.slot(&number.to_be_bytes());
            assert!(
                Arc::ptr_eq(&favourite, &answers.slot(b"favourite")),
                "{number}"
            );
            let held = answers.slots.lock().expect("no panic").by_question.len();
            assert!(held <= 16, "{held}");
        }
        let one = Answers::new(0);
        assert!(!Arc::ptr_eq(&one.slot(b"a"), &one.slot(b"b")));
    }
}
