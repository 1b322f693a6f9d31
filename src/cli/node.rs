//! What `enroll` and `renew` share: the server, the login, and what a node
//! asks for.

mod told;
mod values;

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use landfast_node::enroll::{Due, EnrolError, Enrolment, name_in_place};
use landfast_node::login::aws::Identity;
use landfast_node::login::{RoleId, SecretId, Source};
use landfast_node::pair::Pair;
use landfast_node::rules;
use landfast_node::vault::Config;
use landfast_pki::KeySpec;

use super::Failure;

pub(super) use self::told::{explain, explain_enrolment, explain_login, print, tell, write};
pub(super) use self::values::duration;
use self::values::{key_kind, server_id, share};

/// Where a pod finds its service account's token.
const SERVICE_ACCOUNT_TOKEN: &str = "/var/run/secrets/kubernetes.io/serviceaccount/token";

/// How to reach the server. What no flag says comes from the variables that
/// the servers' own commands read.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Server")]
pub(super) struct ServerArguments {
    /// The server's address; without it BAO_ADDR or VAULT_ADDR
    #[arg(long, value_name = "URL", value_parser = super::address)]
    pub(super) address: Option<String>,

    /// The namespace; without it BAO_NAMESPACE or VAULT_NAMESPACE
    #[arg(long, value_name = "PATH")]
    pub(super) namespace: Option<String>,

    /// The server's CA in PEM, a file or a directory; without it BAO_CACERT,
    /// VAULT_CACERT and the like, then the CAs of the system
    #[arg(long, value_name = "PATH")]
    pub(super) ca_cert: Option<PathBuf>,

    /// Send token and secrets over plain HTTP to another machine, where whoever
    /// is on the way can read them
    #[arg(long)]
    pub(super) allow_plain_http: bool,
}

/// How to log in. Every secret comes from a file or a variable: what is in an
/// argument, every user of the machine can read.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Login")]
pub(super) struct LoginArguments {
    /// How to log in
    #[arg(long, value_enum, value_name = "METHOD", default_value = "token")]
    pub(super) auth: Method,

    /// Where the method is mounted, if not under its own name
    #[arg(long, value_name = "PATH")]
    pub(super) auth_mount: Option<String>,

    /// The role to log in as: kubernetes, jwt, cert, aws; and for approle the
    /// one that a wrapped secret id must be for
    #[arg(long, value_name = "NAME")]
    pub(super) auth_role: Option<String>,

    /// A file with a token, for token and wrapped. Without it token takes
    /// BAO_TOKEN, VAULT_TOKEN, ~/.bao-token or ~/.vault-token
    #[arg(long, value_name = "FILE")]
    pub(super) token_file: Option<PathBuf>,

    /// The role id, for approle
    #[arg(long, value_name = "ID", conflicts_with = "role_id_file")]
    pub(super) role_id: Option<String>,

    /// A file with the role id, for approle
    #[arg(long, value_name = "FILE")]
    pub(super) role_id_file: Option<PathBuf>,

    /// A file with the secret id, for approle
    #[arg(long, value_name = "FILE")]
    pub(super) secret_id_file: Option<PathBuf>,

    /// The file holds a response-wrapping token around the secret id, good for
    /// one use; refused unless the role's own path made it
    #[arg(long, requires = "secret_id_file")]
    pub(super) secret_id_wrapped: bool,

    /// A file with the token of the other issuer, for jwt and kubernetes;
    /// kubernetes knows where a pod has its own
    #[arg(long, value_name = "FILE")]
    pub(super) jwt_file: Option<PathBuf>,

    /// The client certificate in PEM, for cert; without it BAO_CLIENT_CERT or
    /// VAULT_CLIENT_CERT, then the node's certificate in place
    #[arg(long, value_name = "FILE", requires = "client_key")]
    pub(super) client_cert: Option<PathBuf>,

    /// Its private key in PEM
    #[arg(long, value_name = "FILE", requires = "client_cert")]
    pub(super) client_key: Option<PathBuf>,

    /// The Region of STS, for aws; without it the global endpoint
    #[arg(long, value_name = "REGION", value_parser = super::region)]
    pub(super) aws_region: Option<String>,

    /// The server's iam_server_id_header_value, for aws: a request that was
    /// signed for one server is then no good at another
    #[arg(long, value_name = "ID", value_parser = server_id)]
    pub(super) aws_server_id: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Method {
    /// A token at hand
    Token,
    /// A response-wrapped token, or a wrapped login: good for one use
    Wrapped,
    /// A role id and a secret id
    Approle,
    /// The TLS client certificate
    Cert,
    /// The service account's token of a pod
    Kubernetes,
    /// A signed token of another issuer
    Jwt,
    /// The machine's AWS identity, by a signed GetCallerIdentity request; the
    /// credentials are those that an AWS SDK would find
    Aws,
}

impl Method {
    /// Whether it works again and again without a person: what a service needs.
    const fn is_for_services(self) -> bool {
        match self {
            // The token is that of who calls, unless a file is named; a wrapped one works once.
            Self::Token | Self::Wrapped => false,
            Self::Approle | Self::Cert | Self::Kubernetes | Self::Jwt | Self::Aws => true,
        }
    }

