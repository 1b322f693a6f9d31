//! Credentials by IAM Roles Anywhere: the keys of the stanza that name a session.

use std::path::PathBuf;

use super::{Network, Reader, check_endpoint, endpoint};
use crate::config::Environment;
use crate::credentials::RolesAnywhere;
use crate::error::Error;

/// The stanza's keys. Each also counts as an environment variable, in capitals and with `LANDFAST_` in front.
pub(super) const KEYS: [&str; 11] = [
    "roles_anywhere_ca_file",
    "roles_anywhere_certificate",
    "roles_anywhere_endpoint",
    "roles_anywhere_intermediates",
    "roles_anywhere_passphrase_file",
    "roles_anywhere_private_key",
    "roles_anywhere_profile_arn",
    "roles_anywhere_role_arn",
    "roles_anywhere_session_duration",
    "roles_anywhere_session_name",
    "roles_anywhere_trust_anchor_arn",
];

/// Other credentials of a stanza. Beside a Roles Anywhere session nobody could tell which is meant.
const OTHERS: [&str; 5] = [
    "access_key",
    "secret_key",
    "shared_creds_filename",
    "shared_creds_profile",
    "web_identity_token_file",
];

/// Reads the keys; `None` if there are none of them.
pub(super) fn read(
    reader: &mut Reader<'_>,
    environment: &Environment,
    use_fips: bool,
    network: &Network,
) -> Result<Option<RolesAnywhere>, Error> {
    let set = |keys: &[&'static str]| {
        let mut keys = keys.iter().copied();
        keys.find(|key| reader.value(key).is_some())
    };
    match (set(&KEYS), set(&OTHERS)) {
        (Some(ours), Some(other)) => {
            return Err(Error::Config(format!(
                "{other} and {ours} are both set: leave one kind of credentials out"
            )));
        }
        // What the stanza says is more than what a variable says.
        (None, Some(_)) => return Ok(None),
        (_, None) => {}
    }
    let value = |key: &str| {
        let variable = format!("LANDFAST_{}", key.to_ascii_uppercase());
        let value = reader.value(key).or_else(|| environment.var(&variable));
        value.map(str::to_owned)
    };
    if KEYS.into_iter().all(|key| value(key).is_none()) {
        return Ok(None);
    }
    let needed = |key: &str| {
        value(key).ok_or_else(|| {
            Error::Config(format!(
                "{key} is missing: a Roles Anywhere session needs roles_anywhere_trust_anchor_arn, \
                 roles_anywhere_profile_arn and roles_anywhere_role_arn"
            ))
        })
    };
    // Where a hybrid node of EKS has its certificate.
    let file =
        |key: &str, usual: &str| PathBuf::from(value(key).unwrap_or_else(|| usual.to_owned()));
    let session_duration = value("roles_anywhere_session_duration").map(|text| {
        let seconds = text
            .parse()
            .ok()
            .filter(|seconds| (900..=43_200).contains(seconds));
        seconds.ok_or_else(|| {
            Error::Config(
                "roles_anywhere_session_duration must be between 900 and 43200 seconds".to_owned(),
            )
        })
    });
    let found = RolesAnywhere {
        trust_anchor_arn: needed("roles_anywhere_trust_anchor_arn")?,
        profile_arn: needed("roles_anywhere_profile_arn")?,
        role_arn: needed("roles_anywhere_role_arn")?,
        certificate: file("roles_anywhere_certificate", "/etc/iam/pki/server.pem"),
        private_key: file("roles_anywhere_private_key", "/etc/iam/pki/server.key"),
        passphrase_file: value("roles_anywhere_passphrase_file").map(PathBuf::from),
        intermediates: value("roles_anywhere_intermediates").map(PathBuf::from),
        endpoint: value("roles_anywhere_endpoint").or_else(|| {
            let url = endpoint(environment, "AWS_ENDPOINT_URL_ROLESANYWHERE");
            url.map(str::to_owned)
        }),
        ca_file: value("roles_anywhere_ca_file")
            .map(PathBuf::from)
            .or_else(|| network.ca_bundle.clone()),
        session_duration: session_duration.transpose()?,
        session_name: value("roles_anywhere_session_name"),
        use_fips,
        dual_stack: network.dual_stack,
    };
    if let Some(url) = &found.endpoint {
        check_endpoint("roles_anywhere_endpoint", url, &mut reader.warnings)?;
    }
    Ok(Some(found))
}
