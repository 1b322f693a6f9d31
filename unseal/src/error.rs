//! What can go wrong, in words for the operator and in classes for code.

use std::fmt;
use std::io;
use std::net::SocketAddr;
use std::path::PathBuf;

/// Every failure of this crate. The text is meant for the operator's log and holds no secret.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The configuration cannot be used; nothing was called.
    #[error("{0}")]
    Config(String),
    /// Decrypt was asked for without a blob.
    #[error("given input for decryption is nil")]
    NoInput,
    /// The blob names a way of wrapping that never existed.
    #[error("invalid mechanism: {0}")]
    Mechanism(u64),
    /// The blob cannot be one of this seal's.
    #[error("{0}")]
    Blob(&'static str),
    /// The bytes are not a `BlobInfo` message.
    #[error("not a wrapped blob: {0}")]
    Wire(#[from] prost::DecodeError),
    /// Wrong key, wrong additional data, or changed bytes. OpenBao looks for this very text to tell an invalid key (400)
    /// from other failures (500).
    #[error("cipher: message authentication failed")]
    Authentication,
    /// The call did not succeed at the key service.
    #[error(transparent)]
    Service(Box<ServiceError>),
    /// A file could not be used.
    #[error("{}: {reason}", .path.display())]
    File {
        /// Which file.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// A port cannot be had.
    #[error("{field}: cannot listen on {address}: {source}")]
    Listen {
        /// The field of the configuration that names the address.
        field: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why not.
        source: io::Error,
    },
    /// A failure inside a step that the old wrapper gave a name to.
    #[error("{step}: {source}")]
    Step {
        /// The old wrapper's words for the step.
        step: &'static str,
        /// What failed.
        source: Box<Self>,
    },
    /// The local cryptographic library refused, which no input should cause.
    #[error("cryptographic failure: {0}")]
    Crypto(&'static str),
}

impl Error {
    /// Puts the failure under one of the step names of the old wrapper.
    #[must_use]
    pub fn at(self, step: &'static str) -> Self {
        Self::Step {
            step,
            source: Box::new(self),
        }
    }

    /// The class that decides about retries and about HTTP status codes.
    pub fn class(&self) -> Class {
        match self {
            Self::Config(_) | Self::File { .. } | Self::Listen { .. } => Class::Config,
            Self::NoInput
            | Self::Mechanism(_)
            | Self::Blob(_)
            | Self::Wire(_)
            | Self::Authentication => Class::Data,
            Self::Service(failure) => failure.class,
            Self::Step { source, .. } => source.class(),
            Self::Crypto(_) => Class::Internal,
        }
    }

    /// The failed service call, if that is what happened.
    pub fn service(&self) -> Option<&ServiceError> {
        match self {
            Self::Service(failure) => Some(failure),
            Self::Step { source, .. } => source.service(),
            _ => None,
        }
    }
}

/// What a failure means for the caller.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// The service answers that it is asked too often. Another try later may succeed.
    Throttled,
    /// The service cannot be reached, answers too late, or reports a fault of its own. Another try may succeed.
    Outage,
    /// No usable credentials: none found, expired, or not recognised.
    Credentials,
    /// The service refuses: permissions, a disabled key, no such key. Only an operator can change that.
    Refused,
    /// The ciphertext is not what it should be. No retry can help.
    Data,
    /// The configuration is wrong.
    Config,
    /// A bug.
    Internal,
}

impl Class {
    /// Whether the same call may succeed a little later without anybody changing anything.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Throttled | Self::Outage)
    }
}

/// A failed call to a key service, with everything an operator needs to act.
#[derive(Debug, Clone)]
pub struct ServiceError {
    /// What to do about it.
    pub class: Class,
    /// Operation name as the service calls it, for instance `Decrypt`.
    pub operation: &'static str,
    /// The service's error code, or a word for a failure before any answer.
    pub code: String,
    /// The service's message.
    pub message: String,
    /// Key that was named, or that the blob names.
    pub key: Option<String>,
    /// Region of the call.
    pub region: Option<String>,
    /// Endpoint, when it is not the service's own.
    pub endpoint: Option<String>,
    /// Who asked: an ARN when it is known, else where the credentials came from.
    pub principal: Option<String>,
    /// What the operator can do next.
    pub next_step: Option<String>,
    /// Attempts made.
    pub attempts: u32,
}

impl fmt::Display for ServiceError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.operation, self.code)?;
        if !self.message.is_empty() {
            write!(f, ": {}", self.message)?;
        }
        let facts = [
            ("key", &self.key),
            ("region", &self.region),
            ("endpoint", &self.endpoint),
            ("principal", &self.principal),
        ];
        let mut separator = " (";
        for (name, value) in facts {
            if let Some(value) = value {
                write!(f, "{separator}{name} {value}")?;
                separator = ", ";
            }
        }
        if self.attempts > 1 {
            write!(f, "{separator}{} attempts", self.attempts)?;
            separator = ", ";
        }
        if separator == ", " {
            f.write_str(")")?;
        }
        if let Some(next_step) = &self.next_step {
            write!(f, "; {next_step}")?;
        }
        Ok(())
    }
}

impl std::error::Error for ServiceError {}

impl From<landfast_base::NoRandomness> for Error {
    fn from(_: landfast_base::NoRandomness) -> Self {
        Self::Crypto("no random bytes")
    }
}

impl From<ServiceError> for Error {
    fn from(failure: ServiceError) -> Self {
        Self::Service(Box::new(failure))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure() -> ServiceError {
        ServiceError {
            class: Class::Refused,
            operation: "Decrypt",
            code: "AccessDeniedException".into(),
            message: "not authorized".into(),
            key: Some("alias/unseal".into()),
            region: Some("eu-central-1".into()),
            endpoint: None,
            principal: Some("arn:aws:iam::123456789012:role/bao".into()),
            next_step: Some("allow kms:Decrypt".into()),
            attempts: 2,
        }
    }

    #[test]
    fn service_error_names_cause_key_region_principal_and_next_step() {
        assert_eq!(
            Error::from(failure())
                .at("error decrypting data encryption key")
                .to_string(),
            "error decrypting data encryption key: Decrypt: AccessDeniedException: not authorized (key alias/unseal, \
             region eu-central-1, principal arn:aws:iam::123456789012:role/bao, 2 attempts); allow kms:Decrypt"
        );
    }

    #[test]
    fn facts_that_are_not_known_are_left_out() {
        let bare = ServiceError {
            key: None,
            region: None,
            principal: None,
            next_step: None,
            message: String::new(),
            attempts: 1,
            ..failure()
        };
        assert_eq!(bare.to_string(), "Decrypt: AccessDeniedException");
    }

    #[test]
    fn a_step_keeps_the_class_of_its_cause() {
        assert_eq!(
            Error::from(failure()).at("error encrypting data").class(),
            Class::Refused
        );
        assert_eq!(
            Error::Authentication.at("error decrypting data").class(),
            Class::Data
        );
        assert!(Class::Throttled.is_transient() && Class::Outage.is_transient());
        assert!(!Class::Refused.is_transient() && !Class::Credentials.is_transient());
    }
}
