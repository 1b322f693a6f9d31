//! Credentials: found once, kept, renewed before they expire, and never older than the service accepts.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::{Duration, SystemTime};

use aws_config::ecs::EcsCredentialsProvider;
use aws_config::imds;
use aws_config::imds::credentials::ImdsCredentialsProvider;
use aws_config::profile::ProfileFileCredentialsProvider;
use aws_config::provider_config::ProviderConfig;
use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{self, ProvideCredentials, future};
use aws_runtime::env_config::file::{EnvConfigFileKind, EnvConfigFiles};
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use super::config::{AssumeRole, CredentialPlan, SecretText, Source, StaticKeys, can_sign};
use super::failure;
use super::sts::Sts;
use super::transport::Transport;
use crate::error::{Class, Error, ServiceError};

/// Instance metadata answers in milliseconds or not at all.
pub(super) const METADATA_BUDGET: Duration = Duration::from_secs(1);

/// Any other source, its network calls included.
const SOURCE_BUDGET: Duration = Duration::from_secs(8);

/// Credentials are renewed this long before they expire, or at half of their life if that is short.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);

/// Files without an expiry are read again after this time, so that an edit needs no restart.
const FILE_LIFE: Duration = Duration::from_secs(60);

/// Profiles may run a program to get credentials, so their answers live longer.
const PROFILE_LIFE: Duration = Duration::from_secs(5 * 60);

/// After a failed renewal, the old credentials serve this long before the next try.
const RETRY_AFTER: Duration = Duration::from_secs(30);

/// The credentials of one seal.
pub(super) struct CredentialCache {
    plan: CredentialPlan,
    sts: Sts,
    transport: Transport,
    held: Mutex<Option<Held>>,
    principal: OnceLock<String>,
}

#[derive(Clone)]
struct Held {
    credentials: Credentials,
    source: &'static str,
    renew_at: Option<Instant>,
}

impl CredentialCache {
    pub(super) fn new(plan: CredentialPlan, sts: Sts, transport: Transport) -> Self {
        Self {
            plan,
            sts,
            transport,
            held: Mutex::new(None),
            principal: OnceLock::new(),
        }
    }

    /// Credentials that are good now. Callers that come together share one search.
    pub(super) async fn current(&self) -> Result<Credentials, Error> {
        let mut held = self.held.lock().await;
        if let Some(held) = held
            .as_ref()
            .filter(|held| held.renew_at.is_none_or(|at| Instant::now() < at))
        {
            return Ok(held.credentials.clone());
        }
        match self.load().await {
            Ok(fresh) => {
                let credentials = fresh.credentials.clone();
                *held = Some(fresh);
                Ok(credentials)
            }
            Err(error) => match held.as_mut() {
                Some(old)
                    if old
                        .credentials
                        .expiry()
                        .is_none_or(|expiry| SystemTime::now() < expiry) =>
                {
                    tracing::warn!(%error, "credentials could not be renewed; those at hand are used until they expire");
                    old.renew_at = Some(Instant::now() + RETRY_AFTER);
                    Ok(old.credentials.clone())
                }
                _ => Err(error),
            },
        }
    }

    /// Forgets what is held, because the service refused it.
    pub(super) async fn forget(&self) {
        *self.held.lock().await = None;
    }

    /// Who asks, as well as it is known: an ARN, else where the credentials came from.
    pub(super) async fn principal(&self) -> Option<String> {
        if let Some(arn) = self.principal.get() {
            return Some(arn.clone());
        }
        let held = self.held.lock().await;
        held.as_ref()
            .map(|held| format!("of the credentials from {}", held.source))
    }

    /// Asks the Security Token Service who the credentials belong to, which needs no permission.
    pub(super) async fn identify(&self) -> Result<String, Error> {
        let arn = self.sts.caller(self.current().await?).await?;
        Ok(self.principal.get_or_init(|| arn).clone())
    }

    /// Where the credentials came from and when they expire.
    pub(super) async fn origin(&self) -> Option<(&'static str, Option<SystemTime>)> {
        self.held
            .lock()
            .await
            .as_ref()
            .map(|held| (held.source, held.credentials.expiry()))
    }

    async fn load(&self) -> Result<Held, Error> {
        let mut tried = Vec::new();
        for source in &self.plan.sources {
            match self.ask(source).await {
                Ok(Some((credentials, life))) => {
                    return self.take_on_role(source, credentials, life).await;
                }
                Ok(None) => tried.push(format!("{}: none", source.describe())),
                // Metadata is asked last and of its own accord: its silence is no failure but the end of the list.
                Err(error) if matches!(source, Source::InstanceMetadata) => {
                    tried.push(format!("{}: {error}", source.describe()));
                }
                Err(error) => return Err(error),
            }
        }
        Err(Error::from(ServiceError {
            next_step: Some(
                "set access_key and secret_key, a credentials file or profile, or run where AWS offers an identity".to_owned(),
            ),
            ..no_credentials("NoCredentialProviders", format!("no valid providers in chain ({})", tried.join("; ")))
        }))
    }

