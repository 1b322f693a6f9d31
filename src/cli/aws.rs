//! What the commands share that compare AWS with the engine.

use clap::Args;
use landfast_base::arn::Arn;
use landfast_node::http::CA_BUNDLE;
use landfast_node::sync::aws::Account;

use super::{Failure, values};

/// The words on credentials and exit codes below the help of both commands.
pub(super) const SYNC_HELP: &str = "\
AWS credentials come from where the aws command finds them: AWS_PROFILE,
AWS_ACCESS_KEY_ID and its like, the shared files with their credential_process
(`aws configure export-credentials` lends those of a single sign-on), web
identity, container and instance metadata.

Exit codes:
  0  in sync, or brought in sync by --apply
  1  a file, the server or AWS refused
  2  wrong usage
  3  the server or AWS cannot be reached
  4  refused: a rule or a guard says no; nothing was changed
  5  AWS holds something else, and --apply was not given";

/// Which trust anchor, and whether AWS is changed.
#[derive(Args, Debug)]
pub(super) struct SyncArguments {
    /// The trust anchor; it is changed in place and keeps this ARN
    #[arg(long, value_name = "ARN", value_parser = values::trust_anchor)]
    pub(super) trust_anchor_arn: Arn,

    /// Change AWS; without it nothing is changed
    #[arg(long)]
    pub(super) apply: bool,

    /// Print one JSON object
    #[arg(long)]
    pub(super) json: bool,

    /// An endpoint of Roles Anywhere other than the public one, such as a VPC
    /// endpoint; without it AWS_ENDPOINT_URL_ROLESANYWHERE, too
    #[arg(long, value_name = "URL", value_parser = endpoint)]
    pub(super) endpoint: Option<String>,
}

/// The account of the trust anchor.
pub(super) async fn account(sync: &SyncArguments) -> Result<Account, Failure> {
    Account::of(&sync.trust_anchor_arn, sync.endpoint.as_deref())
        .await
        .map_err(|error| Failure::Failed(format!("{CA_BUNDLE}: {error}")))
}

fn endpoint(text: &str) -> Result<String, String> {
    if landfast_node::session::is_safe(text) {
        Ok(text.to_owned())
    } else {
        Err("an https:// URL, or http://127.0.0.1:PORT for the lab".to_owned())
    }
}
