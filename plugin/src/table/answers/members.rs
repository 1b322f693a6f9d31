//! The members of answers, in lists that several operations share.

use landfast_sdk::logical::{Member, Shape};

use Shape::{Flag, Integer, Map, Text, Texts};

pub(super) const STORED: &[Member] = &[
    Member::new("certificate", Text, "Certificate or CRL in PEM."),
    Member::new(
        "revocation_time",
        Integer,
        "When it was revoked, in seconds since 1970; 0 if it was not.",
    ),
    Member::new(
        "revocation_time_rfc3339",
        Text,
        "The same by RFC 3339; empty if it was not.",
    ),
];

pub(super) const REVOKED_BY: &[Member] = &[
    Member::maybe("issuer_id", Text, "Issuer of a revoked certificate."),
    REASON,
];

const REASON: Member = Member::maybe(
    "revocation_reason",
    Text,
    "Why it was revoked, by its name in RFC 5280, if that is on record.",
);

pub(super) const CHAIN_AS_TEXT: &[Member] = &[Member::new("ca_chain", Text, "Chain in PEM.")];

pub(super) const CERTIFICATE: &[Member] = &[
    Member::maybe("common_name", Text, "Common name."),
    Member::maybe("issuer", Text, "Name of the issuer."),
    Member::maybe("key_type", Text, "Type of the key."),
    Member::maybe("key_bits", Integer, "Size of the key."),
    Member::maybe("not_before", Text, "Start, by RFC 3339."),
    Member::maybe("not_after", Text, "End, by RFC 3339."),
    Member::maybe("dns_names", Texts, "The first DNS names.").or_null(),
];

pub(in crate::table) const EXTERNAL_ACCOUNT: &[Member] = &[
    Member::new("acme_directory", Text, "The directory that it is for."),
    Member::new("created_on", Text, "When it was made, by RFC 3339."),
    Member::new("id", Text, "Its id."),
    Member::new("key", Text, "Its key in base64url, for an HMAC with SHA-2."),
    Member::new("key_type", Text, "hs: a key for an HMAC."),
];

pub(super) const EXTERNAL_ACCOUNT_SHOWN: &[Member] = &[
    Member::maybe("acme_directory", Text, "The directory that it is for."),
    Member::maybe("created_on", Text, "When it was made, by RFC 3339."),
    Member::maybe("key_type", Text, "hs: a key for an HMAC."),
];

pub(super) const IMPORTED: &[Member] = &[
    Member::new("imported_issuers", Texts, "Ids of issuers that are new.").or_null(),
    Member::new("imported_keys", Texts, "Ids of keys that are new.").or_null(),
    Member::new("existing_issuers", Texts, "Ids of issuers that were there.").or_null(),
    Member::new("existing_keys", Texts, "Ids of keys that were there.").or_null(),
    Member::new("mapping", Map, "Ids of issuers to ids of their keys."),
];

pub(super) const SUCCESS: &[Member] = &[Member::new("success", Flag, "True.")];

pub(super) const REQUEST: &[Member] = &[
    Member::new("csr", Text, "Certificate request."),
    Member::new("key_id", Text, "Id of its key."),
];

pub(super) const KEY: &[Member] = &[
    Member::maybe("private_key", Text, "Private key, where it is shown."),
    Member::maybe("private_key_type", Text, "Its type."),
];

pub(super) const SIGNED: &[Member] = &[
    Member::new("certificate", Text, "Certificate."),
    Member::new("issuing_ca", Text, "Certificate of the issuer."),
    Member::maybe("ca_chain", Texts, "Chain."),
    Member::new(
        "serial_number",
        Text,
        "Serial number in pairs of digits between colons.",
    ),
    Member::new("expiration", Integer, "End, in seconds since 1970."),
];

pub(super) const LEAF: &[Member] = &[Member::new(
    "not_before",
    Integer,
    "Start, in seconds since 1970.",
)];

pub(super) const ROOT: &[Member] = &[
    Member::new("certificate", Text, "Certificate."),
    Member::new("issuing_ca", Text, "The same."),
    Member::new(
        "serial_number",
        Text,
        "Serial number in pairs of digits between colons.",
    ),
    Member::new("expiration", Integer, "End, in seconds since 1970."),
    Member::new("issuer_id", Text, "Id of the issuer."),
    Member::new("issuer_name", Text, "Name of the issuer."),
    Member::new("key_id", Text, "Id of its key."),
    Member::new("key_name", Text, "Name of its key."),
];

pub(super) const CRL_TEXT: &[Member] = &[Member::new("crl", Text, "CRL in PEM.")];

pub(super) const ISSUER_TEXTS: &[Member] = &[
    Member::new("certificate", Text, "Certificate in PEM."),
    Member::new("ca_chain", Texts, "Chain in PEM."),
    Member::new("issuer_id", Text, "Id of the issuer."),
    Member::new("issuer_name", Text, "Name of the issuer."),
];

