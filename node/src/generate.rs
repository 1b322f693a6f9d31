//! What AWS must be told before a hybrid node can join, from one small
//! description: role, trust policy, profile, access entry, the key policy of
//! the seal, and each node's `NodeConfig`.
//!
//! The same resources come as requests of the AWS command line, as a
//! CloudFormation template and as Terraform configuration.
//!
//! Source: EKS user guide, "Prepare credentials for hybrid nodes"; IAM Roles
//! Anywhere user guide, "Trust model".

pub mod csi;
mod forms;
pub mod issuer;
#[cfg(test)]
mod tests;
mod yaml;

use std::path::{Path, PathBuf};

use landfast_base::Secret;
use landfast_base::arn::{Arn, ArnKind};
use landfast_pki::glob::Glob;
use landfast_rolesanywhere::policy::PRINCIPAL;
use landfast_rolesanywhere::rules::is_node_name;
use landfast_rolesanywhere::session::DURATIONS;
use serde::Deserialize;
use serde_json::{Map, Value, json};

use self::csi::Csi;
use self::issuer::ServiceAccounts;
use crate::files::FileError;

/// Where nodeadm looks for certificate and key.
const USUAL_PAIR: [&str; 2] = ["/etc/iam/pki/server.pem", "/etc/iam/pki/server.key"];
/// Managed policy that lets a node pull images.
const PULL_IMAGES: &str = "policy/AmazonEC2ContainerRegistryPullOnly";
/// What the seal asks of KMS.
const SEAL_ACTIONS: [&str; 3] = ["kms:Encrypt", "kms:Decrypt", "kms:DescribeKey"];
/// STS takes no longer policy for a session.
///
/// Source: STS API reference, AssumeRole, `Policy`.
const MAX_SESSION_POLICY: usize = 2048;
/// The condition value that ties a session to the name in the certificate.
const OWN_NAME: &str = "${aws:PrincipalTag/x509Subject/CN}";

/// What the documents are made of.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Description {
    /// The EKS cluster's name.
    pub cluster: String,
    /// The Region of the cluster, the trust anchor and the profile.
    pub region: String,
    /// The account.
    pub account: String,
    /// The ARN of the trust anchor.
    pub trust_anchor: Arn,
    /// Which nodes may join: a node name in which `*` stands for anything.
    pub nodes: String,
    /// The ARN of the profile, once it is made; only `NodeConfig` needs it.
    #[serde(default)]
    pub profile_arn: Option<Arn>,
    /// The role's name.
    #[serde(default = "role")]
    pub role: String,
    /// The profile's name.
    #[serde(default = "profile")]
    pub profile: String,
    /// The longest session in seconds: so long does a node last without AWS,
    /// and so long does a session outlive a revocation.
    #[serde(default = "one_hour")]
    pub session_seconds: u32,
    /// What sessions may do at most, whatever the roles get later: the policies that are made here if it is absent or
    /// `true`, another policy, or `false` for all that the role may do.
    #[serde(default)]
    pub session_policy: SessionPolicy,
    /// The servers that may unseal with the KMS key, as in `nodes`; without it,
    /// no key is made, and no role and profile for them.
    #[serde(default)]
    pub seal: Option<String>,
    /// The name of those servers' role.
    #[serde(default = "seal")]
    pub seal_role: String,
    /// The name of those servers' profile.
    #[serde(default = "seal")]
    pub seal_profile: String,
    /// The issuer of service-account tokens of an EKS Anywhere cluster, for
    /// pods that take IAM roles.
    #[serde(default)]
    pub service_accounts: Option<ServiceAccounts>,
    /// Certificates of this engine in pods, by the Secrets Store CSI driver.
    #[serde(default)]
    pub csi: Option<Csi>,
}

/// The policy in a profile, which bounds what its sessions may do.
#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum SessionPolicy {
    /// That of the documents, or none.
    Switch(bool),
    /// This one, for the nodes' profile.
    Own(Map<String, Value>),
}

impl Default for SessionPolicy {
    fn default() -> Self {
        Self::Switch(true)
    }
}

/// What bounds the sessions of one profile.
#[derive(Default)]
struct Bounds {
    policy: Option<Value>,
    /// Managed policies beside it: together they are the bound.
    managed: Vec<String>,
}

/// A document, and where it belongs below the output directory.
#[derive(Clone, Debug)]
pub struct Document {
    /// The path, relative.
    pub path: PathBuf,
    /// The content.
    pub text: String,
    /// Whether it holds a private key: such a file is for its owner only.
    pub secret: bool,
}

