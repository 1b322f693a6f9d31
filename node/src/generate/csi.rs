//! Certificates of this engine in pods, by the Secrets Store CSI driver and
//! the Vault provider.
//!
//! The three objects name the same request, which the provider makes once for
//! a mount: certificate and key are of one issue.
//!
//! Source: Vault documentation, "Vault CSI provider configurations".

use landfast_rolesanywhere::rules::is_node_name;
use serde::Deserialize;
use serde_json::{Value, json};

use super::{DescriptionError, Document, yaml};

/// A pod with a certificate.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Csi {
    /// The server's address, as the provider reaches it.
    pub vault_address: String,
    /// The role of the Kubernetes auth method.
    pub auth_role: String,
    /// The engine's mount.
    #[serde(default = "mount")]
    pub mount: String,
    /// The engine's role.
    pub role: String,
    /// The common name.
    pub common_name: String,
    /// The certificate's life, such as `24h`.
    #[serde(default = "ttl")]
    pub ttl: String,
    /// The name of the pod, its service account and its class.
    pub name: String,
    /// The namespace.
    #[serde(default = "namespace")]
    pub namespace: String,
    /// The pod's image.
    pub image: String,
    /// Where the files are mounted.
    #[serde(default = "path")]
    pub mount_path: String,
}

impl Csi {
    /// The class, the pod with its service account, and the policy that the
    /// login needs.
    pub(super) fn documents(&self) -> Result<Vec<Document>, DescriptionError> {
        self.check()?;
        let issue = format!("{}/issue/{}", self.mount.trim_matches('/'), self.role);
        let object = |name: &str, key: &str| {
            json!({
                "objectName": name,
                "secretPath": issue,
                "secretKey": key,
                "method": "PUT",
                "secretArgs": {"common_name": self.common_name, "ttl": self.ttl},
            })
        };
        let objects = Value::from(vec![
            object("tls.crt", "certificate"),
            object("tls.key", "private_key"),
            object("ca.crt", "issuing_ca"),
        ]);
        let class = json!({
            "apiVersion": "secrets-store.csi.x-k8s.io/v1",
            "kind": "SecretProviderClass",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {
                "provider": "vault",
                "parameters": {
                    "vaultAddress": self.vault_address,
                    "roleName": self.auth_role,
                    "objects": yaml::render(&objects),
                },
            },
        });
        let account = json!({
            "apiVersion": "v1",
            "kind": "ServiceAccount",
            "metadata": {"name": self.name, "namespace": self.namespace},
        });
        let pod = json!({
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": self.name, "namespace": self.namespace},
            "spec": {
                "serviceAccountName": self.name,
                "containers": [{
                    "name": self.name,
                    "image": self.image,
                    "volumeMounts": [
                        {"name": "certificate", "mountPath": self.mount_path, "readOnly": true},
                    ],
                }],
                "volumes": [{
                    "name": "certificate",
                    "csi": {
                        "driver": "secrets-store.csi.k8s.io",
                        "readOnly": true,
                        "volumeAttributes": {"secretProviderClass": self.name},
                    },
                }],
            },
        });
        let pod = format!("{}---\n{}", yaml::render(&account), yaml::render(&pod));
        // The provider's PUT is an update, on this one path.
        let policy = format!("path \"{issue}\" {{\n  capabilities = [\"update\"]\n}}\n");
        Ok(vec![
            Document::yaml("csi/secret-provider-class.yaml", &class),
            Document::public("csi/pod.yaml", pod),
            Document::public("csi/vault-policy.hcl", policy),
        ])
    }

    fn check(&self) -> Result<(), DescriptionError> {
        let refuse = |field, problem: &str| Err(DescriptionError::field(field, problem));
        let word = |text: &str, others: &str| {
            !text.is_empty()
                && text
                    .chars()
                    .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
        };
        let scheme = ["https://", "http://"];
        if !scheme.iter().any(|one| self.vault_address.starts_with(one))
            || !word(&self.vault_address, "-._:/[]")
        {
            return refuse(
                "csi.vault_address",
                "a URL such as https://vault.example:8200",
            );
        }
        for (field, text) in [("csi.auth_role", &self.auth_role), ("csi.role", &self.role)] {
            if !word(text, "-_.") {
                return refuse(field, "letters, digits, dashes, dots and underscores");
            }
        }
        if !word(&self.mount, "-_./") {
            return refuse("csi.mount", "the path of a mount");
        }
        let number = self.ttl.trim_end_matches(['s', 'm', 'h', 'd']);
        if self.ttl.len() > number.len() + 1 || number.parse::<u64>().is_err() {
            return refuse("csi.ttl", "a duration such as 24h");
        }
        if !is_node_name(&self.name) || !is_node_name(&self.namespace) {
            return refuse(
                "csi.name",
                "name and namespace are lower-case letters, digits, dots and dashes",
            );
        }
        if self.common_name.is_empty() || self.common_name.chars().any(char::is_control) {
            return refuse("csi.common_name", "a name that the engine's role allows");
        }
        if self.image.is_empty() || self.image.chars().any(char::is_whitespace) {
            return refuse("csi.image", "an image reference");
        }
        if !self.mount_path.starts_with('/') {
            return refuse("csi.mount_path", "an absolute path");
        }
        Ok(())
    }
}

fn mount() -> String {
    "pki".to_owned()
}

fn ttl() -> String {
    "24h".to_owned()
}

fn namespace() -> String {
    "default".to_owned()
}

fn path() -> String {
    "/var/run/certificates".to_owned()
}
