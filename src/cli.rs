//! The commands that people run. Each has one file; this one has what they
//! share: the argument parser, the exit codes, and how a failure is told.

mod aws;
mod credential_process;
mod crl;
mod doctor;
mod enroll;
mod failure;
mod generate;
mod help;
mod helper;
mod lab;
mod log;
mod login;
mod manual;
mod node;
mod output;
mod patience;
mod progress;
mod public;
mod read_certificate_data;
mod register;
mod renew;
mod runtime;
mod serve;
mod server;
mod session;
mod sign_string;
mod trust_anchor;
mod unseal;
mod update;
mod values;
mod version;

use std::process::ExitCode;

use clap::{CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

pub(crate) use self::failure::Failure;

/// The version that the plugin reports to a server, and the commit that it was built from.
const VERSION: &str = concat!(
    env!("CARGO_PKG_VERSION"),
    " (commit ",
    env!("LANDFAST_COMMIT"),
    ")"
);

#[derive(Parser)]
#[command(
    name = "landfast",
    version = VERSION,
    about = "A certificate authority and a seal for Vault and OpenBao, and AWS credentials for machines outside of AWS",
    long_about = "A certificate authority and a seal for Vault and OpenBao, and AWS credentials for machines outside of AWS.\n\n\
        A server that has this file in its plugin directory starts it as a secrets engine or as its seal; \
        `landfast register` prints how. Everything below is for people.",
    after_help = help::below("", &[3, 4, 5]),
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
    #[command(hide = true)]
    Manual(manual::Arguments),
    Public(Box<public::Arguments>),
    ReadCertificateData(read_certificate_data::Arguments),
    Register(register::Arguments),
    Renew(Box<renew::Arguments>),
    Serve(Box<serve::Arguments>),
    SignString(sign_string::Arguments),
    TrustAnchor(trust_anchor::Arguments),
    Unseal(unseal::Arguments),
    Update(Box<update::Arguments>),
    Version(version::Arguments),
}

/// Runs the command that the arguments name.
pub(crate) fn run() -> ExitCode {
    let root = help::by_job(Arguments::command());
    let matches = root
        .clone()
        .get_matches_from(helper::switches(&root, std::env::args_os()));
    let arguments = Arguments::from_arg_matches(&matches).unwrap_or_else(|error| error.exit());
    let given = matches.subcommand().map_or(&matches, |(_, given)| given);
    let outcome = match arguments.command {
        Command::CredentialProcess(arguments) => credential_process::run(&arguments),
        Command::Crl(arguments) => crl::run(&arguments),
        Command::Doctor(arguments) => doctor::run(&arguments),
        Command::Enroll(arguments) => enroll::run(&arguments, given),
        Command::Generate(arguments) => generate::run(&arguments),
        Command::Lab(arguments) => lab::run(&arguments),
        Command::Manual(arguments) => manual::run(&arguments),
        Command::Public(arguments) => public::run(&arguments),
        Command::ReadCertificateData(arguments) => read_certificate_data::run(&arguments),
        Command::Register(arguments) => register::run(&arguments),
        Command::Renew(arguments) => renew::run(&arguments),
        Command::Serve(arguments) => serve::run(&arguments),
        Command::SignString(arguments) => sign_string::run(&arguments),
        Command::TrustAnchor(arguments) => trust_anchor::run(&arguments),
        Command::Unseal(arguments) => unseal::run(&arguments),
        Command::Update(arguments) => update::run(&arguments),
        Command::Version(_) => version::run(),
    };
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            eprintln!("landfast: {failure}");
            ExitCode::from(failure.code())
        }
    }
}
