//! Why the server does not start, or does not take a new configuration.

use std::io;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

/// Why the server does not start.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file that cannot be used.
    #[error("{path}: {reason}", path = path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// Why.
        reason: String,
    },
    /// Settings that cannot be.
    #[error("{0}")]
    Config(String),
    /// A port that cannot be had.
    #[error("{field} {address}: {source}; give another address, or end what listens there")]
    Listen {
        /// Where it is configured.
        field: &'static str,
        /// The address.
        address: SocketAddr,
        /// Why.
        source: io::Error,
    },
}

impl Error {
    /// A file that cannot be used.
    pub(crate) fn file(path: &Path, reason: impl ToString) -> Self {
        Self::File {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }

    /// Whether it is about the configuration or a file that it names.
    pub fn is_usage(&self) -> bool {
        !matches!(self, Self::Listen { .. })
    }
}
