//! `landfast renew`: the certificate of a node, again and again.

use clap::Args;
use jiff::Timestamp;
use landfast_node::enroll::{Outcome, Standing};
use landfast_node::renew::daemon::{self, Process};
use landfast_node::renew::hook::Hook;
use landfast_node::renew::schedule::Schedule;
use landfast_node::renew::textfile::Status;
use landfast_node::renew::{Renewer, When};

use super::log::{self, Detail};
use super::login::{LoginArguments, Method};
use super::{Failure, node, server};

const EXAMPLES: &str = "\
Examples:
  # once, if the certificate is due; for a timer or cron
  landfast renew --auth approle --role-id-file /etc/landfast/role-id \\
    --secret-id-file /etc/landfast/secret-id

  # for years, between two and five in the night (UTC), with numbers for
  # node_exporter; the login is the certificate in place
  landfast renew --daemon --window 02:00-05:00 --jitter 1h --auth cert \\
    --textfile /var/lib/node_exporter/landfast.prom

  # let a service take the new pair; if it will not, the former one comes back
  landfast renew --now --auth cert \\
    --hook 'nginx -t && systemctl reload nginx'

`landfast enroll --emit systemd` prints the units. The daemon renews at SIGHUP
and ends at SIGTERM. A hook finds LANDFAST_EVENT (renewed, or rolled-back),
LANDFAST_CERTIFICATE, LANDFAST_PRIVATE_KEY, LANDFAST_NODE_NAME,
LANDFAST_SERIAL_NUMBER and LANDFAST_NEW_KEY in its environment.";

/// Renew this node's certificate when it is due
///
/// Keeps the key, so that a program that holds one of the two files never has
/// a stranger to the other. A certificate that has ended, or is gone, is
/// replaced like one that is due. While the server is sealed or away, the
/// daemon asks again after growing pauses, five minutes at most.
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

    /// Stay, and renew whenever it is due
    #[arg(long, conflicts_with_all = ["now", "rotate_key", "json"])]
    daemon: bool,

    /// Renew even if it is not due
    #[arg(long)]
    now: bool,

    /// Renew now, with a new key
    #[arg(long)]
    rotate_key: bool,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    log::to_stderr(if arguments.daemon {
        Detail::Steps
    } else {
        Detail::Warnings
    });
    let renewal = &arguments.renewal;
    let enrolment = arguments.certificate.renewal()?;
    let login = arguments.login.source()?;
    if arguments.daemon && login.is_single_use() {
        return Err(Failure::Usage(format!(
            "a wrapped token works once, and the daemon logs in at every renewal: use --auth {}",
            Method::for_services()
        )));
    }
    let renewer = Renewer {
        server: arguments.server.config(&arguments.login, &enrolment.pair)?,
        enrolment,
        login,
        due: arguments.certificate.due(),
        hook: renewal.hook.clone().map(|command| Hook {
            command,
            timeout: renewal.hook_timeout,
        }),
        helper: Some(renewal.restart_unit.clone()).filter(|unit| !unit.is_empty()),
    };
    let mut schedule = Schedule::new(renewer.due);
    schedule.window = renewal.window;
    if arguments.daemon {
        // What no attempt would pass is refused at once.
        renewer.attempt(When::Due, Timestamp::now())?;
        schedule.jitter = renewal.jitter;
        let node = renewer.enrolment.node_name.clone();
        super::runtime::block_on(async {
            let mut process = Process::new(renewer, renewal.textfile.clone())
                .map_err(|error| Failure::Failed(format!("signals: {error}")))?;
            daemon::run(&mut process, schedule, &node).await;
            Ok(())
        })?
    } else {
        once(arguments, &renewer, &schedule)
    }
}

fn once(arguments: &Arguments, renewer: &Renewer, schedule: &Schedule) -> Result<(), Failure> {
    let now = Timestamp::now();
    let when = match (arguments.rotate_key, arguments.now) {
        (true, _) => When::NewKey,
        (false, true) => When::Now,
        (false, false) => When::Due,
    };
    let outcome = match renewer.attempt(when, now) {
        Err(error) => Err(error),
        Ok(attempt) => match attempt.standing() {
            Standing::Good(leaf) | Standing::Due(leaf)
                if when == When::Due && schedule.next(&Standing::Due(leaf.clone()), now) > now =>
            {
                Ok(Outcome::Kept(leaf.clone()))
            }
            _ => super::runtime::block_on(renewer.run(attempt))?,
        },
    };
    let told = match &arguments.renewal.textfile {
        Some(path) => {
            let standing = renewer.enrolment.standing(renewer.due, now);
            let issued = matches!(outcome, Ok(Outcome::Issued { .. }));
            let mut status = Status {
                node: renewer.enrolment.node_name.clone(),
                next: Some(schedule.next(&standing, now)),
                last_success: issued.then_some(now),
                renewed: issued.into(),
                failed: outcome.is_err().into(),
                failures_in_a_row: outcome.is_err().into(),
                ..Status::default()
            };
            status.look_at(&standing);
            status.write(path)
        }
        None => Ok(()),
    };
    let outcome = outcome?;
    node::tell(&renewer.enrolment, renewer.due, &outcome, arguments.json)?;
    Ok(told?)
}
