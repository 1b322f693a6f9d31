//! `landfast trust-anchor`: a CA in the shape that IAM Roles Anywhere takes.

mod sync;

use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Args, Subcommand, ValueEnum};
use jiff::Timestamp;
use landfast_node::files;
use landfast_node::form::{self, Wanted};
use landfast_node::vault::VaultError;
use landfast_pki::anchor::{
    self, Anchor, Content, Expectations, Form, Notification, Report, SelectError,
};
use landfast_pki::{Certificate, pem};
use landfast_rolesanywhere::post_quantum::Audit;
use serde_json::{Value, json};

use super::{Failure, server};

const EXAMPLES: &str = "\
Examples:
  # the CA of the mount \"pki\", for the AWS command line
  landfast trust-anchor --format cli > anchor.json
  aws rolesanywhere create-trust-anchor --cli-input-json file://anchor.json

  # old and new CA together, while nodes move to the new one
  landfast trust-anchor --also old-ca --format cli --trust-anchor-id ID \\
    > anchor.json
  aws rolesanywhere update-trust-anchor --cli-input-json file://anchor.json

  # what AWS holds beside what the engine says; --apply changes AWS
  landfast trust-anchor sync --trust-anchor-arn ARN

  # from a file, without a server
  landfast trust-anchor --pem ca.pem --format cloudformation \\
    --output anchor.yaml

Environment (BAO_X is read before VAULT_X):
  ADDR                      the server; https://127.0.0.1:8200 if unset
  TOKEN                     the token; else ~/.bao-token, else ~/.vault-token. A
                            CA is public, so none is needed where the mount is
                            reachable without
  NAMESPACE                 the namespace
  CACERT, CAPATH            file or folder of CAs that the server's certificate
                            chains to
  CLIENT_CERT, CLIENT_KEY   what to show to the server
  SKIP_VERIFY               true trusts any server: for laboratories only
A token is never an argument: every user of a machine can read all arguments.

Exit codes:
  0  done; warnings, if any, are on stderr
  1  a file or the server refused
  2  wrong usage
  3  the server cannot be reached
  4  the certificates cannot serve as a trust anchor";

/// Print a CA as an IAM Roles Anywhere trust anchor
///
/// The CA comes from a mount of a Vault or OpenBao server (of landfast or of
/// the built-in engine), or from a PEM file. It is checked first: what AWS
/// would refuse, or accept and then reject every node for, ends with exit code
/// 4 and a word on what to do.
#[derive(Args)]
#[command(after_help = EXAMPLES, args_conflicts_with_subcommands = true)]
pub(super) struct Arguments {
    #[command(subcommand)]
    action: Option<Action>,

    #[command(flatten)]
    selection: Selection,

    /// Shape of the output
    #[arg(long, value_parser = forms(), default_value = Form::Pem.name())]
    format: Form,

    /// Name of the anchor, where the form has one
    #[arg(long, value_name = "NAME", default_value = "landfast")]
    name: String,

    /// Id of an existing anchor: the form cli becomes an update of it, and the
    /// terraform forms take it over by an import block
    #[arg(long, value_name = "ID")]
    trust_anchor_id: Option<String>,

    /// Longest life of the nodes' certificates, in days: sets when AWS warns
    /// of their end. 0 leaves AWS's own setting, which is 45 days ahead
    #[arg(long, value_name = "DAYS", default_value_t = 0)]
    leaf_days: u64,

    /// Write to a file; it appears whole or not at all
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,

    /// Print one JSON object: the document, the warnings, and each
    /// certificate's subject, serial number, end and algorithms, and whether
    /// those are post-quantum
    #[arg(long)]
    json: bool,
}

#[derive(Subcommand)]
enum Action {
    Sync(Box<sync::Arguments>),
}

/// Which certificates, and where they come from.
#[derive(Args, Debug)]
pub(super) struct Selection {
    /// Read the certificates from this PEM file ("-" for stdin), not a server
    #[arg(long, value_name = "FILE", conflicts_with_all = ["mount", "issuer", "also", "address", "namespace"])]
    pub(super) pem: Option<PathBuf>,

