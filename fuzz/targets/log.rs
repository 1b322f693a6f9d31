//! The log: whatever an event holds, its line is one that the host's parser takes.

#![no_main]

use std::time::UNIX_EPOCH;

use landfast_sdk::hclog::{LONGEST_LINE, Line};
use libfuzzer_sys::fuzz_target;
use tracing::Level;

fuzz_target!(|event: (&str, &str, Vec<(&str, &str)>)| {
    let (module, message, fields) = event;
    let mut line = Line::new(Level::INFO, module, UNIX_EPOCH);
    line.message(&message);
    for (name, value) in fields {
        line.field(name, &value);
    }
    let line = line.finish();
    assert!(line.len() <= LONGEST_LINE);
    assert_eq!(line.find('\n'), Some(line.len() - 1));
    let value: serde_json::Value = serde_json::from_str(&line).expect("a line is JSON");
    for name in ["@level", "@message", "@timestamp"] {
        assert!(value[name].is_string());
    }
    assert_eq!(value["@level"], "info");
});
