//! What the server's console shows in the forms of this engine: headings, and the values that forms start with.
//!
//! They are those of OpenBao's `pki`, whose console this is: it shows a box as ticked only where the value here says so, and what it shows
//! is what it sends.

use landfast_sdk::logical::{Filled, Form};

use Filled::{Flag, Number, Text};

/// The forms of a pattern. Where two lists have a field, the first counts.
pub(crate) const FORMS: &[(&str, &[&[Form]])] = &[
    ("roles/{name}", &[ROLE]),
    ("issue/{role}", &[NAMES, LEAF, KEY_OF_ROLE]),
    (
        "issuer/{issuer_ref}/issue/{role}",
        &[NAMES, LEAF, KEY_OF_ROLE],
    ),
    ("sign/{role}", &[NAMES, LEAF]),
    ("issuer/{issuer_ref}/sign/{role}", &[NAMES, LEAF]),
    ("sign-verbatim", &[NAMES, LEAF, SIGNATURE]),
    ("sign-verbatim/{role}", &[NAMES, LEAF, SIGNATURE]),
    (
        "issuer/{issuer_ref}/sign-verbatim",
        &[NAMES, LEAF, SIGNATURE],
    ),
    (
        "issuer/{issuer_ref}/sign-verbatim/{role}",
        &[NAMES, LEAF, SIGNATURE],
    ),
    (
        "root/generate/{exported}",
        &[NAMES, SUBJECT, KEY, SIGNATURE, CONSTRAINTS],
    ),
    (
        "root/rotate/{exported}",
        &[NAMES, SUBJECT, KEY, SIGNATURE, CONSTRAINTS],
    ),
    (
        "issuers/generate/root/{exported}",
        &[NAMES, SUBJECT, KEY, SIGNATURE, CONSTRAINTS],
    ),
    (
        "intermediate/generate/{exported}",
        &[NAMES, SUBJECT, KEY, SIGNATURE],
    ),
    (
        "issuers/generate/intermediate/{exported}",
        &[NAMES, SUBJECT, KEY, SIGNATURE],
    ),
    ("intermediate/cross-sign", &[NAMES, SUBJECT, KEY, SIGNATURE]),
    (
        "root/sign-intermediate",
        &[NAMES, SUBJECT, SIGNATURE, CONSTRAINTS, IDENTIFIER],
    ),
    (
        "issuer/{issuer_ref}/sign-intermediate",
        &[NAMES, SUBJECT, SIGNATURE, CONSTRAINTS, IDENTIFIER],
    ),
    ("keys/generate/internal", &[KEY_TYPE]),
    ("keys/generate/exported", &[KEY_TYPE]),
    ("keys/generate/kms", &[KEY_TYPE]),
];

const ROLE: &[Form] = &[
    Form::label("allow_ip_sans", "Allow IP Subject Alternative Names").filled(Flag(true)),
    Form::value("allow_localhost", Flag(true)),
    Form::label(
        "allowed_other_sans",
        "Allowed Other Subject Alternative Names",
    ),
    Form::label("allowed_uri_sans", "Allowed URI Subject Alternative Names"),
    Form::label(
        "basic_constraints_valid_for_non_ca",
        "Basic Constraints Valid for Non-CA",
    ),
    Form::value("client_flag", Flag(true)),
    Form::label("cn_validations", "Common Name Validations"),
    Form::value("enforce_hostnames", Flag(true)),
    Form::label("ext_key_usage", "Extended Key Usage"),
    Form::label("ext_key_usage_oids", "Extended Key Usage OIDs"),
    Form::value(
        "key_usage",
        Text("DigitalSignature,KeyAgreement,KeyEncipherment"),
    ),
    Form::label("locality", "Locality/City"),
    Form::label("max_ttl", "Max TTL"),
    Form::value("not_before_duration", Number(30)),
    Form::label("ou", "Organizational Unit"),
    Form::label("province", "Province/State"),
    Form::label("require_cn", "Require Common Name"),
    Form::value("server_flag", Flag(true)),
    Form::label("ttl", "TTL"),
    Form::label("use_csr_common_name", "Use CSR Common Name").filled(Flag(true)),
    Form::label("use_csr_sans", "Use CSR Subject Alternative Names").filled(Flag(true)),
];

const NAMES: &[Form] = &[
    Form::label("alt_names", "DNS/Email Subject Alternative Names (SANs)"),
    Form::label(
        "exclude_cn_from_sans",
        "Exclude Common Name from Subject Alternative Names (SANs)",
    ),
    Form::value("format", Text("pem")),
    Form::label("ip_sans", "IP Subject Alternative Names (SANs)"),
    Form::label("other_sans", "Other SANs"),
    Form::value("private_key_format", Text("der")),
    Form::label("ttl", "TTL"),
    Form::label("uri_sans", "URI Subject Alternative Names (SANs)"),
];

const LEAF: &[Form] = &[Form::label("user_ids", "User ID(s)")];

const KEY_OF_ROLE: &[Form] = &[
    Form::value("key_bits", Number(0)),
    Form::value("key_type", Text("")),
];

const KEY: &[Form] = &[
    Form::value("key_bits", Number(0)),
    Form::value("key_type", Text("rsa")),
];

const KEY_TYPE: &[Form] = &[Form::value("key_type", Text("rsa"))];

const SIGNATURE: &[Form] = &[Form::value("signature_bits", Number(0))];

const SUBJECT: &[Form] = &[
    Form::label("locality", "Locality/City"),
    Form::value("not_before_duration", Number(30)),
    Form::label("ou", "OU (Organizational Unit)"),
    Form::label("postal_code", "Postal Code"),
    Form::label("province", "Province/State"),
    Form::label("street_address", "Street Address"),
];

const CONSTRAINTS: &[Form] = &[Form::label(
    "permitted_dns_domains",
    "Permitted DNS Domains",
)];

const IDENTIFIER: &[Form] = &[Form::value("skid", Text(""))];