    async fn ask(&self, source: &Source) -> Result<Option<(Credentials, Option<Duration>)>, Error> {
        let budget = if matches!(source, Source::InstanceMetadata) {
            METADATA_BUDGET
        } else {
            SOURCE_BUDGET
        };
        match timeout(budget, self.ask_without_limit(source)).await {
            Ok(answer) => answer,
            Err(_) => Err(Error::from(ServiceError {
                class: Class::Outage,
                next_step: matches!(source, Source::InstanceMetadata).then(|| {
                    "in a container, the instance's metadata hop limit must be 2".to_owned()
                }),
                ..no_credentials(
                    "timeout",
                    format!("{} did not answer within {budget:?}", source.describe()),
                )
            })),
        }
    }

    async fn ask_without_limit(
        &self,
        source: &Source,
    ) -> Result<Option<(Credentials, Option<Duration>)>, Error> {
        match source {
            Source::Stanza(keys, _) | Source::Environment(keys) => {
                static_keys(keys).await.map(Some)
            }
            Source::Profile {
                file,
                profile,
                required,
            } => {
                let found = self.load_profile(file.as_deref(), profile.as_deref()).await;
                let found = provided(source, found)?;
                if found.is_none() && *required {
                    return Err(Error::from(no_credentials(
                        "profile not found",
                        "the configured credentials file or profile holds no credentials"
                            .to_owned(),
                    )));
                }
                Ok(found.map(|credentials| (credentials, Some(PROFILE_LIFE))))
            }
            Source::WebIdentity {
                token_file,
                role_arn,
                session_name,
            } => {
                let token = crate::files::read_secret(token_file).await?;
                let credentials = self
                    .sts
                    .assume_with_token(role_arn, session_name, &token)
                    .await?;
                Ok(Some((credentials, None)))
            }
            Source::Container => {
                let config = direct(&self.transport);
                let found = EcsCredentialsProvider::builder().configure(&config).build();
                let found = provided(source, found.provide_credentials().await)?;
                Ok(found.map(|credentials| (credentials, Some(PROFILE_LIFE))))
            }
            Source::InstanceMetadata => {
                let found = ImdsCredentialsProvider::builder()
                    .imds_client(metadata_client(&self.transport))
                    .build();
                let found = provided(source, found.provide_credentials().await)?;
                Ok(found.map(|credentials| (credentials, Some(PROFILE_LIFE))))
            }
            Source::External(external) => {
                let found = external.credentials().await?;
                let expiry = SystemTime::from(found.expires);
                let credentials = Credentials::new(
                    found.access_key.expose().as_str(),
                    found.secret_key.expose().as_str(),
                    Some(found.session_token.expose().clone()),
                    Some(expiry),
                    "landfast",
                );
                Ok(Some((credentials, None)))
            }
        }
    }

    async fn load_profile(&self, file: Option<&Path>, profile: Option<&str>) -> provider::Result {
        let region = aws_sdk_kms::config::Region::new(self.sts.region().to_owned());
        let config = ProviderConfig::default()
            .with_http_client(self.transport.routed.clone())
            .with_region(Some(region));
        // Built anew each time: a provider parses its files once and for all.
        let mut builder = ProfileFileCredentialsProvider::builder()
            .configure(&config)
            .profile_files(profile_files(file));
        if let Some(profile) = profile {
            builder = builder.profile_name(profile);
        }
        builder.build().provide_credentials().await
    }

    async fn take_on_role(
        &self,
        source: &Source,
        base: Credentials,
        life: Option<Duration>,
    ) -> Result<Held, Error> {
        check(source.describe(), &base)?;
        let already = |role: &AssumeRole| matches!(source, Source::WebIdentity { role_arn, .. } if *role_arn == role.role_arn);
        let (credentials, life) = match self.plan.assume.as_ref().filter(|role| !already(role)) {
            Some(role) => {
                let assumed = timeout(SOURCE_BUDGET, self.sts.assume(role, base)).await;
                let assumed =
                    assumed.map_err(|_| Error::from(failure::timed_out("AssumeRole")))??;
                check("AssumeRole", &assumed)?;
                (assumed, None)
            }
            None => (base, life),
        };
        let renew_in = match credentials.expiry() {
            Some(expiry) => {
                let left = expiry.duration_since(SystemTime::now()).unwrap_or_default();
                Some(left.saturating_sub(RENEW_BEFORE).max(left / 2))
            }
            None => life,
        };
        Ok(Held {
            credentials,
            source: source.describe(),
            renew_at: renew_in.map(|life| Instant::now() + life),
        })
    }
}

impl fmt::Debug for CredentialCache {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CredentialCache")
            .field("plan", &self.plan)
            .finish_non_exhaustive()
    }
}

/// What an SDK client asks.
#[derive(Debug)]
pub(super) struct Provider(pub(super) Arc<CredentialCache>);

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            self.0
                .current()
                .await
                .map_err(CredentialsError::provider_error)
        })
    }
}

/// A client of the instance metadata service that does not retry: the budget is too short for that.
pub(super) fn metadata_client(transport: &Transport) -> imds::Client {
    imds::Client::builder()
        .max_attempts(1)
        .connect_timeout(METADATA_BUDGET)
        .read_timeout(METADATA_BUDGET)
        .configure(&direct(transport))
        .build()
}

