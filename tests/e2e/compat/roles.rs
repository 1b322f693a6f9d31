//! Roles: defaults, every field, replacement and merge, lists, refusals.

use serde_json::{Value, json};

use crate::support::Pair;

#[test]
fn a_role_reads_back_as_the_built_in_writes_it() {
    let mut pair = Pair::new();
    let roles = [
        json!({}),
        json!({"allowed_domains": "example.com, b.example.com", "allow_subdomains": true}),
        json!({"allowed_domains": ["a", "b,c"], "allow_bare_domains": "true", "allow_glob_domains": 1}),
        json!({"key_type": "ec"}),
        json!({"key_type": "ec", "key_bits": 384, "signature_bits": 512}),
        json!({"key_type": "ed25519"}),
        json!({"key_type": "any"}),
        json!({"key_type": "rsa", "key_bits": "4096", "use_pss": true}),
        json!({"ttl": "24h", "max_ttl": "72h", "not_before_duration": "5m"}),
        json!({"ttl": 3600, "max_ttl": "7200"}),
        json!({"ttl": "1d", "max_ttl": "10d"}),
        json!({"ttl": "", "max_ttl": null}),
        json!({"not_after": "2035-01-02T03:04:05Z", "not_after_bound": "ttl-limited"}),
        json!({"not_after_bound": "forbid", "not_before_bound": "duration"}),
        json!({"not_after_bound": "2035-01-02T03:04:05Z"}),
        json!({"key_usage": "DigitalSignature,keyEncipherment,Nonsense"}),
        json!({"key_usage": []}),
        json!({"key_usage": ""}),
        json!({"ext_key_usage": "serverauth, TimeStamping", "ext_key_usage_oids": ["1.3.6.1.4.1.1"]}),
        json!({"server_flag": false, "client_flag": false, "code_signing_flag": true, "email_protection_flag": true}),
        json!({"ou": "a,b", "organization": ["Example, Ltd"], "country": "AT", "locality": "Linz",
               "province": "OÖ", "street_address": "Way 1", "postal_code": 4020}),
        json!({"allow_ip_sans": false, "allowed_ip_sans_cidr": "10.0.0.0/8,fd00::/8"}),
        json!({"allowed_uri_sans": "spiffe://example.com/*", "allowed_uri_sans_template": true}),
        json!({"allowed_other_sans": "1.3.6.1.4.1.311.20.2.3;UTF8:*@example.com"}),
        json!({"allowed_other_sans": "*"}),
        json!({"allowed_serial_numbers": ["a*", "b"], "allowed_user_ids": "bob,*"}),
        json!({"policy_identifiers": ["1.2.3.4", "2.5.29.32.0"]}),
        json!({"policy_identifiers": {}}),
        json!({"policy_identifiers": "[{\"oid\": \"1.2.3.4\", \"cps\": \"https://example.com/cps\"}]"}),
        json!({"cn_validations": "disabled"}),
        json!({"cn_validations": ["hostname"]}),
        json!({"no_store": true, "generate_lease": true}),
        json!({"generate_lease": true}),
        json!({"issuer_ref": "elsewhere"}),
        json!({"require_cn": false, "use_csr_common_name": false, "use_csr_sans": false}),
        json!({"basic_constraints_valid_for_non_ca": true, "enforce_hostnames": false}),
        json!({"allow_any_name": true, "allow_wildcard_certificates": false, "allow_localhost": false}),
        json!({"allowed_domains": "{{identity.entity.name}}", "allowed_domains_template": true,
               "allow_globs_in_identity_templates": true}),
        json!({"allow_token_displayname": true}),
        json!({"unheard_of": 1, "name": "other"}),
    ];
    for role in roles {
        pair.same("POST", "roles/one", role);
        pair.same("GET", "roles/one", Value::Null);
    }
    pair.finish();
}

