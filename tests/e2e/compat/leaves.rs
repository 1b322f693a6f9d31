//! `issue`, `sign` and `sign-verbatim`: which names pass, what is refused and
//! in which words, formats, validity.

use serde_json::{Value, json};

use super::with_root;
use crate::support::{Openssl, Pair};

fn role(pair: &Pair, name: &str, fields: Value) {
    let mut body = json!({"key_type": "ec"});
    super::merge(&mut body, fields);
    pair.both("POST", &format!("roles/{name}"), Some(&body))
        .ok();
}

#[test]
fn the_same_names_pass() {
    let mut pair = with_root(json!({}));
    let domains = "example.com,*.glob.example.com,ftp*.example.net,single";
    let flags: [(&str, Value); 9] = [
        ("none", json!({})),
        ("bare", json!({"allow_bare_domains": true})),
        ("sub", json!({"allow_subdomains": true})),
        ("glob", json!({"allow_glob_domains": true})),
        (
            "all",
            json!({"allow_bare_domains": true, "allow_subdomains": true, "allow_glob_domains": true}),
        ),
        (
            "nowild",
            json!({"allow_subdomains": true, "allow_wildcard_certificates": false}),
        ),
        (
            "nolocal",
            json!({"allow_localhost": false, "allow_subdomains": true}),
        ),
        ("any", json!({"allow_any_name": true})),
        (
            "loose",
            json!({"allow_any_name": true, "enforce_hostnames": false}),
        ),
    ];
    let names = [
        "example.com",
        "EXAMPLE.com",
        "a.example.com",
        "a.b.example.com",
        "*.example.com",
        "*.a.example.com",
        "b*z.example.com",
        "*",
        "*.*.example.com",
        "a.*.example.com",
        "ftp1.example.net",
        "ftp.example.net",
        "x.glob.example.com",
        "single",
        "localhost",
        "localdomain",
        "a.localhost",
        "u@example.com",
        "u@a.example.com",
        "u@@example.com",
        "*@example.com",
        "a_b.example.com",
        "-a.example.com",
        "a..example.com",
        "a.example.com.",
        "münchen.example.com",
        "xn--mnchen-3ya.example.com",
        "a b",
        "10.0.0.1",
        "example.org",
        "notexample.com",
        "",
    ];
    for (flag, fields) in flags {
        let mut fields = fields;
        super::merge(&mut fields, json!({"allowed_domains": domains}));
        role(&pair, flag, fields);
        for name in names {
            pair.same(
                "POST",
                &format!("issue/{flag}"),
                json!({"common_name": name}),
            );
        }
    }
    pair.finish();
}

#[test]
fn the_same_alternative_names_pass() {
    let mut pair = with_root(json!({}));
    role(
        &pair,
        "sub",
        json!({"allowed_domains": "example.com", "allow_subdomains": true}),
    );
    role(
        &pair,
        "wide",
        json!({
            "allow_any_name": true, "allowed_uri_sans": "spiffe://example.com/*,urn:*", "allowed_other_sans": "*",
            "allowed_serial_numbers": "a*", "allowed_user_ids": "bob,x*", "require_cn": false,
        }),
    );
    role(
        &pair,
        "narrow",
        json!({
            "allow_any_name": true, "allow_ip_sans": false,
            "allowed_other_sans": "1.3.6.1.4.1.311.20.2.3;UTF8:*@example.com",
        }),
    );
    role(
        &pair,
        "cidr",
        json!({"allow_any_name": true, "allowed_ip_sans_cidr": "10.0.0.0/8"}),
    );
    role(
        &pair,
        "nocn",
        json!({"allow_any_name": true, "cn_validations": "disabled"}),
    );
    role(
        &pair,
        "mail",
        json!({"allow_any_name": true, "cn_validations": "email"}),
    );
    role(
        &pair,
        "host",
        json!({"allow_any_name": true, "cn_validations": "hostname"}),
    );
    let requests = [
        json!({"alt_names": "b.example.com,c.example.com"}),
        json!({"alt_names": "b.example.org"}),
        json!({"alt_names": "u@example.com"}),
        json!({"alt_names": "a.example.com."}),
        json!({"alt_names": "*."}),
        json!({"ip_sans": "10.1.2.3,::1"}),
        json!({"ip_sans": "11.2.3.4"}),
        json!({"ip_sans": ["abc"]}),
        json!({"uri_sans": "spiffe://example.com/a"}),
        json!({"uri_sans": "https://example.org/"}),
        json!({"uri_sans": "urn:x, urn:y"}),
        json!({"uri_sans": "%zz://"}),
        json!({"other_sans": "1.3.6.1.4.1.311.20.2.3;UTF8:u@example.com"}),
        json!({"other_sans": "1.3.6.1.4.1.311.20.2.3;utf-8:u@example.org"}),
        json!({"other_sans": "1.2.3"}),
        json!({"other_sans": "1.2.3;UTF8:x"}),
        json!({"serial_number": "abc"}),
        json!({"serial_number": 77}),
        json!({"user_ids": "bob"}),
        json!({"user_ids": ["alice"]}),
        json!({"exclude_cn_from_sans": true}),
        json!({"exclude_cn_from_sans": "true", "alt_names": "b.example.com"}),
        json!({"common_name": "", "alt_names": "b.example.com"}),
        json!({"common_name": "u@example.com"}),
        json!({"common_name": "not a host"}),
    ];
    for name in ["sub", "wide", "narrow", "cidr", "nocn", "mail", "host"] {
        for request in &requests {
            let mut body = json!({"common_name": "a.example.com"});
            super::merge(&mut body, request.clone());
            pair.same("POST", &format!("issue/{name}"), body);
        }
    }
    pair.finish();
}

