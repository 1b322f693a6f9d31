//! pkiload: a closed-loop load generator for Vault/OpenBao style PKI endpoints.
//!
//! It sends a fixed number of requests over N keep-alive connections and reports
//! throughput, latency, errors, and the CPU time and memory the server used
//! (read from /proc for the server process and every process below it, so that
//! an external plugin is counted and shown on a line of its own).
//!
//! Several `--target`s are measured in alternating rounds within one run, so
//! that their *ratios* hold on a noisy machine. CPU per request is the steadiest
//! figure, wall-clock throughput the least steady one.
//!
//! ```text
//! pkiload --op issue --role ec --token root -c 16 -n 2000 --rounds 3 --verify 20 \
//!     --target builtin=http://127.0.0.1:8200/v1/pki --pid builtin=1234 \
//!     --target plugin=http://127.0.0.1:8200/v1/pki-rs --pid plugin=1234
//! ```

mod acme;
mod certificate;
mod report;
mod usage;

use std::collections::BTreeMap;
use std::net::ToSocketAddrs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use clap::{Parser, ValueEnum};
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::{Method, Request, Uri};
use hyper_util::rt::TokioIo;
use serde::Serialize;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use crate::acme::{Account, Identity};
use crate::certificate::{calibrate, calibrate_ml_dsa, csr, csr_name};
use crate::report::{percentile, print_table, report};
use crate::usage::{spent, usage};

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum, Serialize)]
#[serde(rename_all = "lowercase")]
enum Op {
    /// POST <url>/issue/<role>: the server makes the key and the certificate
    Issue,
    /// POST <url>/sign/<role>: the server signs a CSR made here
    Sign,
    /// GET <url>
    Get,
    /// POST <url> with --body
    Post,
    /// A whole order at <url>/acme/directory, validated by http-01 on loopback; wants port 80
    Acme,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug, ValueEnum)]
enum CsrKey {
    P256,
    P384,
    Ed25519,
}

/// Closed-loop load generator for Vault/OpenBao style PKI endpoints.
#[derive(Parser, Debug)]
#[command(version, about)]
struct Args {
    /// NAME=URL of a mount (issue, sign) or of an endpoint (get, post); repeat to
    /// compare. The first is the one the others are divided by. https:// needs --ca.
    /// Several URLs with commas between them are nodes of one cluster: the clients
    /// spread over them.
    #[arg(long = "target", required = true, value_name = "NAME=URL[,URL]")]
    targets: Vec<String>,

    /// PID, or NAME=PID, of a server process behind a target (repeat for several):
    /// turns on CPU and RSS figures, which take in the processes below it
    #[arg(long = "pid", value_name = "[NAME=]PID")]
    pids: Vec<String>,

    /// issue (the default), sign, get, post or acme, or NAME=OP for one target
    #[arg(long = "op", value_name = "[NAME=]OP")]
    ops: Vec<String>,

    /// Role name (issue, sign), or NAME=ROLE for one target
    #[arg(long = "role", value_name = "[NAME=]ROLE")]
    roles: Vec<String>,

