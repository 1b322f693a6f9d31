//! The calls: what each job needs, and what nobody may.

use serde_json::{Value, json};

use crate::support::{Client, Reply};

/// A call: method, path, body; who may make it; and the engine's answer, where the caller may ask and what is asked for is not to be had here.
pub(super) struct Call {
    pub(super) method: &'static str,
    pub(super) path: String,
    pub(super) body: Value,
    pub(super) jobs: &'static [&'static str],
    pub(super) answers: Option<u16>,
}

fn call(method: &'static str, path: &str, body: Value, jobs: &'static [&'static str]) -> Call {
    Call {
        method,
        path: path.to_owned(),
        body,
        jobs,
        answers: None,
    }
}

impl Call {
    /// The right is there; what it asks for is refused for another reason.
    fn answers(mut self, status: u16) -> Self {
        self.answers = Some(status);
        self
    }

    pub(super) fn send(&self, client: &Client) -> Reply {
        let body = (self.method == "POST" || self.method == "PATCH").then(|| self.body.clone());
        client.call(self.method, &self.path, body)
    }
}

const OPERATOR: &[&str] = &["operator"];
const AUDITOR: &[&str] = &["auditor"];
const BOTH: &[&str] = &["operator", "auditor"];
const SEALER: &[&str] = &["sealer"];
const NODE: &[&str] = &["node"];
const AGENT: &[&str] = &["agent"];
const NOBODY: &[&str] = &[];

/// What the calls are about.
pub(super) struct Things {
    pub(super) csr: String,
    pub(super) serial: String,
    pub(super) issuer: String,
    pub(super) key: String,
    pub(super) accessor: String,
}

pub(super) fn of_the_ca(things: &Things) -> Vec<Call> {
    let Things {
        csr,
        serial,
        issuer,
        key,
        ..
    } = things;
    let root = json!({"common_name": "Another root", "key_type": "ec", "ttl": "100h"});
    let named = json!({"common_name": "Another root", "issuer_name": "another", "key_type": "ec", "ttl": "100h"});
    let kms = json!({"common_name": "In AWS KMS", "kms_key_id": "alias/none"});
    let sign = json!({"csr": csr, "common_name": "node-1"});
    let own = |name: &str| format!("pki/{name}");
    let mut calls = vec![
        call("LIST", "pki/roles", Value::Null, BOTH),
        call("GET", "pki/roles/hybrid-node", Value::Null, BOTH),
        call(
            "POST",
            "pki/roles/other",
            json!({"allowed_domains": "other.example"}),
            OPERATOR,
        ),
        call("PATCH", "pki/roles/other", json!({"ttl": "1h"}), OPERATOR),
        call("DELETE", "pki/roles/other", Value::Null, OPERATOR),
        call("POST", "pki/root/generate/internal", named, OPERATOR),
        call("POST", "pki/issuer/another/revoke", json!({}), OPERATOR),
        call("POST", "pki/root/rotate/internal", root.clone(), OPERATOR),
        // No AWS is configured on this mount: the engine says so, to who may ask.
        call("POST", "pki/root/generate/kms", kms.clone(), OPERATOR).answers(400),
        call("POST", "pki/root/rotate/kms", kms.clone(), OPERATOR).answers(400),
        call("POST", "pki/intermediate/generate/kms", kms, OPERATOR).answers(400),
        call(
            "POST",
            "pki/root/replace",
            json!({"default": issuer}),
            OPERATOR,
        ),
        call(
            "POST",
            "pki/intermediate/generate/internal",
            json!({"common_name": "Sub", "key_type": "ec"}),
            OPERATOR,
        ),
        call(
            "POST",
            "pki/intermediate/set-signed",
            json!({"certificate": "no certificate"}),
            OPERATOR,
        )
        .answers(400),
        call("GET", "pki/issuer/default", Value::Null, BOTH),
        call(
            "POST",
            &own(&format!("issuer/{issuer}")),
            json!({"issuer_name": "nodes"}),
            OPERATOR,
        ),
        call(
            "PATCH",
            &own(&format!("issuer/{issuer}")),
            json!({"issuer_name": "nodes"}),
            OPERATOR,
        ),
        call("LIST", "pki/keys", Value::Null, BOTH),
        call("GET", &own(&format!("key/{key}")), Value::Null, BOTH),
        call(
            "POST",
            &own(&format!("key/{key}")),
            json!({"key_name": "nodes"}),
            OPERATOR,
        ),
        call(
            "GET",
            "pki/seal/status",
            Value::Null,
            &["operator", "auditor", "monitoring"],
        ),
        call("GET", "pki/metrics", Value::Null, &["monitoring"]),
        call("POST", "pki/seal/migrate", json!({}), OPERATOR),
        call("LIST", "pki/certs", Value::Null, BOTH),
        call("LIST", "pki/certs/detailed", Value::Null, BOTH),
        call(
            "POST",
            "pki/revoke",
            json!({"serial_number": serial}),
            OPERATOR,
        ),
        call("GET", "pki/crl/rotate", Value::Null, OPERATOR),
        call("GET", "pki/crl/rotate-delta", Value::Null, OPERATOR),
        call("POST", "pki/sign/hybrid-node", sign.clone(), NODE),
        // The login that this node has proves no name to these two.
        call("POST", "pki/sign/hybrid-node-cert", sign.clone(), NODE).answers(400),
        call(
            "POST",
            "pki/sign/hybrid-node-kubernetes",
            sign.clone(),
            NODE,
        )
        .answers(400),
        call(
            "POST",
            "pki/issue/service",
            json!({"common_name": "service.example.com"}),
            AGENT,
        ),
        // What goes around the roles, brings keys in or takes them out, or ends a CA.
        call("POST", "pki/sign/service", sign.clone(), NOBODY),
        call(
            "POST",
            "pki/issue/hybrid-node",
            json!({"common_name": "node-1"}),
            NOBODY,
        ),
        call("POST", "pki/sign-verbatim", sign.clone(), NOBODY),
        call(
            "POST",
            "pki/sign-verbatim/hybrid-node",
            sign.clone(),
            NOBODY,
        ),
        call(
            "POST",
            "pki/issuer/default/sign/hybrid-node",
            sign.clone(),
            NOBODY,
        ),
        call(
            "POST",
            "pki/issuer/default/issue/service",
            json!({"common_name": "service.example.com"}),
            NOBODY,
        ),
        call(
            "POST",
            "pki/issuer/default/sign-verbatim",
            sign.clone(),
            NOBODY,
        ),
        call(
            "POST",
            "pki/issuer/default/sign-intermediate",
            sign.clone(),
            NOBODY,
        ),
        call("POST", "pki/root/sign-intermediate", sign, NOBODY),
        call(
            "POST",
            "pki/root/sign-self-issued",
            json!({"certificate": "x"}),
            NOBODY,
        ),
        call("POST", "pki/root/generate/exported", root.clone(), NOBODY),
        call("POST", "pki/root/rotate/exported", root.clone(), NOBODY),
        call("POST", "pki/issuers/generate/root/exported", root, NOBODY),
        call(
            "POST",
            "pki/intermediate/generate/exported",
            json!({"common_name": "Sub"}),
            NOBODY,
        ),
        call(
            "POST",
            "pki/issuers/import/bundle",
            json!({"pem_bundle": "x"}),
            NOBODY,
        ),
        call("POST", "pki/config/ca", json!({"pem_bundle": "x"}), NOBODY),
        call(
            "POST",
            "pki/keys/import",
            json!({"pem_bundle": "x"}),
            NOBODY,
        ),
        call("POST", "pki/keys/generate/exported", json!({}), NOBODY),
        call("DELETE", "pki/issuer/nodes", Value::Null, NOBODY),
        call("DELETE", "pki/key/nodes", Value::Null, NOBODY),
        call("DELETE", "pki/root", Value::Null, NOBODY),
    ];
    for (name, body) in [
        ("crl", json!({"expiry": "48h"})),
        (
            "urls",
            json!({"issuing_certificates": "http://ca.example.com/ca"}),
        ),
        ("issuers", json!({"default": issuer})),
        ("keys", json!({"default": key})),
        ("cluster", json!({"path": "https://bao.example.com/v1/pki"})),
        ("kms", json!({"region": "eu-central-1"})),
        ("seal", json!({"type": "none"})),
        ("auto-tidy", json!({"enabled": false})),
        ("acme", json!({"enabled": false})),
        ("acme-validation", json!({"networks": "private"})),
    ] {
        let path = format!("pki/config/{name}");
        calls.push(call("POST", &path, body, OPERATOR));
        calls.push(call("GET", &path, Value::Null, BOTH));
    }
    // Who has an external account may order certificates: an operator gives it out, and for a role only.
    calls.push(call(
        "POST",
        "pki/roles/nodes/acme/new-eab",
        json!({}),
        OPERATOR,
    ));
    calls.push(call("POST", "pki/acme/new-eab", json!({}), NOBODY));
    calls.push(call("LIST", "pki/eab", Value::Null, OPERATOR));
    calls.push(call(
        "DELETE",
        "pki/eab/00000000-0000-0000-0000-000000000000",
        Value::Null,
        OPERATOR,
    ));
    for name in ["kms", "seal"] {
        calls.push(call(
            "DELETE",
            &format!("pki/config/{name}"),
            Value::Null,
            OPERATOR,
        ));
    }
    calls
}

pub(super) fn of_mounts_and_logins(things: &Things) -> Vec<Call> {
    let role = |body: Value| call("POST", "auth/approle/role/node-2", body, OPERATOR);
    let never = |path: &str, body: Value| call("POST", path, body, NOBODY);
    vec![
        call("GET", "sys/mounts", Value::Null, BOTH),
        call("GET", "sys/mounts/pki", Value::Null, BOTH),
        call("GET", "sys/mounts/pki/tune", Value::Null, BOTH),
        call("GET", "sys/mounts/secret", Value::Null, AUDITOR),
        // It is mounted, so that there is nothing left to do.
        call(
            "POST",
            "sys/mounts/pki",
            json!({"type": "landfast", "config": {"max_lease_ttl": "8760h"}}),
            OPERATOR,
        )
        .answers(400),
        never("sys/mounts/pki", json!({"type": "kv"})),
        never(
            "sys/mounts/pki",
            json!({"type": "landfast", "options": {"use_server_identity": "true"}}),
        ),
        never("sys/mounts/other", json!({"type": "landfast"})),
        call(
            "POST",
            "sys/mounts/pki/tune",
            json!({"max_lease_ttl": "87600h"}),
            OPERATOR,
        ),
        never(
            "sys/mounts/pki/tune",
            json!({"options": {"use_server_identity": "true"}}),
        ),
        never("sys/mounts/secret/tune", json!({"max_lease_ttl": "87600h"})),
        call("DELETE", "sys/mounts/pki", Value::Null, NOBODY),
        call(
            "POST",
            "sys/plugins/reload/backend",
            json!({"mounts": ["pki/"]}),
            OPERATOR,
        ),
        never("sys/plugins/reload/backend", json!({"mounts": ["secret/"]})),
        never("sys/plugins/reload/backend", json!({"plugin": "kv"})),
        call("LIST", "auth/approle/role", Value::Null, BOTH),
        role(json!({"token_policies": "node", "token_ttl": "5m"})),
        role(json!({"token_policies": ["node"]})),
        call("GET", "auth/approle/role/node-2", Value::Null, BOTH),
        // No other policy, by whatever name the field goes.
        never(
            "auth/approle/role/node-2",
            json!({"token_policies": "operator"}),
        ),
        never(
            "auth/approle/role/node-2",
            json!({"token_policies": ["node", "operator"]}),
        ),
        never("auth/approle/role/node-2", json!({"policies": "operator"})),
        never(
            "auth/approle/role/node-2/token-policies",
            json!({"token_policies": "operator"}),
        ),
        never(
            "auth/approle/role/node-2/policies",
            json!({"policies": "operator"}),
        ),
        never(
            "auth/approle/role/node-2",
            json!({"token_policies": "node", "bind_secret_id": false}),
        ),
        never(
            "auth/approle/role/node-2",
            json!({"token_policies": "node", "token_period": "24h"}),
        ),
        // Nor a login as somebody else.
        never("auth/approle-services/role/machine-1/secret-id", json!({})),
        never(
            "auth/approle-services/role/machine-1",
            json!({"token_policies": "node"}),
        ),
        never(
            "auth/approle/role/node-2/custom-secret-id",
            json!({"secret_id": "well known"}),
        ),
        call(
            "GET",
            "auth/approle/role/node-2/role-id",
            Value::Null,
            OPERATOR,
        ),
        call(
            "POST",
            "auth/approle/role/node-2/secret-id",
            json!({}),
            OPERATOR,
        ),
        call(
            "LIST",
            "auth/approle/role/node-2/secret-id",
            Value::Null,
            OPERATOR,
        ),
        call(
            "POST",
            "auth/approle/role/node-2/secret-id-accessor/destroy",
            json!({"secret_id_accessor": things.accessor}),
            OPERATOR,
        ),
        call(
            "POST",
            "auth/approle/role/node-2/secret-id/destroy",
            json!({"secret_id": "unknown"}),
            OPERATOR,
        ),
        call("DELETE", "auth/approle/role/node-2", Value::Null, OPERATOR),
        call("LIST", "auth/cert/certs", Value::Null, AUDITOR),
        call("GET", "auth/cert/certs/nodes", Value::Null, AUDITOR),
        never("auth/cert/certs/nodes", json!({"certificate": "x"})),
        call("LIST", "auth/kubernetes/role", Value::Null, AUDITOR),
        call("GET", "auth/kubernetes/role/node", Value::Null, AUDITOR),
        call("GET", "auth/kubernetes/config", Value::Null, NOBODY),
        call("GET", "sys/auth", Value::Null, BOTH),
        call("GET", "sys/auth/approle/tune", Value::Null, AUDITOR),
        never("sys/auth/userpass", json!({"type": "userpass"})),
        call("GET", "secret/data/services/service", Value::Null, AGENT),
        call("GET", "secret/data/other", Value::Null, NOBODY),
        call("LIST", "secret/metadata/services", Value::Null, NOBODY),
        never("secret/data/services/service", json!({"data": {"a": "b"}})),
    ]
}

pub(super) fn of_the_server() -> Vec<Call> {
    let never = |method: &'static str, path: &str| call(method, path, json!({}), NOBODY);
    vec![
        call("LIST", "sys/policies/acl", Value::Null, AUDITOR),
        call("GET", "sys/policies/acl/operator", Value::Null, AUDITOR),
        call(
            "POST",
            "sys/policies/acl/operator",
            json!({"policy": "path \"*\" { capabilities = [\"sudo\"] }"}),
            NOBODY,
        ),
        call("LIST", "identity/entity/id", Value::Null, AUDITOR),
        call("GET", "identity/entity/id/ENTITY", Value::Null, AUDITOR),
        never("POST", "identity/entity/id/ENTITY"),
        call("GET", "sys/audit", Value::Null, AUDITOR),
        call(
            "POST",
            "sys/audit-hash/file",
            json!({"input": "node-1"}),
            AUDITOR,
        ),
        call(
            "GET",
            "sys/config/auditing/request-headers",
            Value::Null,
            AUDITOR,
        ),
        never("POST", "sys/config/auditing/request-headers/x"),
        never("DELETE", "sys/audit/file"),
        call("GET", "sys/plugins/catalog", Value::Null, AUDITOR),
        call("LIST", "sys/plugins/catalog/secret", Value::Null, AUDITOR),
        call(
            "GET",
            "sys/plugins/catalog/secret/landfast?version=v0.1.0",
            Value::Null,
            AUDITOR,
        ),
        never("POST", "sys/plugins/catalog/secret/landfast"),
        never("DELETE", "sys/plugins/catalog/secret/landfast"),
        call("GET", "sys/config/state/sanitized", Value::Null, AUDITOR),
        call(
            "GET",
            "sys/storage/raft/configuration",
            Value::Null,
            &["auditor", "monitoring"],
        ),
        call(
            "GET",
            "sys/storage/raft/autopilot/state",
            Value::Null,
            &["monitoring"],
        ),
        call("GET", "sys/ha-status", Value::Null, &["monitoring"]),
        call(
            "GET",
            "sys/metrics?format=prometheus",
            Value::Null,
            &["monitoring"],
        ),
        call("GET", "sys/storage/raft/snapshot", Value::Null, &["backup"]),
        never("POST", "sys/storage/raft/snapshot"),
        never("POST", "sys/storage/raft/snapshot-force"),
        never("POST", "sys/storage/raft/remove-peer"),
        call("GET", "sys/key-status", Value::Null, &["auditor", "sealer"]),
        call("POST", "sys/rotate", json!({}), SEALER),
        call("POST", "sys/rotate/keyring", json!({}), SEALER),
        never("POST", "sys/rotate/root"),
        call(
            "POST",
            "sys/rotate/recovery/init",
            json!({"secret_shares": 1, "secret_threshold": 1, "require_verification": true}),
            SEALER,
        ),
        call("GET", "sys/rotate/recovery/init", Value::Null, SEALER),
        // The nonce is nobody's.
        call(
            "POST",
            "sys/rotate/recovery/update",
            json!({"key": "AAAA", "nonce": "none"}),
            SEALER,
        )
        .answers(400),
        call(
            "POST",
            "sys/rotate/recovery/verify",
            json!({"key": "AAAA", "nonce": "none"}),
            SEALER,
        )
        .answers(400),
        call("DELETE", "sys/rotate/recovery/init", Value::Null, SEALER),
        never("POST", "sys/rotate/root/init"),
        never("GET", "sys/rotate/recovery/backup"),
        never("GET", "sys/raw/core/keyring"),
        never("POST", "auth/token/create"),
        never("POST", "auth/token/create-orphan"),
        never("LIST", "auth/token/accessors"),
        never("POST", "sys/remount"),
        never("POST", "sys/leases/revoke-prefix/pki"),
        never("POST", "sys/quotas/rate-limit/pki"),
        never("GET", "sys/config/cors"),
        never("POST", "sys/external-keys/configs/aws"),
        // The last two: the server gives up its place, and closes.
        call("POST", "sys/step-down", json!({}), SEALER),
        call("POST", "sys/seal", json!({}), SEALER),
    ]
}