    /// Mount of the engine
    #[arg(long, value_name = "PATH", default_value = "pki")]
    pub(super) mount: String,

    /// Name or id of the issuer
    #[arg(long, value_name = "REF", default_value = "default")]
    issuer: String,

    /// Another issuer that the anchor holds too, such as the old CA while
    /// nodes move to the new one
    #[arg(long, value_name = "REF")]
    also: Vec<String>,

    #[command(flatten)]
    pub(super) server: server::Connection,

    /// Which certificates the anchor holds. Hybrid nodes send no chain, so
    /// they need the CA that signs them: issuing or both. With --pem, "issuing"
    /// takes every CA of the file, as it is
    #[arg(long, value_enum, default_value = "issuing")]
    pub(super) anchor: Which,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Which {
    Issuing,
    Root,
    Both,
}

/// The forms by the names that they have in the engine's API.
fn forms() -> impl TypedValueParser<Value = Form> {
    let names = Form::ALL.map(|form| PossibleValue::new(form.name()).help(form.about()));
    PossibleValuesParser::new(names).try_map(|name| name.parse::<Form>())
}

impl From<Which> for Content {
    fn from(which: Which) -> Self {
        match which {
            Which::Issuing => Self::Issuing,
            Which::Root => Self::Root,
            Which::Both => Self::Both,
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    if let Some(Action::Sync(arguments)) = &arguments.action {
        return sync::run(arguments);
    }
    let Found {
        certificates,
        report,
        ..
    } = arguments.selection.find()?;
    if !report.is_usable() {
        return Err(Failure::Refused(format!(
            "IAM Roles Anywhere would not take this anchor:\n{}",
            problems(&report)
        )));
    }
    let mut anchor = Anchor::of(&arguments.name, &certificates);
    anchor
        .trust_anchor_id
        .clone_from(&arguments.trust_anchor_id);
    if arguments.leaf_days > 0 {
        anchor.notifications = Notification::for_leaves_of(arguments.leaf_days).to_vec();
    }
    let form = arguments.format;
    if let (Some(_), Err(what)) = (&anchor.trust_anchor_id, form.takes_over()) {
        eprintln!("warning: {what}");
    }
    let mut text =
        anchor::render(form, &anchor).map_err(|error| Failure::Usage(error.to_string()))?;
    if !text.ends_with('\n') {
        text.push('\n');
    }
    if arguments.json {
        text = format!("{:#}\n", document(form, &text, &certificates, &report));
    } else {
        for warning in &report.warnings {
            eprintln!("warning: {}: {}", warning.rule, warning.text);
        }
    }
    match &arguments.output {
        Some(path) => files::write_atomic(path, text.as_bytes(), 0o644).map_err(Failure::of),
        None => io::stdout()
            .write_all(text.as_bytes())
            .map_err(|error| Failure::Failed(format!("stdout: {error}"))),
    }
}

/// The certificates that were asked for, and what the rules say of them.
struct Found {
    certificates: Vec<Certificate>,
    /// CAs below them, which clients of a root send.
    chain: Vec<Certificate>,
    report: Report,
}

impl Selection {
    /// Reads the certificates and checks them.
    fn find(&self) -> Result<Found, Failure> {
        let mut found = match &self.pem {
            Some(path) => from_file(path, self.anchor)?,
            None => self.ask_server()?,
        };
        found.report.errors.dedup();
        Ok(found)
    }

    fn ask_server(&self) -> Result<Found, Failure> {
        let mount = self.mount.trim_matches('/');
        let references = std::iter::once(&self.issuer).chain(&self.also);
        let paths: Vec<String> = references
            .map(|reference| format!("{mount}/issuer/{reference}/json"))
            .collect();
        let server = self.server.open()?;
        let answers = super::runtime::block_on(async {
            let mut answers = Vec::new();
            for path in &paths {
                answers.push(server.read(path, &[]).await?);
            }
            Ok::<_, VaultError>(answers)
        })??;

        let content = Content::from(self.anchor);
        let mut issuing = None;
        let mut below = Vec::new();
        let mut certificates: Vec<Certificate> = Vec::new();
        for (path, answer) in paths.iter().zip(&answers) {
            let chain = chain(answer).ok_or_else(|| {
                Failure::Failed(format!(
                    "{path}: the answer has no certificate that can be read"
                ))
            })?;
            for one in anchor::select(content, &chain).map_err(|error| select_failure(&error))? {
                if !certificates.contains(&one) {
                    certificates.push(one);
                }
            }
            issuing = issuing.or_else(|| chain.first().cloned());
            below.extend(chain);
        }
        let expected = Expectations {
            // A root alone is asked for by those whose clients send chains.
            issuing: issuing.as_ref().filter(|_| content != Content::Root),
            ..Expectations::default()
        };
        let report = anchor::check_against(&certificates, expected, Timestamp::now());
        Ok(Found {
            certificates,
            chain: below,
            report,
        })
    }
}

fn from_file(path: &Path, which: Which) -> Result<Found, Failure> {
    let text = read(path).map_err(|error| Failure::file(path, &error))?;
    if let Some(other) = form::other(path, &text, Wanted::Certificates) {
        return Err(Failure::Failed(format!("{}: {other}", path.display())));
    }
    // Whatever is not text around the blocks does not matter.
    let text = String::from_utf8_lossy(&text);
    let (found, mut report) = anchor::read_bundle(&text);
    if found.is_empty() && report.errors.is_empty() {
        let what = path.display();
        return Err(Failure::Refused(format!("{what}: no CA certificate in it")));
    }
    let certificates = match which {
        Which::Issuing => found.clone(),
        _ => anchor::select(which.into(), &found).map_err(|error| select_failure(&error))?,
    };
    let checked = anchor::check(&certificates, Timestamp::now());
    report.errors.extend(checked.errors);
    report.warnings.extend(checked.warnings);
    Ok(Found {
        certificates,
        chain: found,
        report,
    })
}

/// One line for each rule that is broken, with what to do.
fn problems(report: &Report) -> String {
    let lines: Vec<String> = report
        .errors
        .iter()
        .map(|finding| {
            let advice = advice(finding.rule);
            format!("  {}: {} ({advice})", finding.rule, finding.text)
        })
        .collect();
    lines.join("\n")
}

/// The issuer's certificate and those above it, from `issuer/:ref/json`.
fn chain(answer: &Value) -> Option<Vec<Certificate>> {
    // Some answers come in the usual frame, some bare.
    let data = answer
        .get("data")
        .filter(|data| data.is_object())
        .unwrap_or(answer);
    let mut chain = vec![Certificate::from_pem(data["certificate"].as_str()?.as_bytes()).ok()?];
    for text in data["ca_chain"].as_array().into_iter().flatten() {
        for block in pem::blocks(text.as_str()?.as_bytes()) {
            let certificate = Certificate::from_der(&block.contents).ok()?;
            if !chain.contains(&certificate) {
                chain.push(certificate);
            }
        }
    }
    Some(chain)
}

fn document(form: Form, text: &str, certificates: &[Certificate], report: &Report) -> Value {
    let certificates = Audit::of(certificates, &[], None).certificates;
    let warnings: Vec<Value> = report
        .warnings
        .iter()
        .map(|warning| json!({"rule": warning.rule, "text": warning.text}))
        .collect();
    json!({
        "format": form.name(),
        "document": text,
        "certificates": certificates,
        "warnings": warnings,
    })
}

/// What to do about a rule that does not hold: AWS itself would only say that
/// the certificate is not acceptable.
fn advice(rule: &str) -> &'static str {
    match rule {
        "CA-06" => "make an issuer with an RSA or EC key",
        "CA-07" => "make an issuer that is valid now and long enough",
        "CA-08" => "leave certificates out, or use two anchors",
        "CA-09" => "use --anchor issuing or --anchor both",
        _ => "make or import a CA certificate that has it",
    }
}

fn select_failure(error: &SelectError) -> Failure {
    Failure::Refused(error.to_string())
}

fn read(path: &Path) -> io::Result<Vec<u8>> {
    if path == Path::new("-") {
        let mut text = Vec::new();
        io::stdin().read_to_end(&mut text)?;
        Ok(text)
    } else {
        fs::read(path)
    }
}
