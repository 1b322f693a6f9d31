//! `landfast lab`: IAM Roles Anywhere without AWS.

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use clap::Args;
use jiff::Timestamp;
use landfast_base::arn::{Arn, ArnKind};
use landfast_lab::server::{BindError, Lab};
use landfast_lab::signer;
use landfast_lab::tls::Tls;
use landfast_lab::{Profile, Role, State};
use landfast_node::files;
use landfast_node::generate::trust_policy;
use landfast_pki::Certificate;
use landfast_rolesanywhere::policy::TrustPolicy;
use landfast_rolesanywhere::session::DURATIONS;
use serde_json::json;

use super::{Failure, output, values};

/// What a role's longest session may be.
///
/// Source: IAM API reference, CreateRole, `MaxSessionDuration`.
const MAX_SESSION: RangeInclusive<u32> = 3600..=43_200;

const EXAMPLES: &str = "\
Examples:
  # a lab that trusts one CA; prints the ARNs and the endpoint as one JSON line
  landfast lab --trust-anchor ca.pem --listen 127.0.0.1:9912

  # a session from it, with the ARNs that it printed
  landfast credential-process --endpoint http://127.0.0.1:9912 --no-cache \\
    --trust-anchor-arn ARN --profile-arn ARN --role-arn ARN \\
    --role-session-name node-1

  # with the trust policy and the ARNs of the real account
  landfast lab --trust-anchor ca.pem --trust-policy trust.json \\
    --trust-anchor-arn ARN

  # for clients that speak HTTPS only
  landfast lab --trust-anchor ca.pem --tls --ca-out lab-ca.pem

  # its control plane takes the key that it printed, and wants requests signed
  # by it, as the aws command does
  aws rolesanywhere list-crls --endpoint-url http://127.0.0.1:9912 \\
    --region us-west-2

  # its page shows nodes, sessions and refusals, and makes trouble by a click:
  # open http://127.0.0.1:9912/ in a browser

  # what it was asked, and trouble to come: for sessions, or by plane
  curl http://127.0.0.1:9912/lab/calls
  curl -d '[\"throttle\",\"drop\"]' http://127.0.0.1:9912/lab/faults
  curl -d '{\"control\": [\"unavailable\"]}' http://127.0.0.1:9912/lab/faults
  curl -X DELETE http://127.0.0.1:9912/lab/faults";

/// Stand in for IAM Roles Anywhere on this machine, without AWS
///
/// Verifies what the service verifies: signature, certificate path, dates, key
/// usage, revocation, the profile's rules and the role's trust policy. The
/// credentials that it hands out are made up. Its control plane has trust
/// anchors, CRLs, profiles and subjects, and GetCallerIdentity says whose
/// credentials these are. This is not AWS: it serves loopback addresses only
/// unless it is told otherwise, its key is known to all, and it keeps nothing
/// when it ends.
#[derive(Args, Debug)]
#[command(after_help = super::help::below(EXAMPLES, &[4]))]
pub(super) struct Arguments {
    /// The trust anchor's certificates in PEM
    #[arg(long, value_name = "FILE")]
    trust_anchor: PathBuf,

    /// The loopback address to listen on; port 0 takes a free one
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:9912", value_parser = values::listener)]
    listen: SocketAddr,

    /// Let --listen be an address that others reach, as in a container: all of
    /// them get made-up credentials, and can change what the lab holds
    #[arg(long, requires_all = ["listen", "tls"])]
    allow_remote: bool,

    /// A further name by which clients call it; may be repeated
    #[arg(long, value_name = "NAME", requires = "tls", value_parser = host)]
    host: Vec<String>,

    /// The account to play
    #[arg(long, default_value = "111122223333")]
    account: String,

    /// The Region to play
    #[arg(long, default_value = "us-west-2", value_parser = values::region)]
    region: String,

    /// The role's trust policy; without it, the one that EKS documents for
    /// hybrid nodes: the session name must be the certificate's common name
    #[arg(long, value_name = "FILE")]
    trust_policy: Option<PathBuf>,

    /// The anchor's ARN, such as that of the real one which --trust-policy names;
    /// without it, a new one at each start
    #[arg(long, value_name = "ARN", value_parser = values::trust_anchor)]
    trust_anchor_arn: Option<Arn>,

    /// The profile's ARN; without it, a new one at each start
    #[arg(long, value_name = "ARN", value_parser = values::profile)]
    profile_arn: Option<Arn>,

    /// Speak HTTPS, with a certificate made for this run
    #[arg(long, requires = "ca_out")]
    tls: bool,

    /// Write the CA of that certificate here, for clients to trust
    #[arg(long, value_name = "FILE", requires = "tls")]
    ca_out: Option<PathBuf>,

    /// How far a request's date may be off, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 300)]
    skew: u32,

    /// The profile's session length in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 3600)]
    duration: u32,

