//! `landfast doctor`: why a node is refused.

use std::fmt::Write as _;
use std::path::PathBuf;

use clap::Args;
use jiff::Timestamp;
use landfast_base::arn::Arn;
use landfast_node::doctor::online::{self, Answer};
use landfast_node::doctor::{self, DoctorError, Machine, Question, Report};
use landfast_node::identity;
use landfast_node::provider::Options;
use landfast_node::session::{EndpointKind, SessionRequest};
use landfast_rolesanywhere::post_quantum::Audit;
use landfast_rolesanywhere::rules::Severity;
use landfast_rolesanywhere::session::USUAL_DURATION;
use landfast_rolesanywhere::tags::Facts;

use super::{Failure, output, session, values};

const CERTIFICATE: &str = "/etc/iam/pki/server.pem";
const PRIVATE_KEY: &str = "/etc/iam/pki/server.key";

const EXAMPLES: &str = "\
Examples:
  # the node's own files against the trust anchor that it should chain to
  landfast doctor --trust-anchor ca.pem --node-name node-1

  # with everything that AWS holds, fetched where there are credentials
  aws rolesanywhere get-trust-anchor --trust-anchor-id ID > anchor.json
  aws rolesanywhere get-profile --profile-id ID > profile.json
  aws iam get-role --role-name NAME > role.json
  landfast doctor --trust-anchor anchor.json --profile profile.json \\
    --role role.json

  # before nodeadm makes the node: its NodeConfig, and this machine
  landfast doctor --node-config nodeconfig.yaml --trust-anchor ca.pem

  # ask AWS as well, for one session that is thrown away
  landfast doctor --online --trust-anchor-arn ARN --profile-arn ARN \\
    --role-arn ARN

  # for an auditor: which keys and signatures are post-quantum
  landfast doctor --pqc --trust-anchor ca.pem --certificate node.pem

  # what AWS's words mean
  landfast doctor --error \"Untrusted signing certificate\"

Nothing that stops the node is exit code 0; --online has 3 when nobody answers
and nothing else is wrong.";

/// Explain why AWS or the cluster refuses a node
///
/// Compares the node's certificate and key with the trust anchor, the profile,
/// the role and its trust policy, as far as they are given. Works offline:
/// without --online nothing is sent anywhere, and no key is printed.
#[derive(Args, Debug)]
#[command(after_help = super::help::below(EXAMPLES, &[3, 4]))]
pub(super) struct Arguments {
    /// The node's certificate in PEM, leaf first [default: /etc/iam/pki/server.pem]
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,

    /// The certificate's private key in PEM [default: /etc/iam/pki/server.key]
    #[arg(long, value_name = "FILE")]
    private_key: Option<PathBuf>,

    /// Intermediate certificates in PEM
    #[arg(long, value_name = "FILE")]
    intermediates: Option<PathBuf>,

    /// A file with the passphrase of an encrypted private key
    #[arg(long, value_name = "FILE", env = "LANDFAST_PKCS8_PASSWORD_FILE")]
    pkcs8_password_file: Option<PathBuf>,

    /// The trust anchor: PEM, or what `aws rolesanywhere get-trust-anchor` prints
    #[arg(long, value_name = "FILE")]
    trust_anchor: Option<PathBuf>,

    /// What `aws rolesanywhere get-profile` prints
    #[arg(long, value_name = "FILE")]
    profile: Option<PathBuf>,

    /// What `aws iam get-role` prints
    #[arg(long, value_name = "FILE")]
    role: Option<PathBuf>,

    /// The role's trust policy, in place of the one in --role
    #[arg(long, value_name = "FILE")]
    trust_policy: Option<PathBuf>,

    /// A revocation list, PEM or DER; may be repeated
    #[arg(long, value_name = "FILE")]
    crl: Vec<PathBuf>,

    /// The NodeConfig of this machine: it names files, ARNs, node name and
    /// Region, and this machine's clock, swap and proxy are looked at as well
    #[arg(long, value_name = "FILE", conflicts_with = "not_hybrid")]
    node_config: Option<PathBuf>,

    /// What `aws eks describe-cluster` prints, for the remote networks
    #[arg(long, value_name = "FILE", requires = "node_config")]
    cluster: Option<PathBuf>,

    /// The node name in NodeConfig
    #[arg(long, value_name = "NAME")]
    node_name: Option<String>,

