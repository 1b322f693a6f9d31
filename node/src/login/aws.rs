//! Login with an AWS identity: a signed `GetCallerIdentity` request that the
//! server sends to STS by itself, and so learns who signed it.
//!
//! The credentials are those that an AWS SDK would find: variables, profiles
//! with their `credential_process`, container and instance endpoints. On a
//! hybrid node that can be a Roles Anywhere session.
//!
//! Source: Vault documentation, "AWS auth method", IAM; AWS, "Signature
//! Version 4".

use std::time::SystemTime;

use aws_credential_types::Credentials;
use aws_credential_types::provider::ProvideCredentials as _;
use aws_credential_types::provider::error::CredentialsError;
use aws_sigv4::http_request::{SignableBody, SignableRequest, SigningSettings, sign};
use aws_sigv4::sign::v4;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfast_base::region::Partition;
use serde_json::{Map, Value, json};
use zeroize::Zeroizing;

use super::method::{self, Lookup, Method};
use crate::http::{self, causes};
use crate::vault::{Vault, VaultError};

const BODY: &str = "Action=GetCallerIdentity&Version=2011-06-15";
/// The header that ties a signed request to one server.
const SERVER_ID: &str = "x-vault-aws-iam-server-id";
/// Where STS is without a Region, which the server's own default is as well.
const GLOBAL: (&str, &str) = ("us-east-1", "https://sts.amazonaws.com/");

/// A login by the machine's AWS identity; its credentials are looked for at the login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Aws {
    /// Where the method is mounted, usually `aws`.
    pub mount: String,
    /// The role; without it the server takes the identity's name.
    pub role: Option<String>,
    /// What is signed.
    pub identity: Identity,
}

impl Method for Aws {
    type Secret = ();

    fn read(&self, _: Lookup<'_>) -> Result<(), VaultError> {
        Ok(())
    }

    async fn log_in(&self, (): (), vault: &mut Vault) -> Result<(), VaultError> {
        let body = self.identity.sign(self.role.as_deref()).await?;
        method::call(vault, &self.mount, &body).await
    }
}

/// What the request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Identity {
    /// The server's `iam_server_id_header_value`, if it has one.
    pub server_id: Option<String>,
    /// The Region of STS; without it, the global endpoint.
    pub region: Option<String>,
}

impl Identity {
    /// Signs the request with the machine's AWS credentials; the answer is the
    /// body of a login call, which `role` joins.
    ///
    /// # Errors
    /// [`VaultError::AwsCredentials`] when there are no credentials, or they cannot sign.
    async fn sign(&self, role: Option<&str>) -> Result<Value, VaultError> {
        let none = |problem: String| VaultError::AwsCredentials(problem);
        let authorities = http::ca_bundle(|name| std::env::var(name).ok());
        let config = http::sdk(authorities.as_deref())?.load().await;
        let provider = config
            .credentials_provider()
            .ok_or_else(|| none("none are set up".into()))?;
        let credentials = provider.provide_credentials().await.map_err(|error| {
            // One line, without the list of every place that was looked at.
            let text = match &error {
                CredentialsError::CredentialsNotLoaded(_) => {
                    "none in the environment, the shared files, web identity, container or instance metadata".to_owned()
                }
                other => causes(other).lines().next().unwrap_or_default().trim_end_matches('.').to_owned(),
            };
            tracing::debug!(error = causes(&error), "AWS credentials");
            none(text)
        })?;
        let mut body = self.signed(credentials, SystemTime::now()).map_err(none)?;
        if let Some(role) = role {
            body["role"] = role.into();
        }
        Ok(body)
    }

    fn signed(&self, credentials: Credentials, now: SystemTime) -> Result<Value, String> {
        let (region, url) = match self.region.as_deref() {
            None => (GLOBAL.0, GLOBAL.1.to_owned()),
            Some(region) => (region, endpoint(region)),
        };
        let mut headers = vec![(
            "content-type",
            "application/x-www-form-urlencoded; charset=utf-8",
        )];
        if let Some(id) = &self.server_id {
            headers.push((SERVER_ID, id));
        }
        let identity = credentials.into();
        let parameters = v4::SigningParams::builder()
            .identity(&identity)
            .region(region)
            .name("sts")
            .time(now)
            .settings(SigningSettings::default())
            .build()
            .map_err(|error| error.to_string())?
            .into();
        let request = SignableRequest::new(
            "POST",
            &url,
            headers.iter().copied(),
            SignableBody::Bytes(BODY.as_bytes()),
        )
        .map_err(|error| causes(&error))?;
        let (instructions, _) = sign(request, &parameters)
            .map_err(|error| causes(&error))?
            .into_parts();
        let all: Map<String, Value> = headers
            .into_iter()
            .chain(instructions.headers())
            .map(|(name, value)| (name.to_owned(), json!([value])))
            .collect();
        let headers = Zeroizing::new(Value::Object(all).to_string());
        Ok(json!({
            "iam_http_request_method": "POST",
            "iam_request_url": STANDARD.encode(url),
            "iam_request_body": STANDARD.encode(BODY),
            "iam_request_headers": STANDARD.encode(headers.as_bytes()),
        }))
    }
}

/// The endpoint of STS in a Region.
///
/// Source: AWS general reference, "AWS Security Token Service endpoints".
fn endpoint(region: &str) -> String {
    let suffix = Partition::of_region(region).dns_suffix;
    format!("https://sts.{region}.{suffix}/")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn signed(identity: &Identity) -> (String, Value) {
        let credentials =
            Credentials::new("AKIDEXAMPLE", "secret", Some("token".into()), None, "test");
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_788_264_000);
        let body = identity.signed(credentials, now).unwrap();
        let text = |name: &str| {
            let decoded = STANDARD.decode(body[name].as_str().unwrap()).unwrap();
            String::from_utf8(decoded).unwrap()
        };
        let headers = serde_json::from_str(&text("iam_request_headers")).unwrap();
        assert_eq!(text("iam_request_body"), BODY);
        assert!(!body.to_string().contains("secret"));
        (text("iam_request_url"), headers)
    }

    #[test]
    fn the_servers_id_is_signed() {
        let (url, headers) = signed(&Identity {
            server_id: Some("vault.example".into()),
            region: None,
        });
        assert_eq!(url, "https://sts.amazonaws.com/");
        assert_eq!(headers[SERVER_ID][0], "vault.example");
        let authorization = headers["authorization"][0].as_str().unwrap();
        for part in [
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260901/us-east-1/sts/aws4_request",
            "x-vault-aws-iam-server-id",
            "x-amz-security-token",
            "host;",
        ] {
            assert!(authorization.contains(part), "{part}: {authorization}");
        }
    }

    #[test]
    fn a_region_has_its_own_endpoint() {
        let (url, headers) = signed(&Identity {
            server_id: None,
            region: Some("eu-west-1".into()),
        });
        assert_eq!(url, "https://sts.eu-west-1.amazonaws.com/");
        assert!(headers[SERVER_ID].is_null());
        let authorization = headers["authorization"][0].as_str().unwrap();
        assert!(authorization.contains("/eu-west-1/sts/"), "{authorization}");
        assert_eq!(
            endpoint("cn-north-1"),
            "https://sts.cn-north-1.amazonaws.com.cn/"
        );
    }
}
