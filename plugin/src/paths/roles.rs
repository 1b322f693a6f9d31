//! `roles/NAME`: the roles that certificates are made by.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{self, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};

use landfast_pki::profile::split_policy_identifiers;
use landfast_sdk::logical::{CommaList, Cx, Error, Page, Response, Ttl};

use crate::Mount;
use crate::entry::role::{self, RoleEntry};
use crate::mount::Shared;
use crate::role::Role;

mod check;
mod preset;

use preset::PresetRequest;
pub(crate) use preset::moved;

/// Which role.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct RoleName {
    /// Name of the role.
    name: String,
}

/// What a role may be told. A write replaces the role, so that whatever is not sent gets its default; a patch keeps the rest.
#[derive(Debug, Deserialize, JsonSchema)]
pub(crate) struct RoleRequest {
    /// Name of the role.
    name: String,
    /// Accept every name.
    allow_any_name: Option<bool>,
    /// Accept names equal to one of the allowed domains.
    allow_bare_domains: Option<bool>,
    /// Let `*` in an allowed domain match any text, dots included.
    allow_glob_domains: Option<bool>,
    /// Let a value filled into a template contain `*`. Off, such a value matches nothing.
    #[schemars(extend("default" = false))]
    allow_globs_in_identity_templates: Option<bool>,
    /// Accept IP addresses as subject alternative names.
    #[schemars(extend("default" = true))]
    allow_ip_sans: Option<bool>,
    /// Accept `localhost` and `localdomain`.
    #[schemars(extend("default" = true))]
    allow_localhost: Option<bool>,
    /// Accept names that lie under one of the allowed domains, wildcards included.
    allow_subdomains: Option<bool>,
    /// Accept wildcard names where the other rules accept them. Off, none is accepted, not even with `allow_any_name`.
    #[schemars(extend("default" = true))]
    allow_wildcard_certificates: Option<bool>,
    /// Domains that `allow_bare_domains`, `allow_subdomains` and `allow_glob_domains` refer to.
    allowed_domains: Option<CommaList>,
    /// Fill `{{identity.…}}` in the allowed domains with values of the caller's entity.
    #[schemars(extend("default" = false))]
    allowed_domains_template: Option<bool>,
    /// Networks in CIDR notation that IP addresses must lie in; empty accepts all.
    allowed_ip_sans_cidr: Option<CommaList>,
    /// Accepted other names, each `OID;UTF8:value` where the value may contain `*`; or `*` alone for all.
    allowed_other_sans: Option<CommaList>,
    /// Patterns of accepted serial numbers in the subject (not of the certificate).
    allowed_serial_numbers: Option<CommaList>,
    /// Patterns of accepted URIs, matched as a whole; empty accepts none.
    allowed_uri_sans: Option<CommaList>,
    /// Fill `{{identity.…}}` in the URI patterns with values of the caller's entity.
    #[schemars(extend("default" = false))]
    allowed_uri_sans_template: Option<bool>,
    /// User ids accepted in the subject, as names or patterns.
    allowed_user_ids: Option<CommaList>,
    /// Taken for compatibility and not used.
    #[expect(dead_code, reason = "clients of old send it")]
    backend: Option<String>,
    /// Put a critical basic constraints extension with CA false into leaves.
    basic_constraints_valid_for_non_ca: Option<bool>,
    /// Add the extended key usage for TLS clients.
    #[schemars(extend("default" = true))]
    client_flag: Option<bool>,
    /// Shapes that a common name may have: `email`, `hostname`, both, or `disabled` for no check.
    #[schemars(extend("default" = ["email", "hostname"]))]
    cn_validations: Option<CommaList>,
    /// Add the extended key usage for code signing.
    code_signing_flag: Option<bool>,
    /// Countries of the subject.
    country: Option<CommaList>,
    /// Add the extended key usage for mail.
    email_protection_flag: Option<bool>,
    /// Accept only names that are valid host names, or mail addresses on one.
    #[schemars(extend("default" = true))]
    enforce_hostnames: Option<bool>,
    /// Further extended key usages by name, such as `TimeStamping`. Unknown names are passed over.
    #[schemars(extend("default" = []))]
    ext_key_usage: Option<CommaList>,
    /// Further extended key usages by OID.
    ext_key_usage_oids: Option<CommaList>,
    /// Give each certificate a lease, whose revocation revokes the certificate. A lease costs the server more than a stored certificate does.
    generate_lease: Option<bool>,
    /// Issuer that signs: a name, an id, or `default`. Looked up when a certificate is made.
    #[schemars(extend("default" = "default"))]
    issuer_ref: Option<String>,
    /// Size of the key; 0 for the usual size of the type.
    #[schemars(extend("default" = 0))]
    key_bits: Option<i64>,
    /// Type of key that is generated, and that a CSR must have; `any` lets the CSR decide.
    #[schemars(extend("default" = "rsa", "enum" = ["rsa", "ec", "ed25519", "any"]))]
    key_type: Option<String>,
    /// Key usages by name; an empty list leaves the extension out.
    #[schemars(extend("default" = ["DigitalSignature", "KeyAgreement", "KeyEncipherment"]))]
    key_usage: Option<CommaList>,
    /// Localities of the subject.
    locality: Option<CommaList>,
    /// Longest lifetime; 0 for the mount's.
    max_ttl: Option<Ttl>,
    /// Keep no copy of issued certificates. They are neither listed nor revocable by serial number; revoking by the certificate itself works.
    no_store: Option<bool>,
    /// Fixed end of validity, RFC 3339. Wins over whatever a request says.
    not_after: Option<String>,
    /// What a request's `not_after` may be: `permit` (anything), `ttl-limited` (within the longest lifetime), `forbid`, or a latest time.
    #[schemars(extend("default" = "permit"))]
    not_after_bound: Option<String>,
    /// Fixed start of validity, RFC 3339, where a request sends none.
    not_before: Option<String>,
    /// What a request's `not_before` may be: `permit` (anything), `duration` (no older than `not_before_duration`), or `forbid`.
    #[schemars(extend("default" = "permit"))]
    not_before_bound: Option<String>,
    /// How far before the time of issue validity starts.
    #[schemars(extend("default" = 30))]
    not_before_duration: Option<Ttl>,
    /// Organizations of the subject.
    organization: Option<CommaList>,
    /// Organizational units of the subject.
    ou: Option<CommaList>,
    /// Certificate policies: OIDs, or a JSON array of objects with `oid`, `cps` and `notice`.
    policy_identifiers: Option<Policies>,
    /// Postal codes of the subject.
    postal_code: Option<CommaList>,
    /// Provinces or states of the subject.
    province: Option<CommaList>,
    /// Refuse a request without a common name.
    #[schemars(extend("default" = true))]
    require_cn: Option<bool>,
    /// Add the extended key usage for TLS servers.
    #[schemars(extend("default" = true))]
    server_flag: Option<bool>,
    /// Size of the signature's hash: 256, 384 or 512; 0 to follow the issuer's key.
    #[schemars(extend("default" = 0))]
    signature_bits: Option<i64>,
    /// Street addresses of the subject.
    street_address: Option<CommaList>,
    /// Lifetime where a request names none; 0 for the mount's default.
    ttl: Option<Ttl>,
    /// Take the common name from the CSR when signing one.
    #[schemars(extend("default" = true))]
    use_csr_common_name: Option<bool>,
    /// Take the subject alternative names from the CSR when signing one.
    #[schemars(extend("default" = true))]
    use_csr_sans: Option<bool>,
    /// Sign with RSA-PSS when the issuer's key is RSA.
    #[schemars(extend("default" = false))]
    use_pss: Option<bool>,
}