    /// The role's longest session in seconds, 3600 to 43200: AWS refuses
    /// longer ones, and gives a role 3600 if nobody says otherwise
    #[arg(long, value_name = "SECONDS", default_value_t = *DURATIONS.end())]
    max_session_duration: u32,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    arguments.check()?;
    let bundle = files::read_secret(&arguments.trust_anchor)?;
    let bundle = String::from_utf8_lossy(bundle.expose());
    let named = |path: &Path, error: &dyn std::fmt::Display| format!("{}: {error}", path.display());
    // A file that holds no certificates is no refusal of what it holds.
    Certificate::all_from_pem(bundle.as_bytes())
        .map_err(|error| Failure::Failed(named(&arguments.trust_anchor, &error)))?;
    let mut state = State::new(&arguments.account, &arguments.region);
    state.skew = arguments.skew;
    state.hosts.clone_from(&arguments.host);
    let made = state
        .create_anchor("lab", &bundle, true, Timestamp::now())
        .map_err(|error| Failure::Refused(named(&arguments.trust_anchor, &error)))?
        .arn
        .clone();
    let anchor = arguments.trust_anchor_arn.clone().unwrap_or(made);
    if let Some(only) = state.anchors.first_mut() {
        only.arn.clone_from(&anchor);
    }
    let role = Arn::parse_as(
        &format!("arn:aws:iam::{}:role/hybrid-node", arguments.account),
        ArnKind::Role,
    )
    .map_err(|error| Failure::Usage(format!("--account: {error}")))?;
    let trust = match &arguments.trust_policy {
        Some(path) => {
            TrustPolicy::parse(&String::from_utf8_lossy(files::read_secret(path)?.expose()))
                .map_err(|error| Failure::Failed(named(path, &error)))?
        }
        None => TrustPolicy::parse(&trust_policy(&anchor, "*").to_string()).map_err(Failure::of)?,
    };
    let profile = match &arguments.profile_arn {
        Some(arn) => arn.clone(),
        None => state.new_arn("profile").map_err(Failure::of)?,
    };
    state.profiles.push(Profile {
        duration: arguments.duration,
        accept_session_name: true,
        ..Profile::new(profile.clone(), "lab", vec![role.clone()])
    });
    state.roles.push(Role {
        arn: role.clone(),
        max_duration: arguments.max_session_duration,
        trust,
    });
    let tls = arguments
        .ca_out
        .as_deref()
        .map(|path| {
            let tls = Tls::generate_for(&arguments.host).map_err(Failure::of)?;
            files::write_atomic(path, tls.authority().as_bytes(), 0o644)?;
            Ok::<_, Failure>(tls)
        })
        .transpose()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    super::runtime::block_on(async {
        let bound = if arguments.allow_remote {
            Lab::bind_anywhere(arguments.listen).await
        } else {
            Lab::bind(arguments.listen).await
        };
        let listener = bound.map_err(|error| match error {
            BindError::NotLoopback(_) => Failure::Refused(error.to_string()),
            BindError::Listen { .. } => Failure::Failed(error.to_string()),
        })?;
        let address = listener.local_addr().map_err(Failure::of)?;
        let endpoint = arguments.endpoint(scheme, address);
        let ready = json!({
            "endpoint": endpoint,
            "trustAnchorArn": anchor,
            "profileArn": profile,
            "roleArn": role,
            "region": arguments.region,
            "accessKeyId": signer::ACCESS_KEY,
            "secretAccessKey": signer::SECRET_KEY,
            "notice": "this is not AWS; the credentials are made up",
        });
        let stopped = super::runtime::stopped();
        output::print(&format!("{ready}\n"))?;
        let lab = Lab::new(state, Arc::new(Timestamp::now), Some(endpoint));
        match tls {
            Some(tls) => {
                lab.serve(listener, move |stream| tls.open(stream), stopped)
                    .await
            }
            None => lab.serve(listener, landfast_listen::plain, stopped).await,
        }
        Ok(())
    })?
}

impl Arguments {
    /// Checks what the parser cannot see.
    fn check(&self) -> Result<(), Failure> {
        if !DURATIONS.contains(&self.duration) {
            return Err(Failure::Usage(
                "--duration takes 900 to 43200 seconds".into(),
            ));
        }
        if !MAX_SESSION.contains(&self.max_session_duration) {
            return Err(Failure::Usage(
                "--max-session-duration takes 3600 to 43200 seconds".into(),
            ));
        }
        for (flag, arn) in [
            ("--trust-anchor-arn", &self.trust_anchor_arn),
            ("--profile-arn", &self.profile_arn),
        ] {
            let elsewhere = |arn: &Arn| arn.account != self.account || arn.region != self.region;
            if arn.as_ref().is_some_and(elsewhere) {
                return Err(Failure::Usage(format!(
                    "{flag} belongs to another account or Region than the lab plays; --account and --region tell it which"
                )));
            }
        }
        Ok(())
    }

    /// Where clients find it: nobody can call the address of "every interface".
    fn endpoint(&self, scheme: &str, address: SocketAddr) -> String {
        match self.host.first() {
            Some(host) if address.ip().is_unspecified() => {
                format!("{scheme}://{host}:{}", address.port())
            }
            _ => format!("{scheme}://{address}"),
        }
    }
}

/// Reads a host name, which stands in a certificate and in requests.
fn host(text: &str) -> Result<String, String> {
    let label = |label: &str| {
        let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
        !label.is_empty() && label.len() < 64 && label.chars().all(plain)
    };
    if text.len() < 254 && text.split('.').all(label) {
        Ok(text.to_owned())
    } else {
        Err("a host name such as lab, without a port".to_owned())
    }
}
