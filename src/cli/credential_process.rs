//! `landfast credential-process`: temporary credentials for any AWS SDK.

use clap::Args;
use jiff::Timestamp;
use landfast_node::cache;
use landfast_node::provider::Provider;

use super::log::Detail;
use super::{Failure, session};

/// The example. It is no text below the flags, because those are broken at the
/// terminal's width, and a profile has the whole call in one line.
pub(super) const PROFILE: &str = "\
Example, in ~/.aws/config:
  [default]
  region = us-west-2
  credential_process = landfast credential-process --trust-anchor-arn ARN --profile-arn ARN --role-arn ARN --role-session-name NODE
";

const EXAMPLES: &str = "\
The flags are those of aws_signing_helper where both have them. Unlike it,
sessions are kept in ~/.cache/landfast (mode 0600) until shortly before their
end. The whole call is one line of the profile, however long it is.";

/// Print temporary AWS credentials, from the cache or from IAM Roles Anywhere
///
/// Proves the node's identity with its certificate and key, and prints the
/// JSON that AWS SDKs and the AWS CLI expect of a credential process.
/// Nothing else goes to standard output.
#[derive(Args, Debug)]
#[command(
    help_template = format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{{all-args}}\n\n{}{{after-help}}",
        PROFILE.trim_end(),
    ),
    after_help = super::help::below(EXAMPLES, &[3])
)]
pub(super) struct Arguments {
    #[command(flatten)]
    session: session::SessionArguments,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    arguments.session.log(Detail::Warnings);
    let provider = Provider::new(arguments.session.options()?);
    // The common case costs neither a runtime nor an HTTP client.
    let credentials = match provider.cached(Timestamp::now()) {
        Some(credentials) => credentials,
        None => super::runtime::block_on(provider.fetch_or_last(Timestamp::now))?
            .map_err(|error| Failure::from(&error))?,
    };
    cache::print(&credentials).map_err(|error| Failure::Failed(format!("standard output: {error}")))
}