/// `LIST roles`.
pub(crate) async fn list(mount: Shared, _cx: Cx, page: Page) -> Result<Response, Error> {
    Ok(Response::list(
        mount
            .storage()
            .list_page(role::PREFIX, &page.after, page.limit())
            .await?,
    ))
}

/// `GET roles/NAME`.
pub(crate) async fn read(mount: Shared, _cx: Cx, request: RoleName) -> Result<Response, Error> {
    Ok(
        match mount.load::<Role>(&RoleEntry::key(&request.name)).await? {
            Some(role) => Response::map(describe(&role.entry)),
            None => Response::none(),
        },
    )
}

/// `POST roles/NAME`: makes the role or replaces it as a whole.
pub(crate) async fn write(
    mount: Shared,
    _cx: Cx,
    (request, preset): (RoleRequest, PresetRequest),
) -> Result<Response, Error> {
    if preset.is_asked()? {
        return preset::write(&mount, request, &preset).await;
    }
    store(&mount, request, RoleEntry::fresh()).await
}

/// `PATCH roles/NAME`: changes the fields sent, and no others.
pub(crate) async fn patch(
    mount: Shared,
    _cx: Cx,
    (request, preset): (RoleRequest, PresetRequest),
) -> Result<Response, Error> {
    if preset.is_asked()? {
        return Err(Error::bad_request(
            "a preset writes a whole role: send it by POST",
        ));
    }
    let Some(role) = mount.load::<Role>(&RoleEntry::key(&request.name)).await? else {
        return Err(Error::BadRequest(
            "Unable to fetch role entry to patch".into(),
        ));
    };
    store(&mount, request, role.entry.clone()).await
}