pub(super) const ISSUER_INFO: &[Member] = &[
    Member::new("issuer_name", Text, "Name of the issuer."),
    Member::new("is_default", Flag, "Whether `default` means it."),
    Member::new("serial_number", Text, "Serial number of its certificate."),
    Member::new("key_id", Text, "Id of its key."),
];

pub(super) const SELF_ISSUED: &[Member] = &[
    Member::new("certificate", Text, "Certificate in PEM."),
    Member::new("issuing_ca", Text, "Certificate of the issuer in PEM."),
];

pub(super) const ANCHOR: &[Member] = &[
    Member::new(
        "trust_anchor",
        Text,
        "The text, in the form that was asked for.",
    ),
    Member::new("format", Text, "That form."),
    Member::new("certificates", Texts, "Certificates of the anchor in PEM."),
    Member::new(
        "expiration",
        Integer,
        "When the first of them ends, in seconds since 1970.",
    )
    .or_null(),
];

pub(super) const KEY_NAMES: &[Member] = &[
    Member::new("key_id", Text, "Id of the key."),
    Member::new("key_name", Text, "Name of the key."),
    Member::new("key_type", Text, "Type of the key."),
];

pub(super) const KEY_SHOWN: &[Member] = &[Member::maybe(
    "private_key",
    Text,
    "Private key, where it is shown.",
)];

pub(super) const KEY_IDENTIFIER: &[Member] = &[Member::new(
    "subject_key_id",
    Text,
    "Subject key identifier in pairs of digits between colons.",
)];

pub(super) const KEY_PLACE: &[Member] = &[
    Member::maybe("kms_key_id", Text, "ARN of a key in AWS KMS."),
    Member::maybe("kms_region", Text, "Region of a key in AWS KMS."),
];

pub(super) const KEY_INFO: &[Member] = &[
    Member::new("key_name", Text, "Name of the key."),
    Member::new("is_default", Flag, "Whether `default` means it."),
];

pub(super) const REVOCATION: &[Member] = &[
    Member::new("revocation_time", Integer, "When, in seconds since 1970."),
    Member::new("revocation_time_rfc3339", Text, "When, by RFC 3339."),
    Member::new("state", Text, "`revoked`."),
    REASON,
];

pub(super) const SIGNED_CRL: &[Member] = &[Member::new(
    "crl",
    Text,
    "The CRL in PEM, or its DER in base64.",
)];

pub(super) const TIDY_STATUS: &[Member] = &[
    Member::new(
        "state",
        Text,
        "`Inactive`, `Running`, `Finished`, `Error`, `Cancelling` or `Cancelled`.",
    ),
    Member::new("internal_backend_uuid", Text, "Id of the mount."),
    Member::maybe(
        "last_auto_tidy_finished",
        Text,
        "When a run last began or was done; periodic runs count from it.",
    ),
    Member::new(
        "acme_account_deleted_count",
        Integer,
        "Acme account deleted count of the last run.",
    )
    .or_null(),
    Member::new(
        "acme_account_revoked_count",
        Integer,
        "Acme account revoked count of the last run.",
    )
    .or_null(),
    Member::new(
        "acme_account_safety_buffer",
        Integer,
        "Acme account safety buffer of the last run.",
    )
    .or_null(),
    Member::new(
        "acme_orders_deleted_count",
        Integer,
        "Acme orders deleted count of the last run.",
    )
    .or_null(),
    Member::new(
        "cert_store_deleted_count",
        Integer,
        "Cert store deleted count of the last run.",
    )
    .or_null(),
    Member::new(
        "current_cert_store_count",
        Integer,
        "Current cert store count of the last run.",
    )
    .or_null(),
    Member::new(
        "current_revoked_cert_count",
        Integer,
        "Current revoked cert count of the last run.",
    )
    .or_null(),
    Member::new("error", Text, "Error of the last run.").or_null(),
    Member::new(
        "issuer_safety_buffer",
        Integer,
        "Issuer safety buffer of the last run.",
    )
    .or_null(),
    Member::new("message", Text, "Message of the last run.").or_null(),
    Member::new(
        "missing_issuer_cert_count",
        Integer,
        "Missing issuer cert count of the last run.",
    )
    .or_null(),
    Member::new("page_size", Integer, "Page size of the last run.").or_null(),
    Member::new("pause_duration", Text, "Pause duration of the last run.").or_null(),
    Member::new(
        "revoked_cert_deleted_count",
        Integer,
        "Revoked cert deleted count of the last run.",
    )
    .or_null(),
    Member::new(
        "revoked_safety_buffer",
        Integer,
        "Revoked safety buffer of the last run.",
    )
    .or_null(),
    Member::new("safety_buffer", Integer, "Safety buffer of the last run.").or_null(),
    Member::new("tidy_acme", Flag, "Tidy acme of the last run.").or_null(),
    Member::new("tidy_cert_store", Flag, "Tidy cert store of the last run.").or_null(),
    Member::new(
        "tidy_expired_issuers",
        Flag,
        "Tidy expired issuers of the last run.",
    )
    .or_null(),
    Member::new(
        "tidy_invalid_certs",
        Flag,
        "Tidy invalid certs of the last run.",
    )
    .or_null(),
    Member::new(
        "tidy_move_legacy_ca_bundle",
        Flag,
        "Tidy move legacy ca bundle of the last run.",
    )
    .or_null(),
    Member::new(
        "tidy_revoked_cert_issuer_associations",
        Flag,
        "Tidy revoked cert issuer associations of the last run.",
    )
    .or_null(),
    Member::new(
        "tidy_revoked_certs",
        Flag,
        "Tidy revoked certs of the last run.",
    )
    .or_null(),
    Member::new("time_finished", Text, "Time finished of the last run.").or_null(),
    Member::new("time_started", Text, "Time started of the last run.").or_null(),
    Member::new(
        "total_acme_account_count",
        Integer,
        "Total acme account count of the last run.",
    )
    .or_null(),
];