    /// Token sent as X-Vault-Token, or NAME=TOKEN for one target
    #[arg(
        long = "token",
        env = "BAO_TOKEN",
        hide_env_values = true,
        value_name = "[NAME=]TOKEN"
    )]
    tokens: Vec<String>,

    /// Concurrent clients, each with one keep-alive connection
    #[arg(short, long, default_value_t = 1)]
    concurrency: usize,

    /// Requests per target in each round
    #[arg(short = 'n', long, default_value_t = 1000)]
    requests: u64,

    /// Rounds; targets alternate within each
    #[arg(long, default_value_t = 1)]
    rounds: usize,

    /// Unmeasured requests per target before the first round
    #[arg(long, default_value_t = 50)]
    warmup: u64,

    /// No request starts after this many seconds of a round
    #[arg(long, default_value_t = 120)]
    max_seconds: u64,

    /// Parse this many certificates per target and round, and check each one's
    /// signature, names, validity and serial
    #[arg(long, default_value_t = 0)]
    verify: usize,

    /// Domain of the certificates' names: host-NUMBER.DOMAIN to issue, csr.DOMAIN to sign
    #[arg(long, default_value = "load.example.com")]
    domain: String,

    /// TTL asked for each certificate
    #[arg(long, default_value = "1h")]
    ttl: String,

    /// Key of the CSR that sign sends
    #[arg(long, value_enum, default_value = "p256")]
    csr_key: CsrKey,

    /// Body for post, and in place of the built-in one for issue and sign, or
    /// NAME=BODY for one target; %n becomes the request's number, %csr the CSR as
    /// a JSON string without its quotes
    #[arg(long = "body", value_name = "[NAME=]BODY")]
    bodies: Vec<String>,

    /// File, or NAME=FILE for one target, whose lines the requests use up: each takes the
    /// next one in place of %line in --body
    #[arg(long = "lines", value_name = "[NAME=]FILE")]
    lines: Vec<String>,

    /// JSON pointer to the certificate (PEM) in a response
    #[arg(long, default_value = "/data/certificate")]
    cert_pointer: String,

    /// JSON pointer to the issuer's certificate (PEM) in a response
    #[arg(long, default_value = "/data/issuing_ca")]
    issuer_pointer: String,

    /// Threads of this client
    #[arg(long, default_value_t = 1)]
    threads: usize,

    /// Print one JSON object instead of a table
    #[arg(long)]
    json: bool,

    /// Also time a local P-256 key generation + signature (ring), the floor any
    /// server pays for one issued P-256 certificate
    #[arg(long)]
    calibrate: bool,

    /// Also time a local ML-DSA-65 key generation + signature (aws-lc-rs)
    #[arg(long)]
    calibrate_ml_dsa: bool,

    /// CA certificates in PEM for targets on https://
    #[arg(long = "ca", value_name = "FILE")]
    authorities: Option<PathBuf>,

    /// Send load to an address that is not on this machine
    #[arg(long)]
    allow_remote: bool,
}

struct Target {
    name: String,
    nodes: Vec<Node>,
    pids: Vec<u32>,
    op: Op,
    role: Option<String>,
    token: Option<String>,
    body: Option<String>,
    lines: Option<Arc<Lines>>,
}

/// What requests use up.
struct Lines {
    all: Vec<String>,
    next: AtomicUsize,
}

impl Lines {
    fn read(path: &str) -> Result<Self> {
        let text = std::fs::read_to_string(path).with_context(|| format!("--lines {path}"))?;
        Ok(Self {
            all: text.lines().map(str::to_owned).collect(),
            next: AtomicUsize::new(0),
        })
    }

    fn take(&self) -> Result<&str> {
        let line = self.all.get(self.next.fetch_add(1, Ordering::Relaxed));
        line.map(String::as_str).context("--lines: all are used up")
    }
}

/// One address of a target.
struct Node {
    url: Uri,
    authority: String,
    tls: Option<TlsConnector>,
}

/// What every request to one node of a target has in common.
struct Plan {
    authority: String,
    tls: Option<TlsConnector>,
    path: String,
    method: Method,
    token: Option<String>,
    body: String,
    /// The name each certificate must have, where that is known.
    name: Option<String>,
    /// Who orders, with ACME.
    account: Option<Account>,
    lines: Option<Arc<Lines>>,
}

impl Plan {
    fn new(args: &Args, target: &Target, node: &Node, csr: &str) -> Result<Self> {
        let base = node.url.path().trim_end_matches('/');
        let role = || {
            target
                .role
                .as_deref()
                .context("--role is needed for issue and sign")
        };
        // A role takes a CSR's own names by default, so sign sends none beside it.
        let (path, body, name) = match target.op {
            Op::Issue => {
                let name = format!("host-%n.{}", args.domain);
                let body = json!({"common_name": name, "ttl": args.ttl});
                (
                    format!("{base}/issue/{}", role()?),
                    body.to_string(),
                    Some(name),
                )
            }
            Op::Sign => {
                let body = json!({"csr": csr, "ttl": args.ttl});
                (
                    format!("{base}/sign/{}", role()?),
                    body.to_string(),
                    Some(csr_name(args)),
                )
            }
            Op::Acme => (base.to_owned(), String::new(), None),
            Op::Get | Op::Post => {
                let path = node.url.path_and_query().map_or("/", |p| p.as_str());
                (path.to_owned(), String::new(), None)
            }
        };
        let (body, name) = match &target.body {
            Some(text) => (
                text.replace("%csr", Value::from(csr).to_string().trim_matches('"')),
                None,
            ),
            None => (body, name),
        };
        Ok(Self {
            authority: node.authority.clone(),
            tls: node.tls.clone(),
            path,
            method: if target.op == Op::Get {
                Method::GET
            } else {
                Method::POST
            },
            token: target.token.clone(),
            body,
            name,
            account: None,
            lines: target.lines.clone(),
        })
    }

