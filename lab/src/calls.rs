//! What a lab was asked.

use std::collections::VecDeque;

use jiff::Timestamp;
use landfast_rolesanywhere::causes;

use crate::faults::Fault;
use crate::refusal::Refusal;
use crate::state::ControlError;

/// Method and path of a call for a session.
pub(crate) const SESSION: &str = "POST /sessions";

/// Calls of known callers that are kept.
const KNOWN: usize = 10_000;
/// Calls of strangers that are kept: whoever can connect can make them.
const STRANGERS: usize = 100;

/// One call of the service's API that the lab saw.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// When, by the lab's clock.
    pub at: Timestamp,
    /// Method and path.
    pub operation: String,
    /// The status of the answer.
    pub status: u16,
    /// The session's name, who called, or the refusal.
    pub outcome: String,
    /// The subject of the certificate that a `CreateSession` showed. Whose it
    /// is has been proved only where a session was granted.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The rule of `landfast doctor` by which it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rule: Option<&'static str>,
    /// What to do about a refusal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub remedy: Option<String>,
    /// The fault that was played.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    /// The canonical request as the lab rebuilt it, of a `CreateSession` whose
    /// signature could be checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canonical_request: Option<String>,
    /// How it ended.
    #[serde(skip)]
    pub(crate) end: End,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// As its caller wanted, if no fault spoilt the answer.
    Done,
    /// By a rule.
    Refused,
    /// By a fault, before anything was looked at.
    Played,
}

impl Call {
    /// A call that was answered as it should be; the other fields are set by what is known.
    pub(crate) fn new(at: Timestamp, operation: String, status: u16, outcome: String) -> Self {
        Self {
            at,
            operation,
            status,
            outcome,
            subject: None,
            rule: None,
            remedy: None,
            fault: None,
            canonical_request: None,
            end: End::Done,
        }
    }

    /// A call that a fault answered before anything was looked at.
    pub(crate) fn faulty(at: Timestamp, operation: String, status: u16, fault: Fault) -> Self {
        let outcome = "a fault was played: nothing was looked at".to_owned();
        Self {
            end: End::Played,
            ..Self::new(at, operation, status, outcome).with(Some(fault))
        }
    }

    /// With the fault that changed its answer.
    pub(crate) fn with(mut self, fault: Option<Fault>) -> Self {
        self.fault = fault.map(|fault| fault.to_string());
        self
    }

    /// With why no session was given.
    pub(crate) fn refused(mut self, refusal: &Refusal) -> Self {
        self.end = End::Refused;
        self.rule = refusal.rule();
        self.remedy = Some(refusal.remedy());
        self
    }

    /// With why the control plane did not do it.
    pub(crate) fn denied(mut self, refusal: &ControlError) -> Self {
        self.end = End::Refused;
        let text = format!("{}: {refusal}", refusal.status().1);
        self.remedy = causes::of(&text).map(|cause| cause.remedy.to_owned());
        self
    }

    /// Whether it was for a session.
    pub(crate) fn is_session(&self) -> bool {
        self.operation == SESSION
    }
}

/// The latest calls in their order. Those of strangers, whose signature is
/// nobody's, take the places of strangers only.
#[derive(Debug, Default)]
pub(crate) struct Calls {
    all: VecDeque<(bool, Call)>,
    strangers: usize,
}

impl Calls {
    pub(crate) fn add(&mut self, known: bool, call: Call) {
        let (kept, limit) = if known {
            (self.all.len() - self.strangers, KNOWN)
        } else {
            (self.strangers, STRANGERS)
        };
        if kept >= limit {
            let oldest = self.all.iter().position(|(other, _)| *other == known);
            oldest.and_then(|oldest| self.all.remove(oldest));
        } else if !known {
            self.strangers += 1;
        }
        self.all.push_back((known, call));
    }

    pub(crate) fn list(&self) -> Vec<Call> {
        self.all.iter().map(|(_, call)| call.clone()).collect()
    }

    /// The latest first.
    pub(crate) fn latest(&self) -> impl Iterator<Item = &Call> {
        self.all.iter().rev().map(|(_, call)| call)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_push_out_strangers_only() {
        let call =
            |name: &str| Call::new(Timestamp::UNIX_EPOCH, name.to_owned(), 403, String::new());
        let mut calls = Calls::default();
        calls.add(true, call("known"));
        for number in 0..1000 {
            calls.add(false, call(&format!("stranger {number}")));
        }
        calls.add(true, call("last"));
        let names: Vec<String> = calls
            .list()
            .into_iter()
            .map(|call| call.operation)
            .collect();
        assert_eq!(names.len(), 2 + STRANGERS);
        assert_eq!((&*names[0], &*names[1]), ("known", "stranger 900"));
        assert_eq!(names.last().map(String::as_str), Some("last"));
        for _ in 0..=KNOWN {
            calls.add(true, call("more"));
        }
        assert_eq!(calls.list().len(), KNOWN + STRANGERS);
    }
}