impl Document {
    fn public(path: impl Into<PathBuf>, text: String) -> Self {
        Self {
            path: path.into(),
            text,
            secret: false,
        }
    }

    fn json(path: impl Into<PathBuf>, value: &Value) -> Self {
        Self::public(path, format!("{value:#}\n"))
    }

    fn yaml(path: impl Into<PathBuf>, value: &Value) -> Self {
        Self::public(path, yaml::render(value))
    }
}

/// Reads a file that the description names.
pub type Reader<'a> = &'a dyn Fn(&Path) -> Result<Secret<Vec<u8>>, FileError>;

/// What is wrong with a description.
#[derive(Debug, thiserror::Error)]
pub enum DescriptionError {
    /// Not the JSON that was asked for.
    #[error("not a description: {0}")]
    Json(#[from] serde_json::Error),
    /// A field that AWS or the cluster would refuse.
    #[error("{field}: {problem}")]
    Field {
        /// The field.
        field: &'static str,
        /// What is wrong with it.
        problem: String,
    },
    /// A file that the description names.
    #[error(transparent)]
    File(#[from] FileError),
}

impl DescriptionError {
    fn field(field: &'static str, problem: impl Into<String>) -> Self {
        Self::Field {
            field,
            problem: problem.into(),
        }
    }
}

impl Description {
    /// Reads a description and checks it.
    ///
    /// # Errors
    /// [`DescriptionError`] names the field.
    pub fn read(text: &str) -> Result<Self, DescriptionError> {
        let description: Self = serde_json::from_str(text)?;
        description.check()?;
        Ok(description)
    }

    /// Every document that needs no node: for the command line,
    /// CloudFormation and Terraform.
    pub fn documents(&self) -> Vec<Document> {
        let mut all = forms::command_line(self);
        all.push(forms::cloud_formation(self));
        all.push(forms::terraform(self));
        all
    }

    /// The documents for pods, of the parts that the description has.
    ///
    /// # Errors
    /// [`DescriptionError`]: a file that `read` cannot give, or that is not
    /// what its field wants.
    pub fn pod_documents(&self, read: Reader<'_>) -> Result<Vec<Document>, DescriptionError> {
        let mut all = Vec::new();
        if let Some(accounts) = &self.service_accounts {
            // Behind the requests that are there already.
            let number = forms::command_line(self).len() + 1;
            all.extend(accounts.documents(self, number, read)?);
        }
        if let Some(csi) = &self.csi {
            all.extend(csi.documents()?);
        }
        Ok(all)
    }

    /// The `NodeConfig` of one node, for `nodeadm init -c file://…`.
    ///
    /// # Errors
    /// [`DescriptionError`]: a name outside the pattern, or no profile yet.
    pub fn node_config(&self, node: &str) -> Result<Document, DescriptionError> {
        let [certificate, key] = USUAL_PAIR.map(Path::new);
        self.node_config_with(node, certificate, key)
    }

    /// The same for a node whose pair lies elsewhere.
    ///
    /// # Errors
    /// As [`node_config`](Self::node_config).
    pub fn node_config_with(
        &self,
        node: &str,
        certificate: &Path,
        key: &Path,
    ) -> Result<Document, DescriptionError> {
        let refuse = |field, problem: String| Err(DescriptionError::Field { field, problem });
        if !is_node_name(node) {
            return refuse(
                "node",
                format!(
                    "{node:?} is no node name: 2 to 63 lower-case letters, digits, dots and dashes"
                ),
            );
        }
        if !matches(&self.nodes, node) {
            return refuse(
                "nodes",
                format!("the pattern {:?} does not let {node} in", self.nodes),
            );
        }
        let Some(profile) = &self.profile_arn else {
            return refuse(
                "profile_arn",
                "needed for NodeConfig; AWS tells it when the profile is made".into(),
            );
        };
        // JSON texts are YAML texts, whatever they hold.
        let text = format!(
            "apiVersion: node.eks.aws/v1alpha1\n\
             kind: NodeConfig\n\
             spec:\n\
             \x20 cluster:\n\
             \x20   name: {}\n\
             \x20   region: {}\n\
             \x20 hybrid:\n\
             \x20   iamRolesAnywhere:\n\
             \x20     nodeName: {}\n\
             \x20     trustAnchorArn: {}\n\
             \x20     profileArn: {}\n\
             \x20     roleArn: {}\n\
             \x20     certificatePath: {}\n\
             \x20     privateKeyPath: {}\n",
            json!(self.cluster),
            json!(self.region),
            json!(node),
            json!(self.trust_anchor),
            json!(profile),
            json!(self.role_arn()),
            json!(certificate),
            json!(key),
        );
        Ok(Document::public(format!("nodeconfig-{node}.yaml"), text))
    }

    /// The ARN of the nodes' role.
    pub fn role_arn(&self) -> String {
        self.arn_of_role(&self.role)
    }

    /// The ARN of the role of the servers that unseal.
    pub fn seal_role_arn(&self) -> String {
        self.arn_of_role(&self.seal_role)
    }

    fn arn_of_role(&self, name: &str) -> String {
        format!(
            "arn:{}:iam::{}:role/{name}",
            self.trust_anchor.partition, self.account
        )
    }

    fn node_trust(&self) -> Value {
        trust_policy(&self.trust_anchor, &self.nodes)
    }

    /// A role of its own: that of the nodes keeps names outside `nodes` out.
    fn seal_trust(&self, servers: &str) -> Value {
        trust_policy(&self.trust_anchor, servers)
    }

    fn check(&self) -> Result<(), DescriptionError> {
        let refuse = |field, problem: &str| {
            Err(DescriptionError::Field {
                field,
                problem: problem.to_owned(),
            })
        };
        let word = |text: &str, others: &str| {
            text.chars()
                .all(|c| c.is_ascii_alphanumeric() || others.contains(c))
        };
        if self.account.len() != 12 || !self.account.bytes().all(|b| b.is_ascii_digit()) {
            return refuse("account", "an account has twelve digits");
        }
        if self.region.is_empty() || !word(&self.region, "-") {
            return refuse("region", "not a Region, such as us-west-2");
        }
        let anchor = Arn::parse_as(&self.trust_anchor.to_string(), ArnKind::TrustAnchor);
        if let Err(error) = anchor {
            return refuse("trust_anchor", &error.to_string());
        }
        if let Some(Err(error)) = self
            .profile_arn
            .as_ref()
            .map(|arn| Arn::parse_as(&arn.to_string(), ArnKind::Profile))
        {
            return refuse("profile_arn", &error.to_string());
        }
        for (field, arn) in [
            ("trust_anchor", Some(&self.trust_anchor)),
            ("profile_arn", self.profile_arn.as_ref()),
        ] {
            if arn.is_some_and(|arn| arn.region != self.region || arn.account != self.account) {
                return refuse(
                    field,
                    "belongs to another Region or account than the cluster",
                );
            }
        }
        // Source: EKS API reference, CreateCluster.
        if self.cluster.is_empty() || self.cluster.len() > 100 || !word(&self.cluster, "-_") {
            return refuse("cluster", "1 to 100 letters, digits, - and _");
        }
        // Source: IAM API reference, CreateRole.
        for (field, role) in [("role", &self.role), ("seal_role", &self.seal_role)] {
            if role.is_empty() || role.len() > 64 || !word(role, "_+=,.@-") {
                return refuse(field, "1 to 64 letters, digits and _ + = , . @ -");
            }
        }
        for (field, profile) in [
            ("profile", &self.profile),
            ("seal_profile", &self.seal_profile),
        ] {
            if profile.is_empty() || profile.len() > 255 || !word(profile, " -_") {
                return refuse(field, "1 to 255 letters, digits, blanks, - and _");
            }
        }
        // IAM compares the names of roles without their case.
        if self.seal.is_some() && self.seal_role.eq_ignore_ascii_case(&self.role) {
            return refuse("seal_role", "the nodes' role has this name; take another");
        }
        if let SessionPolicy::Own(policy) = &self.session_policy {
            let length = Value::Object(policy.clone()).to_string().len();
            if !policy.get("Statement").is_some_and(Value::is_array) || length > MAX_SESSION_POLICY
            {
                return refuse(
                    "session_policy",
                    "true, false, or a policy with a list of statements, of at most 2048 characters",
                );
            }
        }
        if !DURATIONS.contains(&self.session_seconds) {
            return refuse("session_seconds", "900 to 43200");
        }
        for (field, pattern) in [("nodes", Some(&self.nodes)), ("seal", self.seal.as_ref())] {
            if pattern.is_some_and(|pattern| !is_pattern(pattern)) {
                return refuse(
                    field,
                    "a node name in which * stands for anything, such as node-*.example",
                );
            }
        }
        Ok(())
    }

    fn cluster_arn(&self) -> String {
        format!(
            "arn:{}:eks:{}:{}:cluster/{}",
            self.trust_anchor.partition, self.region, self.account, self.cluster
        )
    }

    fn pull_images(&self) -> String {
        format!("arn:{}:iam::aws:{PULL_IMAGES}", self.trust_anchor.partition)
    }

    /// What a node may do: nodeadm looks at the cluster and at its own access
    /// entry, and the Pod Identity agent takes roles for pods.
    fn permissions(&self) -> Value {
        json!({
            "Version": "2012-10-17",
            "Statement": [{
                "Effect": "Allow",
                "Action": [
                    "eks:DescribeCluster",
                    "eks:ListAccessEntries",
                    "eks-auth:AssumeRoleForPodIdentity",
                ],
                "Resource": self.cluster_arn(),
            }],
        })
    }

    /// What sessions of nodes may do at most.
    ///
    /// Source: IAM Roles Anywhere user guide, "Trust model", on profiles; IAM user guide, "Session policies".
    fn node_bounds(&self) -> Bounds {
        match &self.session_policy {
            SessionPolicy::Switch(false) => Bounds::default(),
            SessionPolicy::Switch(true) => Bounds {
                policy: Some(self.permissions()),
                managed: vec![self.pull_images()],
            },
            SessionPolicy::Own(policy) => Bounds {
                policy: Some(Value::Object(policy.clone())),
                managed: Vec::new(),
            },
        }
    }

    /// What sessions of servers that unseal may do at most. A bound that was given is meant for nodes, and would keep
    /// the seal closed.
    fn seal_bounds(&self) -> Bounds {
        if matches!(self.session_policy, SessionPolicy::Switch(false)) {
            return Bounds::default();
        }
        let keys = format!(
            "arn:{}:kms:{}:{}:key/*",
            self.trust_anchor.partition, self.region, self.account
        );
        Bounds {
            policy: Some(json!({
                "Version": "2012-10-17",
                "Statement": [{"Effect": "Allow", "Action": SEAL_ACTIONS, "Resource": keys}],
            })),
            managed: Vec::new(),
        }
    }

    /// The policy of the seal's key: the account administers it, and a session
    /// of the servers' role uses it only under a certificate of a server.
    fn key_policy(&self, servers: &str) -> Value {
        let root = format!(
            "arn:{}:iam::{}:root",
            self.trust_anchor.partition, self.account
        );
        json!({
            "Version": "2012-10-17",
            "Statement": [
                {
                    "Sid": "Administration",
                    "Effect": "Allow",
                    "Principal": {"AWS": root},
                    "Action": "kms:*",
                    "Resource": "*",
                },
                {
                    "Sid": "Unseal",
                    "Effect": "Allow",
                    "Principal": {"AWS": self.seal_role_arn()},
                    "Action": SEAL_ACTIONS,
                    "Resource": "*",
                    "Condition": {"StringLike": {"aws:PrincipalTag/x509Subject/CN": servers}},
                },
            ],
        })
    }
}

/// The trust policy of a role for hybrid nodes, or for servers that unseal:
/// sessions come from this trust anchor, and their name is the certificate's common name and fits `nodes`.
pub fn trust_policy(anchor: &Arn, nodes: &str) -> Value {
    let anchored = json!({"aws:SourceArn": anchor});
    let mut names = json!({
        "StringEquals": {"sts:RoleSessionName": OWN_NAME},
        "ArnEquals": anchored,
    });
    if nodes != "*" {
        names["StringLike"] = json!({"sts:RoleSessionName": nodes});
    }
    json!({
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": PRINCIPAL},
                "Action": ["sts:TagSession", "sts:SetSourceIdentity"],
                "Condition": {"ArnEquals": anchored},
            },
            {
                "Effect": "Allow",
                "Principal": {"Service": PRINCIPAL},
                "Action": "sts:AssumeRole",
                "Condition": names,
            },
        ],
    })
}

/// Node names with `*` in them; no `?`, and nothing that a policy substitutes.
fn is_pattern(pattern: &str) -> bool {
    !pattern.is_empty()
        && pattern.len() <= 63
        && pattern
            .bytes()
            .all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.*".contains(&b))
}

/// `StringLike` with `*` only.
fn matches(pattern: &str, name: &str) -> bool {
    Glob::new(pattern).matches(name)
}

fn role() -> String {
    "landfast-hybrid-node".to_owned()
}

fn profile() -> String {
    "landfast-hybrid-nodes".to_owned()
}

fn seal() -> String {
    "landfast-seal".to_owned()
}

const fn one_hour() -> u32 {
    3600
}
