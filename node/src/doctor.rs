//! Why a node is refused: everything that can be known without asking AWS.
//!
//! The service answers a refusal with a few words. The node's files, the trust
//! anchor and the documents of role and profile say more, and all of them can
//! be compared offline. Only [`online`] makes a network call, and nothing
//! prints a key.
//!
//! Rules that the user guides state have the numbers of the other commands
//! (CA, EE, PF, TP, AR, CR); PF-03, TP-05 and CR-02 are about this very node,
//! ON-01 to ON-03 about what AWS answers.

mod access;
mod documents;
pub mod online;
#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use landfast_pki::{Certificate, Crl, anchor};
use serde::Serialize;

use crate::arn::{Arn, ArnKind};
use crate::causes;
use crate::files::{self, FileError};
use crate::identity::{self, Files, IdentityError};
use crate::lab::state::MAX_CRL;
use crate::rules::{self, Finding, Severity};
use crate::session::DURATIONS;
use crate::trust;

use self::documents::{AnchorDocument, ProfileDocument, RoleDocument};

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
    let anchor = read(question.trust_anchor.as_deref(), AnchorDocument::read)?;
    let profile = read(question.profile.as_deref(), ProfileDocument::read)?;
    let role = read(question.role.as_deref(), RoleDocument::read)?;
    let policy = read(question.trust_policy.as_deref(), documents::trust_policy)?;

    let arns = Arns::of(question, anchor.as_ref(), profile.as_ref(), role.as_ref());
    let arns = arns.check(question.region.as_deref(), &mut report);
    let leaf = pair(question, now, &mut report);
    let issuers = authorities(question, anchor.as_ref(), leaf.as_ref(), now, &mut report);
    revocation(
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

/// The ARNs, as far as they are ARNs.
#[derive(Debug, Default)]
struct Arns {
    anchor: Option<Arn>,
    profile: Option<Arn>,
    role: Option<Arn>,
    findings: Vec<Finding>,
}

impl Arns {
    /// What is configured and what the documents say must be the same.
    fn of(
        question: &Question,
        anchor: Option<&AnchorDocument>,
        profile: Option<&ProfileDocument>,
        role: Option<&RoleDocument>,
    ) -> Self {
        let mut findings = Vec::new();
        let mut pick = |what: &str,
                        configured: Option<&String>,
                        document: Option<&String>,
                        kind| {
            if let (Some(configured), Some(document)) = (configured, document)
                && configured != document
            {
                findings.push(Finding::error(
                    AR_01,
                    format!("the node is configured for the {what} {configured}, the document describes {document}"),
                    "use the same one in both places",
                ));
            }
            let text = configured.or(document)?;
            match Arn::parse_as(text, kind) {
                Ok(arn) => Some(arn),
                Err(error) => {
                    findings.push(Finding::error(
                        AR_01,
                        format!("the {what} {text:?} cannot be used: {error}"),
                        "copy the ARN from the AWS console or command line",
                    ));
                    None
                }
            }
        };
        let anchor = pick(
            "trust anchor",
            question.trust_anchor_arn.as_ref(),
            anchor.and_then(|one| one.arn.as_ref()),
            ArnKind::TrustAnchor,
        );
        let profile = pick(
            "profile",
            question.profile_arn.as_ref(),
            profile.and_then(|one| one.profile_arn.as_ref()),
            ArnKind::Profile,
        );
        let role = pick(
            "role",
            question.role_arn.as_ref(),
            role.and_then(|one| one.arn.as_ref()),
            ArnKind::Role,
        );
        Self {
            anchor,
            profile,
            role,
            findings,
        }
    }

    /// AR-01: one Region, one account, one partition.
    fn check(mut self, region: Option<&str>, report: &mut Report) -> Self {
        let mut findings = std::mem::take(&mut self.findings);
        let named: Vec<(&str, &Arn)> = [
            ("trust anchor", &self.anchor),
            ("profile", &self.profile),
            ("role", &self.role),
        ]
        .into_iter()
        .filter_map(|(what, arn)| Some((what, arn.as_ref()?)))
        .collect();
        if named.is_empty() && findings.is_empty() {
            report
                .skipped
                .push("ARNs: give --trust-anchor-arn, --profile-arn and --role-arn");
            return self;
        }
        if let Some(((first, one), others)) = named.split_first() {
            for (what, other) in others {
                if other.account != one.account || other.partition != one.partition {
                    findings.push(Finding::error(
                        AR_01,
                        format!(
                            "the {first} is in account {} of {}, the {what} in account {} of {}",
                            one.account, one.partition, other.account, other.partition
                        ),
                        "trust anchor, profile and role belong to one account",
                    ));
                }
            }
        }
        // A role has no Region.
        let regional: Vec<_> = named
            .iter()
            .filter(|(_, arn)| !arn.region.is_empty())
            .collect();
        if let [(_, anchor), (_, profile)] = regional[..]
            && anchor.region != profile.region
        {
            findings.push(Finding::error(
                AR_01,
                format!(
                    "the trust anchor is in {}, the profile in {}",
                    anchor.region, profile.region
                ),
                "make both in the Region that nodes call",
            ));
        }
        if let Some(region) = region
            && let Some((what, arn)) = regional.iter().find(|(_, arn)| arn.region != region)
        {
            findings.push(Finding::error(
                AR_01,
                format!("the cluster is in {region}, the {what} in {}", arn.region),
                "nodeadm calls Roles Anywhere in the cluster's Region: make the trust anchor and the profile there",
            ));
        }
        report.add("the ARNs agree on account and Region", findings);
        self
    }
}

/// The pair on disk: order, match, key file, and what the leaf itself is.
fn pair(
    question: &Question,
    now: Timestamp,
    report: &mut Report,
) -> Option<(Certificate, Vec<Certificate>)> {
    let Some(path) = &question.certificate else {
        report
            .skipped
            .push("certificate and key: give --certificate and --private-key");
        return None;
    };
    let (leaf, mut chain) = match identity::certificates(path) {
        Ok(found) => found,
        Err(error) => {
            report.findings.push(unreadable("EE-07", &error));
            return None;
        }
    };
    report.passed.push(format!(
        "{}: the first certificate is {}",
        path.display(),
        leaf.subject()
    ));
    if let Some(key) = &question.private_key {
        key_file(path, key, question.passphrase.as_deref(), report);
    }
    if let Some(more) = &question.intermediates {
        match identity::certificates(more) {
            Ok((first, rest)) => chain.extend(std::iter::once(first).chain(rest)),
            Err(error) => report.findings.push(unreadable("EE-07", &error)),
        }
    }
    report.add(
        "the certificate keeps the rules for end entities",
        rules::end_entity(&leaf),
    );
    let written = if question.hypothetical {
        None
    } else {
        written_later(path, now)
    };
    let behind = written.map(|written| {
        Finding::error(
            "EE-11",
            format!("the clock says {now:.0}, and the certificate's file was written {written:.0}: the clock is behind"),
            "set it right (NTP); AWS refuses requests whose date is minutes off",
        )
    });
    report.add(
        format!("the certificate is valid until {:.0}", leaf.not_after()),
        rules::dates(&leaf, now).into_iter().chain(behind),
    );
    let name = rules::node_name(&leaf, question.node_name.as_deref());
    if question.not_hybrid && question.node_name.is_none() {
        report
            .skipped
            .push("node name: not asked for without --node-name and with --not-hybrid");
    } else {
        report.add("the common name is a node name", name);
    }
    report.add(
        "every session tag has characters that STS takes",
        rules::session_tags(&leaf),
    );
    Some((leaf, chain))
}

/// EE-06: the key is there, private, and the certificate's.
fn key_file(certificate: &Path, key: &Path, passphrase: Option<&Path>, report: &mut Report) {
    let files = Files {
        passphrase,
        ..Files::pair(certificate, key)
    };
    let finding = match identity::load(&files) {
        Ok(_) => None,
        Err(IdentityError::File(error))
            if error.cause.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            report
                .skipped
                .push("the private key: run as the user that may read it");
            return;
        }
        Err(error) => Some(unreadable("EE-06", &error)),
    };
    let open = files::is_open_to_others(key).unwrap_or(false).then(|| {
        Finding::warning(
            "EE-06",
            format!(
                "{}: others than the owner may read the private key",
                key.display()
            ),
            format!("chmod 600 {}", key.display()),
        )
    });
    let foreign = files::foreign_owner(key).ok().flatten().map(|owner| {
        Finding::warning(
            "EE-06",
            format!(
                "{}: belongs to user {owner}, who can replace the private key",
                key.display()
            ),
            "give it to root, or to the user whose programs use it (chown)",
        )
    });
    report.add(
        "certificate and private key belong together",
        finding.into_iter().chain(open).chain(foreign),
    );
}