/// `DELETE roles/NAME`: the role need not exist.
pub(crate) async fn delete(mount: Shared, _cx: Cx, request: RoleName) -> Result<Response, Error> {
    mount.delete(RoleEntry::key(&request.name)).await?;
    Ok(Response::none())
}

async fn store(
    mount: &Mount,
    request: RoleRequest,
    mut entry: RoleEntry,
) -> Result<Response, Error> {
    let name = request.name.clone();
    request.apply(&mut entry)?;
    put(mount, &name, entry).await
}

/// Checks a role, stores it and shows it.
pub(crate) async fn put(
    mount: &Mount,
    name: &str,
    mut entry: RoleEntry,
) -> Result<Response, Error> {
    let mut warnings = check::role(mount, &mut entry).await?;
    if entry.no_store && entry.generate_lease {
        entry.generate_lease = false;
        warnings.push(
            "mutually exclusive values no_store=true and generate_lease=true were both specified; no_store=true takes priority"
                .to_owned(),
        );
    } else if entry.generate_lease {
        warnings.push(
            "it is encouraged to disable generate_lease and rely on PKI's native capabilities when possible; this option can cause instance-wide issues with large numbers of issued certificates"
                .to_owned(),
        );
    }
    if mount.is_on_vault() {
        warnings.extend(unknown_to_vault(&entry));
    }
    // A role that cannot be read has nothing that could be kept.
    if let Ok(Some(before)) = mount.load::<Role>(&RoleEntry::key(name)).await {
        entry.other.keep(&before.entry.other);
    }
    mount.put(RoleEntry::key(name), entry.encode()).await?;
    Ok(warnings
        .into_iter()
        .fold(Response::map(describe(&entry)), Response::warn))
}

/// A warning of limits of a role that Vault's own engine does not know.
fn unknown_to_vault(role: &RoleEntry) -> Option<String> {
    let fields = [
        (
            "allowed_ip_sans_cidr",
            !role.allowed_ip_sans_cidr.is_empty(),
        ),
        ("not_after_bound", role.not_after_bound != "permit"),
        ("not_before_bound", role.not_before_bound != "permit"),
    ];
    let set: Vec<_> = fields
        .iter()
        .filter(|(_, set)| *set)
        .map(|(name, _)| *name)
        .collect();
    (!set.is_empty()).then(|| {
        format!(
            "Vault's own pki engine does not know {}: the role is wider, without a word, once it serves the mount again",
            set.join(", ")
        )
    })
}

