//! `landfast trust-anchor sync`: the anchor that AWS holds, and the engine's.

use std::path::{Path, PathBuf};

use clap::Args;
use jiff::Timestamp;
use landfast_node::identity;
use landfast_node::sync::Progress;
use landfast_node::sync::anchor::{Bundles, Difference, Refusal};
use landfast_node::sync::aws::{Account, HeldAnchor};
use landfast_node::sync::engine::Engine;
use landfast_pki::{Certificate, Crl};
use serde_json::{Value, json};

use super::{Found, Selection, Which};
use crate::cli::aws::{self, SYNC_HELP, SyncArguments};
use crate::cli::progress::Bar;
use crate::cli::runtime::block_on;
use crate::cli::{Failure, output};

/// Where a node has its own certificate.
const OWN: &str = "/etc/iam/pki/server.pem";

const EXAMPLES: &str = "\
A rotation, in which no node is refused at any moment:
  # the new CA beside the old one
  landfast trust-anchor sync --trust-anchor-arn ARN --issuer new \\
    --also old --apply

  # make it the default, and wait until every node has renewed; then
  landfast trust-anchor sync --trust-anchor-arn ARN --issuer new --apply
";

/// Compare the trust anchor that AWS holds with the CA, and change it with --apply
///
/// The certificates are chosen as for `landfast trust-anchor`. What would leave
/// nodes behind is refused: a third certificate, an issuer of which there are
/// unexpired and unrevoked certificates (as the engine stored them and as AWS
/// saw them in sessions), and the issuer of this machine's own certificate.
/// The anchor is updated, never made anew: its ARN stands in trust policies and
/// on every node.
#[derive(Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n{SYNC_HELP}"))]
pub(super) struct Arguments {
    #[command(flatten)]
    selection: Selection,

    #[command(flatten)]
    sync: SyncArguments,

    /// Remove an issuer although nodes hold good certificates of it: they are
    /// refused from then on, until they renew
    #[arg(long)]
    strand_leaves: bool,

    /// This machine's own certificate, whose issuer is never removed
    #[arg(long, value_name = "FILE", default_value = OWN)]
    certificate: PathBuf,
}

/// What was found, and what came of it.
struct Outcome<'a> {
    arguments: &'a Arguments,
    held: HeldAnchor,
    difference: Difference,
    refusals: Vec<Refusal>,
    warnings: Vec<String>,
    applied: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let found = arguments.selection.find()?;
    let arn = &arguments.sync.trust_anchor_arn;
    let outcome = block_on(async {
        let account = aws::account(&arguments.sync).await?;
        let held = account.anchor(arn).await?;
        let difference = Difference::of(&held.certificates, &found.certificates);
        let mut outcome = Outcome {
            arguments,
            warnings: warnings(&held, &difference, &found),
            refusals: Vec::new(),
            held,
            difference,
            applied: false,
        };
        outcome.guard(&account, &found).await?;
        if arguments.sync.apply && outcome.refusals.is_empty() && !outcome.difference.is_empty() {
            let replaced = account.replace(arn, &found.certificates).await;
            outcome.held = replaced?;
            outcome.applied = true;
        }
        Ok::<_, Failure>(outcome)
    })??;
    outcome.report()
}

