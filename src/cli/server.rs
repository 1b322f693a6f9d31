//! How commands reach the server. What no flag says comes from the variables that the servers'
//! own commands read.

use std::path::PathBuf;

use clap::Args;
use landfast_node::pair::Pair;
use landfast_node::vault::{Config, Vault, token_from_environment};

use super::login::{LoginArguments, Method};
use super::{Failure, values};

/// The server of the commands that compare a CA with AWS.
#[derive(Args, Debug)]
pub(super) struct Connection {
    /// Address of the server, in place of BAO_ADDR or VAULT_ADDR
    #[arg(long, value_name = "URL", value_parser = values::address)]
    address: Option<String>,

    /// Namespace, in place of BAO_NAMESPACE or VAULT_NAMESPACE
    #[arg(long, value_name = "PATH")]
    namespace: Option<String>,

    /// Send the token over plain HTTP to another machine, where it can be read
    #[arg(long)]
    allow_plain_http: bool,
}

impl Connection {
    /// A client with the token of whoever calls.
    pub(super) fn open(&self) -> Result<Vault, Failure> {
        let mut config = from_environment(self.address.as_deref(), variable)?;
        if self.namespace.is_some() {
            config.namespace.clone_from(&self.namespace);
        }
        config.plain_http = self.allow_plain_http;
        Ok(Vault::new(config, token_from_environment(variable)?)?)
    }
}

/// The connection's settings by variables; an address that a flag gives is taken before they are judged.
fn from_environment(
    address: Option<&str>,
    lookup: impl Fn(&str) -> Option<String>,
) -> Result<Config, Failure> {
    let lookup = |name: &str| match (name, address) {
        ("BAO_ADDR", Some(address)) => Some(address.to_owned()),
        _ => lookup(name),
    };
    Ok(Config::from_environment(lookup)?)
}

fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// The server of a node.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub(super) struct ServerArguments {
    /// The server's address; without it BAO_ADDR or VAULT_ADDR
    #[arg(long, value_name = "URL", value_parser = values::address)]
    address: Option<String>,

    /// The namespace; without it BAO_NAMESPACE or VAULT_NAMESPACE
    #[arg(long, value_name = "PATH")]
    namespace: Option<String>,

    /// The server's CA in PEM, a file or a directory; without it BAO_CACERT,
    /// VAULT_CACERT and the like, then the CAs of the system
    #[arg(long, value_name = "PATH")]
    ca_cert: Option<PathBuf>,

    /// Send token and secrets over plain HTTP to another machine, where whoever
    /// is on the way can read them
    #[arg(long)]
    allow_plain_http: bool,
}

impl ServerArguments {
    /// The connection's settings: flags over variables.
    pub(super) fn config(&self, login: &LoginArguments, pair: &Pair) -> Result<Config, Failure> {
        let mut config = from_environment(self.address.as_deref(), variable)?;
        if let Some(namespace) = &self.namespace {
            config.namespace = Some(namespace.clone());
        }
        if let Some(path) = &self.ca_cert {
            config.authorities = vec![path.clone()];
        }
        config.plain_http = self.allow_plain_http;
        if let (Some(certificate), Some(key)) = (&login.client_cert, &login.client_key) {
            config.client = Some((certificate.clone(), key.clone()));
        }
        if login.auth == Method::Cert && config.client.is_none() {
            config.client = Some((pair.certificate_path(), pair.key_path()));
        }
        Ok(config)
    }

    /// The flags that say on another machine what the variables say here.
    ///
    /// # Errors
    /// A relative path, which means nothing to a service.
    pub(super) fn flags_of_environment(
        &self,
        login: &LoginArguments,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Vec<String>, Failure> {
        let config = from_environment(self.address.as_deref(), lookup)?;
        let mut flags = Vec::new();
        if let Some(namespace) = config.namespace.filter(|_| self.namespace.is_none()) {
            flags.extend(["--namespace".to_owned(), namespace]);
        }
        let mut files = Vec::new();
        if self.ca_cert.is_none() {
            files.extend(
                config
                    .authorities
                    .into_iter()
                    .map(|path| ("--ca-cert", path)),
            );
        }
        if let Some((certificate, key)) = config.client.filter(|_| login.client_cert.is_none()) {
            files.extend([("--client-cert", certificate), ("--client-key", key)]);
        }
        for (flag, path) in files {
            if !path.is_absolute() {
                return Err(Failure::Usage(format!(
                    "{flag}, from the environment: the files of a service need absolute paths"
                )));
            }
            flags.extend([flag.to_owned(), path.display().to_string()]);
        }
        Ok(flags)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_environment_says_becomes_flags() {
        #[derive(clap::Parser)]
        struct Call {
            #[command(flatten)]
            server: ServerArguments,
            #[command(flatten)]
            login: LoginArguments,
        }
        let flags = |arguments: &[&str], variables: &[(&str, &str)]| {
            let call: Call = clap::Parser::parse_from([&["enroll"], arguments].concat());
            call.server.flags_of_environment(&call.login, |name| {
                let found = variables.iter().find(|(variable, _)| *variable == name);
                found.map(|(_, value)| (*value).to_owned())
            })
        };
        let variables = [
            ("BAO_NAMESPACE", "team"),
            ("VAULT_NAMESPACE", "other"),
            ("VAULT_CACERT", "/etc/ca.pem"),
        ];
        assert_eq!(
            flags(&[], &variables).unwrap(),
            ["--namespace", "team", "--ca-cert", "/etc/ca.pem"]
        );
        let said = ["--namespace", "mine", "--ca-cert", "/my/ca.pem"];
        assert!(flags(&said, &variables).unwrap().is_empty());
        let error = flags(&[], &[("BAO_CACERT", "ca.pem")]).unwrap_err();
        assert!(error.to_string().contains("absolute"), "{error}");
    }
}
