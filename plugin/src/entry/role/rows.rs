//! The fields of a role, one row each, in the order in which they are stored.
//!
//! All else follows from these rows: the layout of storage, what a request may say and the document
//! of it, what a patch changes, and what is shown.

use std::time::Duration;

use landfast_pki::{Network, Settings};
use serde_json::{Value, json};

use crate::entry::other::Other;

/// A field of a role.
pub(crate) struct Row {
    /// Its name in requests and answers.
    pub(crate) name: &'static str,
    /// Its name in storage, which is the built-in engine's.
    pub(super) stored: &'static str,
    about: &'static str,
    /// Whether clients are told what a role has that does not say it: the value of a new role.
    pub(crate) told: bool,
    /// What kind of value it has, and where that lies.
    pub(crate) kind: Kind,
}

/// What kind of value a field has.
pub(crate) enum Kind {
    /// True or false; false where a stored role does not say it.
    Flag(At<bool>),
    /// The same, for what was so before there was a switch for it: true where a stored role does not say it.
    Switch(At<bool>),
    /// The same, for what only this engine knows: stored and shown only where it is set.
    Mark(At<bool>),
    /// Any whole number.
    Number(At<i64>),
    /// A text.
    Text(At<String>),
    /// A text that is one of [`KEY_TYPES`], or of what later checks say more of.
    KeyType(At<String>),
    /// Texts.
    List(At<Vec<String>>),
    /// Texts, of which one may be a JSON array.
    Policies(At<Vec<String>>),
    /// Texts that are networks, stored as Go stores those.
    Networks(At<Vec<String>>),
    /// Whole seconds, stored in nanoseconds.
    Time(At<Duration>),
    /// A text that older servers wrote here. It is stored empty.
    FormerText,
    /// A flag that older servers wrote here. It is stored as false.
    FormerFlag,
}

/// Where in a role a value lies.
pub(crate) struct At<T> {
    get: fn(&Settings) -> &T,
    get_mut: fn(&mut Settings) -> &mut T,
}

impl<T> At<T> {
    fn of<'role>(&self, role: &'role Settings) -> &'role T {
        (self.get)(role)
    }

    /// Puts a value there.
    pub(crate) fn put(&self, role: &mut Settings, value: T) {
        *(self.get_mut)(role) = value;
    }
}

