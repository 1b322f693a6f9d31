//! `landfast public`: CRLs, CA certificates and OCSP for strangers.

use std::net::SocketAddr;
use std::path::PathBuf;

use clap::Args;
use landfast_public::Server;
use landfast_public::config::{Config, ServerFile};

use super::log::{self, Detail};
use super::{Failure, values};

const EXAMPLES: &str = "\
Examples:
  # one mount, without a configuration file and without a token
  landfast public --listen 127.0.0.1:8080 \\
    --address https://vault.example:8200 --mount pki
  curl -o crl.der http://127.0.0.1:8080/crl
  openssl ocsp -url http://127.0.0.1:8080/ocsp -issuer ca.pem -cert leaf.pem

  # several mounts, HTTPS, limits, an audit log
  landfast public --config /etc/landfast/public.json";

/// Give out CRLs, CA certificates and OCSP answers of any pki mount over HTTP
///
/// Stands in front of a server whose API stays closed to strangers. Below a
/// mount's path: /crl, /crl/delta, /ca, /chain, /ocsp.
#[derive(Args, Debug)]
#[command(after_help = super::help::below(EXAMPLES, &[]))]
pub(super) struct Arguments {
    /// Configuration file (JSON)
    #[arg(long, value_name = "FILE", required_unless_present = "mount", conflicts_with_all = ["listen", "address", "mount", "namespace", "ca_cert"])]
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
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    log::to_stderr(Detail::Steps);
    let config = match (&arguments.config, &arguments.mount) {
        (Some(path), _) => Config::read(path).map_err(|error| Failure::Usage(error.to_string()))?,
        (None, Some(mount)) => Config::of_one(arguments.listen, server(arguments)?, mount),
        (None, None) => return Err(Failure::Usage("give --mount, or --config".to_owned())),
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| Failure::Failed(format!("cannot start: {error}")))?;
    runtime.block_on(async {
        let server = Server::bind(config).await.map_err(|error| {
            let text = error.to_string();
            if error.is_usage() {
                Failure::Usage(text)
            } else {
                Failure::Failed(text)
            }
        })?;
        for address in server.addresses() {
            tracing::info!("listening on {address}");
        }
        server.run().await.map_err(Failure::of)
    })
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
