//! `landfast public`: CRLs, CA certificates and OCSP for strangers.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use landfast_public::config::{Config, ServerFile};
use landfast_public::suggest::{self, Suggestion};
use landfast_public::{Error, Origin, Server};
use serde_json::Value;

use super::log::{self, Detail};
use super::output::print;
use super::{Failure, values};

const EXAMPLES: &str = "\
Examples:
  # one mount, without a configuration file and without a token
  landfast public --address https://vault.example:8200 --mount pki
  curl -o crl.der http://127.0.0.1:8080/crl
  openssl ocsp -url http://127.0.0.1:8080/ocsp -issuer ca.pem -cert leaf.pem

  # several mounts, HTTPS, limits, an audit log
  landfast public --config /etc/landfast/public.json

  # what makes certificates name this server
  landfast public --config /etc/landfast/public.json --suggest-urls \\
    --url http://pki.example.com";

/// Give out CRLs, CA certificates and OCSP answers of any pki mount over HTTP
///
/// Stands in front of a server whose API stays closed to strangers, and needs
/// no token. Below a mount's path: /crl, /crl/delta, /ca, /chain, /anchor, each
/// also as /pem, certificates as /p7c; the same of one issuer below
/// /issuer/NAME; and /ocsp. With a configuration file it also enrols devices by
/// EST, each logged in to the server as itself.
///
/// What is valid is given out while the server is sealed or away, with
/// --cache-dir also after a restart.
///
/// SIGHUP reads the configuration anew; renewed TLS files are taken up by
/// themselves. Audit lines go to standard output unless the configuration
/// names a file.
#[derive(Args, Debug)]
#[command(after_help = super::help::below(EXAMPLES, &[]))]
pub(super) struct Arguments {
    /// Configuration file (JSON)
    #[arg(long, value_name = "FILE", required_unless_present = "mount", conflicts_with_all = ["listen", "address", "mount", "namespace", "ca_cert", "cache_dir"])]
    config: Option<PathBuf>,

    /// Address and port to listen at
    #[arg(long, value_name = "IP:PORT", default_value = "127.0.0.1:8080", value_parser = values::listener)]
    listen: SocketAddr,

    /// The server's address; without it BAO_ADDR or VAULT_ADDR
    #[arg(long, value_name = "URL", value_parser = values::address)]
    address: Option<String>,

    /// The mount's path on the server
    #[arg(long, value_name = "PATH")]
    mount: Option<String>,

    /// The mount's namespace; without it BAO_NAMESPACE or VAULT_NAMESPACE
    #[arg(long, value_name = "PATH")]
    namespace: Option<String>,

    /// The server's CA in PEM; without it BAO_CACERT or VAULT_CACERT, then the
    /// CAs of the system
    #[arg(long, value_name = "FILE")]
    ca_cert: Option<PathBuf>,

    /// A directory of its own, in which what is valid survives a restart
    #[arg(long, value_name = "DIR")]
    cache_dir: Option<PathBuf>,

    /// Print what to write to config/urls of each mount, and end
    #[arg(long)]
    suggest_urls: bool,

    /// How clients reach this server, for --suggest-urls; without it `url` of
    /// the configuration
    #[arg(long, value_name = "URL", value_parser = values::address, requires = "suggest_urls")]
    url: Option<String>,

    /// Print the suggestions as JSON
    #[arg(long, requires = "suggest_urls")]
    json: bool,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    log::to_stderr(Detail::Steps);
    let origin = match (&arguments.config, &arguments.mount) {
        (Some(path), _) => Origin::File(path.clone()),
        (None, Some(mount)) => {
            let mut config = Config::of_one(arguments.listen, server(arguments)?, mount);
            config.cache_dir.clone_from(&arguments.cache_dir);
            Origin::Words(Box::new(config))
        }
        (None, None) => return Err(Failure::Usage("give --mount, or --config".to_owned())),
    };
    if arguments.suggest_urls {
        return suggest(arguments, &origin.read().map_err(failure)?);
    }
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let server = Server::bind(origin).await.map_err(failure)?;
        for (address, tls) in server.addresses() {
            let scheme = if tls { "https" } else { "http" };
            tracing::info!("listening on {scheme}://{address}");
        }
        if let Some(address) = server.metrics_address() {
            tracing::info!("metrics on {address}");
        }
        server.run().await.map_err(Failure::of)
    })
}

fn failure(error: Error) -> Failure {
    let text = error.to_string();
    if error.is_usage() {
        Failure::Usage(text)
    } else {
        Failure::Failed(text)
    }
}

fn suggest(arguments: &Arguments, config: &Config) -> Result<(), Failure> {
    let url = arguments.url.as_ref().or(config.url.as_ref());
    let url = url.ok_or_else(|| {
        Failure::Usage(
            "say how clients reach this server: --url, or `url` of the configuration".to_owned(),
        )
    })?;
    let suggestions = suggest::urls(config, url);
    if arguments.json {
        let all: Vec<Value> = suggestions.iter().map(Suggestion::json).collect();
        return print(&format!("{:#}\n", Value::Array(all)));
    }
    let mut text = String::new();
    for suggestion in &suggestions {
        let namespace = suggestion.namespace.as_ref();
        let namespace = namespace
            .map(|name| format!("-namespace={name} "))
            .unwrap_or_default();
        text += &format!("bao write {namespace}{}", suggestion.path);
        for (name, value) in &suggestion.fields {
            text += &format!(" \\\n  {name}='{value}'");
        }
        text.push('\n');
    }
    print(&text)
}

/// The server by flags, and what they do not say by variables.
fn server(arguments: &Arguments) -> Result<ServerFile, Failure> {
    let variable = |name: &str| {
        let find = |product: &str| std::env::var(format!("{product}_{name}")).ok();
        find("BAO")
            .or_else(|| find("VAULT"))
            .filter(|value| !value.is_empty())
    };
    let address = arguments.address.clone().or_else(|| variable("ADDR"));
    let address = address.ok_or_else(|| {
        Failure::Usage("give the server's address by --address or BAO_ADDR".to_owned())
    })?;
    Ok(ServerFile {
        address,
        other_nodes: Vec::new(),
        ca: arguments
            .ca_cert
            .clone()
            .or_else(|| variable("CACERT").map(PathBuf::from)),
        namespace: arguments
            .namespace
            .clone()
            .or_else(|| variable("NAMESPACE")),
    })
}
