//! `landfast crl sync`: the revocation lists that AWS holds, and the engine's.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use jiff::Timestamp;
use landfast_node::files;
use landfast_node::sync::aws::Account;
use landfast_node::sync::crl::{Item, Step, plan};
use landfast_node::sync::engine::Engine;
use landfast_pki::{Certificate, Crl};
use serde_json::{Value, json};

use super::aws::{self, SYNC_HELP, SyncArguments};
use super::progress::Bar;
use super::{Failure, output, server};

const EXAMPLES: &str = "\
Examples:
  # what differs; nothing is changed
  landfast crl sync --trust-anchor-arn ARN

  # after each revocation, and at half of a list's life: Roles Anywhere
  # fetches no list by itself
  landfast crl sync --trust-anchor-arn ARN --apply

  # the anchor's certificates come from two mounts
  landfast crl sync --trust-anchor-arn ARN --mount pki --mount pki-new --apply
";

/// Keep the revocation lists of a trust anchor up to date
#[derive(Args)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    Sync(Box<Sync>),
}

/// Compare the CRLs that AWS holds with the engine's, and send them with --apply
///
/// For each certificate of the trust anchor, the list of that very issuer is
/// looked for in the engine, and sent if AWS holds another or none. A list is
/// replaced under its id: AWS takes two for an anchor. What AWS would refuse,
/// or what would forget a revocation, is refused here: more than 300,000
/// octets, a delta list, one that has ended, or one older than AWS's (CR-01).
#[derive(Args, Debug)]
#[command(after_help = format!("{EXAMPLES}\n{SYNC_HELP}"))]
struct Sync {
    /// Mount of the engine; may be repeated
    #[arg(long, value_name = "PATH", default_value = "pki")]
    mount: Vec<String>,

    /// A list in PEM or DER, in place of the engine's; may be repeated
    #[arg(long, value_name = "FILE", conflicts_with_all = ["mount", "address", "namespace"])]
    crl: Vec<PathBuf>,

    #[command(flatten)]
    server: server::Connection,

    /// Name of a list that is imported
    #[arg(long, value_name = "NAME", default_value = "landfast")]
    name: String,

    /// Send a list whose number is lower than that of the one AWS holds
    #[arg(long)]
    allow_older: bool,

    #[command(flatten)]
    sync: SyncArguments,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let Action::Sync(sync) = &arguments.action;
    let arn = &sync.sync.trust_anchor_arn;
    let (items, applied) = super::runtime::block_on(async {
        let account = aws::account(&sync.sync).await?;
        let anchor = account.anchor(arn).await?;
        let held = account.crls(arn).await?;
        let lists = sync.lists(&anchor.certificates).await?;
        let now = Timestamp::now();
        let items = plan(&anchor.certificates, &held, &lists, sync.allow_older, now);
        let stop = items.iter().any(|item| !item.refusals.is_empty());
        let applied = sync.sync.apply && !stop && items.iter().any(|item| item.step.changes());
        if applied {
            for item in &items {
                sync.carry_out(&account, item).await?;
            }
        }
        Ok::<_, Failure>((items, applied))
    })??;
    sync.report(&items, applied)
}

impl Sync {
    /// The lists at hand for these CAs.
    async fn lists(&self, anchor: &[Certificate]) -> Result<Vec<Crl>, Failure> {
        if !self.crl.is_empty() {
            return self.crl.iter().map(|path| read(path)).collect();
        }
        let server = self.server.open()?;
        let mut lists = Vec::new();
        let mut bar = Bar::new();
        for mount in &self.mount {
            let engine = Engine::new(&server, mount);
            for (id, certificate) in engine.issuers(&mut bar).await? {
                // A CA that was renewed with its key has the same list.
                let same = |ca: &Certificate| {
                    ca.subject() == certificate.subject()
                        && ca.public_key() == certificate.public_key()
                };
                if anchor.iter().any(same) {
                    lists.push(engine.crl(&id).await?);
                }
            }
        }
        Ok(lists)
    }

