//! Where credentials may come from, in order, decided without touching anything.

use std::path::PathBuf;
use std::sync::Arc;

use landfast_base::Secret;
use landfast_base::arn::{Arn, ArnKind};

use super::Reader;
use crate::config::{Author, Environment};
use crate::credentials::CredentialSource;
use crate::error::Error;

/// Session name of assumed roles when none is configured. CloudTrail shows it.
const SESSION_NAME: &str = "landfast-unseal";

/// A credential, or the file to read it from at each use.
#[derive(Debug)]
pub enum SecretText {
    /// The value itself.
    Inline(Secret<String>),
    /// A file whose content, without surrounding white space, is the value.
    File(PathBuf),
}

/// An access key with its secret.
#[derive(Debug)]
pub struct StaticKeys {
    /// `access_key`
    pub access_key: SecretText,
    /// `secret_key`
    pub secret_key: SecretText,
    /// `session_token`, for temporary credentials.
    pub session_token: Option<SecretText>,
}

/// A place to look for credentials.
#[derive(Debug)]
pub enum Source {
    /// Keys in the configuration, or in files that it names.
    Stanza(StaticKeys, &'static str),
    /// `AWS_ACCESS_KEY_ID` and its companions.
    Environment(StaticKeys),
    /// The shared credentials and configuration files, with whatever the profile says: keys, `credential_process`, a role.
    Profile {
        /// Credentials file instead of the usual one.
        file: Option<PathBuf>,
        /// Profile instead of the usual one.
        profile: Option<String>,
        /// Whether somebody asked for it, so that its absence is an error.
        required: bool,
    },
    /// A token file of the workload's identity provider, exchanged at the Security Token Service.
    WebIdentity {
        /// Read again at each exchange: the provider renews it.
        token_file: PathBuf,
        /// Role to assume with it.
        role_arn: String,
        /// Session name.
        session_name: String,
    },
    /// The endpoint of the container runtime: ECS, or EKS Pod Identity.
    Container,
    /// Metadata of the instance.
    InstanceMetadata,
    /// Another part of landfast.
    External(Arc<dyn CredentialSource>),
}

impl Source {
    /// The source in the words of a message.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::Stanza(_, words) => words,
            Self::Environment(_) => "the environment",
            Self::Profile { .. } => "the shared credentials files",
            Self::WebIdentity { .. } => "the web identity token",
            Self::Container => "the container credentials endpoint",
            Self::InstanceMetadata => "instance metadata",
            Self::External(source) => source.describe(),
        }
    }
}

/// A role to take on with whatever credentials were found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssumeRole {
    /// `role_arn`
    pub role_arn: String,
    /// `role_session_name`
    pub session_name: String,
    /// `role_external_id`
    pub external_id: Option<String>,
}

/// The sources to try in order, and the role to take on after.
#[derive(Debug)]
pub struct CredentialPlan {
    /// The first that has credentials decides; one that is set up but fails ends the search, so that no other identity slips in.
    pub sources: Vec<Source>,
    /// Taken on with the credentials found, unless these are that role's already.
    pub assume: Option<AssumeRole>,
}

impl CredentialPlan {
    /// Whether credentials can come from the Security Token Service only.
    pub fn needs_sts(&self) -> bool {
        let token = |source: &Source| matches!(source, Source::WebIdentity { .. });
        self.assume.is_some() || self.sources.first().is_some_and(token)
    }

    /// The plan of a stanza: the order of the old built-in seal, except that `role_arn` is always taken on. The old seal ignored it
    /// whenever other credentials were found. A `session` was asked for by name, so nothing else is looked for.
    pub(super) fn read(
        reader: &mut Reader<'_>,
        environment: &Environment,
        isolated: bool,
        imds: bool,
        session: Option<Arc<dyn CredentialSource>>,
    ) -> Result<Self, Error> {
        let session_name = reader
            .value("role_session_name")
            .or_else(|| environment.var("AWS_ROLE_SESSION_NAME"));
        let session_name = session_name.unwrap_or(SESSION_NAME).to_owned();
        let role = reader
            .value("role_arn")
            .map(|role| check_role("role_arn", role))
            .transpose()?;
        let external_id = reader.value("role_external_id").map(str::to_owned);
        if external_id.is_some() && role.is_none() {
            return Err(Error::Config(
                "role_external_id has no effect without role_arn".to_owned(),
            ));
        }
        let web_identity = web_identity(reader, environment, role, &session_name)?;

        let mut sources = Vec::new();
        if let Some(keys) = stanza_keys(reader, environment, isolated)? {
            sources.push(Source::Stanza(keys, reader.author.words()));
        } else if let Some(session) = session {
            sources.push(Source::External(session));
        } else if isolated {
            sources.extend(web_identity);
            if sources.is_empty() {
                let more = match reader.author {
                    Author::Tenant => {
                        "use_server_identity=true, if the server's operator lends its identity"
                    }
                    _ => "role_arn and web_identity_token_file",
                };
                return Err(Error::Config(format!(
                    "credentials must be configured here, for the environment may not be used: set access_key and secret_key, or {more}"
                )));
            }
        } else {
            sources.extend(environment_keys(environment)?.map(Source::Environment));
            sources.push(profile(reader, environment));
            sources.extend(web_identity);
            let container = [
                "AWS_CONTAINER_CREDENTIALS_FULL_URI",
                "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
            ];
            if environment.first(&container).is_some() {
                sources.push(Source::Container);
            }
            if imds
                && !environment
                    .var("AWS_EC2_METADATA_DISABLED")
                    .is_some_and(|v| v.eq_ignore_ascii_case("true"))
            {
                sources.push(Source::InstanceMetadata);
            }
        }
        let assume = role.map(|role| AssumeRole {
            role_arn: role.to_owned(),
            session_name,
            external_id,
        });
        Ok(Self { sources, assume })
    }
}

