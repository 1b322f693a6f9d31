//! Settings of jobs that this engine does not do: they read as switched off, which is the truth, and cannot be written.

use serde_json::{Map, Value, json};

use landfast_sdk::logical::{Cx, Error, NoFields, Response};

use crate::mount::Shared;

/// `GET config/acme`: the ACME server is off.
pub(crate) async fn acme(_mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    Response::data(&json!({
        "enabled": false,
        "allowed_issuers": ["*"],
        "allowed_roles": ["*"],
        "allow_role_ext_key_usage": false,
        "default_directory_policy": "sign-verbatim",
        "dns_resolver": "",
        "eab_policy": "not-required",
    }))
}

/// `GET config/auto-tidy`: nothing is tidied by itself.
pub(crate) async fn auto_tidy(_mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    Response::data(&json!({
        "enabled": false,
        "interval_duration": 12 * HOUR,
        "tidy_cert_store": false,
        "tidy_revoked_certs": false,
        "tidy_invalid_certs": false,
        "tidy_revoked_cert_issuer_associations": false,
        "tidy_expired_issuers": false,
        "tidy_move_legacy_ca_bundle": false,
        "tidy_acme": false,
        "safety_buffer": 72 * HOUR,
        "revoked_safety_buffer": 72 * HOUR,
        "issuer_safety_buffer": 365 * 24 * HOUR,
        "acme_account_safety_buffer": 30 * 24 * HOUR,
        "pause_duration": "0s",
        "page_size": 1000,
        "maintain_stored_certificate_counts": false,
        "publish_stored_certificate_count_metrics": false,
    }))
}

/// `GET tidy-status`: no run yet.
pub(crate) async fn tidy_status(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    let mut status: Map<_, _> = UNKNOWN_BEFORE_A_RUN
        .iter()
        .map(|&name| (name.to_owned(), Value::Null))
        .collect();
    status.insert("state".to_owned(), "Inactive".into());
    status.insert("internal_backend_uuid".to_owned(), mount.uuid().into());
    Ok(Response::map(status))
}

const HOUR: u32 = 3600;

const UNKNOWN_BEFORE_A_RUN: [&str; 26] = [
    "acme_account_deleted_count",
    "acme_account_revoked_count",
    "acme_account_safety_buffer",
    "acme_orders_deleted_count",
    "cert_store_deleted_count",
    "current_cert_store_count",
    "current_revoked_cert_count",
    "error",
    "issuer_safety_buffer",
    "message",
    "missing_issuer_cert_count",
    "page_size",
    "pause_duration",
    "revoked_cert_deleted_count",
    "revoked_safety_buffer",
    "safety_buffer",
    "tidy_acme",
    "tidy_cert_store",
    "tidy_expired_issuers",
    "tidy_invalid_certs",
    "tidy_move_legacy_ca_bundle",
    "tidy_revoked_cert_issuer_associations",
    "tidy_revoked_certs",
    "time_finished",
    "time_started",
    "total_acme_account_count",
];
