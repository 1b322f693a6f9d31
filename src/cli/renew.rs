//! `landfast renew`: the certificate of a node, again and again.

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use jiff::Timestamp;
use landfast_node::enroll::{Outcome, Standing};
use landfast_node::renew::daemon::{self, Process};
use landfast_node::renew::hook::Hook;
use landfast_node::renew::schedule::{Schedule, Window};
use landfast_node::renew::textfile::Status;
use landfast_node::renew::{HELPER_UNIT, RenewError, Renewer, When};

use super::{Failure, node};

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
#[command(after_help = super::help(EXAMPLES, &[3, 4]))]
pub(super) struct Arguments {
    #[command(flatten)]
    server: node::ServerArguments,

    #[command(flatten)]
    login: node::LoginArguments,

    #[command(flatten)]
    certificate: node::CertificateArguments,

    #[command(flatten)]
    renewal: RenewalArguments,

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

/// What a renewal has that an enrolment has not; `enroll --emit` passes it on.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Renewal")]
pub(super) struct RenewalArguments {
    /// Renew within these hours of the day in UTC, as HH:MM-HH:MM. When half
    /// of the time between due and end is gone, any hour will do
    #[arg(long, value_name = "HOURS")]
    window: Option<Window>,

    /// With --daemon: renew up to this much later, by chance, so that machines
    /// that were enrolled together do not renew together
    #[arg(long, value_name = "DURATION", value_parser = node::duration, default_value = "10m")]
    jitter: Duration,

    /// A command for /bin/sh, run when the new pair is in place. If it fails,
    /// the former pair is put back, and it is run once more
    #[arg(long, value_name = "COMMAND")]
    hook: Option<String>,

    /// How long the hook may take
    #[arg(long, value_name = "DURATION", value_parser = node::duration, default_value = "60s")]
    hook_timeout: Duration,

    /// The unit to restart when the key's type changes: AWS's helper chooses
    /// its algorithm once, at its start. Empty for none
    #[arg(long, value_name = "UNIT", default_value = HELPER_UNIT)]
    restart_unit: String,

    /// Write metrics to this file, for node_exporter's textfile collector
    #[arg(long, value_name = "FILE")]
    textfile: Option<PathBuf>,
}

impl RenewalArguments {
    /// The directory of the metrics.
    pub(super) fn metrics(&self) -> Option<&Path> {
        self.textfile.as_deref()?.parent()
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    super::log::to_stderr(if arguments.daemon {
        super::log::Detail::Steps
    } else {
        super::log::Detail::Warnings
    });
    let renewal = &arguments.renewal;
    let enrolment = arguments.certificate.renewal()?;
    enrolment
        .check(arguments.rotate_key)
        .map_err(|error| node::explain_enrolment(&error))?;
    let login = arguments.login.source()?;
    if arguments.daemon && login.is_single_use() {
        return Err(Failure::Usage(format!(
            "a wrapped token works once, and the daemon logs in at every renewal: use --auth {}",
            node::Method::for_services()
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
    if let Some(hook) = &renewer.hook {
        hook.check()
            .map_err(|error| Failure::Refused(error.to_string()))?;
    }
    let mut schedule = Schedule::new(renewer.due);
    schedule.window = renewal.window;
    if arguments.daemon {
        schedule.jitter = renewal.jitter;
        let node = renewer.enrolment.node_name.clone();
        super::block_on(async {
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
    let standing = renewer.enrolment.standing(renewer.due, now);
    let when = match (arguments.rotate_key, arguments.now) {
        (true, _) => When::NewKey,
        (false, true) => When::Now,
        (false, false) => When::Due,
    };
    let outcome = match standing {
        Standing::Good(leaf) | Standing::Due(leaf)
            if when == When::Due && schedule.next(&Standing::Due(leaf.clone()), now) > now =>
        {
            Ok(Outcome::Kept(leaf))
        }
        _ => super::block_on(renewer.run(when, now))?,
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
    let outcome = outcome.map_err(|error| explain(&error))?;
    node::tell(&renewer.enrolment, renewer.due, &outcome, arguments.json)?;
    told.map_err(|error| Failure::Failed(error.to_string()))
}

fn explain(error: &RenewError) -> Failure {
    match error {
        RenewError::Login(error) => node::explain_login(error),
        RenewError::Enrol(error) => node::explain_enrolment(error),
        RenewError::ForeignHook(error) => Failure::Refused(error.to_string()),
        other => Failure::Failed(other.to_string()),
    }
}
