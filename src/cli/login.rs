//! How `enroll` and `renew` log in to the server.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use landfast_node::login::Source;
use landfast_node::login::approle::{AppRole, RoleId, SecretId};
use landfast_node::login::aws::{Aws, Identity};
use landfast_node::login::cert::Certificate;
use landfast_node::login::jwt::{Jwt, SERVICE_ACCOUNT_TOKEN};
use landfast_node::login::token::{Token, Wrapped};

use super::{Failure, values};

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
    #[arg(long, value_name = "REGION", value_parser = values::region)]
    pub(super) aws_region: Option<String>,

    /// The server's iam_server_id_header_value, for aws: a request that was
    /// signed for one server is then no good at another
    #[arg(long, value_name = "ID", value_parser = values::server_id)]
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

    /// Its name, which is also where servers usually have it mounted.
    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// The methods that a service can use, in words.
    pub(super) fn for_services() -> String {
        let methods = Self::value_variants().iter();
        let methods = methods.filter(|method| method.is_for_services());
        let names: Vec<String> = methods.map(|method| method.name()).collect();
        match names.split_last() {
            Some((last, others)) => format!("{} or {last}", others.join(", ")),
            None => String::new(),
        }
    }
}

impl LoginArguments {
    /// Whether the token is that of the user who calls.
    pub(super) fn lacks_a_file(&self) -> bool {
        self.auth == Method::Token && self.token_file.is_none()
    }

    /// Where the secrets lie.
    pub(super) fn source(&self) -> Result<Source, Failure> {
        let name = self.auth.name();
        let mount = self.auth_mount.clone().unwrap_or_else(|| name.clone());
        let role = self.auth_role.clone();
        let needs = |flag: &str| Failure::Usage(format!("--auth {name} needs {flag}"));
        Ok(match self.auth {
            Method::Token => Source::Token(Token(self.token_file.clone())),
            Method::Wrapped => {
                let file = self.token_file.clone();
                Source::Wrapped(Wrapped(file.ok_or_else(|| needs("--token-file"))?))
            }
            Method::Approle => Source::AppRole(AppRole {
                mount,
                role_id: match (&self.role_id, &self.role_id_file) {
                    (Some(id), _) => RoleId::Given(id.clone()),
                    (None, Some(file)) => RoleId::File(file.clone()),
                    (None, None) => return Err(needs("--role-id or --role-id-file")),
                },
                secret_id: self.secret_id_file.clone().map(|file| {
                    if self.secret_id_wrapped {
                        SecretId::Wrapped { file, role }
                    } else {
                        SecretId::File(file)
                    }
                }),
            }),
            Method::Cert => Source::Certificate(Certificate { mount, role }),
            Method::Kubernetes => Source::Jwt(Jwt {
                mount,
                role: role.ok_or_else(|| needs("--auth-role"))?,
                file: self
                    .jwt_file
                    .clone()
                    .unwrap_or_else(|| SERVICE_ACCOUNT_TOKEN.into()),
            }),
            Method::Jwt => Source::Jwt(Jwt {
                mount,
                role: role.ok_or_else(|| needs("--auth-role"))?,
                file: self.jwt_file.clone().ok_or_else(|| needs("--jwt-file"))?,
            }),
            Method::Aws => Source::Aws(Aws {
                mount,
                role,
                identity: Identity {
                    server_id: self.aws_server_id.clone(),
                    region: self.aws_region.clone(),
                },
            }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
