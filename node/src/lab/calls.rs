//! What a lab was asked.

use std::collections::VecDeque;

/// Calls of known callers that are kept.
const KNOWN: usize = 10_000;
/// Calls of strangers that are kept: whoever can connect can make them.
const STRANGERS: usize = 100;

/// One call of the service's API that the lab saw.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Call {
    /// Method and path.
    pub operation: String,
    /// The status of the answer.
    pub status: u16,
    /// The session's name, who called, or the refusal.
    pub outcome: String,
    /// The canonical request as the lab rebuilt it, of a `CreateSession` whose
    /// signature could be checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub canonical_request: Option<String>,
}

/// The latest calls in their order. Those of strangers, whose signature is
/// nobody's, take the places of strangers only.
#[derive(Debug, Default)]
pub(super) struct Calls {
    all: VecDeque<(bool, Call)>,
    strangers: usize,
}

impl Calls {
    pub(super) fn add(&mut self, known: bool, call: Call) {
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

    pub(super) fn list(&self) -> Vec<Call> {
        self.all.iter().map(|(_, call)| call.clone()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strangers_push_out_strangers_only() {
        let call = |name: &str| Call {
            operation: name.to_owned(),
            status: 403,
            outcome: String::new(),
            canonical_request: None,
        };
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
