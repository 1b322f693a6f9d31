//! Why a command failed: the exit codes, and which of them an error of the crates below has.

use std::fmt;
use std::path::Path;

use landfast_node::enroll::EnrolError;
use landfast_node::files::FileError;
use landfast_node::provider::ProviderError;
use landfast_node::renew::RenewError;
use landfast_node::session::SessionError;
use landfast_node::sync::aws::AwsError;
use landfast_node::vault::VaultError;

/// What each exit code means, the same for every command.
pub(super) const EXIT_CODES: [&str; 6] = [
    "done",
    "failed: a file cannot be used, or the server or AWS answered an error",
    "wrong usage",
    "no answer of the server or of AWS, or it is sealed: try again later",
    "refused: a rule says no, and the text names it",
    "AWS holds something else, and --apply was not given (sync commands)",
];

/// Why a command failed. The text is for the person who ran it.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A file, or an answer of the server.
    Failed(String),
    /// The arguments contradict each other, which the parser cannot see.
    Usage(String),
    /// Nobody answers at the server's address, or only that it is sealed.
    Unreachable(String),
    /// The certificates break a rule, for trust anchors or for nodes.
    Refused(String),
    /// What was compared is not the same.
    Differs(String),
}

impl Failure {
    /// The exit code: a place in [`EXIT_CODES`].
    pub(super) fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable(_) => 3,
            Self::Refused(_) => 4,
            Self::Differs(_) => 5,
        }
    }

    /// A failure that needs no further word.
    pub(super) fn of(error: impl fmt::Display) -> Self {
        Self::Failed(error.to_string())
    }

    /// A failure with a file, with its name.
    pub(super) fn file(path: &Path, error: &std::io::Error) -> Self {
        Self::Failed(format!("{}: {error}", path.display()))
    }

    /// A refused login: it is about the credentials, and not about a token's policies.
    pub(super) fn login(error: VaultError) -> Self {
        match error {
            // A server that has no method at a path does not say so to whoever has no token.
            VaultError::Denied { path, .. } => Self::Failed(format!(
                "{path}: the server refused the login (403). Either no method is enabled there: look with `bao auth list`, enable it with `bao auth enable`, or name its place by --auth-mount; or it does not take these credentials for the role"
            )),
            VaultError::Refused {
                path,
                status: 400,
                message,
            } if path.starts_with("sys/wrapping/") => Self::Failed(format!(
                "the wrapped token is not good: {message}; it works once and ends soon. If this machine did not use it, somebody else did: have it revoked, then get a new one"
            )),
            VaultError::Refused {
                path,
                status: 400,
                message,
            } if message.contains("invalid role or secret ID")
                || message.contains("invalid secret id") =>
            {
                Self::Failed(format!(
                    "{path}: {message}; look at the role id, and get a new secret id if this one has ended or was used up: bao write -f -field=secret_id {}/role/NAME/secret-id",
                    path.strip_suffix("/login").unwrap_or(&path)
                ))
            }
            error if error.is_about_a_certificate() => Self::Failed(format!(
                "{error}; a certificate that has ended, or that the method does not know, logs nobody in: enrol by another --auth"
            )),
            other => other.into(),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Failed(text)
            | Self::Usage(text)
            | Self::Unreachable(text)
            | Self::Refused(text)
            | Self::Differs(text) => f.write_str(text),
        }
    }
}

impl From<FileError> for Failure {
    fn from(error: FileError) -> Self {
        Self::of(error)
    }
}

impl From<VaultError> for Failure {
    fn from(error: VaultError) -> Self {
        let text = error.to_string();
        match error {
            VaultError::Transport { .. } | VaultError::Sealed(_) => Self::Unreachable(text),
            error if error.is_usage() => Self::Usage(text),
            VaultError::Wrapping { .. } => Self::Refused(text),
            _ => Self::Failed(text),
        }
    }
}

impl From<AwsError> for Failure {
    fn from(error: AwsError) -> Self {
        match error {
            AwsError::Unreachable { .. } => Self::Unreachable(error.to_string()),
            _ => Self::of(error),
        }
    }
}

impl From<EnrolError> for Failure {
    fn from(error: EnrolError) -> Self {
        match error {
            // The role's own words name what it does not allow, and so the rule.
            EnrolError::Vault(VaultError::Refused {
                path,
                status: 400,
                message,
            }) if message.contains("not allowed by this role") => Self::Refused(format!(
                "{path}: {message}; give the name that this login may have by --node-name, or allow this one on the role (allowed_domains, allow_bare_domains)"
            )),
            EnrolError::Vault(VaultError::Refused {
                path,
                status: 400,
                message,
            }) if wants_another_key(&message) => Self::Refused(format!(
                "{path}: {message}; give --rotate-key and --key-type for a key that the role takes, or let the role take this one (key_type, key_bits)"
            )),
            EnrolError::Vault(error) => error.into(),
            EnrolError::NodeName(_) | EnrolError::KeyType { .. } => Self::Usage(error.to_string()),
            EnrolError::Unusable { .. } | EnrolError::ForeignKey { .. } => {
                Self::Refused(error.to_string())
            }
            other => Self::of(other),
        }
    }
}

/// Whether these are a role's words for a key of a kind or size that it does not certify.
fn wants_another_key(message: &str) -> bool {
    ["role requires keys of type", "role requires a minimum of a"]
        .iter()
        .any(|words| message.contains(words))
}

impl From<RenewError> for Failure {
    fn from(error: RenewError) -> Self {
        match error {
            RenewError::Login(error) => Self::login(error),
            RenewError::Enrol(error) => error.into(),
            RenewError::ForeignHook(error) => Self::Refused(error.to_string()),
            other => Self::of(other),
        }
    }
}

impl From<&ProviderError> for Failure {
    /// Says what AWS's refusal usually means, below the refusal itself.
    fn from(error: &ProviderError) -> Self {
        match error {
            ProviderError::Session(inner @ SessionError::Transport { .. }) => {
                Self::Unreachable(inner.to_string())
            }
            ProviderError::Session(inner @ SessionError::Refused { .. }) => {
                let hint = inner
                    .usual_cause()
                    .map(|cause| {
                        format!(
                            "\n  usual cause: {}\n  next step: {}",
                            cause.cause, cause.remedy
                        )
                    })
                    .unwrap_or_default();
                Self::Failed(format!("{inner}{hint}"))
            }
            other => Self::of(other),
        }
    }
}