    async fn carry_out(&self, account: &Account, item: &Item) -> Result<(), Failure> {
        let Some(list) = &item.list else {
            return Ok(());
        };
        match &item.step {
            Step::Keep | Step::Unknown => {}
            Step::Import => {
                let arn = &self.sync.trust_anchor_arn;
                account.import(&self.name, list, arn).await?;
            }
            Step::Update { id, enable } => {
                account.update(id, list).await?;
                if *enable {
                    account.enable(id).await?;
                }
            }
            Step::Enable { id } => account.enable(id).await?,
        }
        Ok(())
    }

    fn report(&self, items: &[Item], applied: bool) -> Result<(), Failure> {
        let changes = items.iter().any(|item| item.step.changes());
        let refusals: Vec<String> = items
            .iter()
            .flat_map(|item| {
                let issuer = item.issuer.subject();
                let refusals = item.refusals.iter();
                refusals.map(move |refusal| format!("{issuer}: {refusal}"))
            })
            .collect();
        let state = match (refusals.is_empty(), applied, changes) {
            (false, ..) => "refused",
            (true, true, _) => "applied",
            (true, false, true) => "differs",
            (true, false, false) => "in_sync",
        };
        let unknown = items.iter().filter(|item| item.step == Step::Unknown);
        let warnings: Vec<String> = unknown
            .map(|item| {
                format!(
                    "{}: its CRL is not at hand, so nothing is sent; name its --mount, or the list by --crl",
                    item.issuer.subject()
                )
            })
            .collect();
        if self.sync.json {
            let crls: Vec<Value> = items.iter().map(json_of).collect();
            let arn = &self.sync.trust_anchor_arn;
            let report = json!({
                "state": state, "trust_anchor_arn": arn, "crls": crls,
                "refusals": refusals, "warnings": warnings,
            });
            output::print(&format!("{report:#}\n"))?;
        } else {
            let shown = state.replace('_', " ");
            let mut text = format!("{}: {shown}\n", self.sync.trust_anchor_arn);
            for item in items {
                text.push_str(&format!("  {}\n", line_of(item)));
            }
            output::print(&text)?;
            for warning in &warnings {
                eprintln!("warning: {warning}");
            }
        }
        match state {
            "refused" => Err(Failure::Refused(format!(
                "nothing was changed:\n  {}",
                refusals.join("\n  ")
            ))),
            "differs" => Err(Failure::Differs(
                "the CRLs differ; --apply sends those of the engine".into(),
            )),
            _ => Ok(()),
        }
    }
}

fn read(path: &std::path::Path) -> Result<Crl, Failure> {
    let content = files::read_secret(path)?;
    let content = content.expose();
    Crl::from_pem(content)
        .or_else(|_| Crl::from_der(content))
        .map_err(|error| Failure::Failed(format!("{}: not a CRL: {error}", path.display())))
}

fn line_of(item: &Item) -> String {
    let list = item.list.as_ref().map_or_else(String::new, |list| {
        let number = list.number().unwrap_or_default();
        let entries = list.entries().count();
        let end = list
            .next_update()
            .map_or_else(String::new, |end| format!(", until {end:.0}"));
        format!("  number {number}, {entries} revoked{end}")
    });
    format!("{:<7}  {}{list}", item.step.name(), item.issuer.subject())
}

fn json_of(item: &Item) -> Value {
    let id = match &item.step {
        Step::Update { id, .. } | Step::Enable { id } => Some(id),
        _ => None,
    };
    let list = item.list.as_ref();
    json!({
        "step": item.step.name(),
        "issuer": item.issuer.subject().to_string(),
        "crl_id": id,
        "number": list.and_then(Crl::number),
        "revoked": list.map(|list| list.entries().count()),
        "next_update": list.and_then(Crl::next_update).map(|end| end.to_string()),
    })
}
