use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::GivenUp;

fn run(expression: &str) -> Result<Wanted, String> {
    run_with(&[], expression, &json!({"n": 3, "s": "x"}))
}

fn run_with(
    variables: &[(&str, &str)],
    expression: &str,
    request: &serde_json::Value,
) -> Result<Wanted, String> {
    let variables = variables.iter().map(|(name, expression)| Variable {
        name: (*name).to_owned(),
        expression: (*expression).to_owned(),
    });
    let program = Program {
        variables: variables.collect(),
        expression: expression.to_owned(),
    };
    let inputs = Inputs {
        request: request.as_object().unwrap(),
        now: "2026-11-30T08:00:00Z".parse().unwrap(),
        csr: None,
        given_up: GivenUp::default(),
    };
    let compiled = program.compile().map_err(|fault| fault.to_string())?;
    compiled.run(&inputs).map_err(|fault| fault.to_string())
}

const CERTIFICATE: &str = "ValidationOutput{template: CertTemplate{Subject: PKIX.Name{CommonName: request.s, Country: ['US']}, \
    NotBefore: now, NotAfter: timestamp('9999-12-31T23:59:59Z'), DNSNames: ['a', request.s], KeyUsage: 5, ExtKeyUsage: [1, 13], \
    IPAddresses: [net.IP{IP: b'\\x0a\\x00\\x00\\x01'}]}, issuer_ref: 'i', warnings: ['w', ''], key_type: 'ec', key_bits: 384u}";

#[test]
fn a_result_says_a_certificate() {
    let wanted = run(CERTIFICATE).unwrap();
    let plan = &wanted.blueprint;
    assert_eq!(plan.subject.common_name, "x");
    assert_eq!(plan.not_after, landfast_pki::FOREVER);
    assert_eq!(plan.names.dns, ["a", "x"]);
    assert_eq!(plan.names.ips.len(), 1);
    assert_eq!(plan.purposes.len(), 2);
    assert_eq!((wanted.issuer_ref.as_str(), wanted.key_bits), ("i", 384));
    assert_eq!(wanted.warnings, ["w"]);
}

#[test]
fn a_swallowed_error_of_the_budget_is_one_all_the_same() {
    let swallowed = format!(
        "(lists.range(500000).map(x, 'aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa').size() > 0 || true) ? {CERTIFICATE} : 'no'"
    );
    assert!(run(&swallowed).unwrap_err().contains("does too much"));
    let doubled: Vec<_> = (0..40).map(|_| ("s", "s + s")).collect();
    let mut variables = vec![("s", "'0123456789abcdef'")];
    variables.extend(doubled);
    let grown = run_with(&variables, "s", &json!({}));
    assert!(grown.unwrap_err().contains("does too much"));
}

#[test]
fn what_names_no_function_is_told_before_it_runs() {
    for (expression, expected) in [
        (
            "nope(1)",
            "failed to compile expression \"nope(1)\": no such overload: nope()",
        ),
        (
            "Foo{}",
            "failed to compile expression \"Foo{}\": unknown type: Foo",
        ),
        ("request.missing", "no such key: missing"),
        (
            "missing",
            "no such attribute(s): openbao.pki.missing, openbao.missing, missing",
        ),
        ("1 +", "invalid CEL syntax for expression \"1 +\""),
    ] {
        let why = run_with(&[("v", expression)], "true", &json!({})).unwrap_err();
        assert!(
            why.starts_with(
                "error evaluating mainProgram: failed to evaluate variables: variable[0].v: "
            ),
            "{why}"
        );
        assert!(why.contains(expected), "{why}");
    }
}

/// Pieces of which programs are made, so that many are whole.
fn pieces() -> impl Strategy<Value = String> {
    let piece = prop::sample::select(vec![
        "request",
        ".s",
        ".n",
        "[0]",
        "'a'",
        "1",
        "2u",
        "1.5",
        "true",
        " + ",
        " == ",
        " && ",
        " ? ",
        " : ",
        "(",
        ")",
        "[",
        "]",
        "{",
        "}",
        ",",
        ":",
        ".map(x, x)",
        ".all(x, x)",
        ".size()",
        ".replace('a', 'bb')",
        ".matches('a*')",
        "now",
        "duration('1h')",
        "has(request.s)",
        "CertTemplate{",
        "ValidationOutput{template: ",
        "DNSNames: ",
        ".?s",
        "[?0]",
        "optional.of(",
        "lists.range(9)",
        "-",
        "!",
        " in ",
        ".join(',')",
        ".sortBy(x, x)",
        "math.greatest(",
        "encode_json(",
        "decode_json(",
        "'%s'.format(",
        "dyn(",
        "\"",
        "'",
        "\\",
        "é",
        "//",
        "\n",
    ]);
    prop::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(400))]

    #[test]
    fn no_program_ends_the_process(expression in pieces(), variable in pieces()) {
        let program = Program {
            variables: vec![Variable { name: "v".to_owned(), expression: variable.clone() }],
            expression: expression.clone(),
        };
        let checked = program.check();
        if let Err(fault) = &checked {
            prop_assert!(!fault.to_string().contains("another way"), "{expression} {variable}: {fault}");
        }
        if let Err(fault) = run_with(&[("v", &variable)], &expression, &json!({"s": "x", "n": [1, "a"]})) {
            prop_assert!(!fault.contains("another way"), "{expression} {variable}: {fault}");
        }
    }
}

#[test]
fn a_program_ends_when_nobody_waits_for_it() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static ASKED: AtomicUsize = AtomicUsize::new(0);
    let program = Program {
        expression: "lists.range(1000).all(a, lists.range(1000).all(b, a + b >= 0)) ? 'y' : 'n'"
            .to_owned(),
        ..Program::default()
    };
    let request = serde_json::json!({});
    let inputs = Inputs {
        request: request.as_object().unwrap(),
        now: "2026-11-30T08:00:00Z".parse().unwrap(),
        csr: None,
        given_up: GivenUp::by(|| ASKED.fetch_add(1, Ordering::Relaxed) >= 2),
    };
    assert!(program.compile().unwrap().run(&inputs).is_err());
    assert_eq!(ASKED.load(Ordering::Relaxed), 3, "it ended at once");
}
