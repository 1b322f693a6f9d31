//! Credentials by IAM Roles Anywhere: the keys of the stanza that name a session.

use std::path::PathBuf;
use std::sync::Arc;

use super::{Environment, Network, Reader, check_endpoint};
use crate::credentials::CredentialSource;
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

/// Which session is asked for, and with which certificate. The ARNs are as they were configured.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RolesAnywhere {
    /// The trust anchor; its Region is where the call goes.
    pub trust_anchor_arn: String,
    /// The profile.
    pub profile_arn: String,
    /// The role that the session is of.
    pub role_arn: String,
    /// Certificate in PEM, leaf first. Read again for each session.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub private_key: PathBuf,
    /// File with the passphrase of an encrypted key.
    pub passphrase_file: Option<PathBuf>,
    /// Further certificates of the chain in PEM.
    pub intermediates: Option<PathBuf>,
    /// Endpoint instead of the service's own.
    pub endpoint: Option<String>,
    /// The CAs of the endpoint in PEM, in place of the public ones.
    pub ca_file: Option<PathBuf>,
    /// Length of a session in seconds; without it the profile decides.
    pub session_duration: Option<u32>,
    /// Role session name, if the profile accepts one.
    pub session_name: Option<String>,
    /// Use the FIPS 140 endpoint.
    pub use_fips: bool,
    /// Use the endpoint that answers over IPv6 too.
    pub dual_stack: bool,
}

/// Makes a source of such sessions. Nothing is read or called before the source is asked.
///
/// # Errors
/// An ARN or another value cannot be used.
pub type OpenRolesAnywhere = fn(&RolesAnywhere) -> Result<Arc<dyn CredentialSource>, Error>;

impl RolesAnywhere {
    /// Reads the keys; `None` if there are none of them.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        environment: &Environment,
        use_fips: bool,
        network: &Network,
    ) -> Result<Option<Self>, Error> {
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
                    "roles_anywhere_session_duration must be between 900 and 43200 seconds"
                        .to_owned(),
                )
            })
        });
        let found = Self {
            trust_anchor_arn: needed("roles_anywhere_trust_anchor_arn")?,
            profile_arn: needed("roles_anywhere_profile_arn")?,
            role_arn: needed("roles_anywhere_role_arn")?,
            certificate: file("roles_anywhere_certificate", "/etc/iam/pki/server.pem"),
            private_key: file("roles_anywhere_private_key", "/etc/iam/pki/server.key"),
            passphrase_file: value("roles_anywhere_passphrase_file").map(PathBuf::from),
            intermediates: value("roles_anywhere_intermediates").map(PathBuf::from),
            endpoint: value("roles_anywhere_endpoint").or_else(|| {
                let url = environment.endpoint("AWS_ENDPOINT_URL_ROLESANYWHERE");
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
}