    fn request(&self, n: u64) -> Result<Request<Full<Bytes>>> {
        let mut builder = Request::builder()
            .method(self.method.clone())
            .uri(&self.path)
            .header("host", &self.authority)
            .header("content-type", "application/json");
        if let Some(token) = &self.token {
            builder = builder.header("x-vault-token", token);
        }
        let mut body = self.body.replace("%n", &n.to_string());
        if let Some(lines) = &self.lines {
            body = body.replace("%line", lines.take()?);
        }
        Ok(builder.body(Full::new(Bytes::from(body)))?)
    }

    async fn connect(&self) -> Result<SendRequest<Full<Bytes>>> {
        let stream = TcpStream::connect(&self.authority)
            .await
            .with_context(|| format!("connecting to {}", self.authority))?;
        stream.set_nodelay(true)?;
        let Some(tls) = &self.tls else {
            return Ok(start(stream).await?);
        };
        let host = self
            .authority
            .rsplit_once(':')
            .map_or(&*self.authority, |(host, _)| host);
        let stream = tls
            .connect(ServerName::try_from(host.to_owned())?, stream)
            .await;
        Ok(start(stream.with_context(|| format!("TLS with {}", self.authority))?).await?)
    }
}

async fn start<S>(stream: S) -> hyper::Result<SendRequest<Full<Bytes>>>
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let (sender, connection) = handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    Ok(sender)
}

/// A connector that trusts the CAs of a file.
fn connector(path: &Path) -> Result<TlsConnector> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_file_iter(path)? {
        roots.add(certificate?)?;
    }
    let config = ClientConfig::builder().with_root_certificates(roots);
    Ok(TlsConnector::from(Arc::new(config.with_no_client_auth())))
}

/// One client's share of a round.
#[derive(Default)]
struct Tally {
    latencies_us: Vec<u32>,
    errors: u64,
    messages: Vec<String>,
    samples: Vec<(u64, Bytes)>,
}

/// One target's figures for one round.
struct Round {
    wall: Duration,
    tally: Tally,
    cpu: BTreeMap<String, Duration>,
    client_cpu: Duration,
}

impl Round {
    fn rps(&self) -> f64 {
        self.tally.latencies_us.len() as f64 / self.wall.as_secs_f64()
    }

    /// The share of the wall time that this client's own CPU time makes up; near
    /// its number of threads, the client is what limits the throughput. Nothing
    /// for a round too short to tell.
    fn client_share(&self) -> Option<f64> {
        let wall = self.wall.as_secs_f64();
        (wall >= 0.5).then(|| self.client_cpu.as_secs_f64() / wall)
    }

    fn p50(&self) -> f64 {
        let mut sorted = self.tally.latencies_us.clone();
        sorted.sort_unstable();
        percentile(&sorted, 0.5)
    }

    /// CPU milliseconds per 1000 successful requests, summed over the processes.
    fn cpu_ms_per_1000(&self) -> Option<f64> {
        let done = self.tally.latencies_us.len();
        (!self.cpu.is_empty() && done > 0)
            .then(|| self.cpu.values().map(Duration::as_secs_f64).sum::<f64>() * 1e6 / done as f64)
    }
}

async fn client(
    plan: Arc<Plan>,
    sender: SendRequest<Full<Bytes>>,
    next: Arc<AtomicU64>,
    end: u64,
    deadline: Instant,
    sample_every: u64,
) -> Tally {
    let mut tally = Tally::default();
    let mut sender = Some(sender);
    loop {
        let n = next.fetch_add(1, Ordering::Relaxed);
        if n >= end || Instant::now() >= deadline {
            return tally;
        }
        let started = Instant::now();
        let sent = tokio::time::timeout(Duration::from_secs(30), send(&plan, &mut sender, n)).await;
        match sent.unwrap_or_else(|_| Err(anyhow!("no answer within 30 s"))) {
            Ok(body) => {
                tally
                    .latencies_us
                    .push(started.elapsed().as_micros() as u32);
                if sample_every > 0 && n.is_multiple_of(sample_every) {
                    tally.samples.push((n, body));
                }
            }
            Err(error) => {
                tally.errors += 1;
                if tally.messages.len() < 3 {
                    tally.messages.push(format!("{error:#}"));
                }
                sender = None;
            }
        }
    }
}

