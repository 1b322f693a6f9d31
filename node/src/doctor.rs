//! Why a node is refused: everything that can be known without asking AWS.
//!
//! The service answers a refusal with a few words. The node's files, the trust
//! anchor and the documents of role and profile say more, and all of them can
//! be compared offline. Only [`online`] makes a network call, and nothing
//! prints a key.
//!
//! Rules that the user guides state have the numbers of the other commands
//! (CA, EE, PF, TP, AR, CR); PF-03, TP-05 and CR-02 are about this very node,
//! ON-01 to ON-03 about what AWS answers, NC-01 and NC-02 about NodeConfig, and
//! ND-01 to ND-04 about the machine that NodeConfig is for.

mod access;
mod arns;
mod documents;
mod machine;
mod node_config;
pub mod online;
mod pair;
mod path;
mod revocation;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::Serialize;

use crate::causes;
use crate::files::{self, FileError};
use crate::rules::{Finding, Severity};
use crate::session::DURATIONS;

use self::arns::Arns;
use self::documents::{AnchorDocument, ClusterDocument, ProfileDocument, RoleDocument};
pub use self::machine::Machine;
use self::node_config::NodeConfig;

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

/// A file that was named and can't be used at all.
#[derive(Debug, thiserror::Error)]
pub enum DoctorError {
    /// It can't be read.
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

/// Looks at everything that the question names, as of `now`.
///
/// # Errors
/// [`DoctorError`] for a document that can't be read. A certificate or key that
/// can't be read is a finding: a node is refused for less.
pub fn examine(question: &Question, now: Timestamp) -> Result<Report, DoctorError> {
    let mut report = Report::default();
    let mut question = question.clone();
    let config = read(question.node_config.as_deref(), NodeConfig::read)?;
    let cluster = read(question.cluster.as_deref(), ClusterDocument::read)?;
    if let Some(config) = &config {
        config.join(&mut question, &mut report);
        if let Some(machine) = &question.machine {
            machine.check(config, cluster.as_ref(), &mut report);
        }
    }
    let question = &question;
    let anchor = read(question.trust_anchor.as_deref(), AnchorDocument::read)?;
    let profile = read(question.profile.as_deref(), ProfileDocument::read)?;
    let role = read(question.role.as_deref(), RoleDocument::read)?;
    let policy = read(question.trust_policy.as_deref(), documents::trust_policy)?;

    let arns = Arns::of(question, anchor.as_ref(), profile.as_ref(), role.as_ref());
    let arns = arns.check(question.region.as_deref(), &mut report);
    let leaf = pair::check(question, now, &mut report);
    let issuers = path::check(question, anchor.as_ref(), leaf.as_ref(), now, &mut report);
    revocation::check(
        question,
        &issuers,
        leaf.as_ref().map(|(leaf, _)| leaf),
        now,
        &mut report,
    )?;
    let access = access::Access {
        question,
        arns: &arns,
        profile: profile.as_ref(),
        role: role.as_ref(),
        policy: policy.as_ref().or_else(|| role.as_ref()?.trust.as_ref()),
        leaf: leaf.as_ref().map(|(leaf, _)| leaf),
    };
    access.check(&mut report);

    report
        .findings
        .sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    report.cause = question
        .error
        .as_deref()
        .and_then(causes::of)
        .map(|cause| Explanation {
            cause: cause.cause,
            remedy: cause.remedy,
            confirmed_by: report.confirming(cause.rules),
        });
    Ok(report)
}

impl Report {
    /// Whether something was found that stops the node.
    pub fn has_errors(&self) -> bool {
        self.findings
            .iter()
            .any(|finding| finding.severity == Severity::Error)
    }

    /// Records a check: passed when it found no error.
    fn add(&mut self, passed: impl Into<String>, findings: impl IntoIterator<Item = Finding>) {
        let before = self.findings.len();
        self.findings.extend(findings);
        if self.findings[before..]
            .iter()
            .all(|finding| finding.severity != Severity::Error)
        {
            self.passed.push(passed.into());
        }
    }

    fn confirming(&self, rules: &[&'static str]) -> Vec<&'static str> {
        let found = |rule: &&&str| self.findings.iter().any(|finding| finding.rule == **rule);
        rules.iter().filter(found).copied().collect()
    }
}

fn read<T>(
    path: Option<&Path>,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, DoctorError> {
    let Some(path) = path else { return Ok(None) };
    let content = files::read_secret(path)?;
    let document = |problem| DoctorError::Document {
        path: path.display().to_string(),
        problem,
    };
    let text =
        std::str::from_utf8(content.expose()).map_err(|_| document("not text".to_owned()))?;
    parse(text).map(Some).map_err(document)
}

/// PF-02 for one length.
fn duration_fits(seconds: u32) -> bool {
    DURATIONS.contains(&seconds)
}
