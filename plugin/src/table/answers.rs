//! What the operations of the engine answer, for the OpenAPI document.

mod members;

use landfast_sdk::logical::Operation::{self, Delete, List, Patch, Read, Update};
use landfast_sdk::logical::{Answer, Member, Shape};

use members::{
    ANCHOR, CERTIFICATE, CHAIN_AS_TEXT, CRL_TEXT, DEFAULT_ISSUER, EXTERNAL_ACCOUNT_SHOWN, IMPORTED,
    ISSUER_INFO, ISSUER_SET, ISSUER_SHOWN, ISSUER_TEXTS, KEY, KEY_IDENTIFIER, KEY_INFO, KEY_NAMES,
    KEY_PLACE, KEY_SHOWN, LEAF, REQUEST, REVOCATION, REVOKED_BY, ROOT, SEAL_STATUS, SELF_ISSUED,
    SIGNED, SIGNED_CRL, STORED, SUCCESS, TIDY_STATUS,
};

pub(super) use members::EXTERNAL_ACCOUNT;

use Answer::{Accepted, Body, Data, Done, Keys, Nothing, Settings};
use Shape::{Flag, Integer, Text, Texts};

/// Pattern, operation, answer: every operation has one.
pub(crate) const ANSWERS: &[(&str, Operation, Answer)] = &[
    ("ca", Read, Body(DER)),
    ("ca/pem", Read, Body(PEM)),
    ("ca_chain", Read, Body(DER)),
    ("cel/issue/{role}", Update, Data(&[SIGNED, LEAF, KEY])),
    ("cel/roles", List, Keys(&[])),
    ("cel/roles/{name}", Read, CEL_ROLE),
    ("cel/roles/{name}", Update, CEL_ROLE),
    ("cel/roles/{name}", Patch, CEL_ROLE),
    ("cel/roles/{name}", Delete, Done),
    ("cel/sign/{role}", Update, Data(&[SIGNED, LEAF, KEY])),
    ("cert/ca", Read, Data(&[STORED])),
    ("cert/ca/raw", Read, Body(DER)),
    ("cert/ca/raw/pem", Read, Body(PEM)),
    ("cert/ca_chain", Read, Data(&[STORED, CHAIN_AS_TEXT])),
    ("cert/crl", Read, Data(&[STORED])),
    ("cert/delta-crl", Read, Data(&[STORED])),
    ("cert/{serial}", Read, Data(&[STORED, REVOKED_BY])),
    ("cert/{serial}/raw", Read, Body(DER)),
    ("cert/{serial}/raw/pem", Read, Body(PEM)),
    ("certs", List, Keys(&[])),
    ("certs/detailed", List, Keys(CERTIFICATE)),
    ("certs/revoked", List, Keys(&[])),
    ("config/acme", Read, WHOLE),
    ("config/acme", Update, WHOLE),
    ("config/acme-validation", Read, WHOLE),
    ("config/acme-validation", Update, WHOLE),
    ("config/auto-tidy", Read, TIDYING),
    ("config/auto-tidy", Update, TIDYING),
    ("config/ca", Update, Data(&[IMPORTED])),
    ("config/cluster", Read, WHOLE),
    ("config/cluster", Update, WHOLE),
    ("config/crl", Read, CRL_SETTINGS),
    ("config/crl", Update, CRL_SETTINGS),
    ("config/issuers", Read, WHOLE),
    ("config/issuers", Update, WHOLE),
    ("config/key-pool", Read, KEY_POOL),
    ("config/key-pool", Update, KEY_POOL),
    ("config/keys", Read, WHOLE),
    ("config/keys", Update, WHOLE),
    ("config/kms", Read, KMS),
    ("config/kms", Update, KMS),
    ("config/kms", Delete, Nothing),
    ("config/metrics", Read, WHOLE),
    ("config/metrics", Update, WHOLE),
    ("config/seal", Read, SEAL),
    ("config/seal", Update, SEAL),
    ("config/seal", Delete, SEAL),
    ("config/urls", Read, WHOLE),
    ("config/urls", Update, WHOLE),
    ("crl", Read, Body(CRL)),
    ("crl/delta", Read, Body(CRL)),
    ("crl/delta/pem", Read, Body(CRL_PEM)),
    ("crl/pem", Read, Body(CRL_PEM)),
    ("crl/rotate", Read, Data(&[SUCCESS])),
    ("crl/rotate-delta", Read, Data(&[SUCCESS])),
    ("eab", List, Keys(EXTERNAL_ACCOUNT_SHOWN)),
    ("eab/{key_id}", Delete, Nothing),
    ("intermediate/cross-sign", Update, Data(&[REQUEST, KEY])),
    (
        "intermediate/generate/{exported}",
        Update,
        Data(&[REQUEST, KEY]),
    ),
    ("intermediate/set-signed", Update, Data(&[IMPORTED])),
    ("issue/{role}", Update, Data(&[SIGNED, LEAF, KEY])),
    ("issuer/{issuer_ref}", Read, ISSUER),
    ("issuer/{issuer_ref}", Update, ISSUER),
    ("issuer/{issuer_ref}", Patch, ISSUER),
    ("issuer/{issuer_ref}", Delete, Nothing),
    ("issuer/{issuer_ref}/crl", Read, Data(&[CRL_TEXT])),
    ("issuer/{issuer_ref}/crl/delta", Read, Data(&[CRL_TEXT])),
    ("issuer/{issuer_ref}/crl/delta/der", Read, Body(CRL)),
    ("issuer/{issuer_ref}/crl/delta/pem", Read, Body(CRL_PEM)),
    ("issuer/{issuer_ref}/crl/der", Read, Body(CRL)),
    ("issuer/{issuer_ref}/crl/pem", Read, Body(CRL_PEM)),
    ("issuer/{issuer_ref}/der", Read, Body(DER)),
    (
        "issuer/{issuer_ref}/issue/{role}",
        Update,
        Data(&[SIGNED, LEAF, KEY]),
    ),
    ("issuer/{issuer_ref}/json", Read, Data(&[ISSUER_TEXTS])),
    ("issuer/{issuer_ref}/pem", Read, Body(PEM)),
    (
        "issuer/{issuer_ref}/resign-crls",
        Update,
        Data(&[SIGNED_CRL]),
    ),
    (
        "issuer/{issuer_ref}/revoke",
        Update,
        Data(&[ISSUER_SHOWN, ISSUER_SET]),
    ),
    (
        "issuer/{issuer_ref}/sign-intermediate",
        Update,
        Data(&[SIGNED]),
    ),
    (
        "issuer/{issuer_ref}/sign-revocation-list",
        Update,
        Data(&[SIGNED_CRL]),
    ),
    (
        "issuer/{issuer_ref}/sign-self-issued",
        Update,
        Data(&[SELF_ISSUED]),
    ),
    (
        "issuer/{issuer_ref}/sign-verbatim",
        Update,
        Data(&[SIGNED, LEAF]),
    ),
    (
        "issuer/{issuer_ref}/sign-verbatim/{role}",
        Update,
        Data(&[SIGNED, LEAF]),
    ),
    (
        "issuer/{issuer_ref}/sign/{role}",
        Update,
        Data(&[SIGNED, LEAF]),
    ),
    ("issuer/{issuer_ref}/trust-anchor", Read, Data(&[ANCHOR])),
    ("issuer/{issuer_ref}/trust-anchor/raw", Read, Body(JSON)),
    ("issuers", List, Keys(ISSUER_INFO)),
    (
        "issuers/generate/intermediate/{exported}",
        Update,
        Data(&[REQUEST, KEY]),
    ),
    (
        "issuers/generate/root/{exported}",
        Update,
        Data(&[ROOT, KEY]),
    ),
    ("issuers/import/bundle", Update, Data(&[IMPORTED])),
    ("issuers/import/cert", Update, Data(&[IMPORTED])),
    (
        "key/{key_ref}",
        Read,
        Data(&[KEY_NAMES, KEY_IDENTIFIER, KEY_PLACE]),
    ),
    ("key/{key_ref}", Update, Data(&[KEY_NAMES, KEY_PLACE])),
    ("key/{key_ref}", Delete, Nothing),
    ("keys", List, Keys(KEY_INFO)),
    (
        "keys/generate/exported",
        Update,
        Data(&[KEY_NAMES, KEY_SHOWN]),
    ),
    (
        "keys/generate/internal",
        Update,
        Data(&[KEY_NAMES, KEY_SHOWN]),
    ),
    ("keys/generate/kms", Update, Data(&[KEY_NAMES, KEY_PLACE])),
    ("keys/import", Update, Data(&[KEY_NAMES, KEY_PLACE])),
    ("metrics", Read, Body(METRICS)),
    ("metrics/public", Read, Body(METRICS)),
    ("ocsp", Update, Body(OCSP)),
    ("ocsp/{*req}", Read, Body(OCSP)),
    ("revoke", Update, Data(&[REVOCATION])),
    ("revoke-with-key", Update, Data(&[REVOCATION])),
    ("roles", List, Keys(&[])),
    ("roles/{name}", Read, ROLE),
    ("roles/{name}", Update, ROLE),
    ("roles/{name}", Patch, ROLE),
    ("roles/{name}", Delete, Nothing),
    ("root", Delete, Done),
    ("root/generate/{exported}", Update, Data(&[ROOT, KEY])),
    ("root/replace", Update, Data(&[DEFAULT_ISSUER])),
    ("root/rotate/{exported}", Update, Data(&[ROOT, KEY])),
    ("root/sign-intermediate", Update, Data(&[SIGNED])),
    ("root/sign-self-issued", Update, Data(&[SELF_ISSUED])),
    ("seal/migrate", Update, Data(&[SEAL_STATUS])),
    ("seal/status", Read, Data(&[SEAL_STATUS])),
    ("sign-verbatim", Update, Data(&[SIGNED, LEAF])),
    ("sign-verbatim/{role}", Update, Data(&[SIGNED, LEAF])),
    ("sign/{role}", Update, Data(&[SIGNED, LEAF])),
    ("tidy", Update, Accepted),
    ("tidy-cancel", Update, Data(&[TIDY_STATUS])),
    ("tidy-status", Read, Data(&[TIDY_STATUS])),
    ("trust-anchor", Read, Data(&[ANCHOR])),
    ("trust-anchor/raw", Read, Body(JSON)),
];

