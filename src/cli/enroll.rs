//! `landfast enroll`: from a bare machine to a hybrid node's certificate.

use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use landfast_node::enroll::{Outcome, Standing};
use landfast_node::vault::Vault;

use super::{Failure, emit, node};

const EXAMPLES: &str = "\
Examples:
  # with an AppRole; the files hold the role id and the secret id
  landfast enroll --address https://vault.example:8200 --ca-cert /etc/ssl/vault-ca.pem \\
    --auth approle --role-id-file /etc/landfast/role-id --secret-id-file /etc/landfast/secret-id

  # with a token that was wrapped for this machine and works once
  landfast enroll --auth wrapped --token-file /run/landfast/wrapped --node-name node-1

  # the same for the years to come: a service and its timer; or user data, or an init script
  landfast enroll --address https://vault.example:8200 --auth cert --emit systemd

  # for a script: one JSON object
  landfast enroll --json | jq -r .renewalDue

Run again, it leaves a good certificate alone. The key is made here and never leaves the
machine; `landfast renew` keeps it unless told otherwise.";

/// Get this machine the certificate that makes it a hybrid node
///
/// Logs in to the server, makes a key, has the certificate request signed,
/// checks what came back against the rules of Roles Anywhere and EKS, and puts
/// key and certificate where nodeadm expects them, both in one step. Nothing
/// is written that AWS or the cluster would refuse.
#[derive(Args, Debug)]
#[command(after_help = EXAMPLES)]
pub(super) struct Arguments {
    #[command(flatten)]
    server: node::ServerArguments,

    #[command(flatten)]
    login: node::LoginArguments,

    #[command(flatten)]
    certificate: node::CertificateArguments,

    /// Get a certificate for a new key, whatever is in place
    #[arg(long)]
    rotate_key: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,

    /// Enrol nothing: print the files that enrol a machine and renew its
    /// certificate with the other arguments of this call
    #[arg(long, value_enum, value_name = "KIND", requires = "address")]
    emit: Option<emit::Kind>,

    /// With --emit: where this program lies on the node
    #[arg(long, value_name = "FILE", default_value = "/usr/local/bin/landfast")]
    program: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    super::log_to_stderr(false);
    if let Some(kind) = arguments.emit {
        return print(arguments, kind);
    }
    let enrolment = arguments.certificate.enrolment()?;
    let due = arguments.certificate.due();
    let source = arguments.login.source()?;
    let now = Timestamp::now();
    // A good certificate needs no server, and no login.
    if !arguments.rotate_key
        && let Standing::Good(certificate) = enrolment.standing(due, now)
    {
        return node::tell(&enrolment, due, &Outcome::Kept(certificate), arguments.json);
    }
    let config = arguments.server.config(&arguments.login, &enrolment.pair)?;
    let outcome = super::block_on(async {
        let login = source
            .read(|name| std::env::var(name).ok())
            .map_err(|error| node::explain(&error))?;
        let mut vault = Vault::new(config, None).map_err(|error| node::explain(&error))?;
        login
            .log_in(&mut vault)
            .await
            .map_err(|error| node::explain_login(&error))?;
        enrolment
            .run(&vault, due, arguments.rotate_key, now)
            .await
            .map_err(|error| node::explain_enrolment(&error))
    })??;
    node::tell(&enrolment, due, &outcome, arguments.json)
}

fn print(arguments: &Arguments, kind: emit::Kind) -> Result<(), Failure> {
    if arguments.login.source()?.is_single_use() {
        return Err(Failure::Usage(
            "a wrapped token works once, and a service logs in at every renewal: enrol with it, then let --auth cert renew with the node's certificate"
                .into(),
        ));
    }
    let job = emit::Job {
        program: &arguments.program,
        // The first two are this program and `enroll`.
        arguments: emit::shared(std::env::args().skip(2))?,
        directory: arguments
            .certificate
            .certificate
            .parent()
            .unwrap_or_else(|| std::path::Path::new("/")),
    };
    node::print(&job.render(kind))
}