fn unreadable(rule: &'static str, error: &IdentityError) -> Finding {
    let remedy = match error {
        IdentityError::File(_) => "enrol the node (`landfast enroll`), or name the right file",
        IdentityError::Mismatch { .. } => "enrol the node anew: a key cannot be made to fit",
        IdentityError::Encrypted { .. }
        | IdentityError::Closed { .. }
        | IdentityError::Traditional { .. }
        | IdentityError::Device { .. } => {
            "name a key file that this program and aws_signing_helper can open"
        }
        _ => "write the file anew: the node's certificate first, then its intermediates",
    };
    Finding::error(rule, error.to_string(), remedy)
}

/// When the file was written, if that is in the future: a clock that went back.
fn written_later(path: &Path, now: Timestamp) -> Option<Timestamp> {
    let modified = std::fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()?;
    let written = Timestamp::try_from(modified).ok()?;
    (written.duration_since(now) > SignedDuration::from_mins(5)).then_some(written)
}

/// The anchor's certificates, and the leaf's way to them.
fn authorities(
    question: &Question,
    document: Option<&AnchorDocument>,
    pair: Option<&(Certificate, Vec<Certificate>)>,
    now: Timestamp,
    report: &mut Report,
) -> Vec<Certificate> {
    let Some(document) = document else {
        report
            .skipped
            .push("the path to the trust anchor: give --trust-anchor");
        return pair.map(|(_, chain)| chain.clone()).unwrap_or_default();
    };
    let (anchors, read) = anchor::read_bundle(&document.bundle);
    let checked = anchor::check(&anchors, now);
    let disabled = (document.enabled == Some(false)).then(|| {
        Finding::error(
            "CA-09",
            "the trust anchor is disabled",
            "aws rolesanywhere enable-trust-anchor",
        )
    });
    let remedy = "correct the bundle; `landfast trust-anchor` exports one that AWS takes";
    let findings = read
        .errors
        .into_iter()
        .chain(checked.errors)
        .map(|one| Finding::error(one.rule, one.text, remedy))
        .chain(
            read.warnings
                .into_iter()
                .chain(checked.warnings)
                .map(|one| Finding::warning(one.rule, one.text, remedy)),
        )
        .chain(disabled);
    report.add("AWS can use the trust anchor", findings);
    if let Some((leaf, chain)) = pair {
        path(question, leaf, chain, &anchors, now, report);
    }
    anchors
}