    /// The cluster's Region
    #[arg(long, value_parser = values::region)]
    region: Option<String>,

    /// The trust anchor that the node is configured for
    #[arg(long, value_name = "ARN")]
    trust_anchor_arn: Option<String>,

    /// The profile that the node is configured for
    #[arg(long, value_name = "ARN")]
    profile_arn: Option<String>,

    /// The role that the node is configured for
    #[arg(long, value_name = "ARN")]
    role_arn: Option<String>,

    /// The session length that the node asks for, in seconds
    #[arg(long, value_name = "SECONDS")]
    session_duration: Option<u32>,

    /// What AWS answered
    #[arg(long, value_name = "TEXT")]
    error: Option<String>,

    /// The machine is no EKS hybrid node: it sends its chain, and names its
    /// session only with --node-name
    #[arg(long)]
    not_hybrid: bool,

    /// Ask AWS for a session, too: tells whether it answers, what it answers,
    /// and whether the clocks agree
    #[arg(long, requires_all = ["trust_anchor_arn", "profile_arn", "role_arn"], conflicts_with = "at")]
    online: bool,

    /// With --online: an endpoint other than the public one
    #[arg(long, value_name = "URL", requires = "online")]
    endpoint: Option<String>,

    /// With --online: the CAs of the endpoint in PEM, in place of the public ones
    #[arg(long, value_name = "FILE", requires = "online")]
    ca_file: Option<PathBuf>,

    /// Taken for who is used to it: the proxy of HTTPS_PROXY is used with it
    /// and without
    #[arg(long, requires = "online", hide = true)]
    with_proxy: bool,

    /// Say of each certificate of trust anchor, chain and node whether it is
    /// post-quantum: by its key, and by how it was signed
    #[arg(long)]
    pqc: bool,

    /// Judge as of this moment, such as 2026-12-24T00:00:00Z
    #[arg(long, value_name = "TIME")]
    at: Option<Timestamp>,

    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    super::log::to_stderr(super::log::Detail::Warnings);
    let mut question = arguments.question();
    let answer = arguments.ask(&question)?;
    if question.error.is_none() {
        question.error = answer.as_ref().and_then(Answer::refusal);
    }
    let now = arguments.at.unwrap_or_else(Timestamp::now);
    let mut report = doctor::examine(&question, now).map_err(|error| match error {
        DoctorError::File(_) | DoctorError::Document { .. } => Failure::Failed(error.to_string()),
    })?;
    let offline = report.has_errors();
    if let Some(answer) = &answer {
        answer.add_to(&mut report);
    }
    let text = if arguments.json {
        serde_json::to_string(&report).map_err(Failure::of)?
    } else {
        told(&report, question.error.is_some())
    };
    output::print(&format!("{}\n", text.trim_end()))?;
    if !offline && answer.is_some_and(|answer| answer.is_silence()) {
        return Err(Failure::Unreachable(
            "AWS did not answer, and nothing else was found that stops the node".into(),
        ));
    }
    if report.has_errors() {
        let errors = report
            .findings
            .iter()
            .filter(|one| one.severity == Severity::Error)
            .count();
        return Err(Failure::Refused(format!(
            "{errors} {} that stop{} the node",
            if errors == 1 { "finding" } else { "findings" },
            if errors == 1 { "s" } else { "" },
        )));
    }
    Ok(())
}

impl Arguments {
    /// Asks AWS, if that is wanted and the ARNs are ARNs; if not, the report says so.
    fn ask(&self, question: &Question) -> Result<Option<Answer>, Failure> {
        let (true, Some(certificate), Some(private_key)) =
            (self.online, &question.certificate, &question.private_key)
        else {
            return Ok(None);
        };
        let arn = |text: &Option<String>, parse: fn(&str) -> Result<Arn, String>| {
            parse(text.as_deref().unwrap_or_default()).map_err(Failure::Usage)
        };
        let trust_anchor = arn(&self.trust_anchor_arn, values::trust_anchor)?;
        let own_name = || {
            let (leaf, _) = identity::certificates(certificate).ok()?;
            Facts::of(&leaf).common_name().map(str::to_owned)
        };
        let session_name = match &self.node_name {
            None if self.not_hybrid => None,
            None => own_name(),
            name => name.clone(),
        };
        let endpoint = session::endpoint(
            self.endpoint.as_deref(),
            &trust_anchor,
            self.region.as_deref(),
            EndpointKind::default(),
        )?;
        let options = Options {
            certificate: certificate.clone(),
            private_key: private_key.clone(),
            intermediates: self.intermediates.clone(),
            passphrase: self.pkcs8_password_file.clone(),
            request: SessionRequest {
                trust_anchor,
                profile: arn(&self.profile_arn, values::profile)?,
                role: arn(&self.role_arn, values::role)?,
                duration: self.session_duration.or(Some(USUAL_DURATION)),
                session_name,
            },
            endpoint,
            authorities: session::authorities(self.ca_file.as_deref()),
            skip_verify: false,
            cache: None,
        };
        super::runtime::block_on(online::ask(options)).map(Some)
    }

