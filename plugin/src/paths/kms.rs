//! `config/kms`: how the mount reaches AWS KMS.

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::{Map, Value};

use landfast_sdk::logical::{Cx, Error, NoFields, Response, Secret};
use landfast_unseal::keys::SECRETS;

use crate::entry;
use crate::entry::kms::KmsConfig;
use crate::kms;
use crate::mount::Shared;

/// The connection to set. What is not sent stays as it is; an empty text takes a setting away.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct KmsRequest {
    /// Region of the keys. A key that is named by its ARN is looked for in the ARN's Region.
    region: Option<String>,
    /// Endpoint of AWS KMS in place of the Region's own. Needs credentials of its own.
    endpoint: Option<String>,
    /// Endpoint of the Security Token Service in place of the Region's own. Needs credentials of its own.
    sts_endpoint: Option<String>,
    /// Access key id. Without it and `secret_key` the server's own identity is used, where the mount's option `use_server_identity` lends it.
    access_key: Option<String>,
    /// Secret access key; never shown again.
    secret_key: Option<Secret<String>>,
    /// Session token of temporary credentials; never shown again.
    session_token: Option<Secret<String>>,
    /// ARN of a role to take on.
    role_arn: Option<String>,
    /// Session name for the role.
    role_session_name: Option<String>,
    /// External id that the role's trust policy asks for.
    role_external_id: Option<String>,
    /// Refused here: it names a file of the server.
    web_identity_token_file: Option<String>,
    /// Refused here: it names a file of the server.
    shared_creds_filename: Option<String>,
    /// Refused here: it names a part of a file of the server.
    shared_creds_profile: Option<String>,
    /// Use the FIPS 140 endpoints.
    use_fips: Option<bool>,
    /// Whether instance metadata may be asked for credentials and Region.
    #[schemars(extend("default" = true))]
    imds: Option<bool>,
    /// Other Regions, separated by commas, that may decrypt with replicas of a multi-Region key.
    fallback_regions: Option<String>,
    /// Signatures asked for at a time, 1 to 1000; 0 for the usual number.
    #[schemars(extend("default" = KmsConfig::SIGNATURES))]
    max_signatures: Option<u32>,
}

/// `GET config/kms`: everything but the secrets.
pub(crate) async fn read(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    let config = mount.load_or_default::<KmsConfig>(KmsConfig::KEY).await?;
    Ok(Response::map(describe(&config)))
}

/// `POST config/kms`. Nothing is called: a wrong key or secret shows at first use.
pub(crate) async fn write(mount: Shared, _cx: Cx, request: KmsRequest) -> Result<Response, Error> {
    let before = mount.load_or_default::<KmsConfig>(KmsConfig::KEY).await?;
    let mut config = before.copy();
    request.apply(&mut config)?;
    let settings =
        kms::parse(&config, None).map_err(|fault| Error::BadRequest(fault.to_string()))?;
    let mut warnings = settings.warnings().to_vec();
    if !config.has_credentials() && !mount.lends_identity() {
        warnings.push(kms::NOT_LENT.to_owned());
    }
    mount.put(KmsConfig::KEY, entry::encode(&config)).await?;
    Ok(Response::map(describe(&config)).warn_all(warnings))
}

/// `DELETE config/kms`: back to a mount that reaches AWS KMS by the server's own identity, or not at all.
pub(crate) async fn delete(mount: Shared, _cx: Cx, _: NoFields) -> Result<Response, Error> {
    mount.delete(KmsConfig::KEY).await?;
    Ok(Response::none())
}

impl KmsRequest {
    fn apply(&self, config: &mut KmsConfig) -> Result<(), Error> {
        let texts = [
            ("region", self.region.as_deref()),
            ("endpoint", self.endpoint.as_deref()),
            ("sts_endpoint", self.sts_endpoint.as_deref()),
            ("access_key", self.access_key.as_deref()),
            (
                "secret_key",
                self.secret_key.as_ref().map(|key| key.expose().as_str()),
            ),
            (
                "session_token",
                self.session_token
                    .as_ref()
                    .map(|token| token.expose().as_str()),
            ),
            ("role_arn", self.role_arn.as_deref()),
            ("role_session_name", self.role_session_name.as_deref()),
            ("role_external_id", self.role_external_id.as_deref()),
            (
                "web_identity_token_file",
                self.web_identity_token_file.as_deref(),
            ),
            (
                "shared_creds_filename",
                self.shared_creds_filename.as_deref(),
            ),
            ("shared_creds_profile", self.shared_creds_profile.as_deref()),
            ("fallback_regions", self.fallback_regions.as_deref()),
        ];
        for (name, value) in texts {
            if let Some(value) = value {
                config.set(name, value.trim());
            }
        }
        for (name, value) in [("use_fips", self.use_fips), ("imds", self.imds)] {
            if let Some(value) = value {
                config.set(name, if value { "true" } else { "false" });
            }
        }
        if let Some(number) = self.max_signatures {
            if number > 1000 {
                return Err(Error::bad_request("max_signatures must be 0 to 1000"));
            }
            config.set_signatures(number);
        }
        Ok(())
    }
}

fn describe(config: &KmsConfig) -> Map<String, Value> {
    let mut shown: Map<_, _> = config
        .shown()
        .map(|(name, value)| {
            let value = match (name, value) {
                ("use_fips" | "imds", value) => Value::Bool(value == "true"),
                (_, value) => value.into(),
            };
            (name.to_owned(), value)
        })
        .collect();
    shown.insert("max_signatures".to_owned(), config.signatures().into());
    for secret in SECRETS {
        shown.insert(format!("{secret}_set"), config.has(secret).into());
    }
    shown
}
