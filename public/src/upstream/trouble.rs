//! Why the server gave no answer.

/// Why there is no answer, or none that says anything. All of it may pass by itself.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Trouble {
    /// Nobody answered, or not as a whole.
    #[error("no answer of {address}: {cause}")]
    Away {
        /// The server's address.
        address: String,
        /// Why.
        cause: String,
    },
    /// The server is sealed, not initialised, or a standby without an active node.
    #[error("{address} answers {status}: it is sealed, or not ready")]
    NotReady {
        /// The server's address.
        address: String,
        /// The status.
        status: u16,
    },
    /// None of the nodes that are known says that it is the active one.
    #[error("neither {address} nor server.other_nodes is the active node of the cluster")]
    NoActive {
        /// The server's address.
        address: String,
    },
    /// Too many calls are under way, here or there.
    #[error("too many calls of {address} are under way")]
    Busy {
        /// The server's address.
        address: String,
    },
    /// More than can be held.
    #[error("the answer of {address} is larger than {most} octets")]
    TooLarge {
        /// The server's address.
        address: String,
        /// The limit.
        most: usize,
    },
    /// A secret was not sent, for it could be read on its way.
    #[error(
        "{address} is plain HTTP on another machine: give an https address, for a secret goes there"
    )]
    Plain {
        /// The server's address.
        address: String,
    },
}
