//! Sessions of IAM Roles Anywhere for the seal: what `unseal` asks for, `node` gets.

use std::sync::Arc;

use async_trait::async_trait;
use jiff::Timestamp;
use landfast_base::arn::{Arn, ArnKind};
use landfast_node::provider::{Options, Provider, ProviderError};
use landfast_node::session::{Endpoint, EndpointKind, SessionError, SessionRequest};
use landfast_rolesanywhere::tags;
use landfast_unseal::{
    Class, CredentialSource, Error, RolesAnywhere, Secret, ServiceError, TemporaryCredentials,
};

/// A source of sessions as the stanza wants them. Certificate and key are read at each session, so a renewal needs no restart.
pub(crate) fn open(settings: &RolesAnywhere) -> Result<Arc<dyn CredentialSource>, Error> {
    let arn = |key: &str, text: &str, kind| {
        Arn::parse_as(text, kind).map_err(|error| Error::Config(format!("{key}: {error}")))
    };
    let request = SessionRequest {
        trust_anchor: arn(
            "roles_anywhere_trust_anchor_arn",
            &settings.trust_anchor_arn,
            ArnKind::TrustAnchor,
        )?,
        profile: arn(
            "roles_anywhere_profile_arn",
            &settings.profile_arn,
            ArnKind::Profile,
        )?,
        role: arn("roles_anywhere_role_arn", &settings.role_arn, ArnKind::Role)?,
        duration: settings.session_duration,
        session_name: settings.session_name.clone(),
    };
    request.check().map_err(Error::Config)?;
    if let Some(name) = &request.session_name
        && !tags::is_session_name(name)
    {
        return Err(Error::Config(
            "roles_anywhere_session_name takes 2 to 64 letters, digits and _ + = , . @ -".into(),
        ));
    }
    let region = &request.trust_anchor.region;
    let endpoint = match &settings.endpoint {
        Some(url) => Endpoint::at(url, region).ok_or_else(|| {
            Error::Config(
                "roles_anywhere_endpoint takes an https:// URL, or http://127.0.0.1:PORT for the lab".into(),
            )
        })?,
        None => {
            let kind = EndpointKind {
                fips: settings.use_fips,
                dual_stack: settings.dual_stack,
            };
            Endpoint::of(&request.trust_anchor, region, kind)
                .map_err(|error| Error::Config(format!("use_fips: {error}")))?
        }
    };
    Ok(Arc::new(Sessions(Provider::new(Options {
        certificate: settings.certificate.clone(),
        private_key: settings.private_key.clone(),
        intermediates: settings.intermediates.clone(),
        passphrase: settings.passphrase_file.clone(),
        request,
        endpoint,
        authorities: settings.ca_file.clone(),
        skip_verify: false,
        cache: None,
    }))))
}

struct Sessions(Provider);

impl std::fmt::Debug for Sessions {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Sessions")
    }
}

#[async_trait]
impl CredentialSource for Sessions {
    fn describe(&self) -> &'static str {
        "IAM Roles Anywhere"
    }

    async fn credentials(&self) -> Result<TemporaryCredentials, Error> {
        let found = self.0.fetch(Timestamp::now).await.map_err(refuse)?;
        Ok(TemporaryCredentials {
            access_key: Secret::new(found.access_key_id),
            secret_key: found.secret_access_key,
            session_token: found.session_token,
            expires: found.expiration,
        })
    }
}

/// A file that cannot be used may be mended without a restart, as the service's refusal may: both are about credentials.
fn refuse(error: ProviderError) -> Error {
    let class = match &error {
        ProviderError::Session(SessionError::Refused { status: 429, .. }) => Class::Throttled,
        ProviderError::Session(inner) if inner.is_temporary() => Class::Outage,
        _ => Class::Credentials,
    };
    let cause = match &error {
        ProviderError::Session(error) => error.usual_cause(),
        _ => None,
    };
    Error::from(ServiceError {
        class,
        operation: "CreateSession",
        code: match &error {
            ProviderError::Session(SessionError::Refused { kind, .. }) => kind.clone(),
            ProviderError::Session(_) => "no session".to_owned(),
            _ => "no identity".to_owned(),
        },
        message: match &error {
            ProviderError::Session(SessionError::Refused { message, .. }) => message.clone(),
            other => other.to_string(),
        },
        key: None,
        region: None,
        endpoint: None,
        principal: None,
        next_step: cause.map(|cause| format!("{}: {}", cause.cause, cause.remedy)),
        attempts: 1,
    })
}
