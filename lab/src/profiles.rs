//! The control plane's profiles.
//!
//! Source: the Roles Anywhere API model of 2018-05-10.

use jiff::Timestamp;
use landfast_base::arn::{Arn, ArnKind};
use landfast_base::limits::{
    MAPPING_RULE, PROFILE_POLICIES, PROFILE_ROLES, PROFILES, SESSION_POLICY,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use crate::operation::{Answer, find, input, invalid, page, refuse_extras, time};
use crate::request::{Request, decode_query};
use crate::state::{ControlError, Profile, State, Times, check_name};
use crate::verify;

const FIELDS: [&str; 3] = ["x509Subject", "x509Issuer", "x509SAN"];

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Input {
    name: Option<String>,
    enabled: Option<bool>,
    role_arns: Option<Vec<String>>,
    /// Any number, so that one out of range is told as such.
    duration_seconds: Option<serde_json::Number>,
    accept_role_session_name: Option<bool>,
    session_policy: Option<String>,
    managed_policy_arns: Option<Vec<String>>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct MappingInput {
    certificate_field: String,
    mapping_rules: Vec<Rule>,
}

#[derive(Deserialize)]
struct Rule {
    specifier: String,
}

/// Carries out one call on `profiles` or `profile`.
pub(crate) fn call(
    state: &mut State,
    request: &Request,
    segments: &[&str],
    now: Timestamp,
) -> Answer {
    let method = request.method.as_str();
    let index = match (method, segments) {
        ("POST", ["profiles"]) => {
            let given: Input = input(request)?;
            let (Some(name), Some(_)) = (&given.name, &given.role_arns) else {
                return Err(invalid("name and roleArns are required"));
            };
            if state.profiles.len() >= PROFILES {
                return Err(invalid("the account has 250 profiles already"));
            }
            let mut profile = Profile::new(state.new_arn("profile")?, name, Vec::new());
            profile.times = Times::at(now);
            profile.enabled = given.enabled.unwrap_or(false);
            change(&mut profile, given, &state.account)?;
            state.profiles.push(profile);
            let made = state.profiles.last().map(body);
            return Ok((201, json!({ "profile": made })));
        }
        ("GET", ["profiles"]) => {
            return page(
                request,
                "profiles",
                state.profiles.iter().map(body).collect(),
            );
        }
        (_, ["profiles", id, "mappings"] | ["profile", id, ..]) => {
            find(&state.profiles, |one| &one.arn, id, "the profile")?
        }
        _ => return Err(ControlError::Operation),
    };
    let profile = &mut state.profiles[index];
    match (method, segments) {
        ("GET", ["profile", _]) => {}
        ("PATCH", ["profile", _]) => change(profile, input(request)?, &state.account)?,
        ("POST", ["profile", _, switch @ ("enable" | "disable")]) => {
            profile.enabled = *switch == "enable";
        }
        ("DELETE", ["profile", _]) => {
            let gone = state.profiles.remove(index);
            return Ok((200, json!({ "profile": body(&gone) })));
        }
        ("PUT", [_, _, "mappings"]) => put_mapping(profile, input(request)?)?,
        ("DELETE", [_, _, "mappings"]) => delete_mapping(profile, &request.query)?,
        _ => return Err(ControlError::Operation),
    }
    if method != "GET" {
        profile.times.updated = now;
    }
    Ok((200, json!({ "profile": body(profile) })))
}

/// Takes over what the request names; nothing changes when a part is wrong.
fn change(profile: &mut Profile, given: Input, account: &str) -> Result<(), ControlError> {
    refuse_extras(&given.rest)?;
    let mut next = profile.clone();
    if let Some(name) = given.name {
        check_name(&name)?;
        next.name = name;
    }
    if let Some(roles) = given.role_arns {
        if roles.len() > PROFILE_ROLES {
            return Err(invalid("roleArns: more than 250"));
        }
        next.roles = roles
            .iter()
            .map(|text| {
                let role = Arn::parse_as(text, ArnKind::Role)
                    .map_err(|error| invalid(&format!("roleArns: {error}")))?;
                if role.account == account {
                    Ok(role)
                } else {
                    Err(invalid("roleArns: a role of another account"))
                }
            })
            .collect::<Result<_, _>>()?;
    }
    if let Some(given) = &given.duration_seconds {
        next.duration = verify::duration(given).map_err(invalid)?;
    }
    if let Some(accept) = given.accept_role_session_name {
        next.accept_session_name = accept;
    }
    if let Some(policy) = given.session_policy {
        if policy.len() > SESSION_POLICY {
            return Err(invalid("sessionPolicy: more than 100000 characters"));
        }
        if !serde_json::from_str::<Value>(&policy).is_ok_and(|policy| policy.is_object()) {
            return Err(invalid(
                "sessionPolicy: not a policy, which is a JSON object",
            ));
        }
        next.session_policy = Some(policy);
    }
    if let Some(policies) = given.managed_policy_arns {
        if policies.len() > PROFILE_POLICIES {
            return Err(invalid("managedPolicyArns: more than 50"));
        }
        next.managed_policies = policies
            .iter()
            .map(|text| Arn::parse_as(text, ArnKind::Policy))
            .collect::<Result<_, _>>()
            .map_err(|error| invalid(&format!("managedPolicyArns: {error}")))?;
    }
    *profile = next;
    Ok(())
}

fn put_mapping(profile: &mut Profile, given: MappingInput) -> Result<(), ControlError> {
    check_field(&given.certificate_field)?;
    let rules: Vec<String> = given
        .mapping_rules
        .into_iter()
        .map(|rule| rule.specifier)
        .collect();
    if rules
        .iter()
        .any(|rule| rule.is_empty() || rule.len() > MAPPING_RULE)
    {
        return Err(invalid("mappingRules.specifier takes 1 to 60 characters"));
    }
    profile.mappings.0.insert(given.certificate_field, rules);
    Ok(())
}

fn delete_mapping(profile: &mut Profile, query: &str) -> Result<(), ControlError> {
    let query = decode_query(query).unwrap_or_default();
    let named = |name: &str| -> Vec<&String> {
        let pairs = query.iter().filter(|(key, _)| key == name);
        pairs.map(|(_, value)| value).collect()
    };
    let fields = named("certificateField");
    let [field] = fields.as_slice() else {
        return Err(invalid("certificateField is required"));
    };
    check_field(field)?;
    let specifiers = named("specifiers");
    if specifiers.is_empty() {
        profile.mappings.0.remove(field.as_str());
    } else if let Some(rules) = profile.mappings.0.get_mut(field.as_str()) {
        rules.retain(|rule| !specifiers.contains(&rule));
    }
    Ok(())
}

fn check_field(field: &str) -> Result<(), ControlError> {
    if FIELDS.contains(&field) {
        Ok(())
    } else {
        Err(invalid(
            "certificateField is x509Subject, x509Issuer or x509SAN",
        ))
    }
}

fn body(profile: &Profile) -> Value {
    let mappings: Vec<Value> = profile
        .mappings
        .0
        .iter()
        .map(|(field, rules)| {
            let rules: Vec<Value> = rules
                .iter()
                .map(|rule| json!({ "specifier": rule }))
                .collect();
            json!({ "certificateField": field, "mappingRules": rules })
        })
        .collect();
    json!({
        "profileId": profile.arn.name(),
        "profileArn": profile.arn,
        "name": profile.name,
        "enabled": profile.enabled,
        "roleArns": profile.roles,
        "durationSeconds": profile.duration,
        "acceptRoleSessionName": profile.accept_session_name,
        "sessionPolicy": profile.session_policy,
        "managedPolicyArns": profile.managed_policies,
        "attributeMappings": mappings,
        "requireInstanceProperties": false,
        "createdBy": profile.arn.account,
        "createdAt": time(profile.times.created),
        "updatedAt": time(profile.times.updated),
    })
}