#[test]
fn formats_and_fields_are_answered_alike() {
    let mut pair = with_root(json!({}));
    role(&pair, "ec", json!({"allow_any_name": true}));
    role(
        &pair,
        "rsa",
        json!({"allow_any_name": true, "key_type": "rsa"}),
    );
    role(
        &pair,
        "ed",
        json!({"allow_any_name": true, "key_type": "ed25519"}),
    );
    role(
        &pair,
        "any",
        json!({"allow_any_name": true, "key_type": "any"}),
    );
    role(
        &pair,
        "lease",
        json!({"allow_any_name": true, "generate_lease": true, "ttl": "1h"}),
    );
    role(
        &pair,
        "nostore",
        json!({"allow_any_name": true, "no_store": true}),
    );
    role(
        &pair,
        "bits",
        json!({"allow_any_name": true, "signature_bits": 512}),
    );
    for name in [
        "ec", "rsa", "ed", "any", "lease", "nostore", "bits", "missing",
    ] {
        for format in ["pem", "der", "pem_bundle", "PEM", ""] {
            if name != "ec" && format == "PEM" {
                continue;
            }
            pair.same(
                "POST",
                &format!("issue/{name}"),
                json!({"common_name": "a.example.com", "format": format}),
            );
        }
    }
    for key in ["der", "pem", "pkcs8", "zz"] {
        for name in ["ec", "rsa", "ed"] {
            pair.same(
                "POST",
                &format!("issue/{name}"),
                json!({"common_name": "a.example.com", "private_key_format": key}),
            );
        }
    }
    for key in [
        json!({"key_type": "ec"}),
        json!({"key_type": "ec", "key_bits": 384}),
        json!({"key_bits": 256}),
    ] {
        for name in ["any", "ec"] {
            let mut body = json!({"common_name": "a.example.com"});
            super::merge(&mut body, key.clone());
            pair.same("POST", &format!("issue/{name}"), body);
        }
    }
    pair.same(
        "POST",
        "issue/ec",
        json!({"common_name": "a.example.com", "remove_roots_from_chain": true}),
    );
    pair.same(
        "POST",
        "issue/ec",
        json!({"common_name": "a.example.com", "role": "x", "issuer_ref": "nope", "zz": 1}),
    );
    pair.same(
        "POST",
        "issuer/default/issue/ec",
        json!({"common_name": "a.example.com"}),
    );
    pair.same(
        "POST",
        "issuer/root/issue/ec",
        json!({"common_name": "a.example.com"}),
    );
    pair.same(
        "POST",
        "issuer/nope/issue/ec",
        json!({"common_name": "a.example.com"}),
    );
    pair.same("POST", "issue/ec", json!({"common_name": ["a"]}));
    pair.same("POST", "issue/ec", json!({"common_name": 5}));
    pair.same(
        "POST",
        "issue/ec",
        json!({"exclude_cn_from_sans": "zz", "common_name": "a"}),
    );
    pair.same("POST", "issue/ec", json!({}));
    pair.same("GET", "issue/ec", Value::Null);
    pair.same("DELETE", "issue/ec", Value::Null);
    pair.finish();
}

