//! `landfast enroll`: from a bare machine to a hybrid node's certificate.

mod emit;

use std::path::PathBuf;
use std::time::Duration;

use clap::{ArgMatches, Args, Command};
use jiff::Timestamp;
use landfast_node::enroll::{EnrolError, Enrolment, Outcome};
use landfast_node::files;
use landfast_node::generate::{Description, Document};

use super::log::{self, Detail};
use super::login::{LoginArguments, Method};
use super::patience::Patience;
use super::{Failure, node, output, server, values};

const EXAMPLES: &str = "\
Examples:
  # with an AppRole; the files hold the role id and the secret id
  landfast enroll --address https://vault.example:8200 \\
    --ca-cert /etc/landfast/vault-ca.pem --auth approle \\
    --role-id-file /etc/landfast/role-id \\
    --secret-id-file /etc/landfast/secret-id

  # with a token that was wrapped for this machine and works once
  landfast enroll --auth wrapped --token-file /run/landfast/wrapped \\
    --node-name node-1

  # for the years to come: a service and its timer that renew by the
  # certificate in place
  landfast enroll --emit systemd --address https://vault.example:8200 \\
    --auth cert --emit-to /etc/systemd/system

  # and the NodeConfig for nodeadm, from what `landfast generate` takes
  landfast enroll --auth cert --description hybrid.json \\
    --node-config /etc/eks/nodeconfig.yaml

  # at the machine's first start, when the server may not be up yet
  landfast enroll --auth approle --role-id-file /etc/landfast/role-id \\
    --secret-id-file /etc/landfast/secret-id --wait 5m

  # for a script: one JSON object
  landfast enroll --json | jq -r .renewalDue

Run again, it leaves a good certificate alone. The key is made here and never
leaves the machine; `landfast renew` keeps it unless told otherwise.";

/// Get this machine the certificate that makes it a hybrid node
///
/// Logs in to the server, makes a key, has the certificate request signed,
/// checks what came back against the rules of Roles Anywhere and EKS, and puts
/// key and certificate where nodeadm expects them, both in one step. Nothing
/// is written that AWS or the cluster would refuse.
#[derive(Args, Debug)]
#[command(after_help = super::help::below(EXAMPLES, &[3, 4]))]
pub(super) struct Arguments {
    #[command(flatten)]
    server: server::ServerArguments,

    #[command(flatten)]
    login: LoginArguments,

    #[command(flatten)]
    certificate: node::CertificateArguments,

    #[command(flatten)]
    renewal: node::RenewalArguments,

    /// Get a certificate for a new key, whatever is in place
    #[arg(long)]
    rotate_key: bool,

    /// Write the node's NodeConfig here, for `nodeadm init`
    #[arg(long, value_name = "FILE", requires = "description")]
    node_config: Option<PathBuf>,

    /// What `landfast generate` is given: cluster, account, ARNs
    #[arg(long, value_name = "FILE", requires = "node_config")]
    description: Option<PathBuf>,

    /// While nobody answers, or the server is sealed or not ready, go on trying
    /// for this long, such as 5m: for a machine that starts before its server
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    wait: Option<Duration>,

    /// Print one JSON object
    #[arg(long, conflicts_with = "emit")]
    json: bool,

    /// Enrol nothing: print the files that enrol a machine and renew its
    /// certificate with the other arguments of this call
    #[arg(long, value_enum, value_name = "KIND", requires = "address")]
    emit: Option<emit::Kind>,

    /// With --emit: write the files into this directory, each under its name,
    /// in place of printing them
    #[arg(long, value_name = "DIR", requires = "emit")]
    emit_to: Option<PathBuf>,

    /// With --emit: where this program lies on the node
    #[arg(long, value_name = "FILE", default_value = "/usr/local/bin/landfast", value_parser = emit::program)]
    program: PathBuf,
}