/// Makes rows of lines `"name" as "stored name" => Kind(place), told;`, each with its sentence for
/// clients above it. A row without a sentence is none that a request may say.
macro_rules! rows {
    ($(
        $(#[doc = $about:literal])*
        $name:literal $(as $stored:literal)? => $kind:ident $(($($place:tt)+))? $(, $told:ident)?;
    )*) => {
        &[$(Row {
            name: $name,
            stored: [$($stored,)? $name][0],
            about: concat!($($about),*),
            told: !concat!($(stringify!($told))?).is_empty(),
            kind: Kind::$kind $((At {
                get: |role| &role.$($place)+,
                get_mut: |role| &mut role.$($place)+,
            }))?,
        },)*]
    };
}

/// The fields.
pub(crate) const ROWS: &[Row] = rows! {
    "lease_max" => FormerText;
    "lease" => FormerText;
    "max_ttl" => FormerText;
    "ttl" => FormerText;
    /// Lifetime where a request names none; 0 for the mount's default.
    "ttl" as "ttl_duration" => Time(ttl);
    /// Longest lifetime; 0 for the mount's.
    "max_ttl" as "max_ttl_duration" => Time(max_ttl);
    /// Accept `localhost` and `localdomain`.
    "allow_localhost" => Flag(allow_localhost), told;
    "allowed_base_domain" => FormerText;
    /// Domains that `allow_bare_domains`, `allow_subdomains` and `allow_glob_domains` refer to.
    "allowed_domains" as "allowed_domains_list" => List(allowed_domains);
    /// Fill `{{identity.…}}` in the allowed domains with values of the caller's entity.
    "allowed_domains_template" => Flag(allowed_domains_template), told;
    /// Let a value filled into a template contain `*`. Off, such a value matches nothing.
    "allow_globs_in_identity_templates" => Flag(allow_globs_in_identity_templates), told;
    "allow_base_domain" => FormerFlag;
    /// Accept names equal to one of the allowed domains.
    "allow_bare_domains" => Flag(allow_bare_domains);
    // Nothing here sets it.
    "allow_token_displayname" => Flag(allow_token_displayname);
    /// Accept names that lie under one of the allowed domains, wildcards included.
    "allow_subdomains" => Flag(allow_subdomains);
    /// Let `*` in an allowed domain match any text, dots included.
    "allow_glob_domains" => Flag(allow_glob_domains);
    /// Accept wildcard names where the other rules accept them. Off, none is accepted, not even
    /// with `allow_any_name`.
    "allow_wildcard_certificates" => Switch(allow_wildcard_certificates), told;
    /// Accept every name.
    "allow_any_name" => Flag(allow_any_name);
    /// Accept only names that are valid host names, or mail addresses on one.
    "enforce_hostnames" => Flag(enforce_hostnames), told;
    /// Accept IP addresses as subject alternative names.
    "allow_ip_sans" => Flag(allow_ip_sans), told;
    /// Networks in CIDR notation that IP addresses must lie in; empty accepts all.
    "allowed_ip_sans_cidr" => Networks(allowed_ip_sans_cidr);
    /// Add the extended key usage for TLS servers.
    "server_flag" => Flag(server_flag), told;
    /// Add the extended key usage for TLS clients.
    "client_flag" => Flag(client_flag), told;
    /// Add the extended key usage for code signing.
    "code_signing_flag" => Flag(code_signing_flag);
    /// Add the extended key usage for mail.
    "email_protection_flag" => Flag(email_protection_flag);
    /// Take the common name from the CSR when signing one.
    "use_csr_common_name" => Flag(use_csr_common_name), told;
    /// Take the subject alternative names from the CSR when signing one.
    "use_csr_sans" => Flag(use_csr_sans), told;
    /// Type of key that is generated, and that a CSR must have; `any` lets the CSR decide.
    "key_type" => KeyType(key_type), told;
    /// Size of the key; 0 for the usual size of the type.
    "key_bits" => Number(key_bits), told;
    /// Sign with RSA-PSS when the issuer's key is RSA.
    "use_pss" => Flag(use_pss), told;
    /// Size of the signature's hash: 256, 384 or 512; 0 to follow the issuer's key.
    "signature_bits" => Number(signature_bits), told;
    /// Key usages by name; an empty list leaves the extension out.
    "key_usage" as "key_usage_list" => List(key_usage), told;
    /// Further extended key usages by name, such as `TimeStamping`. Unknown names are passed over.
    "ext_key_usage" as "extended_key_usage_list" => List(ext_key_usage), told;
    /// Organizational units of the subject.
    "ou" as "ou_list" => List(attributes.ou);
    /// Organizations of the subject.
    "organization" as "organization_list" => List(attributes.organization);
    /// Countries of the subject.
    "country" => List(attributes.country);
    /// Localities of the subject.
    "locality" => List(attributes.locality);
    /// Provinces or states of the subject.
    "province" => List(attributes.province);
    /// Street addresses of the subject.
    "street_address" => List(attributes.street_address);
    /// Postal codes of the subject.
    "postal_code" => List(attributes.postal_code);
    /// Give each certificate a lease, whose revocation revokes the certificate. A lease costs the
    /// server more than a stored certificate does.
    "generate_lease" => Switch(generate_lease);
    /// Keep no copy of issued certificates. They are neither listed nor revocable by serial number;
    /// revoking by the certificate itself works.
    "no_store" => Flag(no_store);
    /// Refuse a request without a common name.
    "require_cn" => Flag(require_cn), told;
    /// Shapes that a common name may have: `email`, `hostname`, both, or `disabled` for no check.
    "cn_validations" => List(cn_validations), told;
    /// Accepted other names, each `OID;UTF8:value` where the value may contain `*`; or `*` alone
    /// for all.
    "allowed_other_sans" => List(allowed_other_sans);
    /// Patterns of accepted serial numbers in the subject (not of the certificate).
    "allowed_serial_numbers" => List(allowed_serial_numbers);
    /// User ids accepted in the subject, as names or patterns.
    "allowed_user_ids" => List(allowed_user_ids);
    /// Patterns of accepted URIs, matched as a whole; empty accepts none.
    "allowed_uri_sans" => List(allowed_uri_sans);
    /// Fill `{{identity.…}}` in the URI patterns with values of the caller's entity.
    "allowed_uri_sans_template" => Flag(allowed_uri_sans_template), told;
    /// Certificate policies: OIDs, or a JSON array of objects with `oid`, `cps` and `notice`.
    "policy_identifiers" => Policies(policy_identifiers);
    /// Further extended key usages by OID.
    "ext_key_usage_oids" => List(ext_key_usage_oids);
    /// Put a critical basic constraints extension with CA false into leaves.
    "basic_constraints_valid_for_non_ca" => Flag(basic_constraints_valid_for_non_ca);
    /// How far before the time of issue validity starts.
    "not_before_duration" => Time(not_before_duration), told;
    /// Fixed start of validity, RFC 3339, where a request sends none.
    "not_before" => Text(not_before);
    /// What a request's `not_before` may be: `permit` (anything), `duration` (no older than
    /// `not_before_duration`), or `forbid`.
    "not_before_bound" => Text(not_before_bound), told;
    /// Fixed end of validity, RFC 3339. Wins over whatever a request says.
    "not_after" => Text(not_after);
    /// What a request's `not_after` may be: `permit` (anything), `ttl-limited` (within the longest
    /// lifetime), `forbid`, or a latest time.
    "not_after_bound" => Text(not_after_bound), told;
    /// Issuer that signs: a name, an id, or `default`. Looked up when a certificate is made.
    "issuer_ref" as "issuer" => Text(issuer), told;
    "landfast_node_names" => Mark(node_names);
};

/// The values of `key_type` that clients are told.
pub(crate) const KEY_TYPES: [&str; 5] = ["rsa", "ec", "ed25519", "mldsa", "any"];

impl Row {
    /// What it is, in words for clients; `None` for what a request cannot say.
    pub(crate) fn about(&self) -> Option<&'static str> {
        Some(self.about.trim_start()).filter(|about| !about.is_empty())
    }

    /// What is shown of it: durations in whole seconds, no list null.
    pub(crate) fn shown(&self, role: &Settings) -> Option<Value> {
        match &self.kind {
            Kind::Networks(at) => Some(json!(at.of(role))),
            Kind::Time(at) => Some(at.of(role).as_secs().into()),
            Kind::FormerText | Kind::FormerFlag => None,
            _ => self.stored_value(role),
        }
    }

    /// What is stored of it.
    pub(super) fn stored_value(&self, role: &Settings) -> Option<Value> {
        Some(match &self.kind {
            Kind::Flag(at) | Kind::Switch(at) => (*at.of(role)).into(),
            Kind::Mark(at) => return at.of(role).then_some(true.into()),
            Kind::Number(at) => (*at.of(role)).into(),
            Kind::Text(at) | Kind::KeyType(at) => at.of(role).as_str().into(),
            Kind::List(at) | Kind::Policies(at) => json!(at.of(role)),
            Kind::Networks(at) => {
                let texts = at.of(role).iter();
                let networks: Vec<_> = texts.flat_map(|text| Network::parse(text)).collect();
                return (!networks.is_empty()).then(|| json!(networks));
            }
            Kind::Time(at) => i64::try_from(at.of(role).as_nanos())
                .unwrap_or(i64::MAX)
                .into(),
            Kind::FormerText => "".into(),
            Kind::FormerFlag => false.into(),
        })
    }

    /// Takes it out of what is stored.
    pub(super) fn restore(
        &self,
        role: &mut Settings,
        stored: &mut Other,
    ) -> serde_json::Result<()> {
        let name = self.stored;
        match &self.kind {
            Kind::Flag(at) | Kind::Mark(at) => at.put(role, stored.take(name)?),
            Kind::Switch(at) => {
                at.put(role, stored.take::<Option<bool>>(name)?.unwrap_or(true));
            }
            Kind::Number(at) => at.put(role, stored.take(name)?),
            Kind::Text(at) | Kind::KeyType(at) => at.put(role, stored.take(name)?),
            Kind::List(at) | Kind::Policies(at) => at.put(role, stored.take(name)?),
            Kind::Networks(at) => {
                let networks: Vec<Network> = stored.take(name)?;
                at.put(role, networks.iter().map(ToString::to_string).collect());
            }
            Kind::Time(at) => {
                let nanoseconds: i64 = stored.take(name)?;
                at.put(
                    role,
                    Duration::from_nanos(nanoseconds.try_into().unwrap_or_default()),
                );
            }
            // Moved to where it belongs by whoever knows older layouts.
            Kind::FormerText | Kind::FormerFlag => {}
        }
        Ok(())
    }
}