    fn question(&self) -> Question {
        // Only documents were named: the node's own files may be elsewhere.
        let other = self.error.is_some()
            || self.profile.is_some()
            || self.role.is_some()
            || self.trust_policy.is_some()
            || !self.crl.is_empty()
            || self.pqc;
        let certificate = self.certificate.clone().or_else(|| {
            let usual = PathBuf::from(CERTIFICATE);
            (!other || usual.exists()).then_some(usual)
        });
        // A certificate named alone is looked at alone.
        let private_key = self.private_key.clone().or_else(|| {
            self.certificate
                .is_none()
                .then(|| PathBuf::from(PRIVATE_KEY))
        });
        Question {
            certificate,
            private_key,
            intermediates: self.intermediates.clone(),
            passphrase: self.pkcs8_password_file.clone(),
            trust_anchor: self.trust_anchor.clone(),
            profile: self.profile.clone(),
            role: self.role.clone(),
            trust_policy: self.trust_policy.clone(),
            crls: self.crl.clone(),
            node_config: self.node_config.clone(),
            cluster: self.cluster.clone(),
            machine: self.node_config.as_ref().map(|_| Machine::look()),
            node_name: self.node_name.clone(),
            region: self.region.clone(),
            trust_anchor_arn: self.trust_anchor_arn.clone(),
            profile_arn: self.profile_arn.clone(),
            role_arn: self.role_arn.clone(),
            session_duration: self.session_duration,
            error: self.error.clone(),
            not_hybrid: self.not_hybrid,
            hypothetical: self.at.is_some(),
            post_quantum: self.pqc,
        }
    }
}

/// The report for a person: what AWS meant, what is wrong, what is right.
fn told(report: &Report, asked: bool) -> String {
    let mut text = String::new();
    // Writing to a String does not fail.
    let mut line = |words: std::fmt::Arguments<'_>| {
        let _ = writeln!(text, "{words}");
    };
    match &report.cause {
        Some(cause) => {
            line(format_args!("AWS means: {}", cause.cause));
            line(format_args!("  next step: {}", cause.remedy));
            if !cause.confirmed_by.is_empty() {
                line(format_args!(
                    "  confirmed by: {}",
                    cause.confirmed_by.join(", ")
                ));
            }
        }
        None if asked => line(format_args!("AWS's text is not a known one")),
        None => {}
    }
    for finding in &report.findings {
        let severity = match finding.severity {
            Severity::Error => "error  ",
            Severity::Warning => "warning",
        };
        line(format_args!(
            "{severity}  {}  {}",
            finding.rule, finding.problem
        ));
        line(format_args!("                {}", finding.remedy));
    }
    for passed in &report.passed {
        line(format_args!("ok       {passed}"));
    }
    for skipped in &report.skipped {
        line(format_args!("skipped  {skipped}"));
    }
    if let Some(audit) = &report.post_quantum {
        text.push_str(&audited(audit));
    }
    text
}

/// What is post-quantum, one line for each certificate.
fn audited(audit: &Audit) -> String {
    let all = &audit.certificates;
    let good = all.iter().filter(|one| one.post_quantum).count();
    let mut text = format!("post-quantum: {good} of {} certificates\n", all.len());
    for one in all {
        let (verdict, place) = (
            if one.post_quantum { "yes" } else { "no" },
            one.place.name(),
        );
        let _ = writeln!(
            text,
            "  {verdict:3}  {place:6}  {}: key {}, signed by {}, {} octets",
            one.subject, one.key, one.signature, one.octets
        );
    }
    text
}