impl RoleRequest {
    /// Puts what was sent into `role`.
    fn apply(self, role: &mut RoleEntry) -> Result<(), Error> {
        if let Some(networks) = self.allowed_ip_sans_cidr {
            role.allowed_ip_sans_cidr = check::networks(&networks.0)?;
        }
        if let Some(issuer) = self.issuer_ref {
            role.issuer = if issuer.is_empty() {
                "default".to_owned()
            } else {
                issuer
            };
        }
        set(&mut role.allow_any_name, self.allow_any_name);
        set(&mut role.allow_bare_domains, self.allow_bare_domains);
        set(&mut role.allow_glob_domains, self.allow_glob_domains);
        set(
            &mut role.allow_globs_in_identity_templates,
            self.allow_globs_in_identity_templates,
        );
        set(&mut role.allow_ip_sans, self.allow_ip_sans);
        set(&mut role.allow_localhost, self.allow_localhost);
        set(&mut role.allow_subdomains, self.allow_subdomains);
        set(
            &mut role.allow_wildcard_certificates,
            self.allow_wildcard_certificates,
        );
        set_list(&mut role.allowed_domains_list, self.allowed_domains);
        set(
            &mut role.allowed_domains_template,
            self.allowed_domains_template,
        );
        set_list(&mut role.allowed_other_sans, self.allowed_other_sans);
        set_list(
            &mut role.allowed_serial_numbers,
            self.allowed_serial_numbers,
        );
        set_list(&mut role.allowed_uri_sans, self.allowed_uri_sans);
        set(
            &mut role.allowed_uri_sans_template,
            self.allowed_uri_sans_template,
        );
        set_list(&mut role.allowed_user_ids, self.allowed_user_ids);
        set(
            &mut role.basic_constraints_valid_for_non_ca,
            self.basic_constraints_valid_for_non_ca,
        );
        set(&mut role.client_flag, self.client_flag);
        set_list(&mut role.cn_validations, self.cn_validations);
        set(&mut role.code_signing_flag, self.code_signing_flag);
        set_list(&mut role.country, self.country);
        set(&mut role.email_protection_flag, self.email_protection_flag);
        set(&mut role.enforce_hostnames, self.enforce_hostnames);
        set_list(&mut role.extended_key_usage_list, self.ext_key_usage);
        set_list(&mut role.ext_key_usage_oids, self.ext_key_usage_oids);
        set(&mut role.generate_lease, self.generate_lease);
        set(&mut role.key_bits, self.key_bits);
        set(&mut role.key_type, self.key_type);
        set_list(&mut role.key_usage_list, self.key_usage);
        set_list(&mut role.locality, self.locality);
        set(&mut role.max_ttl_duration, self.max_ttl.map(|ttl| ttl.0));
        set(&mut role.no_store, self.no_store);
        set(&mut role.not_after, self.not_after);
        set(&mut role.not_after_bound, self.not_after_bound);
        set(&mut role.not_before, self.not_before);
        set(&mut role.not_before_bound, self.not_before_bound);
        set(
            &mut role.not_before_duration,
            self.not_before_duration.map(|ttl| ttl.0),
        );
        set_list(&mut role.organization_list, self.organization);
        set_list(&mut role.ou_list, self.ou);
        set(
            &mut role.policy_identifiers,
            self.policy_identifiers.map(|list| list.0),
        );
        set_list(&mut role.postal_code, self.postal_code);
        set_list(&mut role.province, self.province);
        set(&mut role.require_cn, self.require_cn);
        set(&mut role.server_flag, self.server_flag);
        set(&mut role.signature_bits, self.signature_bits);
        set_list(&mut role.street_address, self.street_address);
        set(&mut role.ttl_duration, self.ttl.map(|ttl| ttl.0));
        set(&mut role.use_csr_common_name, self.use_csr_common_name);
        set(&mut role.use_csr_sans, self.use_csr_sans);
        set(&mut role.use_pss, self.use_pss);
        Ok(())
    }
}

fn set_list(field: &mut Vec<String>, sent: Option<CommaList>) {
    set(field, sent.map(|list| list.0));
}

fn set<T>(field: &mut T, sent: Option<T>) {
    if let Some(sent) = sent {
        *field = sent;
    }
}

