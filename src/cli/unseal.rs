//! `landfast unseal`: the unseal server, and tools around seals.

use std::collections::BTreeMap;
use std::path::PathBuf;

use clap::{Args, Subcommand};
use landfast_unseal::keys::local::LocalKey;
use landfast_unseal::serve::{Options, Server};
use landfast_unseal::{
    Class, Environment, Error, Limits, ParseOptions, check, inspect, keys, process, stanza,
};
use serde_json::{Value, json};

use super::Failure;
use super::log::{self, Detail};
use super::output::print;
use crate::roles_anywhere;

/// Unseal servers with AWS KMS, and look into seals
#[derive(Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    Serve(Serve),
    Check(Check),
    Inspect(Inspect),
    InitKey(InitKey),
    /// Make a token for a client of the unseal server, with the hash for its configuration
    Token,
}

/// Run the unseal server: the transit engine's API over HTTPS, in front of AWS KMS
///
/// SIGHUP reads the configuration anew; renewed TLS files are taken up by themselves.
#[derive(Args)]
#[command(after_help = "\
Example:
  landfast unseal serve --config /etc/landfast/unseal.json

Exit codes:
  0  stopped by SIGTERM or SIGINT
  1  a port cannot be had, or the server failed
  2  the configuration, or a file that it names, cannot be used")]
struct Serve {
    /// Configuration file (JSON)
    #[arg(long, value_name = "FILE")]
    config: PathBuf,
}

/// Try a seal stanza: credentials, identity, key, and a round trip, without touching a server
///
/// Run it where the server runs, as its user and with its environment. The stanza comes from --config, from KEY=VALUE arguments, or from both.
#[derive(Args)]
#[command(after_help = "\
Examples:
  # the stanza of a server, with its user's environment
  landfast unseal check --config /etc/openbao/server.hcl

  # another key in its place, before the stanza is changed
  landfast unseal check --config /etc/openbao/server.hcl \\
    kms_key_id=alias/bao-unseal-2

  # without a file
  landfast unseal check region=eu-central-1 kms_key_id=alias/bao-unseal

Exit codes:
  0  a server with this stanza would unseal
  1  it would stay sealed: no credentials, a missing permission, an unusable key
  2  the stanza, or a file that it names, cannot be used
  3  AWS cannot be reached or throttles: try again later")]
struct Check {
    /// The server's configuration file, for its `seal "awskms"` stanza
    #[arg(long, value_name = "FILE", required_unless_present = "values")]
    config: Option<PathBuf>,
    /// Keys of the stanza, over those of the file; a secret as KEY=file:///PATH or KEY=env://NAME
    #[arg(value_name = "KEY=VALUE")]
    values: Vec<String>,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Say which key wrapped the seal's blobs in a copy of raft or file storage; no secret is read
#[derive(Args)]
#[command(after_help = "\
Example:
  landfast unseal inspect /var/lib/openbao

Exit codes:
  0  told
  1  that is no storage, or it cannot be read")]
struct Inspect {
    /// The storage folder, or the file vault.db of raft storage
    storage: PathBuf,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Make a key file for the local wrapper, which is for tests
#[derive(Args)]
#[command(after_help = "\
Example:
  landfast unseal init-key seal.key
  landfast unseal check local_key_file=seal.key")]
struct InitKey {
    /// The file to make; it must not exist
    file: PathBuf,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    match &arguments.command {
        Command::Serve(serve) => self::serve(serve),
        Command::Check(check) => self::check(check),
        Command::Inspect(inspect) => self::inspect(inspect),
        Command::InitKey(init) => init_key(init),
        Command::Token => token(),
    }
}

fn serve(arguments: &Serve) -> Result<(), Failure> {
    log::to_stderr(Detail::Steps);
    process::protect_memory();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let server = Server::bind(
            &arguments.config,
            Environment::of_process(),
            Options {
                roles_anywhere: Some(roles_anywhere::open),
                ..Options::default()
            },
        )
        .await;
        let server = server.map_err(|error| match &error {
            Error::Listen { .. } => Failure::Failed(error.to_string()),
            other if other.class() == Class::Config => Failure::Usage(error.to_string()),
            _ => Failure::Failed(error.to_string()),
        })?;
        if let Ok(address) = server.address() {
            tracing::info!("listening on {address}");
        }
        if let Some(address) = server.metrics_address() {
            tracing::info!("metrics on {address}");
        }
        server.run().await.map_err(Failure::of)
    })
}

fn check(arguments: &Check) -> Result<(), Failure> {
    refuse_secrets(&arguments.values)?;
    let mut values = match &arguments.config {
        Some(path) => stanza_of(path)?,
        None => BTreeMap::new(),
    };
    for pair in &arguments.values {
        let (key, value) = pair
            .split_once('=')
            .ok_or_else(|| Failure::Usage("give values as KEY=VALUE".to_owned()))?;
        values.insert(key.to_owned(), value.to_owned());
    }
    let report = super::runtime::block_on(keys::check(
        &values,
        &Environment::of_process(),
        &ParseOptions {
            roles_anywhere: Some(roles_anywhere::open),
            ..ParseOptions::default()
        },
        Limits::default(),
    ))?;
    print(&if arguments.json {
        format!("{}\n", check_json(&report))
    } else {
        check_text(&report)
    })?;
    match report.verdict() {
        Ok(()) => Ok(()),
        Err(class) if class.is_transient() => Err(Failure::Unreachable(
            "AWS does not answer as it should".to_owned(),
        )),
        Err(Class::Config) => Err(Failure::Usage("the stanza cannot be used".to_owned())),
        Err(_) => Err(Failure::Failed(
            "a server with this stanza would stay sealed".to_owned(),
        )),
    }
}