/// CA-09: the leaf's issuer, or a CA above the chain that is sent, is in the anchor.
fn path(
    question: &Question,
    leaf: &Certificate,
    chain: &[Certificate],
    anchors: &[Certificate],
    now: Timestamp,
    report: &mut Report,
) {
    // The leaf's own dates are told already; beside them the path may be right or wrong.
    let when = now.max(leaf.not_before()).min(leaf.not_after());
    let held: Vec<String> = anchors
        .iter()
        .map(|one| one.subject().to_string())
        .collect();
    let held = if held.is_empty() {
        "nothing".to_owned()
    } else {
        held.join(" and ")
    };
    let export = "put the issuing CA into the trust anchor: `landfast trust-anchor --anchor issuing`, or both";
    match trust::path(leaf, &[], anchors, when) {
        Ok(issuers) => {
            let outlives = rules::lifetime(leaf, issuers.first().copied(), Duration::ZERO);
            report.add(
                "the CA that issued the certificate is in the trust anchor",
                outlives,
            );
        }
        Err(direct) => match trust::path(leaf, chain, anchors, when) {
            Ok(_) if question.not_hybrid => {
                report
                    .passed
                    .push("the chain leads to the trust anchor".to_owned());
            }
            Ok(_) => report.findings.push(Finding::error(
                "CA-09",
                format!(
                    "{} issued the certificate and is not in the trust anchor, which holds {held}; \
                     hybrid nodes do not send the intermediates that would lead there",
                    leaf.issuer()
                ),
                export,
            )),
            Err(error) => {
                let error = if chain.is_empty() { direct } else { error };
                report.findings.push(Finding::error(
                    "CA-09",
                    format!(
                        "no path leads from the certificate, issued by {}, to the trust anchor, which holds {held}: {error}",
                        leaf.issuer()
                    ),
                    export,
                ));
            }
        },
    }
}