#[test]
fn validity_follows_the_same_rules() {
    let mut pair = with_root(json!({}));
    role(&pair, "open", json!({"allow_any_name": true}));
    role(
        &pair,
        "tight",
        json!({"allow_any_name": true, "ttl": "1h", "max_ttl": "2h"}),
    );
    role(
        &pair,
        "fixed",
        json!({"allow_any_name": true, "not_after": "2026-12-31T00:00:00Z"}),
    );
    role(
        &pair,
        "forbid",
        json!({"allow_any_name": true, "not_after_bound": "forbid", "not_before_bound": "forbid"}),
    );
    role(
        &pair,
        "limited",
        json!({"allow_any_name": true, "ttl": "1h", "not_after_bound": "ttl-limited", "not_before_bound": "duration"}),
    );
    role(
        &pair,
        "stamp",
        json!({"allow_any_name": true, "not_after_bound": "2027-01-01T00:00:00Z"}),
    );
    let requests = [
        json!({}),
        json!({"ttl": "30m"}),
        json!({"ttl": "3h"}),
        json!({"ttl": "90000h"}),
        json!({"ttl": 0}),
        json!({"ttl": "-1h"}),
        json!({"ttl": "zz"}),
        json!({"not_after": "2027-06-01T00:00:00Z"}),
        json!({"not_after": "2099-06-01T00:00:00Z"}),
        json!({"not_after": "2020-06-01T00:00:00Z"}),
        json!({"not_after": ""}),
        json!({"not_after": "junk"}),
        json!({"not_after": "2027-06-01T00:00:00Z", "ttl": "1h"}),
        json!({"not_before": "2026-11-01T00:00:00Z"}),
        json!({"not_before": "2098-11-01T00:00:00Z"}),
        json!({"not_before": ""}),
    ];
    for name in ["open", "tight", "fixed", "forbid", "limited", "stamp"] {
        for request in &requests {
            let mut body = json!({"common_name": "a.example.com"});
            super::merge(&mut body, request.clone());
            pair.same("POST", &format!("issue/{name}"), body);
        }
    }
    for behaviour in ["truncate", "permit", "err"] {
        pair.same(
            "PATCH",
            "issuer/default",
            json!({"leaf_not_after_behavior": behaviour}),
        );
        pair.same(
            "POST",
            "issue/open",
            json!({"common_name": "a.example.com", "ttl": "80000h"}),
        );
    }
    pair.finish();
}

#[test]
fn requests_to_sign_are_judged_alike() {
    let mut pair = with_root(json!({}));
    role(
        &pair,
        "csr",
        json!({"allowed_domains": "example.com", "allow_subdomains": true}),
    );
    role(
        &pair,
        "api",
        json!({"allowed_domains": "example.com", "allow_subdomains": true,
        "use_csr_common_name": false, "use_csr_sans": false}),
    );
    role(
        &pair,
        "rsa",
        json!({"allow_any_name": true, "key_type": "rsa"}),
    );
    role(
        &pair,
        "p384",
        json!({"allow_any_name": true, "key_bits": 384}),
    );
    role(
        &pair,
        "any",
        json!({"allow_any_name": true, "key_type": "any"}),
    );
    let openssl = Openssl::new();
    let good = openssl.csr("a.example.com");
    let foreign = openssl.csr("a.example.org");
    let mut broken = good.clone();
    // One letter within the signature, at the end of the text.
    let at = broken.len() - 60;
    let other = if broken.as_bytes()[at] == b'A' {
        "B"
    } else {
        "A"
    };
    broken.replace_range(at..=at, other);
    let requests = [
        json!({"csr": good}),
        json!({"csr": foreign}),
        json!({"csr": broken}),
        json!({"csr": good.trim()}),
        json!({"csr": good, "common_name": "b.example.com", "alt_names": "c.example.com"}),
        json!({"csr": good, "format": "der"}),
        json!({"csr": good, "format": "pem_bundle"}),
        json!({"csr": good, "not_before": "2026-11-01T00:00:00Z"}),
        json!({"csr": ""}),
        json!({"csr": "junk"}),
        json!({"common_name": "a.example.com"}),
    ];
    for name in ["csr", "api", "rsa", "p384", "any", "missing"] {
        for request in &requests {
            pair.same("POST", &format!("sign/{name}"), request.clone());
        }
    }
    for request in &requests {
        pair.same("POST", "sign-verbatim", request.clone());
        pair.same("POST", "sign-verbatim/csr", request.clone());
    }
    pair.same(
        "POST",
        "sign-verbatim",
        json!({"csr": good, "issuer_ref": "nope"}),
    );
    pair.same(
        "POST",
        "sign-verbatim",
        json!({"csr": good, "issuer_ref": ""}),
    );
    // Nothing becomes of a start here, whatever it is.
    pair.same(
        "POST",
        "sign-verbatim",
        json!({"csr": good, "not_before": "junk"}),
    );
    for subject in ["/CN=a.example.com.", "/CN=u@*.example.com"] {
        let csr = openssl.csr_with(subject, &[]);
        pair.same("POST", "sign-verbatim", json!({"csr": csr}));
    }
    pair.same(
        "POST",
        "root/sign-intermediate",
        json!({"csr": good, "common_name": "x", "issuer_ref": ""}),
    );
    pair.same("POST", "sign-verbatim/missing", json!({"csr": good}));
    pair.same("POST", "issuer/default/sign/csr", json!({"csr": good}));
    pair.same("POST", "issuer/default/sign-verbatim", json!({"csr": good}));
    pair.finish();
}

#[test]
fn without_a_ca_the_error_is_the_one_terraform_waits_for() {
    let mut pair = Pair::new();
    role(&pair, "one", json!({"allow_any_name": true}));
    pair.same("POST", "issue/one", json!({"common_name": "a.example.com"}));
    pair.same("POST", "sign/one", json!({"csr": "x"}));
    pair.same("POST", "sign-verbatim", json!({"csr": "x"}));
    pair.same(
        "POST",
        "root/sign-intermediate",
        json!({"csr": "x", "common_name": "x"}),
    );
    pair.finish();
}