fn check_text(report: &check::Report) -> String {
    let mut text = String::new();
    for warning in &report.warnings {
        text += &format!("warning          {warning}\n");
    }
    for step in &report.steps {
        let (mark, said) = match &step.outcome {
            Ok(said) => ("ok    ", said),
            Err((_, said)) => ("FAILED", said),
        };
        let took = step.took.as_millis();
        text += &format!("{:<16} {mark} {took:>6} ms  {said}\n", step.name);
    }
    text
}

fn check_json(report: &check::Report) -> Value {
    let steps: Vec<Value> = report
        .steps
        .iter()
        .map(|step| {
            let (Ok(text) | Err((_, text))) = &step.outcome;
            json!({
                "step": step.name,
                "ok": step.outcome.is_ok(),
                "detail": text,
                "milliseconds": step.took.as_secs_f64() * 1000.0,
            })
        })
        .collect();
    json!({"unseals": report.verdict().is_ok(), "warnings": report.warnings, "steps": steps})
}

fn stanza_of(path: &std::path::Path) -> Result<BTreeMap<String, String>, Failure> {
    let wrong = |what: &str| Failure::Usage(format!("{}: {what}", path.display()));
    let text = std::fs::read_to_string(path).map_err(|error| wrong(&error.to_string()))?;
    let seals = stanza::seals(&text).map_err(|error| wrong(&error.to_string()))?;
    let found = seals.into_iter().find(|(kind, _)| kind == "awskms");
    found
        .map(|(_, values)| values)
        .ok_or_else(|| wrong("there is no seal \"awskms\" stanza in it that is not disabled"))
}

/// Every user of a machine can read the arguments of its processes, and a shell keeps them.
fn refuse_secrets(arguments: &[String]) -> Result<(), Failure> {
    for pair in arguments {
        let (key, value) = pair.split_once('=').unwrap_or_default();
        let value = value.trim();
        let refers = value.starts_with("file://") || value.starts_with("env://");
        if keys::SECRETS.contains(&key.trim()) && !value.is_empty() && !refers {
            return Err(Failure::Usage(format!(
                "{key} does not belong on a command line, which every user of this machine can read: write it to a file of your own and give {key}=file:///PATH, or {key}=env://NAME, or --config"
            )));
        }
    }
    Ok(())
}

fn inspect(arguments: &Inspect) -> Result<(), Failure> {
    let report = inspect::storage(&arguments.storage).map_err(Failure::of)?;
    print(&if arguments.json {
        format!("{}\n", inspect_json(&report))
    } else {
        inspect_text(&report)
    })
}

fn inspect_json(report: &inspect::Report) -> Value {
    let entry = |entry: &inspect::Entry| match &entry.blob {
        Ok(facts) => json!({
            "path": entry.path,
            "key_id": facts.key_id,
            "layout": facts.layout,
            "bytes": facts.size,
        }),
        Err(error) => json!({"path": entry.path, "error": error.to_string()}),
    };
    json!({
        "seal_type": report.seal_type,
        "recovery_type": report.recovery_type,
        "entries": report.entries.iter().map(entry).collect::<Vec<_>>(),
    })
}

fn inspect_text(report: &inspect::Report) -> String {
    let mut text = format!(
        "seal type        {}\n",
        report.seal_type.as_deref().unwrap_or("none stored")
    );
    if let Some(kind) = &report.recovery_type {
        text += &format!("recovery type    {kind}\n");
    }
    for entry in &report.entries {
        text += &format!("{}\n", entry.path);
        match &entry.blob {
            Ok(facts) => {
                let key = match facts.key_id.as_deref() {
                    Some(key) => key,
                    None if report.is_of_shares() => "the key shares of its operators",
                    None => "a key that the blob does not name",
                };
                text += &format!(
                    "  wrapped by     {key}\n  layout         {}, {} bytes\n",
                    facts.layout, facts.size
                );
            }
            Err(error) => text += &format!("  cannot be read: {error}\n"),
        }
    }
    if report.is_of_shares() {
        text += "no key service opens this server: its key is split among people\n";
    } else if report.entries.is_empty() {
        text += "no entry of a seal: the server is not initialised\n";
    }
    text
}

fn init_key(arguments: &InitKey) -> Result<(), Failure> {
    LocalKey::create(&arguments.file).map_err(Failure::of)?;
    eprintln!(
        "landfast: {} holds the key in the clear. Whoever reads it opens the seal: use it for tests, and keep it apart from the storage.",
        arguments.file.display()
    );
    Ok(())
}

fn token() -> Result<(), Failure> {
    let (token, hash) = landfast_unseal::serve::new_token().map_err(Failure::of)?;
    print(&format!("token   {}\nsha256  {hash}\n", token.expose()))
}
