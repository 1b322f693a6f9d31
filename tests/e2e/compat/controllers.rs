//! What controllers send, in the shapes of their sources: cert-manager 1.x (`internal/vault`), Terraform's provider for Vault
//! (`resource_pki_secret_backend_*`) and Consul's CA provider (`agent/connect/ca`). They send texts where others send flags, numbers or lists.

use serde_json::{Value, json};

use super::with_root;
use crate::support::{Openssl, Pair};

fn role(pair: &mut Pair, name: &str, role: Value) {
    pair.same("POST", &format!("roles/{name}"), role);
    pair.same("GET", &format!("roles/{name}"), Value::Null);
}

#[test]
fn cert_manager_is_answered_alike() {
    let mut pair = with_root(json!({}));
    let uris = json!({
        "allowed_domains": "example.com", "allow_subdomains": true, "allowed_uri_sans": "spiffe://cluster/*", "key_type": "any",
        "allow_ip_sans": true, "require_cn": false,
    });
    role(&mut pair, "web", uris);
    let openssl = Openssl::new();
    let sent = |name: &str, names: &str, ips: &str, uris: &str, ttl: &str| {
        json!({
            "common_name": name, "alt_names": names, "ip_sans": ips, "uri_sans": uris, "ttl": ttl,
            "csr": openssl.csr("a.example.com"), "exclude_cn_from_sans": "true",
        })
    };
    for body in [
        sent(
            "a.example.com",
            "a.example.com,b.example.com",
            "",
            "",
            "2160h0m0s",
        ),
        sent(
            "a.example.com",
            "",
            "10.0.0.1,::1",
            "spiffe://cluster/ns/default/sa/demo",
            "1h0m0s",
        ),
        sent("", "a.example.com", "", "", "1h0m0s"),
        sent("other.test", "other.test", "", "", "1h0m0s"),
        sent("a.example.com", "a.example.com", "no address", "", "1h0m0s"),
    ] {
        for path in [
            "sign/web",
            "issuer/root/sign/web",
            "sign/none",
            "sign-verbatim",
        ] {
            pair.same("POST", path, body.clone());
        }
    }
    pair.finish();
}