#[test]
fn a_post_replaces_and_a_patch_merges() {
    let mut pair = Pair::new();
    let first = json!({"allowed_domains": "example.com", "ttl": "1h", "max_ttl": "2h", "ou": "x", "key_type": "ec"});
    pair.same("POST", "roles/one", first);
    pair.same(
        "PATCH",
        "roles/one",
        json!({"ou": ["y", "z"], "ttl": "30m"}),
    );
    pair.same("GET", "roles/one", Value::Null);
    pair.same(
        "PATCH",
        "roles/one",
        json!({"key_type": "rsa", "key_bits": 3072}),
    );
    pair.same("PATCH", "roles/one", json!({"max_ttl": "1m"}));
    pair.same(
        "PATCH",
        "roles/one",
        json!({"no_store": true, "generate_lease": true}),
    );
    pair.same("PATCH", "roles/one", json!({}));
    pair.same("GET", "roles/one", Value::Null);
    pair.same("POST", "roles/one", json!({"ou": "only"}));
    pair.same("GET", "roles/one", Value::Null);
    pair.same("PATCH", "roles/missing", json!({"ou": "a"}));
    pair.finish();
}

#[test]
fn lists_have_pages_and_missing_roles_are_not_found() {
    let mut pair = Pair::new();
    pair.same("LIST", "roles", Value::Null);
    pair.same("GET", "roles/none", Value::Null);
    pair.same("DELETE", "roles/none", Value::Null);
    for name in ["b", "a", "c-1", "c.2", "d_3"] {
        pair.same("PUT", &format!("roles/{name}"), json!({}));
    }
    for path in [
        "roles",
        "roles/",
        "roles?after=a",
        "roles?limit=2",
        "roles?after=b&limit=1",
        "roles?limit=-1",
        "roles?limit=x",
    ] {
        pair.same("LIST", path, Value::Null);
    }
    pair.same("GET", "roles?list=true", Value::Null);
    pair.same("DELETE", "roles/a", Value::Null);
    pair.same("LIST", "roles", Value::Null);
    pair.finish();
}

#[test]
fn a_role_that_cannot_be_is_refused_in_the_same_words() {
    let mut pair = Pair::new();
    let refused = [
        json!({"key_type": "rsa", "key_bits": 1024}),
        json!({"key_type": "rsa", "key_bits": 2049}),
        json!({"key_type": "ec", "key_bits": 512}),
        json!({"key_type": "foo"}),
        json!({"key_bits": "many"}),
        json!({"key_bits": 2048.7}),
        json!({"ttl": "3h", "max_ttl": "2h"}),
        json!({"ttl": "2h", "max_ttl": "2h"}),
        json!({"ttl": "zz"}),
        json!({"ttl": -3600}),
        json!({"ttl": [1]}),
        json!({"max_ttl": "-1h"}),
        json!({"not_before_duration": {}}),
        json!({"allow_any_name": "maybe"}),
        json!({"allow_any_name": ""}),
        json!({"allow_any_name": []}),
        json!({"allow_any_name": 2}),
        json!({"allow_any_name": null}),
        json!({"allowed_domains": [1, true]}),
        json!({"allowed_domains": 7}),
        json!({"allowed_domains": null}),
        json!({"issuer_ref": ["x"]}),
        json!({"issuer_ref": 5}),
        json!({"issuer_ref": ""}),
        json!({"allowed_ip_sans_cidr": "10.0.0.0"}),
        json!({"allowed_other_sans": "1.2.3"}),
        json!({"allowed_other_sans": "1.2.3;INT:4"}),
        json!({"ext_key_usage_oids": "1.2.x"}),
        json!({"not_after_bound": "never"}),
        json!({"not_before_bound": "never"}),
        json!({"not_after": "junk"}),
        json!({"signature_bits": 17}),
    ];
    for role in refused {
        pair.same("POST", "roles/one", role);
    }
    for path in [
        "roles/a b",
        "roles/-a",
        "roles/a-",
        "roles/a/b",
        "roles/ä",
        "roles/..",
        "roles/a%2fb",
    ] {
        pair.same("POST", path, json!({}));
        pair.same("GET", path, Value::Null);
    }
    pair.same("POST", "roles", json!({}));
    pair.same("DELETE", "roles", Value::Null);
    pair.same("PATCH", "roles", json!({}));
    pair.finish();
}
