//! NodeConfig, from which nodeadm makes a node: what it names, and what in it
//! nodeadm would refuse.
//!
//! Source: EKS user guide, "Hybrid nodes nodeadm reference", NodeConfig.

use std::path::Path;

use landfast_rolesanywhere::rules::Finding;
use serde_json::{Map, Value};

use super::report::{Question, Report};

const NC_01: &str = "NC-01";
const NC_02: &str = "NC-02";
/// Where nodeadm looks when NodeConfig does not say.
const USUAL_PAIR: [&str; 2] = ["/etc/iam/pki/server.pem", "/etc/iam/pki/server.key"];
/// nodeadm takes no longer name for a node.
const MAX_NAME: usize = 64;
/// The fields that nodeadm knows; those that end in a dot hold what others define.
const FIELDS: [&str; 28] = [
    "apiVersion",
    "kind",
    "metadata.",
    "spec.cluster.name",
    "spec.cluster.region",
    "spec.cluster.apiServerEndpoint",
    "spec.cluster.certificateAuthority",
    "spec.cluster.cidr",
    "spec.cluster.enableOutpost",
    "spec.cluster.id",
    "spec.containerd.config",
    "spec.containerd.baseRuntimeSpec.",
    "spec.kubelet.config.",
    "spec.kubelet.flags",
    "spec.instance.",
    "spec.featureGates.",
    "spec.hybrid.enableCredentialsFile",
    "spec.hybrid.iamRolesAnywhere.nodeName",
    "spec.hybrid.iamRolesAnywhere.trustAnchorArn",
    "spec.hybrid.iamRolesAnywhere.profileArn",
    "spec.hybrid.iamRolesAnywhere.roleArn",
    "spec.hybrid.iamRolesAnywhere.certificatePath",
    "spec.hybrid.iamRolesAnywhere.privateKeyPath",
    "spec.hybrid.iamRolesAnywhere.awsConfigPath",
    "spec.hybrid.ssm.activationCode",
    "spec.hybrid.ssm.activationId",
    "status.",
    "$schema",
];

/// A NodeConfig as far as it can be read.
#[derive(Debug)]
pub(super) struct NodeConfig(Value);

impl NodeConfig {
    /// # Errors
    /// It is not YAML, or no mapping: tabs, most often.
    pub(super) fn read(text: &str) -> Result<Self, String> {
        let value: Value = serde_saphyr::from_str(text).map_err(|error| {
            // The first line: the others show the text, which may hold an activation code.
            let error = error.to_string();
            let line = error.lines().next().unwrap_or_default().to_owned();
            format!("not YAML ({line}); YAML is indented by blanks, never by tabs")
        })?;
        if value.is_object() {
            Ok(Self(value))
        } else {
            Err("not a NodeConfig: no mapping".to_owned())
        }
    }

    fn text(&self, pointer: &str) -> Option<&str> {
        self.0
            .pointer(pointer)?
            .as_str()
            .filter(|text| !text.is_empty())
    }

    fn anywhere(&self, field: &str) -> Option<&str> {
        self.text(&format!("/spec/hybrid/iamRolesAnywhere/{field}"))
    }

    /// `--node-ip` among the flags of the kubelet.
    pub(super) fn node_ip(&self) -> Option<&str> {
        self.flags()
            .find_map(|flag| flag.strip_prefix("--node-ip="))
    }

    /// Whether the kubelet is told to live with swap.
    pub(super) fn takes_swap(&self) -> bool {
        self.0.pointer("/spec/kubelet/config/failSwapOn") == Some(&Value::Bool(false))
    }

    /// The cluster's name.
    pub(super) fn cluster(&self) -> Option<&str> {
        self.text("/spec/cluster/name")
    }

    fn flags(&self) -> impl Iterator<Item = &str> {
        let flags = self
            .0
            .pointer("/spec/kubelet/flags")
            .and_then(Value::as_array);
        flags.into_iter().flatten().filter_map(Value::as_str)
    }