fn stanza_keys(
    reader: &Reader<'_>,
    environment: &Environment,
    isolated: bool,
) -> Result<Option<StaticKeys>, Error> {
    let read = |key: &'static str| match reader.value(key) {
        Some(value) => secret_text(key, value, environment, isolated).map(Some),
        None => Ok(None),
    };
    let session_token = read("session_token")?;
    match (read("access_key")?, read("secret_key")?) {
        (None, None) if session_token.is_some() => Err(Error::Config(
            "session_token has no effect without access_key and secret_key: give all three or none"
                .to_owned(),
        )),
        (None, None) => Ok(None),
        (Some(access_key), Some(secret_key)) => Ok(Some(StaticKeys {
            access_key,
            secret_key,
            session_token,
        })),
        _ => Err(half_configured()),
    }
}

fn environment_keys(environment: &Environment) -> Result<Option<StaticKeys>, Error> {
    let inline = |name| {
        environment
            .var(name)
            .map(|value| SecretText::Inline(Secret::new(value.to_owned())))
    };
    match (inline("AWS_ACCESS_KEY_ID"), inline("AWS_SECRET_ACCESS_KEY")) {
        (None, None) => Ok(None),
        (Some(access_key), Some(secret_key)) => {
            Ok(Some(StaticKeys { access_key, secret_key, session_token: inline("AWS_SESSION_TOKEN") }))
        }
        _ => Err(Error::Config(
            "only one of the environment variables AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY is set".to_owned(),
        )),
    }
}

fn half_configured() -> Error {
    Error::Config(
        "static AWS client credentials haven't been properly configured (the access key or secret key were provided but not both)"
            .to_owned(),
    )
}

/// A stanza value that may point elsewhere: `env://NAME` or `file://PATH`.
fn secret_text(
    key: &str,
    value: &str,
    environment: &Environment,
    isolated: bool,
) -> Result<SecretText, Error> {
    if let Some(name) = value.strip_prefix("env://") {
        if isolated {
            return Err(Error::Config(format!(
                "{key} must not refer to the environment here"
            )));
        }
        let value = environment.var(name).ok_or_else(|| {
            Error::Config(format!(
                "{key} refers to the environment variable {name:?}, which is not set"
            ))
        })?;
        return inline(key, value);
    }
    if let Some(path) = value.strip_prefix("file://") {
        if !path.starts_with('/') {
            return Err(Error::Config(format!(
                "{key} refers to a file, but not by an absolute path"
            )));
        }
        return Ok(SecretText::File(PathBuf::from(path)));
    }
    inline(key, value)
}

fn inline(key: &str, value: &str) -> Result<SecretText, Error> {
    if !can_sign(value) {
        return Err(Error::Config(format!(
            "{key} holds white space, control characters or others than visible ASCII: give it exactly as AWS gave it"
        )));
    }
    Ok(SecretText::Inline(Secret::new(value.to_owned())))
}

/// Whether a part of credentials is visible ASCII throughout. The SDK panics over an access key or session token that fits into no HTTP header.
pub(crate) fn can_sign(part: &str) -> bool {
    !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_graphic())
}

fn profile(reader: &mut Reader<'_>, environment: &Environment) -> Source {
    let from_stanza = reader.value("shared_creds_profile");
    let from_environment = environment.var("AWS_PROFILE");
    if from_environment.is_some()
        && from_stanza.is_some_and(|other| Some(other) != from_environment)
    {
        reader
            .warnings
            .push("the environment variable AWS_PROFILE overrides shared_creds_profile".to_owned());
    }
    let named_file = reader.value("shared_creds_filename");
    if named_file.is_some() && environment.var("AWS_ACCESS_KEY_ID").is_some() {
        reader.warnings.push(
            "the environment variable AWS_ACCESS_KEY_ID overrides shared_creds_filename".to_owned(),
        );
    }
    let file = named_file.or_else(|| environment.var("AWS_SHARED_CREDENTIALS_FILE"));
    let profile = from_environment.or(from_stanza);
    Source::Profile {
        file: file.map(PathBuf::from),
        profile: profile.map(str::to_owned),
        required: named_file.is_some() || profile.is_some(),
    }
}

fn web_identity(
    reader: &Reader<'_>,
    environment: &Environment,
    stanza_role: Option<&str>,
    session_name: &str,
) -> Result<Option<Source>, Error> {
    let environment_role = environment.var("AWS_ROLE_ARN");
    let (token_file, role) = match (
        reader.value("web_identity_token_file"),
        environment.var("AWS_WEB_IDENTITY_TOKEN_FILE"),
    ) {
        (Some(file), _) => (file, stanza_role.or(environment_role)),
        // The workload's own role comes first here; the stanza's role is then assumed with it.
        (None, Some(file)) => (file, environment_role.or(stanza_role)),
        (None, None) => return Ok(None),
    };
    let role = role.ok_or_else(|| {
        Error::Config(
            "a web identity token file is configured but no role: set role_arn or AWS_ROLE_ARN"
                .to_owned(),
        )
    })?;
    Ok(Some(Source::WebIdentity {
        token_file: PathBuf::from(token_file),
        role_arn: check_role("AWS_ROLE_ARN", role)?.to_owned(),
        session_name: session_name.to_owned(),
    }))
}

fn check_role<'a>(key: &str, role: &'a str) -> Result<&'a str, Error> {
    match Arn::parse_as(role, ArnKind::Role) {
        Ok(_) => Ok(role),
        Err(_) => Err(Error::Config(format!(
            "{key} must be the ARN of a role: arn:aws:iam::ACCOUNT:role/NAME"
        ))),
    }
}
