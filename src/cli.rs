//! The commands that people run. Each has one file; this one has what they
//! share: the argument parser, the exit codes, and how a failure is told.

mod aws;
mod credential_process;
mod crl;
mod doctor;
mod emit;
mod enroll;
mod generate;
mod lab;
mod node;
mod register;
mod renew;
mod serve;
mod session;
mod trust_anchor;
mod unseal;
mod update;

use std::fmt;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Exit codes, the same for every command.
const EXIT_CODES: &str = "\
Exit codes:
  0  done
  1  failed: a file cannot be read or written, or the server answered with an error
  2  wrong usage
  3  the server cannot be reached, or is sealed: try again later
  4  refused: the CA certificates cannot serve as a trust anchor, or the node cannot join
  5  trust-anchor sync, crl sync: AWS holds something else, and --apply was not given";

#[derive(Parser)]
#[command(
    name = "landfast",
    version,
    about = "Machines outside AWS as citizens of an EKS cluster, with Vault or OpenBao as their root of trust",
    long_about = "Machines outside AWS as citizens of an EKS cluster, with Vault or OpenBao as their root of trust.\n\n\
        A server that has this file in its plugin directory starts it as a secrets engine; \
        `landfast register` prints how. Everything below is for people.",
    after_help = EXIT_CODES,
    arg_required_else_help = true
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    CredentialProcess(Box<credential_process::Arguments>),
    Crl(crl::Arguments),
    Doctor(Box<doctor::Arguments>),
    Enroll(Box<enroll::Arguments>),
    Generate(generate::Arguments),
    Lab(lab::Arguments),
    Register(register::Arguments),
    Renew(Box<renew::Arguments>),
    Serve(Box<serve::Arguments>),
    TrustAnchor(trust_anchor::Arguments),
    Unseal(unseal::Arguments),
    Update(Box<update::Arguments>),
}

/// Runs the command that the arguments name.
pub(crate) fn run() -> ExitCode {
    let outcome = match Arguments::parse().command {
        Command::CredentialProcess(arguments) => credential_process::run(&arguments),
        Command::Crl(arguments) => crl::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Enroll(arguments) => enroll::run(&arguments),
        Command::Generate(arguments) => generate::run(&arguments),
        Command::Lab(arguments) => lab::run(&arguments),
        Command::Register(arguments) => register::run(&arguments),
        Command::Renew(arguments) => renew::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::TrustAnchor(arguments) => trust_anchor::run(&arguments),
        Command::Unseal(arguments) => unseal::run(&arguments),
        Command::Update(arguments) => update::run(&arguments),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("landfast: {failure}");
            ExitCode::from(failure.code())
        }
    }
}

/// Runs a future on a runtime of its own: the commands do one thing at a time.
fn block_on<F: Future>(future: F) -> Result<F::Output, Failure> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|error| Failure::Failed(format!("cannot start: {error}")))?;
    Ok(runtime.block_on(future))
}

/// Ready at SIGINT or SIGTERM. The signals are caught from this call on, not
/// from the first poll: whoever was told that we are ready may send one.
fn stopped() -> impl Future<Output = ()> + Send + 'static {
    use tokio::signal::unix::{SignalKind, signal};

    let signals = signal(SignalKind::terminate()).and_then(|terminate| {
        let interrupt = signal(SignalKind::interrupt())?;
        Ok((terminate, interrupt))
    });
    async {
        let Ok((mut terminate, mut interrupt)) = signals else {
            return std::future::pending().await;
        };
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
    }
}

/// Reads permissions such as `640`.
fn permissions(text: &str) -> Result<u32, String> {
    u32::from_str_radix(text, 8)
        .ok()
        .filter(|mode| *mode <= 0o777)
        .ok_or_else(|| "permissions are three octal digits, such as 640".to_owned())
}

/// How much is told on standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    /// What somebody should see to.
    Warnings,
    /// What goes well, too.
    Steps,
    /// What helps to find a fault.
    All,
}

/// Sends what the crates below tell to standard error. `LANDFAST_LOG`
/// overrides `detail`.
fn log_to_stderr(detail: Detail) {
    use tracing_subscriber::EnvFilter;

    let usual = match detail {
        Detail::Warnings => "warn",
        Detail::Steps => "landfast_node=info,warn",
        Detail::All => "landfast_node=debug,hyper_util=debug,warn",
    };
    let filter = EnvFilter::try_from_env("LANDFAST_LOG").unwrap_or_else(|_| EnvFilter::new(usual));
    let journal = std::env::var_os("JOURNAL_STREAM").is_some();
    let format = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .with_target(false);
    // The journal has the time already. A second call has nothing to do.
    let _ = if journal {
        format.without_time().try_init()
    } else {
        format.try_init()
    };
}

/// Why a command failed. The text is for the person who ran it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A file, or an answer of the server.
    Failed(String),
    /// The arguments contradict each other, which the parser cannot see.
    Usage(String),
    /// Nobody answers at the server's address, or only that it is sealed.
    Unreachable(String),
    /// The certificates break a rule, for trust anchors or for nodes.
    Refused(String),
    /// What was compared is not the same.
    Differs(String),
}

impl Failure {
    /// The exit code: see [`EXIT_CODES`].
    fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Refused(_) => 4,
            Self::Differs(_) => 5,
        }
    }

    /// A failure with a file, with its name.
    fn file(path: &std::path::Path, error: &std::io::Error) -> Self {
        Self::Failed(format!("{}: {error}", path.display()))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(text)
            | Self::Usage(text)
            | Self::Unreachable(text)
            | Self::Refused(text)
            | Self::Differs(text) => f.write_str(text),
        }
    }
}
