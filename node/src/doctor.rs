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
mod report;
mod revocation;
#[cfg(test)]
mod tests;

use std::path::Path;

use jiff::Timestamp;

use crate::files;

use self::arns::Arns;
use self::documents::{AnchorDocument, ClusterDocument, ProfileDocument, RoleDocument};
pub use self::machine::Machine;
use self::node_config::NodeConfig;
pub use self::report::{DoctorError, Explanation, Question, Report};
use landfast_rolesanywhere::causes;

/// Looks at everything that the question names, as of `now`.
///
/// # Errors
/// [`DoctorError`] for a document that cannot be read. A certificate or key that
/// cannot be read is a finding: a node is refused for less.
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
    if question.post_quantum {
        report.post_quantum = Some(path::audit(anchor.as_ref(), leaf.as_ref()));
    }
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