impl Outcome<'_> {
    /// Finds every reason not to change AWS.
    async fn guard(&mut self, account: &Account, found: &Found) -> Result<(), Failure> {
        if self.difference.is_empty() {
            return Ok(());
        }
        for finding in &found.report.errors {
            self.refusals.push(Refusal::Bundle {
                rule: finding.rule,
                problem: finding.text.clone(),
            });
        }
        if self.difference.removed.is_empty() {
            return Ok(());
        }
        // Hybrid nodes send no chain; who is told to trust a root sends one.
        let sends_chain = self.arguments.selection.anchor != Which::Issuing;
        let bundles = Bundles {
            held: &self.held.certificates,
            wanted: &found.certificates,
            chain: if sends_chain { &found.chain } else { &[] },
        };
        let now = Timestamp::now();
        if let Some(own) = own(&self.arguments.certificate)?
            && bundles.cut_off(&own, now)
        {
            let name = own.subject().to_string();
            self.refusals.push(Refusal::OwnLeaf(name));
        }
        if self.arguments.strand_leaves {
            return Ok(());
        }
        let mut bar = Bar::new();
        match self.leaves(account, &mut bar).await {
            Ok((leaves, crls)) => {
                let mut stranded: Vec<&Certificate> = Vec::new();
                let mut renewed = Vec::new();
                for (done, leaf) in leaves.iter().enumerate() {
                    bar.at("certificates compared", done, Some(leaves.len()));
                    if bundles.is_revoked(leaf, &crls) || stranded.contains(&leaf) {
                        continue;
                    }
                    if bundles.cut_off(leaf, now) {
                        stranded.push(leaf);
                    } else if bundles.stays_good(leaf, now) {
                        renewed.push(leaf);
                    }
                }
                self.refusals.extend(Refusal::over(&stranded, &renewed));
            }
            Err(problem) => self.refusals.push(Refusal::Unknown(problem)),
        }
        Ok(())
    }

    /// The certificates that the engine issued and has not revoked, those that
    /// AWS saw, and AWS's CRLs.
    async fn leaves(
        &self,
        account: &Account,
        progress: &mut dyn Progress,
    ) -> Result<(Vec<Certificate>, Vec<Crl>), String> {
        let selection = &self.arguments.selection;
        let mut leaves = Vec::new();
        let mut revoked = Vec::new();
        if selection.pem.is_none() {
            let server = selection
                .server
                .open()
                .map_err(|failure| failure.to_string())?;
            let stored = Engine::new(&server, &selection.mount)
                .leaves(progress)
                .await;
            for leaf in stored.map_err(|error| error.to_string())? {
                if leaf.revoked {
                    revoked.push(leaf.certificate);
                } else {
                    leaves.push(leaf.certificate);
                }
            }
        }
        let seen = account
            .seen(progress)
            .await
            .map_err(|error| error.to_string())?;
        leaves.extend(seen.into_iter().filter(|one| !revoked.contains(one)));
        let arn = &self.arguments.sync.trust_anchor_arn;
        let crls = account.crls(arn).await.map_err(|error| error.to_string())?;
        let enabled = crls.into_iter().filter(|one| one.enabled);
        Ok((leaves, enabled.filter_map(|one| one.list).collect()))
    }

    fn state(&self) -> &'static str {
        match (self.applied, self.difference.is_empty()) {
            (true, _) => "applied",
            (false, true) => "in_sync",
            (false, false) if !self.refusals.is_empty() => "refused",
            (false, false) => "differs",
        }
    }

    fn report(self) -> Result<(), Failure> {
        if self.arguments.sync.json {
            output::print(&format!("{:#}\n", self.json()))?;
        } else {
            self.print()?;
        }
        let refusals: Vec<String> = self.refusals.iter().map(|one| format!("  {one}")).collect();
        match self.state() {
            "refused" => Err(Failure::Refused(format!(
                "nothing was changed:\n{}",
                refusals.join("\n")
            ))),
            "differs" => Err(Failure::Differs(
                "the trust anchor differs; --apply makes AWS hold what the engine says".into(),
            )),
            _ => Ok(()),
        }
    }

    fn lines(&self) -> impl Iterator<Item = (&'static str, &'static str, &Certificate)> {
        let Difference {
            kept,
            added,
            removed,
        } = &self.difference;
        let kept = kept.iter().map(|one| ("=", "kept", one));
        let added = added.iter().map(|one| ("+", "added", one));
        let removed = removed.iter().map(|one| ("-", "removed", one));
        kept.chain(added).chain(removed)
    }

    fn print(&self) -> Result<(), Failure> {
        let mut text = format!(
            "{} {:?}: {}\n",
            self.arguments.sync.trust_anchor_arn,
            self.held.name,
            self.state().replace('_', " ")
        );
        for (sign, _, certificate) in self.lines() {
            text.push_str(&format!(
                "  {sign} {}  {}  until {:.0}\n",
                certificate.subject(),
                certificate.serial().colon(),
                certificate.not_after()
            ));
        }
        output::print(&text)?;
        for warning in &self.warnings {
            eprintln!("warning: {warning}");
        }
        Ok(())
    }

    fn json(&self) -> Value {
        let certificates: Vec<Value> = self
            .lines()
            .map(|(_, change, certificate)| {
                json!({
                    "change": change,
                    "subject": certificate.subject().to_string(),
                    "serial_number": certificate.serial().colon(),
                    "not_after": certificate.not_after().to_string(),
                })
            })
            .collect();
        let refusals: Vec<String> = self.refusals.iter().map(ToString::to_string).collect();
        json!({
            "state": self.state(),
            "trust_anchor_arn": self.arguments.sync.trust_anchor_arn,
            "name": self.held.name,
            "enabled": self.held.enabled,
            "certificates": certificates,
            "refusals": refusals,
            "warnings": self.warnings,
        })
    }
}

fn warnings(held: &HeldAnchor, difference: &Difference, found: &Found) -> Vec<String> {
    let findings = found.report.warnings.iter();
    let mut warnings: Vec<String> = findings
        .map(|one| format!("{}: {}", one.rule, one.text))
        .collect();
    if !held.enabled {
        warnings.push("the trust anchor is disabled: no session is opened".into());
    }
    let renamed = difference.added.iter().any(|new| {
        let others = difference.kept.iter().chain(&difference.removed);
        others.into_iter().any(|old| old.subject() != new.subject())
    });
    if renamed {
        warnings.push(
            "trust policies with a condition on aws:PrincipalTag/x509Issuer must name both issuers until every node has renewed"
                .into(),
        );
    }
    warnings
}

/// This machine's own certificate, if it has one.
fn own(path: &Path) -> Result<Option<Certificate>, Failure> {
    if path == Path::new(OWN) && !path.exists() {
        return Ok(None);
    }
    let (leaf, _) = identity::certificates(path).map_err(Failure::of)?;
    Ok(Some(leaf))
}