/// `given` is what the flags were read from.
pub(super) fn run(arguments: &Arguments, given: &ArgMatches) -> Result<(), Failure> {
    log::to_stderr(Detail::Warnings);
    if let Some(kind) = arguments.emit {
        return print(arguments, given, kind);
    }
    if emit::is_about_renewal(given) {
        return Err(Failure::Usage(
            "how to renew is a matter of `landfast renew`, or of --emit".into(),
        ));
    }
    let enrolment = arguments.certificate.enrolment()?;
    let due = arguments.certificate.due();
    let source = arguments.login.source()?;
    // Before the login: a wrapped token is not spent on what is refused afterwards.
    let attempt = enrolment.attempt(due, arguments.rotate_key, Timestamp::now())?;
    let config = arguments.node_config(&enrolment)?;
    // A good certificate needs no server, and no login.
    if let Some(certificate) = attempt.kept() {
        let kept = Outcome::Kept(certificate.clone());
        arguments.write(config)?;
        return node::tell(&enrolment, due, &kept, arguments.json);
    }
    let server = arguments.server.config(&arguments.login, &enrolment.pair)?;
    let mut patience = Patience::new(arguments.wait);
    let outcome = super::runtime::block_on(async {
        // Once logged in it stays so: a wrapped token is good for one login.
        let (mut vault, mut first) = (None, Some(attempt));
        loop {
            let outcome = match &vault {
                Some(vault) => {
                    let again = || enrolment.attempt(due, arguments.rotate_key, Timestamp::now());
                    let attempt = first.take().map_or_else(again, Ok)?;
                    attempt.run(vault).await.map_err(|error| {
                        let passes =
                            matches!(&error, EnrolError::Vault(error) if error.is_temporary());
                        (passes, error.into())
                    })
                }
                None => match source.open(server.clone()).await {
                    Ok(opened) => {
                        vault = Some(opened);
                        continue;
                    }
                    Err(error) => Err((error.is_temporary(), Failure::login(error))),
                },
            };
            match outcome {
                Err((true, failure)) if patience.waits(&failure).await => {}
                outcome => return outcome.map_err(|(_, failure)| failure),
            }
        }
    })??;
    // No hook can refuse the new pair here.
    if matches!(outcome, Outcome::Issued { new_key: true, .. }) {
        enrolment
            .pair
            .forget_former_keys()
            .map_err(|error| Failure::Failed(format!("a former key is still here: {error}")))?;
    }
    arguments.write(config)?;
    node::tell(&enrolment, due, &outcome, arguments.json)
}

impl Arguments {
    /// The NodeConfig, if one is wanted.
    fn node_config(&self, enrolment: &Enrolment) -> Result<Option<Document>, Failure> {
        let (Some(_), Some(path)) = (&self.node_config, &self.description) else {
            return Ok(None);
        };
        let text = files::read_secret(path)?;
        let pair = &enrolment.pair;
        Description::read(&String::from_utf8_lossy(text.expose()))
            .and_then(|description| {
                description.node_config_with(
                    &enrolment.node_name,
                    &pair.certificate_path(),
                    &pair.key_path(),
                )
            })
            .map(Some)
            .map_err(|error| Failure::Failed(format!("{}: {error}", path.display())))
    }

    /// Writes it, unless it is there already.
    fn write(&self, config: Option<Document>) -> Result<(), Failure> {
        let (Some(path), Some(config)) = (&self.node_config, config) else {
            return Ok(());
        };
        if std::fs::read(path).is_ok_and(|found| found == config.text.as_bytes()) {
            return Ok(());
        }
        output::file(path, &config.text, 0o644)
    }
}

fn print(arguments: &Arguments, given: &ArgMatches, kind: emit::Kind) -> Result<(), Failure> {
    if arguments.login.source()?.is_single_use() {
        return Err(Failure::Usage(
            "a wrapped token works once, and a service logs in at every renewal: enrol with it, then let --auth cert renew with the node's certificate"
                .into(),
        ));
    }
    if arguments.login.lacks_a_file() {
        return Err(Failure::Usage(format!(
            "--auth token without --token-file takes the token of whoever calls, and a service is called by nobody: name a file, or use --auth {}",
            Method::for_services()
        )));
    }
    let command = Arguments::augment_args(Command::new("enroll"));
    let mut parts = emit::split(&command, given)?;
    parts.shared.extend(
        arguments
            .server
            .flags_of_environment(&arguments.login, |name| std::env::var(name).ok())?,
    );
    let job = emit::Job {
        program: &arguments.program,
        parts,
        metrics: arguments.renewal.metrics(),
        directory: arguments
            .certificate
            .certificate
            .parent()
            .unwrap_or_else(|| std::path::Path::new("/")),
    };
    let Some(directory) = &arguments.emit_to else {
        return output::print(&job.render(kind));
    };
    for (name, mode, content) in job.files(kind) {
        let file = directory.join(name);
        output::file(&file, &content, mode)?;
        output::print(&format!("{}\n", file.display()))?;
    }
    Ok(())
}
