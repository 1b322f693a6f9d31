//! The Security Token Service: who am I, and may I be somebody else.

use std::time::{Duration, SystemTime};

use aws_credential_types::Credentials;
use aws_sdk_sts::Client;
use aws_sdk_sts::config::retry::RetryConfig;
use aws_sdk_sts::config::timeout::TimeoutConfig;
use aws_sdk_sts::config::{BehaviorVersion, IdentityCache, Region};
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use landfast_base::Secret;

use super::answer::LimitAnswer;
use super::config::AssumeRole;
use super::endpoint::EndpointKind;
use super::failure;
use crate::error::{Class, Error, ServiceError};

/// Where and how to call the service.
#[derive(Debug, Clone)]
pub(super) struct Sts {
    region: String,
    endpoint: Option<String>,
    kind: EndpointKind,
    /// Where calls go, and by which proxy, for messages.
    way: String,
    http: SharedHttpClient,
}

impl Sts {
    /// With an endpoint of one's own, `kind` has no meaning.
    pub(super) fn new(
        region: String,
        endpoint: Option<String>,
        kind: EndpointKind,
        way: String,
        http: SharedHttpClient,
    ) -> Self {
        Self {
            region,
            endpoint,
            kind,
            way,
            http,
        }
    }

    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// The ARN that the credentials belong to.
    pub(super) async fn caller(&self, credentials: Credentials) -> Result<String, Error> {
        let answer = self
            .client(Some(credentials))
            .get_caller_identity()
            .send()
            .await;
        let answer =
            answer.map_err(|error| self.place(failure::read("GetCallerIdentity", &error)))?;
        answer
            .arn
            .ok_or_else(|| Error::Config("the Security Token Service named no caller".to_owned()))
    }

    /// Takes on a role with other credentials.
    pub(super) async fn assume(
        &self,
        role: &AssumeRole,
        base: Credentials,
    ) -> Result<Credentials, Error> {
        let answer = self
            .client(Some(base))
            .assume_role()
            .role_arn(&role.role_arn)
            .role_session_name(&role.session_name)
            .set_external_id(role.external_id.clone())
            .send()
            .await;
        let answer = answer
            .map_err(|error| self.about(&role.role_arn, failure::read("AssumeRole", &error)))?;
        credentials("AssumeRole", answer.credentials)
    }

    /// Takes on a role with a token of the workload's identity provider; the call itself is not signed.
    pub(super) async fn assume_with_token(
        &self,
        role_arn: &str,
        session_name: &str,
        token: &Secret<String>,
    ) -> Result<Credentials, Error> {
        const OPERATION: &str = "AssumeRoleWithWebIdentity";
        let answer = self
            .client(None)
            .assume_role_with_web_identity()
            .role_arn(role_arn)
            .role_session_name(session_name)
            .web_identity_token(token.expose())
            .send()
            .await;
        let answer =
            answer.map_err(|error| self.about(role_arn, failure::read(OPERATION, &error)))?;
        credentials(OPERATION, answer.credentials)
    }

    fn about(&self, role_arn: &str, mut failure: ServiceError) -> Error {
        let role = format!("for role {role_arn}");
        failure.message = if failure.message.is_empty() {
            role
        } else {
            format!("{role}: {}", failure.message)
        };
        self.place(failure)
    }

    fn place(&self, failure: ServiceError) -> Error {
        Error::from(ServiceError {
            region: Some(self.region.clone()),
            endpoint: match failure.class {
                Class::Outage | Class::Config => Some(self.way.clone()),
                _ => self.endpoint.clone(),
            },
            ..failure
        })
    }

    fn client(&self, credentials: Option<Credentials>) -> Client {
        let mut config = aws_sdk_sts::Config::builder()
            .behavior_version(BehaviorVersion::latest())
            .region(Region::new(self.region.clone()))
            .identity_cache(IdentityCache::no_cache())
            .retry_config(
                RetryConfig::standard()
                    .with_max_attempts(3)
                    .with_initial_backoff(Duration::from_millis(200)),
            )
            .timeout_config(
                TimeoutConfig::builder()
                    .connect_timeout(Duration::from_secs(2))
                    .operation_attempt_timeout(Duration::from_secs(3))
                    .operation_timeout(Duration::from_secs(7))
                    .build(),
            )
            .interceptor(LimitAnswer)
            .http_client(self.http.clone())
            .use_fips(self.kind.fips && self.endpoint.is_none())
            .use_dual_stack(self.kind.dual_stack && self.endpoint.is_none());
        config.set_endpoint_url(self.endpoint.clone());
        if let Some(credentials) = credentials {
            config = config.credentials_provider(credentials);
        }
        Client::from_conf(config.build())
    }
}

fn credentials(
    operation: &'static str,
    found: Option<aws_sdk_sts::types::Credentials>,
) -> Result<Credentials, Error> {
    let found =
        found.ok_or_else(|| Error::Config(format!("{operation} returned no credentials")))?;
    let expiry = SystemTime::try_from(*found.expiration())
        .map_err(|_| Error::Config(format!("{operation} returned an unreadable expiry")))?;
    Ok(Credentials::new(
        found.access_key_id,
        found.secret_access_key,
        Some(found.session_token),
        Some(expiry),
        "landfast",
    ))
}