    /// The methods that a service can use, in words.
    pub(super) fn for_services() -> String {
        let methods = Self::value_variants().iter();
        let methods = methods.filter(|method| method.is_for_services());
        let names: Vec<String> = methods
            .filter_map(|method| Some(method.to_possible_value()?.get_name().to_owned()))
            .collect();
        match names.split_last() {
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        }
    }
}

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
    #[arg(long, value_name = "DURATION", value_parser = duration)]
    pub(super) ttl: Option<Duration>,

    /// The certificate's file, leaf first
    #[arg(long, value_name = "FILE", default_value = "/etc/iam/pki/server.pem")]
    pub(super) certificate: PathBuf,

    /// The private key's file, in the same directory
    #[arg(long, value_name = "FILE", default_value = "/etc/iam/pki/server.key")]
    pub(super) private_key: PathBuf,

    /// The kind of a new key: ec (P-256), ec-521, rsa (2048 bits), rsa-3072 or
    /// rsa-4096; without it that of the key in place, or ec
    #[arg(long, value_name = "KIND", value_parser = key_kind)]
    pub(super) key_type: Option<KeySpec>,

    /// The share of its life after which a certificate is renewed, such as
    /// 2/3 or 0.5
    #[arg(long, value_name = "SHARE", default_value = "2/3", value_parser = share)]
    pub(super) renew_at: f64,
}

impl ServerArguments {
    /// The connection's settings: flags over variables.
    pub(super) fn config(&self, login: &LoginArguments, pair: &Pair) -> Result<Config, Failure> {
        let lookup = |name: &str| match (name, &self.address) {
            // A flag must win before the variable is judged.
            ("BAO_ADDR", Some(address)) => Some(address.clone()),
            _ => std::env::var(name).ok(),
        };
        let mut config = Config::from_environment(lookup).map_err(|error| explain(&error))?;
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
}

impl ServerArguments {
    /// The flags that say on another machine what the variables say here.
    ///
    /// # Errors
    /// A relative path, which means nothing to a service.
    pub(super) fn flags_of_environment(
        &self,
        login: &LoginArguments,
        lookup: impl Fn(&str) -> Option<String>,
    ) -> Result<Vec<String>, Failure> {
        let lookup = |name: &str| match (name, &self.address) {
            ("BAO_ADDR", Some(address)) => Some(address.clone()),
            _ => lookup(name),
        };
        let config = Config::from_environment(lookup).map_err(|error| explain(&error))?;
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

impl LoginArguments {
    /// Whether the token is that of the user who calls.
    pub(super) fn lacks_a_file(&self) -> bool {
        self.auth == Method::Token && self.token_file.is_none()
    }

    /// Where the secrets lie.
    pub(super) fn source(&self) -> Result<Source, Failure> {
        let mount = |usual: &str| self.auth_mount.clone().unwrap_or_else(|| usual.to_owned());
        let missing =
            |flag: &str, method: &str| Failure::Usage(format!("--auth {method} needs {flag}"));
        Ok(match self.auth {
            Method::Token => Source::Token(self.token_file.clone()),
            Method::Wrapped => Source::Wrapped(
                self.token_file
                    .clone()
                    .ok_or_else(|| missing("--token-file", "wrapped"))?,
            ),
            Method::Approle => Source::AppRole {
                mount: mount("approle"),
                role_id: match (&self.role_id, &self.role_id_file) {
                    (Some(id), _) => RoleId::Given(id.clone()),
                    (None, Some(file)) => RoleId::File(file.clone()),
                    (None, None) => {
                        return Err(missing("--role-id or --role-id-file", "approle"));
                    }
                },
                secret_id: self.secret_id_file.clone().map(|file| {
                    if self.secret_id_wrapped {
                        let role = self.auth_role.clone();
                        SecretId::Wrapped { file, role }
                    } else {
                        SecretId::File(file)
                    }
                }),
            },
            Method::Cert => Source::Certificate {
                mount: mount("cert"),
                role: self.auth_role.clone(),
            },
            Method::Kubernetes => Source::Jwt {
                mount: mount("kubernetes"),
                role: self
                    .auth_role
                    .clone()
                    .ok_or_else(|| missing("--auth-role", "kubernetes"))?,
                file: self
                    .jwt_file
                    .clone()
                    .unwrap_or_else(|| SERVICE_ACCOUNT_TOKEN.into()),
            },
            Method::Jwt => Source::Jwt {
                mount: mount("jwt"),
                role: self
                    .auth_role
                    .clone()
                    .ok_or_else(|| missing("--auth-role", "jwt"))?,
                file: self
                    .jwt_file
                    .clone()
                    .ok_or_else(|| missing("--jwt-file", "jwt"))?,
            },
            Method::Aws => Source::Aws {
                mount: mount("aws"),
                role: self.auth_role.clone(),
                identity: Identity {
                    server_id: self.aws_server_id.clone(),
                    region: self.aws_region.clone(),
                },
            },
        })
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
    let path = std::path::Path::new("/proc/sys/kernel/hostname");
    let name = std::fs::read_to_string(path).map_err(|error| Failure::file(path, &error))?;
    Ok(name.trim().to_lowercase())
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

    #[test]
    fn every_method_of_services_is_in_the_hint() {
        let hint = Method::for_services();
        assert_eq!(hint, "approle, cert, kubernetes, jwt or aws");
        for method in Method::value_variants() {
            let name = method.to_possible_value().unwrap();
            let named = hint.split([',', ' ']).any(|word| word == name.get_name());
            assert_eq!(named, method.is_for_services(), "{method:?}");
        }
    }
}