    /// Takes over what it names where no flag does, and tells what contradicts
    /// a flag or nodeadm.
    pub(super) fn join(&self, question: &mut Question, report: &mut Report) {
        let mut findings = self.form();
        findings.extend(self.provider());
        let region = self.text("/spec/cluster/region").map(str::to_owned);
        let fields = [
            (
                "node name",
                &mut question.node_name,
                self.anywhere("nodeName"),
            ),
            ("Region", &mut question.region, region.as_deref()),
            (
                "trust anchor",
                &mut question.trust_anchor_arn,
                self.anywhere("trustAnchorArn"),
            ),
            (
                "profile",
                &mut question.profile_arn,
                self.anywhere("profileArn"),
            ),
            ("role", &mut question.role_arn, self.anywhere("roleArn")),
        ];
        for (what, own, found) in fields {
            let Some(found) = found else { continue };
            match own {
                Some(own) if own != found => findings.push(Finding::error(
                    NC_02,
                    format!("NodeConfig has the {what} {found}, and {own} was given here"),
                    "correct the one that is wrong",
                )),
                _ => *own = Some(found.to_owned()),
            }
        }
        if self.0.pointer("/spec/hybrid/iamRolesAnywhere").is_some() {
            let pair = [
                ("certificatePath", &mut question.certificate),
                ("privateKeyPath", &mut question.private_key),
            ];
            for ((field, own), usual) in pair.into_iter().zip(USUAL_PAIR) {
                let found = Path::new(self.anywhere(field).unwrap_or(usual));
                match own.as_deref() {
                    // Not said otherwise.
                    None => *own = Some(found.to_owned()),
                    Some(path) if path == Path::new(usual) => *own = Some(found.to_owned()),
                    Some(path) if path != found => findings.push(Finding::error(
                        NC_02,
                        format!(
                            "NodeConfig has the {field} {}, and {} was looked at",
                            found.display(),
                            path.display()
                        ),
                        "leave the flag out, or correct NodeConfig",
                    )),
                    Some(_) => {}
                }
            }
        }
        report.add("NodeConfig has the form that nodeadm takes", findings);
    }

    /// NC-01: kind, fields, and the cluster.
    fn form(&self) -> Vec<Finding> {
        let mut found = Vec::new();
        let error = |problem: String, remedy: &str| Finding::error(NC_01, problem, remedy);
        for (field, wanted) in [
            ("apiVersion", "node.eks.aws/v1alpha1"),
            ("kind", "NodeConfig"),
        ] {
            let own = self.text(&format!("/{field}"));
            if own != Some(wanted) {
                let own = own.unwrap_or("missing");
                found.push(error(
                    format!("{field} is {own}"),
                    &format!("{field}: {wanted}"),
                ));
            }
        }
        for field in ["name", "region"] {
            if self.text(&format!("/spec/cluster/{field}")).is_none() {
                found.push(error(
                    format!("spec.cluster.{field} is missing, or no text"),
                    "hybrid nodes need the cluster's name and Region",
                ));
            }
        }
        let mut unknown = Vec::new();
        if let Value::Object(fields) = &self.0 {
            walk(fields, "", &mut unknown);
        }
        found.extend(unknown.into_iter().map(|field| {
            Finding::warning(
                NC_01,
                format!("nodeadm knows no field {field}"),
                "look for a misspelling, or a field in the wrong place",
            )
        }));
        if self
            .flags()
            .any(|flag| flag.starts_with("--hostname-override"))
        {
            found.push(error(
                "spec.kubelet.flags has --hostname-override".to_owned(),
                "leave it out: nodeadm sets it to nodeName",
            ));
        }
        found
    }

    /// NC-01: exactly one provider of credentials, with all that it needs.
    fn provider(&self) -> Vec<Finding> {
        let has = |name: &str| self.0.pointer(&format!("/spec/hybrid/{name}")).is_some();
        let (anywhere, ssm) = (has("iamRolesAnywhere"), has("ssm"));
        let mut found = Vec::new();
        if anywhere == ssm {
            let which = if anywhere { "both" } else { "neither" };
            found.push(Finding::error(
                NC_01,
                format!("spec.hybrid has {which} of iamRolesAnywhere and ssm"),
                "keep the one by which the node gets its credentials",
            ));
        }
        if !anywhere {
            return found;
        }
        for field in ["nodeName", "trustAnchorArn", "profileArn", "roleArn"] {
            if self.anywhere(field).is_none() {
                found.push(Finding::error(
                    NC_01,
                    format!("spec.hybrid.iamRolesAnywhere.{field} is missing, or no text"),
                    "`landfast generate --node NAME` writes a NodeConfig that has all of them",
                ));
            }
        }
        if self
            .anywhere("nodeName")
            .is_some_and(|name| name.len() > MAX_NAME)
        {
            found.push(Finding::error(
                NC_01,
                "nodeName is longer than 64 characters",
                "use a shorter name, and a certificate for it",
            ));
        }
        found
    }
}