const DER: &str = "application/pkix-cert";
const PEM: &str = "application/pem-certificate-chain";
const CRL: &str = "application/pkix-crl";
const CRL_PEM: &str = "application/x-pem-file";
const METRICS: &str = crate::scrape::CONTENT_TYPE;
const OCSP: &str = "application/ocsp-response";
/// Or that of the form asked for: YAML, HCL, a shell script.
const JSON: &str = "application/json";

/// What is written is what is read.
const CEL_ROLE: Answer = Settings {
    without: &[],
    more: &[Member::new("name", Text, "Name of the role.")],
};

const WHOLE: Answer = Settings {
    without: &[],
    more: &[],
};

/// On Vault, what its built-in engine has for several clusters is shown too.
const CRL_SETTINGS: Answer = Settings {
    without: &[],
    more: &[
        Member::maybe("unified_crl", Flag, "Always false; on Vault only."),
        Member::maybe(
            "unified_crl_on_existing_paths",
            Flag,
            "Always false; on Vault only.",
        ),
        Member::maybe(
            "cross_cluster_revocation",
            Flag,
            "Always false; on Vault only.",
        ),
    ],
};

const KEY_POOL: Answer = Settings {
    without: &[],
    more: &[
        Member::new(
            "rsa_2048_ready",
            Integer,
            "Keys of 2048 bits that are ready in the process that answers.",
        ),
        Member::new("rsa_3072_ready", Integer, "The same for 3072 bits."),
        Member::new("rsa_4096_ready", Integer, "The same for 4096 bits."),
    ],
};

