//! What `enroll` and `renew` share: what a node asks for, and what only renewals have.

mod told;

use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;
use landfast_node::enroll::{Due, EnrolError, Enrolment, name_in_place};
use landfast_node::pair::Pair;
use landfast_node::renew::HELPER_UNIT;
use landfast_node::renew::schedule::Window;
use landfast_pki::KeySpec;
use landfast_rolesanywhere::rules;

use super::{Failure, values};

pub(super) use self::told::tell;

/// What to ask for, and where it goes.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Certificate")]
pub(super) struct CertificateArguments {
    /// Where the secrets engine is mounted
    #[arg(long, value_name = "PATH", default_value = "pki")]
    pub(super) mount: String,

    /// The engine's role to issue under
    #[arg(long, value_name = "NAME", default_value = "hybrid-node")]
    pub(super) role: String,

    /// The node's name, which becomes the common name; without it `renew`
    /// keeps that of the certificate in place, and else it is the machine's
    /// host name
    #[arg(long, value_name = "NAME")]
    pub(super) node_name: Option<String>,

    /// The lifetime to ask for, such as 72h or 7d; without it the role decides
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(super) ttl: Option<Duration>,

    /// The certificate's file, leaf first
    #[arg(long, value_name = "FILE", default_value = "/etc/iam/pki/server.pem")]
    pub(super) certificate: PathBuf,

    /// The private key's file, in the same directory
    #[arg(long, value_name = "FILE", default_value = "/etc/iam/pki/server.key")]
    pub(super) private_key: PathBuf,

    /// The kind of a new key: ec (P-256), ec-521, rsa (2048 bits), rsa-3072,
    /// rsa-4096, or post-quantum mldsa-44, mldsa-65 or mldsa-87; without it
    /// that of the key in place, or ec
    #[arg(long, value_name = "KIND", value_parser = values::key_kind)]
    pub(super) key_type: Option<KeySpec>,

    /// The share of its life after which a certificate is renewed, such as
    /// 2/3 or 0.5
    #[arg(long, value_name = "SHARE", default_value = "2/3", value_parser = values::share)]
    pub(super) renew_at: f64,
}

/// What a renewal has that an enrolment has not; `enroll --emit` passes it on.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Renewal")]
pub(super) struct RenewalArguments {
    /// Renew within these hours of the day in UTC, as HH:MM-HH:MM. When half
    /// of the time between due and end is gone, any hour will do
    #[arg(long, value_name = "HOURS")]
    pub(super) window: Option<Window>,

    /// With --daemon: renew up to this much later, by chance, so that machines
    /// that were enrolled together do not renew together
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "10m")]
    pub(super) jitter: Duration,

    /// A command for /bin/sh, run when the new pair is in place. If it fails,
    /// the former pair is put back, and it is run once more
    #[arg(long, value_name = "COMMAND")]
    pub(super) hook: Option<String>,

    /// How long the hook may take
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "60s")]
    pub(super) hook_timeout: Duration,

    /// The unit to restart when the key's type changes: AWS's helper chooses
    /// its algorithm once, at its start. Empty for none
    #[arg(long, value_name = "UNIT", default_value = HELPER_UNIT)]
    pub(super) restart_unit: String,

    /// Write metrics to this file, for node_exporter's textfile collector
    #[arg(long, value_name = "FILE")]
    pub(super) textfile: Option<PathBuf>,
}

impl RenewalArguments {
    /// The directory of the metrics.
    pub(super) fn metrics(&self) -> Option<&Path> {
        self.textfile.as_deref()?.parent()
    }
}

impl CertificateArguments {
    fn pair(&self) -> Result<Pair, Failure> {
        Pair::new(&self.certificate, &self.private_key)
            .map_err(|error| Failure::Usage(format!("--certificate and --private-key: {error}")))
    }

    /// What to renew: a node that has a name keeps it.
    pub(super) fn renewal(&self) -> Result<Enrolment, Failure> {
        let pair = self.pair()?;
        let name = self.node_name.clone().or_else(|| name_in_place(&pair));
        self.enrolment_of(pair, name)
    }

    pub(super) fn enrolment(&self) -> Result<Enrolment, Failure> {
        self.enrolment_of(self.pair()?, self.node_name.clone())
    }

    fn enrolment_of(&self, pair: Pair, name: Option<String>) -> Result<Enrolment, Failure> {
        let node_name = name.map_or_else(host_name, Ok)?;
        if !rules::is_node_name(&node_name) {
            return Err(Failure::Usage(format!(
                "{}; say which with --node-name",
                EnrolError::NodeName(node_name)
            )));
        }
        Ok(Enrolment {
            mount: self.mount.trim_matches('/').to_owned(),
            role: self.role.clone(),
            node_name,
            ttl: self.ttl,
            key: self.key_type,
            pair,
        })
    }

    pub(super) const fn due(&self) -> Due {
        Due {
            fraction: self.renew_at,
        }
    }
}

/// The same name that the kubelet would take.
fn host_name() -> Result<String, Failure> {
    let path = Path::new("/proc/sys/kernel/hostname");
    let name = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
    Ok(name.trim().to_lowercase())
}