/// What asks the machine itself asks no proxy.
fn direct(transport: &Transport) -> ProviderConfig {
    ProviderConfig::default().with_http_client(transport.direct.clone())
}

/// The files of a profile: the usual ones, with another credentials file if one is configured.
pub(super) fn profile_files(credentials: Option<&Path>) -> EnvConfigFiles {
    let files = EnvConfigFiles::builder().include_default_config_file(true);
    match credentials {
        Some(file) => files
            .with_file(EnvConfigFileKind::Credentials, file)
            .build(),
        None => files.include_default_credentials_file(true).build(),
    }
}

async fn static_keys(keys: &StaticKeys) -> Result<(Credentials, Option<Duration>), Error> {
    let mut from_file = false;
    let mut parts = Vec::with_capacity(3);
    for part in [
        Some(&keys.access_key),
        Some(&keys.secret_key),
        keys.session_token.as_ref(),
    ]
    .into_iter()
    .flatten()
    {
        parts.push(match part {
            SecretText::Inline(value) => value.expose().clone(),
            SecretText::File(path) => {
                from_file = true;
                crate::files::read_secret(path).await?.expose().clone()
            }
        });
    }
    let session_token = (parts.len() == 3).then(|| parts.swap_remove(2));
    let (secret, access) = (parts.swap_remove(1), parts.swap_remove(0));
    let credentials = Credentials::new(access, secret, session_token, None, "landfast");
    Ok((credentials, from_file.then_some(FILE_LIFE)))
}

/// Refuses what the SDK would panic over when it signs.
fn check(origin: &str, credentials: &Credentials) -> Result<(), Error> {
    let parts = [
        ("access key", Some(credentials.access_key_id())),
        ("secret key", Some(credentials.secret_access_key())),
        ("session token", credentials.session_token()),
    ];
    let odd = parts
        .iter()
        .find(|(_, part)| part.is_some_and(|part| !can_sign(part)));
    match odd {
        None => Ok(()),
        Some((name, _)) => Err(Error::from(no_credentials(
            "unusable credentials",
            format!(
                "the {name} from {origin} is empty or holds white space, control characters or others than visible ASCII"
            ),
        ))),
    }
}

/// Sorts a provider's answer: credentials, nothing there, or set up but failing.
fn provided(source: &Source, answer: provider::Result) -> Result<Option<Credentials>, Error> {
    match answer {
        Ok(credentials) => Ok(Some(credentials)),
        Err(CredentialsError::CredentialsNotLoaded(_)) => Ok(None),
        Err(error) => {
            let mut failure = no_credentials(
                "credentials failed",
                format!("{}: {}", source.describe(), failure::causes(&error)),
            );
            if matches!(error, CredentialsError::ProviderTimedOut(_)) {
                failure.class = Class::Outage;
            }
            Err(Error::from(failure))
        }
    }
}

fn no_credentials(code: &str, message: String) -> ServiceError {
    ServiceError {
        class: Class::Credentials,
        operation: "credentials",
        code: code.to_owned(),
        message,
        key: None,
        region: None,
        endpoint: None,
        principal: None,
        next_step: None,
        attempts: 1,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::keys::aws::Network;
    use crate::keys::aws::endpoint::EndpointKind;
    use landfast_base::Secret;

    async fn taken(keys: StaticKeys) -> Result<Credentials, Error> {
        let plan = CredentialPlan {
            sources: vec![Source::Environment(keys)],
            assume: None,
        };
        let transport = Transport::new(&Network::default()).expect("a transport");
        let kind = EndpointKind {
            fips: false,
            dual_stack: false,
        };
        let region = "eu-central-1".to_owned();
        let sts = Sts::new(region, None, kind, String::new(), transport.routed.clone());
        CredentialCache::new(plan, sts, transport).current().await
    }

    #[tokio::test]
    async fn credentials_that_the_sdk_panics_over_are_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("access");
        std::fs::write(&file, "hunter2\u{1}x\n").expect("written");
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
        std::fs::set_permissions(&file, mode).expect("set");
        let inline = |text: &str| SecretText::Inline(Secret::new(text.to_owned()));
        let keys = |access_key, secret_key, session_token| StaticKeys {
            access_key,
            secret_key,
            session_token,
        };
        taken(keys(inline("AKIA"), inline("s"), Some(inline("t"))))
            .await
            .expect("good");
        for (part, keys) in [
            ("access key", keys(inline("hunter2\nx"), inline("s"), None)),
            (
                "access key",
                keys(SecretText::File(file), inline("s"), None),
            ),
            (
                "secret key",
                keys(inline("AKIA"), inline("hunter2\rx"), None),
            ),
            (
                "session token",
                keys(inline("AKIA"), inline("s"), Some(inline("hunter2\0"))),
            ),
        ] {
            let error = taken(keys).await.expect_err(part);
            let text = error.to_string();
            assert_eq!(error.class(), Class::Credentials, "{text}");
            assert!(
                text.contains(part) && text.contains("visible ASCII") && !text.contains("hunter2"),
                "{text}"
            );
        }
    }
}