/// CR-01 and CR-02: lists that AWS can import, and the node not in them.
fn revocation(
    question: &Question,
    issuers: &[Certificate],
    leaf: Option<&Certificate>,
    now: Timestamp,
    report: &mut Report,
) -> Result<(), DoctorError> {
    if question.crls.is_empty() {
        report.skipped.push("revocation: give --crl");
    }
    for file in &question.crls {
        let shown = file.display();
        let content = files::read_secret(file)?;
        let content = content.expose();
        let crl = Crl::from_pem(content)
            .or_else(|_| Crl::from_der(content))
            .map_err(|error| DoctorError::Document {
                path: shown.to_string(),
                problem: format!("not a CRL: {error}"),
            })?;
        let mut findings = Vec::new();
        let mut refuse = |problem: String, remedy: &str| {
            findings.push(Finding::error(
                "CR-01",
                format!("{shown}: {problem}"),
                remedy,
            ));
        };
        if content.len() > MAX_CRL {
            refuse(
                format!(
                    "{} octets are more than the {MAX_CRL} that AWS imports",
                    content.len()
                ),
                "remove expired entries (tidy), and issue shorter lives",
            );
        }
        if crl.is_delta() {
            refuse("a delta CRL".into(), "import the complete CRL");
        }
        if crl.next_update().is_some_and(|next| next < now) {
            refuse(
                "its nextUpdate has passed".into(),
                "export and import it anew",
            );
        }
        if !issuers.is_empty() {
            let named: Vec<_> = issuers
                .iter()
                .filter(|ca| ca.subject() == crl.issuer())
                .collect();
            if named.is_empty() {
                refuse(
                    format!("{} issued it, and is not in the trust anchor", crl.issuer()),
                    "import the CRL of a CA that is in the anchor",
                );
            } else if !named
                .iter()
                .any(|ca| crl.verify_signed_by(ca.public_key()).is_ok())
            {
                refuse(
                    format!("not signed by the {} of the trust anchor", crl.issuer()),
                    "export the CRL of that very CA: another has the same name",
                );
            }
        }
        let revoked = leaf
            .filter(|leaf| leaf.issuer() == crl.issuer())
            .and_then(|leaf| crl.find(leaf.serial()))
            .map(|entry| {
                Finding::error(
                    "CR-02",
                    format!(
                        "{shown}: the node's certificate is revoked since {:.0}",
                        entry.revoked_at
                    ),
                    "if the node is to come back, enrol it again",
                )
            });
        report.add(
            format!("{shown}: a good CRL, the node not in it"),
            findings.into_iter().chain(revoked),
        );
    }
    Ok(())
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

const AR_01: &str = "AR-01";
