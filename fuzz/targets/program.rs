//! Programs of CEL roles: whatever an operator writes, run on a request. None ends the process, goes on for long, or makes what the crate of
//! rules would not read.
#![no_main]

use jiff::Timestamp;
use landfast_cel::{GivenUp, Inputs, Program, Variable};
use libfuzzer_sys::fuzz_target;
use serde_json::json;

fuzz_target!(|text: &str| {
    // Variables first, a line each behind a `$`, and the expression.
    let (mut variables, mut rest) = (Vec::new(), text);
    while let Some((line, after)) = rest.strip_prefix('$').and_then(|rest| rest.split_once('\n')) {
        variables.push(Variable {
            name: format!("v{}", variables.len()),
            expression: line.to_owned(),
        });
        rest = after;
    }
    let program = Program {
        variables,
        expression: rest.to_owned(),
    };
    let _ = program.check();
    let Ok(compiled) = program.compile() else {
        return;
    };
    let request = json!({"text": "a.example.com", "number": 3, "list": ["a", 1, {"b": null}], "role": "r"});
    let inputs = Inputs {
        request: request.as_object().expect("a literal object"),
        now: Timestamp::UNIX_EPOCH,
        csr: text.starts_with(' ').then_some(None),
        given_up: GivenUp::default(),
    };
    if let Ok(wanted) = compiled.run(&inputs) {
        assert!(wanted.blueprint.names.dns.iter().all(|name| name.is_ascii()));
    }
});
