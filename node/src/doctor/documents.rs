//! The documents that the AWS command line prints, as far as they matter here.

use landfast_rolesanywhere::policy::TrustPolicy;
use serde::Deserialize;
use serde_json::Value;

/// A trust anchor: PEM, or the output of `aws rolesanywhere get-trust-anchor`.
#[derive(Debug)]
pub(super) struct AnchorDocument {
    pub(super) arn: Option<String>,
    pub(super) enabled: Option<bool>,
    /// PEM text.
    pub(super) bundle: String,
}

impl AnchorDocument {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        if !text.trim_start().starts_with('{') {
            return Ok(Self {
                arn: None,
                enabled: None,
                bundle: text.to_owned(),
            });
        }
        let document = object(text, "trustAnchor")?;
        let bundle = document
            .pointer("/source/sourceData/x509CertificateData")
            .and_then(Value::as_str)
            .ok_or("no source.sourceData.x509CertificateData; an anchor of AWS Private CA is not checked here")?;
        Ok(Self {
            arn: document["trustAnchorArn"].as_str().map(str::to_owned),
            enabled: document["enabled"].as_bool(),
            bundle: bundle.to_owned(),
        })
    }
}

/// A profile: the output of `aws rolesanywhere get-profile`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct ProfileDocument {
    pub(super) profile_arn: Option<String>,
    pub(super) enabled: Option<bool>,
    /// The service's default is false.
    #[serde(default)]
    pub(super) accept_role_session_name: bool,
    #[serde(default = "one_hour")]
    pub(super) duration_seconds: u32,
    #[serde(default)]
    pub(super) role_arns: Vec<String>,
}

impl ProfileDocument {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let document = object(text, "profile")?;
        if document.get("roleArns").is_none() {
            return Err("no roleArns: not a profile of Roles Anywhere".to_owned());
        }
        serde_json::from_value(document).map_err(|error| error.to_string())
    }
}

/// A role: the output of `aws iam get-role`.
#[derive(Debug)]
pub(super) struct RoleDocument {
    pub(super) arn: Option<String>,
    /// IAM's default is an hour.
    pub(super) max_session_duration: u32,
    pub(super) trust: Option<TrustPolicy>,
}

impl RoleDocument {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        #[serde(rename_all = "PascalCase")]
        struct Raw {
            arn: Option<String>,
            #[serde(default = "one_hour")]
            max_session_duration: u32,
            assume_role_policy_document: Option<Value>,
        }
        let raw: Raw =
            serde_json::from_value(object(text, "Role")?).map_err(|error| error.to_string())?;
        if raw.arn.is_none() && raw.assume_role_policy_document.is_none() {
            return Err("neither Arn nor AssumeRolePolicyDocument: not a role".to_owned());
        }
        let trust = match raw.assume_role_policy_document {
            None => None,
            // As in the input of create-role.
            Some(Value::String(text)) => Some(trust_policy(&text)?),
            Some(document) => Some(trust_policy(&document.to_string())?),
        };
        Ok(Self {
            arn: raw.arn,
            max_session_duration: raw.max_session_duration,
            trust,
        })
    }
}

/// A cluster: the output of `aws eks describe-cluster`.
#[derive(Debug)]
pub(super) struct ClusterDocument {
    pub(super) name: String,
    /// The networks of hybrid nodes, as `10.0.0.0/8`.
    pub(super) node_networks: Vec<String>,
}

impl ClusterDocument {
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let document = object(text, "cluster")?;
        let name = document["name"].as_str();
        let name = name.ok_or("no name: not a cluster of EKS")?.to_owned();
        let networks = document.pointer("/remoteNetworkConfig/remoteNodeNetworks");
        let networks = networks.and_then(Value::as_array).into_iter().flatten();
        let cidrs = networks.filter_map(|one| one["cidrs"].as_array()).flatten();
        Ok(Self {
            name,
            node_networks: cidrs
                .filter_map(|one| one.as_str().map(str::to_owned))
                .collect(),
        })
    }
}

pub(super) fn trust_policy(text: &str) -> Result<TrustPolicy, String> {
    TrustPolicy::parse(text).map_err(|error| error.to_string())
}

/// The object itself, or the one inside the wrapper that the command line prints.
fn object(text: &str, wrapper: &str) -> Result<Value, String> {
    let mut value: Value =
        serde_json::from_str(text).map_err(|error| format!("not JSON: {error}"))?;
    match value.get_mut(wrapper).map(Value::take) {
        Some(inner) => Ok(inner),
        None => Ok(value),
    }
}

const fn one_hour() -> u32 {
    3600
}
