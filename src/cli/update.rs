//! `landfast update`: a session in the shared credentials file.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use landfast_node::provider::Provider;
use landfast_node::refresh::{self, Nudge, Trouble};
use landfast_node::session::Credentials;
use landfast_node::shared_file::{self, SharedFile, SharedFileError};

use super::log::{self, Detail};
use super::{Failure, session, values};

const EXAMPLES: &str = "\
Example, as a service that keeps the profile \"hybrid\" fresh:
  landfast update --profile hybrid --trust-anchor-arn ARN \\
    --profile-arn ARN --role-arn ARN

The session is renewed at half of its life. A failure is told on standard error
and tried again after 5 seconds to 5 minutes; it never ends the command.
SIGTERM does.";

/// Keep temporary AWS credentials in the shared credentials file
///
/// For programs that cannot run a credential process. The file is replaced
/// whole, so that nobody reads half of it; only a file that is mounted by
/// itself is written in place. Nothing changes but the three credential keys of
/// the profile. A profile of the same name that neither landfast nor
/// aws_signing_helper wrote is left alone.
#[derive(Args, Debug)]
#[command(after_help = super::help::below(EXAMPLES, &[3]))]
pub(super) struct Arguments {
    #[command(flatten)]
    session: session::SessionArguments,

    /// The profile to write
    #[arg(long, value_name = "NAME", default_value = "default", value_parser = profile_name)]
    profile: String,

    /// The file [default: ~/.aws/credentials]
    #[arg(long, value_name = "FILE", env = "AWS_SHARED_CREDENTIALS_FILE")]
    credentials_file: Option<PathBuf>,

    /// The file's permissions; without it those that it has, and 600 for a new one
    #[arg(long, value_name = "OCTAL", value_parser = values::permissions)]
    file_mode: Option<u32>,

    /// Take over a profile that neither landfast nor aws_signing_helper wrote; its
    /// other keys stay
    #[arg(long)]
    force: bool,

    /// Write once and end
    #[arg(long)]
    once: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    arguments.session.log(Detail::Steps);
    let provider = Provider::new(arguments.session.options()?);
    let file = SharedFile {
        path: arguments.path()?,
        profile: arguments.profile.clone(),
        mode: arguments.file_mode,
        force: arguments.force,
    };
    file.check().map_err(Failure::of)?;
    super::runtime::block_on(async {
        if arguments.once {
            let written = refresh::once(&provider, Timestamp::now, |new| file.write(&new)).await;
            return written.map(drop).map_err(|trouble| explain(&trouble));
        }
        let stopped = super::runtime::stopped();
        // Nobody asks this command for anything.
        let nudge = Nudge::default();
        let deliver = |new: Credentials| {
            file.write(&new)?;
            tracing::info!(
                "session {} in profile {}, until {}",
                new.access_key_id,
                arguments.profile,
                new.expiration
            );
            Ok(())
        };
        let keep = refresh::keep(&provider, Timestamp::now, &nudge, deliver, report);
        tokio::select! {
            never = keep => match never {},
            () = stopped => Ok(()),
        }
    })?
}

impl Arguments {
    fn path(&self) -> Result<PathBuf, Failure> {
        let home = || Some(PathBuf::from(std::env::var_os("HOME")?).join(".aws/credentials"));
        self.credentials_file
            .clone()
            .or_else(home)
            .ok_or_else(|| Failure::Usage("--credentials-file is needed: there is no HOME".into()))
    }
}

fn explain(trouble: &Trouble<SharedFileError>) -> Failure {
    match trouble {
        Trouble::Provider(error) => error.into(),
        Trouble::Deliver(error) => Failure::Failed(error.to_string()),
    }
}

fn report(trouble: &Trouble<SharedFileError>, pause: Duration) {
    log::trouble(&explain(trouble), pause);
}

fn profile_name(text: &str) -> Result<String, String> {
    if shared_file::is_profile_name(text) {
        Ok(text.to_owned())
    } else {
        Err("letters, digits and - _ . @ / +".into())
    }
}
