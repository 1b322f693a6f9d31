//! What is asked about a node, and what was found.

use std::path::PathBuf;

use landfast_rolesanywhere::post_quantum::Audit;
use landfast_rolesanywhere::rules::{Finding, Severity};
use serde::Serialize;

use super::machine::Machine;
use crate::files::FileError;

/// What is looked at. Whatever is absent is not checked, and the report says so.
#[derive(Clone, Debug, Default)]
pub struct Question {
    /// The node's certificate in PEM.
    pub certificate: Option<PathBuf>,
    /// Its private key in PEM.
    pub private_key: Option<PathBuf>,
    /// Further certificates of the chain, in PEM.
    pub intermediates: Option<PathBuf>,
    /// A file with the passphrase of the key, when that is encrypted.
    pub passphrase: Option<PathBuf>,
    /// The trust anchor: PEM, or the JSON that `aws rolesanywhere get-trust-anchor` prints.
    pub trust_anchor: Option<PathBuf>,
    /// The JSON that `aws rolesanywhere get-profile` prints.
    pub profile: Option<PathBuf>,
    /// The JSON that `aws iam get-role` prints.
    pub role: Option<PathBuf>,
    /// The role's trust policy, in place of the one in [`role`](Self::role).
    pub trust_policy: Option<PathBuf>,
    /// Revocation lists, PEM or DER.
    pub crls: Vec<PathBuf>,
    /// The `NodeConfig` of this machine, which names most of the rest.
    pub node_config: Option<PathBuf>,
    /// The JSON that `aws eks describe-cluster` prints.
    pub cluster: Option<PathBuf>,
    /// What this machine says of itself, to be held against `NodeConfig`.
    pub machine: Option<Machine>,
    /// The node name that `NodeConfig` gives.
    pub node_name: Option<String>,
    /// The cluster's Region.
    pub region: Option<String>,
    /// The ARNs as they are configured: trust anchor, profile, role.
    pub trust_anchor_arn: Option<String>,
    /// See [`trust_anchor_arn`](Self::trust_anchor_arn).
    pub profile_arn: Option<String>,
    /// See [`trust_anchor_arn`](Self::trust_anchor_arn).
    pub role_arn: Option<String>,
    /// The session length that is asked for, in seconds.
    pub session_duration: Option<u32>,
    /// What AWS answered.
    pub error: Option<String>,
    /// Not an EKS hybrid node: it sends its chain, and a session name only if
    /// [`node_name`](Self::node_name) is there.
    pub not_hybrid: bool,
    /// The time that is judged by is not the machine's clock.
    pub hypothetical: bool,
    /// Whether to say of each certificate if it is post-quantum.
    pub post_quantum: bool,
}

/// What was found.
#[derive(Debug, Default, Serialize)]
pub struct Report {
    /// What is as it should be.
    pub passed: Vec<String>,
    /// What is not, errors first.
    pub findings: Vec<Finding>,
    /// What was not looked at, and what it would take.
    pub skipped: Vec<&'static str>,
    /// What AWS's text usually means, when there was one and it is a known one.
    pub cause: Option<Explanation>,
    /// What of the certificates is post-quantum, when that was asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub post_quantum: Option<Audit>,
}

/// What a text of AWS's usually means.
#[derive(Debug, Serialize)]
pub struct Explanation {
    /// What is usually wrong.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
    /// Rules of this report that confirm it.
    pub confirmed_by: Vec<&'static str>,
}

/// A file that was named and cannot be used at all.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// It cannot be read.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is not the document that was asked for.
    #[error("{path}: {problem}")]
    Document {
        /// The file.
        path: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl Report {
    /// Whether something was found that stops the node.
    pub fn has_errors(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }

    /// Records a check: passed when it found no error.
    pub(super) fn add(
        &mut self,
        passed: impl Into<String>,
        findings: impl IntoIterator<Item = Finding>,
    ) {
        let before = self.findings.len();
        self.findings.extend(findings);
        if self.findings[before..]
            .iter()
            .all(|finding| finding.severity != Severity::Error)
        {
            self.passed.push(passed.into());
        }
    }

    /// Those of `rules` that something was found of.
    pub(super) fn confirming(&self, rules: &[&'static str]) -> Vec<&'static str> {
        let found = |rule: &&&str| self.findings.iter().any(|finding| finding.rule == **rule);
        rules.iter().filter(found).copied().collect()
    }
}