const TIDYING: Answer = Settings {
    without: &["tidy_revocation_list"],
    more: &[],
};

const ROLE: Answer = Settings {
    without: &["backend", "login", "mount_accessor", "node_name", "preset"],
    more: &[
        Member::new(
            "allow_token_displayname",
            Flag,
            "Whether a name may be the display name of the caller's token.",
        ),
        Member::maybe(
            "landfast_node_names",
            Flag,
            "Whether a common name must be the name of a node, in its one spelling.",
        ),
    ],
};

const ISSUER: Answer = Settings {
    without: &[],
    more: ISSUER_SHOWN,
};

const KMS: Answer = Settings {
    without: &[
        "secret_key",
        "session_token",
        "web_identity_token_file",
        "shared_creds_filename",
        "shared_creds_profile",
    ],
    more: &[
        Member::new(
            "secret_key_set",
            Flag,
            "Whether there is a secret access key.",
        ),
        Member::new(
            "session_token_set",
            Flag,
            "Whether there is a session token.",
        ),
    ],
};

const SEAL: Answer = Data(&[&[
    Member::new("type", Text, "What seals new keys."),
    Member::new("kms_key_id", Text, "Key in AWS KMS."),
    Member::new("further_kms_key_ids", Texts, "Further keys in AWS KMS."),
    Member::new("key_file", Text, "Name of the key file."),
    Member::new(
        "wrapped_by",
        Texts,
        "What wraps data keys, by the names that records have.",
    ),
]]);