#[test]
fn terraform_is_answered_alike() {
    let mut pair = Pair::new();
    // vault_pki_secret_backend_root_cert sends what is set, and every flag.
    pair.same(
        "POST",
        "root/generate/internal",
        json!({
            "common_name": "Root", "ttl": "86400", "format": "pem", "private_key_format": "der", "key_type": "rsa", "key_bits": 2048,
            "exclude_cn_from_sans": true, "ou": "unit", "organization": "organisation", "alt_names": "", "ip_sans": "", "uri_sans": "",
            "other_sans": "", "max_path_length": -1, "permitted_dns_domains": "", "issuer_name": "root", "key_name": "",
        }),
    );
    let mut fields = json!({
        "allowed_domains": ["example.com"], "key_usage": ["DigitalSignature", "KeyEncipherment"], "ext_key_usage_oids": ["1.2.3.4"],
        "ext_key_usage": ["ServerAuth"], "ou": ["unit"], "organization": ["organisation"], "country": ["DE"], "locality": ["Berlin"],
        "province": ["Berlin"], "street_address": ["way 1"], "postal_code": ["10115"], "allowed_serial_numbers": ["*"],
        "ttl": "3600", "max_ttl": "7200", "key_type": "rsa", "key_bits": 2048, "signature_bits": 256, "not_before_duration": "45m",
        "issuer_ref": "default",
        "policy_identifiers": r#"[{"oid": "1.3.6.1.4.1.1.1", "cps": "https://example.com", "notice": "note"}]"#,
    });
    for flag in [
        "allow_localhost",
        "allow_subdomains",
        "enforce_hostnames",
        "allow_ip_sans",
        "allow_wildcard_certificates",
        "server_flag",
        "client_flag",
        "use_csr_common_name",
        "use_csr_sans",
        "require_cn",
    ] {
        fields[flag] = true.into();
    }
    for flag in [
        "allow_bare_domains",
        "allow_glob_domains",
        "allow_any_name",
        "allowed_domains_template",
        "allowed_uri_sans_template",
        "code_signing_flag",
        "email_protection_flag",
        "generate_lease",
        "no_store",
        "use_pss",
        "basic_constraints_valid_for_non_ca",
    ] {
        fields[flag] = false.into();
    }
    role(&mut pair, "web", fields);
    pair.same(
        "POST",
        "issue/web",
        json!({
            "common_name": "a.example.com", "format": "pem", "private_key_format": "der", "exclude_cn_from_sans": false, "ttl": "3600",
            "alt_names": "b.example.com", "ip_sans": "10.0.0.1", "uri_sans": "", "other_sans": "", "user_ids": "",
        }),
    );
    pair.same("POST", "config/urls", json!({
        "issuing_certificates": ["http://ca.test/ca"], "crl_distribution_points": ["http://ca.test/crl"], "ocsp_servers": [],
        "enable_templating": false,
    }));
    pair.same("GET", "config/urls", Value::Null);
    pair.same("POST", "config/crl", json!({
        "expiry": "72h", "disable": false, "auto_rebuild": true, "auto_rebuild_grace_period": "24h", "enable_delta": false,
        "delta_rebuild_interval": "18m", "ocsp_disable": false, "ocsp_expiry": "23h",
    }));
    pair.same("GET", "config/crl", Value::Null);
    pair.same("POST", "config/auto-tidy", json!({
        "enabled": true, "interval_duration": "12h", "tidy_cert_store": true, "tidy_revoked_certs": false, "safety_buffer": "72h",
        "pause_duration": "1s", "maintain_stored_certificate_counts": false, "publish_stored_certificate_count_metrics": false,
        "tidy_acme": false, "acme_account_safety_buffer": "720h", "tidy_expired_issuers": false, "issuer_safety_buffer": "8760h",
        "tidy_move_legacy_ca_bundle": false, "tidy_revoked_cert_issuer_associations": false, "tidy_cross_cluster_revoked_certs": false,
        "tidy_revocation_queue": false, "revocation_queue_safety_buffer": "48h",
    }));
    pair.same("GET", "config/auto-tidy", Value::Null);
    pair.same(
        "POST",
        "config/cluster",
        json!({"path": "http://ca.test/v1/pki", "aia_path": "http://ca.test/v1/pki"}),
    );
    pair.same("POST", "config/acme", json!({
        "enabled": true, "allowed_issuers": ["*"], "allowed_roles": ["*"], "allow_role_ext_key_usage": false,
        "default_directory_policy": "sign-verbatim", "dns_resolver": "", "eab_policy": "not-required", "max_ttl": "720h",
    }));
    pair.same("GET", "config/acme", Value::Null);
    pair.same("POST", "issuer/root", json!({
        "issuer_name": "root", "leaf_not_after_behavior": "truncate", "manual_chain": [], "usage": "read-only,issuing-certificates",
        "revocation_signature_algorithm": "", "issuing_certificates": [], "crl_distribution_points": [], "ocsp_servers": [],
        "enable_aia_url_templating": false,
    }));
    pair.same("GET", "issuer/root", Value::Null);
    pair.same("DELETE", "roles/web", Value::Null);
    pair.finish();
}

#[test]
fn consul_is_answered_alike() {
    let mut pair = Pair::new();
    pair.same(
        "POST",
        "root/generate/internal",
        json!({
            "common_name": "pri-1.vault.ca.11111111.consul", "uri_sans": "spiffe://11111111-2222-3333-4444-555555555555.consul",
            "key_type": "ec", "key_bits": 256, "ttl": "8760h0m0s",
        }),
    );
    role(
        &mut pair,
        "leaf-cert",
        json!({
            "allow_any_name": true, "allowed_uri_sans": "spiffe://*", "key_type": "any", "max_ttl": "72h0m0s", "no_store": true,
            "require_cn": false,
        }),
    );
    pair.same(
        "POST",
        "intermediate/generate/internal",
        json!({
            "common_name": "pri-1.vault.ca.11111111.consul", "key_type": "ec", "key_bits": 256,
            "uri_sans": "spiffe://11111111-2222-3333-4444-555555555555.consul",
        }),
    );
    let openssl = Openssl::new();
    let csr = openssl.csr("pri-1.vault.ca.11111111.consul");
    pair.same(
        "POST",
        "root/sign-intermediate",
        json!({"csr": csr, "use_csr_values": true, "format": "pem_bundle", "max_path_length": 0, "ttl": "720h0m0s"}),
    );
    pair.same(
        "POST",
        "sign/leaf-cert",
        json!({"csr": csr, "ttl": "72h0m0s"}),
    );
    for path in ["ca/pem", "cert/ca_chain", "issuers"] {
        let method = if path == "issuers" { "LIST" } else { "GET" };
        pair.same(method, path, Value::Null);
    }
    pair.finish();
}
