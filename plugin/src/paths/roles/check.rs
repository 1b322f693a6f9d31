//! What a role is refused for. Much is accepted that has no effect (unknown usage names, say), as in the built-in engine, because
//! clients that manage roles send it.

use landfast_pki::KeySpec;
use landfast_sdk::logical::Error;

use crate::entry::role::{Network, RoleEntry, default_key_bits};
use crate::{Mount, issuers, pki};

/// Puts `role` into its final form, or says what is wrong with it. The texts returned are warnings.
pub(super) async fn role(mount: &Mount, role: &mut RoleEntry) -> Result<Vec<String>, Error> {
    other_names(&role.allowed_other_sans)?;
    if !role.max_ttl_duration.is_zero() && role.ttl_duration > role.max_ttl_duration {
        return bad("\"ttl\" value must be less than \"max_ttl\" value");
    }
    key(role)?;
    for oid in &role.ext_key_usage_oids {
        if arcs(oid).is_err() {
            return bad(format!(
                "{oid:?} could not be parsed as a valid oid for an extended key usage"
            ));
        }
    }
    for policy in &role.policy_identifiers {
        policy_identifier(policy)?;
    }
    let warnings = issuer(mount, &role.issuer).await?;
    role.cn_validations = name_shapes(&role.cn_validations)?;
    if !["permit", "duration", "forbid"].contains(&role.not_before_bound.as_str()) {
        return bad(
            "Unknown value for field `not_before_bound`. Possible values are `permit` `duration` or `forbid`",
        );
    }
    let end = role.not_after_bound.as_str();
    if !["permit", "ttl-limited", "forbid"].contains(&end)
        && end.parse::<jiff::Timestamp>().is_err()
    {
        return bad(
            "Unknown value for field `not_after_bound`. Possible values are `permit`, `ttl-limited`, `forbid`, or an explicit timestamp.",
        );
    }
    Ok(warnings)
}

/// The networks of `allowed_ip_sans_cidr`.
pub(super) fn networks(texts: &[String]) -> Result<Vec<Network>, Error> {
    let parse = |text: &String| {
        Network::parse(text).ok_or_else(|| {
            Error::BadRequest(format!(
                "error parsing allowed_ip_sans_cidr: invalid CIDR address: {text}"
            ))
        })
    };
    texts.iter().map(parse).collect()
}

fn key(role: &mut RoleEntry) -> Result<(), Error> {
    if role.key_bits == 0 {
        role.key_bits = default_key_bits(&role.key_type);
    }
    if role.key_type == "any" {
        return Ok(());
    }
    KeySpec::parse(&role.key_type, role.key_bits)
        .map(drop)
        .map_err(pki::refused)
}

async fn issuer(mount: &Mount, reference: &str) -> Result<Vec<String>, Error> {
    if issuers::exists(mount, reference).await? {
        return Ok(Vec::new());
    }
    Ok(vec![if reference == "default" {
        "Issuing Certificate was set to default, but no default issuing certificate (configurable at /config/issuers) is currently set"
            .to_owned()
    } else {
        format!(
            "Issuing Certificate was set to {reference} but no issuing certificate currently has that name"
        )
    }])
}

fn other_names(allowed: &[String]) -> Result<(), Error> {
    if allowed == ["*"] {
        return Ok(());
    }
    for allowed in allowed {
        let problem = match allowed
            .split_once(';')
            .map(|(_, value)| value.split_once(':'))
        {
            None => "expected a semicolon in other SAN",
            Some(None) => "expected a colon in other SAN",
            Some(Some((kind, _)))
                if !kind.eq_ignore_ascii_case("utf8") && !kind.eq_ignore_ascii_case("utf-8") =>
            {
                "only utf8 other SANs are supported; found non-supported type in other SAN"
            }
            Some(Some(_)) => continue,
        };
        return bad(format!(
            "error parsing allowed_other_sans: {problem} {allowed:?}"
        ));
    }
    Ok(())
}

/// An element of `policy_identifiers`: an OID, or a JSON object that has one.
fn policy_identifier(text: &str) -> Result<(), Error> {
    let Err(not_oid) = arcs(text) else {
        return Ok(());
    };
    let failed = |text| Err(Error::Failed(text));
    match serde_json::from_str::<super::Policy>(text) {
        Ok(policy) => arcs(&policy.oid).or_else(failed),
        Err(not_json) => failed(format!(
            "policy identifier {text:?} is neither a valid OID: {not_oid}, Nor JSON Policy Identifier: {not_json}"
        )),
    }
}

/// Whether `oid` is made of numbers and dots; the error says which part is not.
fn arcs(oid: &str) -> Result<(), String> {
    for arc in oid.split('.') {
        if arc.parse::<u32>().is_err() || !arc.bytes().all(|digit| digit.is_ascii_digit()) {
            return Err(format!("strconv.Atoi: parsing {arc:?}: invalid syntax"));
        }
    }
    Ok(())
}

/// The elements of `cn_validations` in lower case; none means the usual two.
fn name_shapes(shapes: &[String]) -> Result<Vec<String>, Error> {
    let wrong = |what: String| {
        Err(Error::Failed(format!(
            "cn_validations value incorrect: {what}"
        )))
    };
    let mut seen: Vec<String> = Vec::new();
    for shape in shapes {
        let shape = shape.to_lowercase();
        if !["disabled", "email", "hostname"].contains(&shape.as_str()) {
            return wrong(format!("unknown type: `{shape}`"));
        }
        if seen.contains(&shape) {
            return wrong(format!("`{shape}` specified multiple times"));
        }
        seen.push(shape);
    }
    if seen.len() > 1 && seen.iter().any(|shape| shape == "disabled") {
        return wrong("cannot specify `disabled` along with `email` or `hostname`".to_owned());
    }
    if seen.is_empty() {
        seen = vec!["email".to_owned(), "hostname".to_owned()];
    }
    Ok(seen)
}

fn bad<T>(text: impl Into<String>) -> Result<T, Error> {
    Err(Error::BadRequest(text.into()))
}