async fn send(plan: &Plan, kept: &mut Option<SendRequest<Full<Bytes>>>, n: u64) -> Result<Bytes> {
    let mut sender = match kept.take() {
        Some(sender) if !sender.is_closed() => sender,
        _ => plan.connect().await?,
    };
    if let Some(account) = &plan.account {
        let chain = account.certificate(plan, &mut sender).await?;
        *kept = Some(sender);
        return Ok(chain);
    }
    sender.ready().await?;
    let response = sender.send_request(plan.request(n)?).await?;
    let status = response.status();
    let body = response.into_body().collect().await?.to_bytes();
    *kept = Some(sender);
    if !status.is_success() {
        let text: String = String::from_utf8_lossy(&body)
            .trim()
            .chars()
            .take(200)
            .collect();
        bail!("status {status}: {text}");
    }
    Ok(body)
}

/// Sends `count` requests numbered from `first`, and measures the server meanwhile.
async fn round(
    args: &Args,
    target: &Target,
    plans: &[Arc<Plan>],
    first: u64,
    count: u64,
) -> Result<Round> {
    let next = Arc::new(AtomicU64::new(first));
    let sample_every = if args.verify == 0 {
        0
    } else {
        (count / args.verify as u64).max(1)
    };
    let mut connections = Vec::new();
    for plan in plans.iter().cycle().take(args.concurrency) {
        connections.push((plan.clone(), plan.connect().await?));
    }
    let this = [std::process::id()];
    let (before, mine_before) = (usage(&target.pids)?, usage(&this)?);
    let started = Instant::now();
    let deadline = started + Duration::from_secs(args.max_seconds);
    let mut clients = JoinSet::new();
    for (plan, connection) in connections {
        clients.spawn(client(
            plan,
            connection,
            next.clone(),
            first + count,
            deadline,
            sample_every,
        ));
    }
    let mut tally = Tally::default();
    while let Some(part) = clients.join_next().await {
        let part = part?;
        tally.latencies_us.extend(part.latencies_us);
        tally.errors += part.errors;
        tally.messages.extend(part.messages);
        tally.samples.extend(part.samples);
    }
    let wall = started.elapsed();
    let cpu = spent(&before, &usage(&target.pids)?);
    let client_cpu = spent(&mine_before, &usage(&this)?).into_values().sum();
    tally.messages.truncate(3);
    Ok(Round {
        wall,
        tally,
        cpu,
        client_cpu,
    })
}

/// The last value given for one target: of those that start with its name and
/// `=`, or if there is none of those that start with no target's name.
fn value_for<'a>(values: &'a [String], name: &str, names: &[&str]) -> Option<&'a str> {
    values_for(values, name, names).pop()
}

fn values_for<'a>(values: &'a [String], name: &str, names: &[&str]) -> Vec<&'a str> {
    let split = |value: &'a String| {
        value
            .split_once('=')
            .filter(|(prefix, _)| names.contains(prefix))
    };
    let named: Vec<&str> = values
        .iter()
        .filter_map(split)
        .filter(|(prefix, _)| *prefix == name)
        .map(|(_, v)| v)
        .collect();
    if !named.is_empty() {
        return named;
    }
    values
        .iter()
        .filter(|value| split(value).is_none())
        .map(String::as_str)
        .collect()
}

fn targets(args: &Args) -> Result<Vec<Target>> {
    let mut pairs = Vec::new();
    for text in &args.targets {
        pairs.push(
            text.split_once('=')
                .with_context(|| format!("--target {text}: NAME=URL is needed"))?,
        );
    }
    let names: Vec<&str> = pairs.iter().map(|(name, _)| *name).collect();
    let tls = args.authorities.as_deref().map(connector).transpose()?;
    let node = |text: &str| -> Result<Node> {
        let url: Uri = text.parse().with_context(|| format!("--target {text}"))?;
        let (tls, port) = match (url.scheme_str(), &tls) {
            (Some("http"), _) => (None, 80),
            (Some("https"), Some(tls)) => (Some(tls.clone()), 443),
            (Some("https"), None) => bail!("--target {text}: https:// needs --ca"),
            _ => bail!("--target {text}: only http:// and https:// are spoken"),
        };
        let host = url
            .host()
            .with_context(|| format!("--target {text}: no host"))?;
        let authority = format!("{host}:{}", url.port_u16().unwrap_or(port));
        let local = authority
            .to_socket_addrs()
            .with_context(|| format!("--target {text}"))?
            .all(|address| address.ip().is_loopback());
        ensure!(
            local || args.allow_remote,
            "--target {text}: not on this machine (see --allow-remote)"
        );
        Ok(Node {
            url,
            authority,
            tls,
        })
    };
    let parse = |(name, text): &(&str, &str)| -> Result<Target> {
        let pid = |pid: &str| pid.parse().with_context(|| format!("--pid {pid}"));
        let last = |values| value_for(values, name, &names).map(str::to_owned);
        let op = last(&args.ops).unwrap_or_else(|| "issue".to_owned());
        Ok(Target {
            name: (*name).to_owned(),
            nodes: text.split(',').map(node).collect::<Result<_>>()?,
            pids: values_for(&args.pids, name, &names)
                .into_iter()
                .map(pid)
                .collect::<Result<_>>()?,
            op: Op::from_str(&op, true).map_err(|error| anyhow!("--op {op}: {error}"))?,
            role: last(&args.roles),
            token: last(&args.tokens),
            body: last(&args.bodies),
            lines: last(&args.lines)
                .map(|path| Lines::read(&path).map(Arc::new))
                .transpose()?,
        })
    };
    pairs.iter().map(parse).collect()
}