/// Collects the fields that nodeadm does not know.
fn walk(fields: &Map<String, Value>, above: &str, unknown: &mut Vec<String>) {
    for (name, value) in fields {
        let path = format!("{above}{name}");
        let inner = format!("{path}.");
        if FIELDS.contains(&path.as_str()) || FIELDS.contains(&inner.as_str()) {
            continue;
        }
        let is_part = FIELDS.iter().any(|field| field.starts_with(&inner));
        match value {
            Value::Object(fields) if is_part => walk(fields, &inner, unknown),
            Value::Null if is_part => {}
            _ => unknown.push(path),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "\
apiVersion: node.eks.aws/v1alpha1
kind: NodeConfig
spec:
  cluster: {name: prod, region: us-west-2}
  kubelet:
    config: {failSwapOn: false, anything: [1]}
    flags: [--node-ip=10.1.2.3, --node-labels=a=b]
  hybrid:
    enableCredentialsFile: true
    iamRolesAnywhere:
      nodeName: node-1
      trustAnchorArn: anchor
      profileArn: profile
      roleArn: role
      certificatePath: /pki/a.pem
";

    fn findings(text: &str, question: &mut Question) -> Vec<Finding> {
        let mut report = Report::default();
        NodeConfig::read(text).unwrap().join(question, &mut report);
        report.findings
    }

    #[test]
    fn what_it_names_is_what_is_looked_at() {
        let mut question = Question {
            certificate: Some(USUAL_PAIR[0].into()),
            ..Question::default()
        };
        assert_eq!(findings(GOOD, &mut question), []);
        assert_eq!(question.node_name.as_deref(), Some("node-1"));
        assert_eq!(question.region.as_deref(), Some("us-west-2"));
        assert_eq!(question.role_arn.as_deref(), Some("role"));
        assert_eq!(question.certificate, Some("/pki/a.pem".into()));
        assert_eq!(question.private_key, Some(USUAL_PAIR[1].into()));
        let config = NodeConfig::read(GOOD).unwrap();
        assert_eq!(config.node_ip(), Some("10.1.2.3"));
        assert!(config.takes_swap());

        let mut other = Question {
            node_name: Some("node-2".to_owned()),
            certificate: Some("/other.pem".into()),
            ..Question::default()
        };
        let told = findings(GOOD, &mut other);
        assert!(told.iter().all(|one| one.rule == NC_02), "{told:?}");
        assert_eq!(told.len(), 2, "{told:?}");
    }

    #[test]
    fn what_nodeadm_refuses_is_told() {
        for (from, to, part) in [
            ("v1alpha1", "v1", "apiVersion is"),
            ("kind: NodeConfig", "kind: Node", "kind is Node"),
            ("name: prod, ", "", "spec.cluster.name"),
            ("region: us-west-2", "region: 5", "spec.cluster.region"),
            (
                "nodeName: node-1",
                "nodename: node-1",
                "nodeName is missing",
            ),
            ("roleArn: role", "roleArn: ''", "roleArn is missing"),
            (
                "nodeName: node-1",
                &format!("nodeName: {}", "n".repeat(65)),
                "64",
            ),
            (
                "    enableCredentialsFile",
                "    ssm: {activationId: x}\n    enableCredentialsFile",
                "both",
            ),
            ("iamRolesAnywhere:", "iamrolesanywhere:", "neither"),
            (
                "--node-labels=a=b",
                "--hostname-override=x",
                "--hostname-override",
            ),
            (
                "certificatePath",
                "certificate",
                "no field spec.hybrid.iamRolesAnywhere.certificate",
            ),
            ("  cluster:", "  typo: 1\n  cluster:", "no field spec.typo"),
        ] {
            assert!(GOOD.contains(from), "{from}");
            let told = findings(&GOOD.replacen(from, to, 1), &mut Question::default());
            let told: Vec<String> = told.into_iter().map(|one| one.problem).collect();
            assert!(
                told.iter().any(|one| one.contains(part)),
                "{part}: {told:?}"
            );
        }
    }

    #[test]
    fn what_is_no_yaml_is_told_without_its_text() {
        for bad in [
            "spec:\n\tcluster: {}\n",
            "a: [",
            "- a\n- b\n",
            "activation-code-1234",
        ] {
            let error = NodeConfig::read(bad).unwrap_err();
            assert!(!error.contains("activation-code-1234"), "{error}");
        }
        // References that unfold to more than a machine has are refused, not followed.
        let mut bomb = "a0: &a0 [x, x, x, x, x, x, x, x, x]\n".to_owned();
        for level in 1..12 {
            let list = vec![format!("*a{}", level - 1); 9].join(", ");
            bomb.push_str(&format!("a{level}: &a{level} [{list}]\n"));
        }
        assert!(NodeConfig::read(&bomb).is_err());
    }
}