/// A role as the API shows it: every field, durations in whole seconds, no list null.
fn describe(role: &RoleEntry) -> Map<String, Value> {
    let networks: Vec<_> = role
        .allowed_ip_sans_cidr
        .iter()
        .map(ToString::to_string)
        .collect();
    let Value::Object(mut fields) = json!({
        "allow_any_name": role.allow_any_name,
        "allow_bare_domains": role.allow_bare_domains,
        "allow_glob_domains": role.allow_glob_domains,
        "allow_globs_in_identity_templates": role.allow_globs_in_identity_templates,
        "allow_ip_sans": role.allow_ip_sans,
        "allow_localhost": role.allow_localhost,
        "allow_subdomains": role.allow_subdomains,
        "allow_token_displayname": role.allow_token_displayname,
        "allow_wildcard_certificates": role.allow_wildcard_certificates,
        "allowed_domains": role.allowed_domains_list,
        "allowed_domains_template": role.allowed_domains_template,
        "allowed_ip_sans_cidr": networks,
        "allowed_other_sans": role.allowed_other_sans,
        "allowed_serial_numbers": role.allowed_serial_numbers,
        "allowed_uri_sans": role.allowed_uri_sans,
        "allowed_uri_sans_template": role.allowed_uri_sans_template,
        "allowed_user_ids": role.allowed_user_ids,
        "basic_constraints_valid_for_non_ca": role.basic_constraints_valid_for_non_ca,
        "client_flag": role.client_flag,
        "cn_validations": role.cn_validations,
        "code_signing_flag": role.code_signing_flag,
        "country": role.country,
        "email_protection_flag": role.email_protection_flag,
        "enforce_hostnames": role.enforce_hostnames,
        "ext_key_usage": role.extended_key_usage_list,
        "ext_key_usage_oids": role.ext_key_usage_oids,
        "generate_lease": role.generate_lease,
        "issuer_ref": role.issuer,
        "key_bits": role.key_bits,
        "key_type": role.key_type,
        "key_usage": role.key_usage_list,
        "locality": role.locality,
        "max_ttl": role.max_ttl_duration.as_secs(),
        "no_store": role.no_store,
        "not_after": role.not_after,
        "not_after_bound": role.not_after_bound,
        "not_before": role.not_before,
        "not_before_bound": role.not_before_bound,
        "not_before_duration": role.not_before_duration.as_secs(),
        "organization": role.organization_list,
        "ou": role.ou_list,
        "policy_identifiers": role.policy_identifiers,
        "postal_code": role.postal_code,
        "province": role.province,
        "require_cn": role.require_cn,
        "server_flag": role.server_flag,
        "signature_bits": role.signature_bits,
        "street_address": role.street_address,
        "ttl": role.ttl_duration.as_secs(),
        "use_csr_common_name": role.use_csr_common_name,
        "use_csr_sans": role.use_csr_sans,
        "use_pss": role.use_pss,
    }) else {
        unreachable!("a literal object")
    };
    // Ours, and so shown only where it is set: other roles read exactly as in the built-in engine.
    if role.node_names {
        fields.insert("landfast_node_names".to_owned(), true.into());
    }
    fields
}

/// `policy_identifiers`: a list as other fields take it, or one text holding a JSON array of objects, which becomes one element an
/// object.
#[derive(Debug)]
struct Policies(Vec<String>);

impl<'de> Deserialize<'de> for Policies {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextOrList;

        impl<'de> Visitor<'de> for TextOrList {
            type Value = Policies;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a list of policies")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Policies, E> {
                Ok(Policies(split_policy_identifiers(text)))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Policies, A::Error> {
                let mut list = Vec::new();
                while let Some(element) = seq.next_element::<String>()? {
                    list.push(element.trim().to_owned());
                }
                Ok(Policies(list))
            }

            fn visit_unit<E: de::Error>(self) -> Result<Policies, E> {
                Ok(Policies(Vec::new()))
            }

            /// An empty object is an empty list, as for other lists.
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Policies, A::Error> {
                match map.next_key::<de::IgnoredAny>()? {
                    None => Ok(Policies(Vec::new())),
                    Some(_) => Err(de::Error::invalid_type(de::Unexpected::Map, &self)),
                }
            }
        }

        deserializer.deserialize_any(TextOrList)
    }
}

impl JsonSchema for Policies {
    fn schema_name() -> std::borrow::Cow<'static, str> {
        "Policies".into()
    }

    fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
        // The kind keeps the request decoder from splitting the text, which may be JSON, at its commas.
        schemars::json_schema!({ "type": "array", "items": { "type": "string" }, "x-kind": "policies" })
    }

    fn inline_schema() -> bool {
        true
    }
}