/// For each target one plan for each of its nodes.
async fn plans(args: &Args, targets: &[Target], csr: &str) -> Result<Vec<Vec<Arc<Plan>>>> {
    let mut identity = None;
    let mut plans = Vec::new();
    for target in targets {
        let mut nodes = Vec::new();
        for node in &target.nodes {
            let mut plan = Plan::new(args, target, node, csr)?;
            if target.op == Op::Acme {
                if identity.is_none() {
                    identity = Some(Arc::new(Identity::new().await?));
                }
                plan.account = Some(Account::open(identity.clone().expect("made"), &plan).await?);
            }
            nodes.push(Arc::new(plan));
        }
        plans.push(nodes);
    }
    Ok(plans)
}

async fn run(args: &Args) -> Result<bool> {
    ensure!(
        args.concurrency > 0 && args.rounds > 0,
        "--concurrency and --rounds must be above 0"
    );
    let targets = targets(args)?;
    let csr = csr(args)?;
    let plans = plans(args, &targets, &csr).await?;
    let floor = args.calibrate.then(calibrate).transpose()?;
    let ml_dsa = args.calibrate_ml_dsa.then(calibrate_ml_dsa).transpose()?;

    let mut first = 0;
    for (target, plan) in targets.iter().zip(&plans) {
        round(args, target, plan, first, args.warmup).await?;
        first += args.warmup;
    }
    let mut rounds: Vec<Vec<Round>> = targets.iter().map(|_| Vec::new()).collect();
    for _ in 0..args.rounds {
        for ((target, plan), rounds) in targets.iter().zip(&plans).zip(&mut rounds) {
            rounds.push(round(args, target, plan, first, args.requests).await?);
            first += args.requests;
        }
    }

    let mut reports = Vec::new();
    for ((target, plan), mine) in targets.iter().zip(&plans).zip(&rounds) {
        reports.push(report(args, target, &plan[0], mine, &rounds[0])?);
    }
    if args.json {
        let output = json!({
            "concurrency": args.concurrency, "requests_per_round": args.requests, "rounds": args.rounds,
            "p256_keygen_and_sign_us": floor, "mldsa65_keygen_and_sign_us": ml_dsa, "targets": reports,
        });
        println!("{output:#}");
    } else {
        print_table(&reports, args.threads);
        if let Some(us) = floor {
            println!(
                "this machine: one P-256 key generation and signature takes {us:.1} us (ring)"
            );
        }
        if let Some(us) = ml_dsa {
            println!(
                "this machine: one ML-DSA-65 key generation and signature takes {us:.1} us (aws-lc-rs)"
            );
        }
    }
    Ok(reports
        .iter()
        .all(|r| r.errors == 0 && r.verify_failures.is_empty()))
}

fn main() -> ExitCode {
    let args = Args::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(args.threads.max(1))
        .enable_all()
        .build();
    match runtime
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(run(&args)))
    {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("pkiload: {error:#}");
            ExitCode::from(2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_named_value_goes_before_a_plain_one() {
        let values = ["10", "b=20", "b=30", "{x=y}"].map(str::to_owned);
        let names = ["a", "b"];
        assert_eq!(values_for(&values, "a", &names), ["10", "{x=y}"]);
        assert_eq!(values_for(&values, "b", &names), ["20", "30"]);
        assert_eq!(value_for(&values, "b", &names), Some("30"));
        assert_eq!(value_for(&[], "a", &names), None);
    }
}