pub(super) const SEAL_STATUS: &[Member] = &[
    Member::new(
        "mount",
        Text,
        "Id of the mount, which sealed keys are bound to.",
    ),
    Member::new("type", Text, "What seals new keys."),
    Member::new("wrapped_by", Texts, "What wraps data keys."),
    Member::new("keys", Integer, "Number of keys: all."),
    Member::new("keys_sealed", Integer, "Number of keys: sealed."),
    Member::new("keys_in_clear", Integer, "Number of keys: in clear."),
    Member::new("keys_elsewhere", Integer, "Number of keys: in AWS KMS."),
    Member::new(
        "keys_unreadable",
        Integer,
        "Number of keys: whose entry cannot be read.",
    ),
    Member::new(
        "keys_in_memory",
        Integer,
        "Number of keys: opened in this process.",
    ),
    Member::new("to_seal", Integer, "Number of keys: to be sealed."),
    Member::new("to_rewrap", Integer, "Number of keys: to be wrapped anew."),
    Member::new("to_unseal", Integer, "Number of keys: to be unsealed."),
    Member::new(
        "migration_pending",
        Flag,
        "Whether there is something to migrate.",
    ),
    Member::new("migration_state", Text, "State of the migration."),
    Member::new("migration_total", Integer, "Keys of the migration: total."),
    Member::new("migration_done", Integer, "Keys of the migration: done."),
    Member::new(
        "migration_changed",
        Integer,
        "Keys of the migration: changed.",
    ),
    Member::new(
        "migration_failed",
        Integer,
        "Keys of the migration: failed.",
    ),
    Member::new(
        "migration_last_error",
        Text,
        "Why the last key was not migrated.",
    )
    .or_null(),
    Member::new("migration_started", Text, "When it started, by RFC 3339.").or_null(),
    Member::new("migration_finished", Text, "When it ended, by RFC 3339.").or_null(),
];

pub(super) const ISSUER_SHOWN: &[Member] = &[
    Member::new("issuer_id", Text, "Id of the issuer."),
    Member::new("key_id", Text, "Id of its key; empty without one."),
    Member::new("certificate", Text, "Its certificate in PEM."),
    Member::new(
        "ca_chain",
        Texts,
        "Its chain in PEM, its own certificate first.",
    ),
    Member::new(
        "usage",
        Text,
        "What it may be used for, separated by commas.",
    ),
    Member::new("revoked", Flag, "Whether it is revoked."),
    Member::maybe("revocation_time", Integer, "When, in seconds since 1970."),
    Member::maybe("revocation_time_rfc3339", Text, "When, by RFC 3339."),
    Member::new(
        "manual_chain",
        Texts,
        "Issuers of a chain that was set by hand.",
    )
    .or_null(),
    Member::new("issuing_certificates", Texts, "URLs of its own.").or_null(),
    Member::new("crl_distribution_points", Texts, "URLs of its own.").or_null(),
    Member::new("delta_crl_distribution_points", Texts, "URLs of its own.").or_null(),
    Member::new("ocsp_servers", Texts, "URLs of its own.").or_null(),
];

pub(super) const ISSUER_SET: &[Member] = &[
    Member::new("issuer_name", Text, "Name of the issuer."),
    Member::new(
        "leaf_not_after_behavior",
        Text,
        "What becomes of a leaf that would outlive it.",
    ),
    Member::new(
        "revocation_signature_algorithm",
        Text,
        "Algorithm of its CRLs; empty for the usual one.",
    ),
    Member::maybe(
        "enable_aia_url_templating",
        Flag,
        "Whether its URLs are templates.",
    ),
];

pub(super) const DEFAULT_ISSUER: &[Member] = &[
    Member::new("default", Text, "Id of the issuer that `default` means."),
    Member::new(
        "default_follows_latest_issuer",
        Flag,
        "Whether the newest issuer becomes the default.",
    ),
];
