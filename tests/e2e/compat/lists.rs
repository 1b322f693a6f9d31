//! CRLs of what the caller brings: `resign-crls` and `sign-revocation-list`.

use serde_json::{Value, json};

use super::{dump, with_root};
use crate::support::{Openssl, Pair};

/// The text of a CRL of both, without what each has of its own.
fn same_list(pair: &mut Pair, what: &str, crls: &[String; 2]) {
    let openssl = Openssl::new();
    let texts: Vec<String> = (0..2)
        .map(|i| {
            let text = dump(&openssl.text("crl", &crls[i]));
            // The order of combined entries is that of a Go map there.
            let mut lines: Vec<_> = text.lines().map(str::to_owned).collect();
            lines.sort_unstable();
            lines.join("\n")
        })
        .collect();
    pair.equal(what, &texts[0], &texts[1]);
}

#[test]
fn crls_are_combined_and_made_alike() {
    let mut pair = with_root(json!({}));
    let role = json!({"allow_any_name": true, "key_type": "ec"});
    pair.both("POST", "roles/one", Some(&role)).ok();
    let serials: Vec<[String; 2]> = (0..3)
        .map(|_| {
            let body = json!({"common_name": "a.example.com"});
            let serial = pair
                .both("POST", "issue/one", Some(&body))
                .ok()
                .text("serial_number");
            pair.same_with(
                "POST",
                |_| "revoke".to_owned(),
                |i| json!({"serial_number": serial[i]}),
            );
            serial
        })
        .collect();
    let crls = pair.both("GET", "cert/crl", None).ok().text("certificate");
    let resign = "issuer/default/resign-crls";
    let sign = "issuer/default/sign-revocation-list";

    for more in [
        json!({"crl_number": 5}),
        json!({"crl_number": "7", "delta_crl_base_number": 3, "next_update": "1h"}),
    ] {
        let body = |i: usize| {
            let mut body = more.clone();
            body["crls"] = json!([crls[i], crls[i]]);
            body
        };
        let both = pair.same_with("POST", |_| resign.to_owned(), body);
        same_list(&mut pair, &format!("combined {more}"), &both.text("crl"));
    }
    let der = pair.same_with(
        "POST",
        |_| resign.to_owned(),
        |i| json!({"crls": crls[i], "format": "DER"}),
    );
    assert!(der.ours.text("crl").starts_with("MI"));

    // A list with another time for the same certificate: the older one stays, with a warning.
    let older = pair.same_with(
        "POST",
        |_| sign.to_owned(),
        |i| json!({"revoked_certs": [{"serial_number": serials[0][i], "revocation_time": "2026-01-02T03:04:05Z"}]}),
    );
    let older = older.text("crl");
    let both = pair.same_with(
        "POST",
        |_| resign.to_owned(),
        |i| json!({"crls": [crls[i], older[i].trim_end()], "crl_number": 9}),
    );
    assert_eq!(both.ours.warnings().len(), 1);
    let text = Openssl::new().text("crl", &both.ours.text("crl"));
    assert!(text.contains("Jan  2 03:04:05 2026"), "{text}");
    same_list(&mut pair, "combined with an older one", &both.text("crl"));

    for body in [
        json!({}),
        json!({"crl_number": 3, "delta_crl_base_number": 2}),
        json!({"crl_number": i64::MAX}),
        json!({"revoked_certs": [{"serial_number": "0a.0b-0c 0d", "revocation_time": 1}]}),
        json!({"revoked_certs": [{"serial_number": "0a", "revocation_time": "1",
            "extensions": [{"id": "2.5.29.21", "value": "CgEB"}]}]}),
        json!({"extensions": [{"id": "1.2.3", "value": "BQA=", "critical": "true"}, {"id": "1.2.4", "value": ""}]}),
    ] {
        let both = pair.same_with("POST", |_| sign.to_owned(), |_| body.clone());
        same_list(&mut pair, &format!("made {body}"), &both.text("crl"));
    }

    // Refused with the same words, where these are not Go's own.
    for (path, body) in [
        (
            resign,
            json!({"crls": [older[0], crls[0]], "crl_number": -1}),
        ),
        (resign, json!({"delta_crl_base_number": -2})),
        (resign, json!({"next_update": "0"})),
        (resign, json!({"next_update": ""})),
        (resign, json!({"next_update": "-5h"})),
        (resign, json!({"next_update": "zz"})),
        (resign, json!({"format": "zz"})),
        (resign, json!({"format": ""})),
        (resign, json!({"crls": ["x"]})),
        (
            resign,
            json!({"crls": [format!("{}\n{}", crls[0], crls[0])]}),
        ),
        (resign, json!({"crls": [format!("{}junk", crls[0])]})),
        ("issuer/nope/resign-crls", json!({})),
        ("issuer/nope/sign-revocation-list", json!({})),
        (sign, json!({"revoked_certs": [{"serial_number": "0a"}]})),
        (sign, json!({"revoked_certs": [{"revocation_time": 1}]})),
        (
            sign,
            json!({"revoked_certs": [{"serial_number": "0a", "revocation_time": "soon"}]}),
        ),
        (
            sign,
            json!({"revoked_certs": [{"serial_number": "0a", "revocation_time": 1, "extensions": "x"}]}),
        ),
        (
            sign,
            json!({"revoked_certs": [{"serial_number": "0a", "revocation_time": 1, "extensions": [{"id": "1.2.3"}]}]}),
        ),
        (sign, json!({"extensions": [{}]})),
        (sign, json!({"extensions": [{"id": ""}]})),
        (sign, json!({"extensions": [{"id": "1.2.3"}]})),
        (
            sign,
            json!({"extensions": [{"id": "2.5.29.35", "value": "BQA="}]}),
        ),
        (
            sign,
            json!({"extensions": [{"id": "2.5.29.20", "value": "BQA="}]}),
        ),
        (
            sign,
            json!({"extensions": [{"id": "2.5.29.27", "value": "BQA="}]}),
        ),
        (
            sign,
            json!({"extensions": [{"id": "1.2.3", "value": "BQA="}, {"id": "1.2.3", "value": "BQA="}]}),
        ),
    ] {
        pair.same("POST", path, body);
    }
    // Somebody else's CRL, and an issuer that may not.
    let foreign = json!({"crls": [crls[1]]});
    let both = pair.both("POST", resign, Some(&foreign));
    assert_eq!((both.theirs.status, both.ours.status), (400, 200));
    let foreign = json!({"crls": [crls[0]]});
    let both = pair.both("POST", resign, Some(&foreign));
    both.ours
        .refused(400, "CRL index: 0 was not signed by requested issuer");
    pair.same(
        "POST",
        "issuer/default",
        json!({"usage": "read-only,issuing-certificates"}),
    );
    for path in [resign, sign] {
        pair.same("POST", path, json!({}));
    }
    pair.same("GET", "cert/crl", Value::Null);
    pair.finish();
}

#[test]
fn what_the_built_in_lets_through_is_refused() {
    let pair = with_root(json!({}));
    let path = "issuer/default/sign-revocation-list";
    let entry =
        |serial: &str, time: Value| json!({"serial_number": serial, "revocation_time": time});
    for (body, words) in [
        (
            json!({"revoked_certs": [entry("0a", json!(1)), entry("0A", json!(1))]}),
            "duplicate serial number",
        ),
        (
            json!({"revoked_certs": [entry("", json!(1))]}),
            "positive number",
        ),
        (
            json!({"revoked_certs": [entry("00", json!(1))]}),
            "positive number",
        ),
        (
            json!({"revoked_certs": [entry("0a", Value::Null)]}),
            "could not parse string as date and time",
        ),
    ] {
        let both = pair.both("POST", path, Some(&body));
        assert_eq!(both.theirs.status, 200, "{body}");
        both.ours.refused(400, words);
    }
}
