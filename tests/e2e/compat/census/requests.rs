//! Reads `requests.txt`, and makes the requests in it.

use std::fmt;

use serde_json::Value;

use super::Known;
use crate::support::{Both, Pair};

const FILE: &str = include_str!("requests.txt");

/// What becomes of a request.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// Both succeed alike.
    Success,
    /// Both succeed; what they say is compared elsewhere.
    SuccessInOtherWords,
    /// Both refuse alike.
    Refusal,
    /// Both refuse with the same status.
    RefusalInOtherWords,
    /// A fault of the caller that is a 500 there and a 400 here, in the same words.
    Fault,
}

/// One request to both.
pub(super) struct Request {
    pub(super) answer: Answer,
    method: String,
    path: String,
    body: Option<String>,
    /// What is kept of the answer: the name, and the field.
    pub(super) keeps: Vec<(String, String)>,
}

/// Those of the file but for the last ones.
pub(super) fn all() -> Vec<Request> {
    FILE.lines().filter_map(Request::parse).collect()
}

/// What ends a mount.
pub(super) fn last() -> Vec<Request> {
    ["+ DELETE root", "- POST root {}"]
        .into_iter()
        .filter_map(Request::parse)
        .collect()
}

impl Request {
    /// `None` for an empty line and a remark.
    ///
    /// # Panics
    /// When the line is neither.
    fn parse(line: &str) -> Option<Self> {
        if line.is_empty() || line.starts_with('#') {
            return None;
        }
        let (line, keeps) = match line.split_once(" > ") {
            Some((line, keeps)) => (line, keeps),
            None => (line, ""),
        };
        let mut words = line.splitn(4, ' ');
        let mut word = || words.next().map(str::to_owned);
        let answer = match word().as_deref() {
            Some("+") => Answer::Success,
            Some("+?") => Answer::SuccessInOtherWords,
            Some("-") => Answer::Refusal,
            Some("-?") => Answer::RefusalInOtherWords,
            Some("-!") => Answer::Fault,
            _ => panic!("no mark: {line}"),
        };
        let keeps = keeps.split_whitespace().map(|keep| {
            let (name, field) = keep.split_once('=').expect("NAME=FIELD");
            (name.to_owned(), field.to_owned())
        });
        Some(Self {
            answer,
            method: word().expect("a method"),
            path: word().expect("a path"),
            body: word(),
            keeps: keeps.collect(),
        })
    }

    /// Sends it to both, and notes what differs.
    pub(super) fn send(&self, pair: &mut Pair, known: &Known) -> Both {
        let path = |i: usize| filled(&self.path, known, i);
        let body = |i: usize| match &self.body {
            Some(body) => {
                let body = serde_json::from_str(body);
                let body = body.unwrap_or_else(|error| panic!("{self}: {error}"));
                filled_in(body, known, i)
            }
            None => Value::Null,
        };
        if matches!(self.answer, Answer::Success | Answer::Refusal) {
            return pair.same_with(&self.method, path, body);
        }
        let both = pair.each(&self.method, path, |i| {
            Some(body(i)).filter(|body| !body.is_null())
        });
        let (theirs, ours) = (both.theirs.status, both.ours.status);
        if self.answer == Answer::Fault {
            let [said, ours_said] = [&both.theirs, &both.ours].map(|reply| reply.errors().join(""));
            if (theirs, ours) != (500, 400) || !said.contains(&ours_said) {
                pair.differ(&format!(
                    "{self}: a fault\n    built-in: {theirs} {said}\n    ours:     {ours} {ours_said}"
                ));
            }
        } else if theirs != ours {
            pair.differ(&format!("{self}: {theirs} there, {ours} here"));
        }
        both
    }
}

impl fmt::Display for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.method, self.path)?;
        match &self.body {
            Some(body) => write!(f, " {body}"),
            None => Ok(()),
        }
    }
}

/// The text with what this mount has for each `$NAME`.
fn filled(text: &str, known: &Known, mount: usize) -> String {
    // The longest first: one name may begin another.
    let mut names: Vec<_> = known.keys().collect();
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    names.into_iter().fold(text.to_owned(), |text, name| {
        text.replace(&format!("${name}"), &known[name][mount])
    })
}

fn filled_in(value: Value, known: &Known, mount: usize) -> Value {
    match value {
        Value::String(text) => filled(&text, known, mount).into(),
        Value::Array(list) => {
            let list = list.into_iter();
            list.map(|one| filled_in(one, known, mount)).collect()
        }
        Value::Object(members) => {
            let members = members.into_iter();
            members
                .map(|(name, one)| (name, filled_in(one, known, mount)))
                .collect()
        }
        other => other,
    }
}
