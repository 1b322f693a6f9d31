//! A request to open a session, as the lab reads it off the wire: the first
//! line, headers, an empty line, the body.
#![no_main]

use landfast_lab::{Request, State};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
    let mut lines = head.lines();
    let (method, target) = lines.next().unwrap_or_default().split_once(' ').unwrap_or_default();
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    let request = Request {
        method: method.to_owned(),
        path: path.to_owned(),
        query: query.to_owned(),
        headers: lines
            .filter_map(|line| line.split_once(": "))
            .map(|(name, value)| (name.to_owned(), value.to_owned()))
            .collect(),
        body: body.as_bytes().to_vec(),
    };
    let now = "2026-09-01T12:00:00Z".parse().expect("a constant time");
    // An account without a trust anchor grants nothing, whoever asks.
    assert!(State::new("111122223333", "us-west-2").decide(&request, now).is_err());
});
