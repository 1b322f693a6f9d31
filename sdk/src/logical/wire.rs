//! The plain values between a transport and an [`Engine`](super::Engine).

use std::time::Duration;

use bytes::Bytes;

use super::{LeaseContext, Login};

/// A request as the host sent it.
#[derive(Clone, Default)]
pub struct RawRequest {
    /// The host's request id; empty for requests that the host makes itself.
    pub id: String,
    /// Name of the operation, see [`super::Operation::parse`].
    pub operation: String,
    /// Path relative to the mount; a list has a trailing `/`, which a handler does not see.
    pub path: String,
    /// JSON text of an object, or `null`, or empty.
    pub data: String,
    /// Request headers that the mount's tuning lets through.
    pub headers: Vec<(String, Vec<String>)>,
    /// Where the engine is mounted, for example `pki/`.
    pub mount_point: String,
    /// The type under which it is mounted, for example `pki`.
    pub mount_type: String,
    /// The host's identifier of the mount, as it appears in entity aliases. OpenBao fills it in for writes only.
    pub mount_accessor: String,
    /// Display name of the caller's token.
    pub display_name: String,
    /// Identity entity of the caller; empty for root and batch tokens without one.
    pub entity_id: String,
    /// Accessor of the caller's token.
    pub client_token_accessor: String,
    /// True on a path that needs no token.
    pub unauthenticated: bool,
    /// Address of the client, without the port; empty when unknown.
    pub remote_addr: String,
    /// Time to live that the client asked for its wrapped response, if any.
    pub wrap_ttl: Option<Duration>,
    /// The lease, when the request renews or revokes one.
    pub lease: Option<LeaseContext>,
    /// The login, when the request renews its token.
    pub login: Option<Box<Login>>,
}

/// The answer to a request: a response, an error, both or neither.
#[derive(Debug, Default, PartialEq)]
pub struct RawReply {
    /// The response. Absent and empty mean different things to the host.
    pub response: Option<RawResponse>,
    /// The error value.
    pub error: Option<ReplyError>,
}

/// A response for the host.
#[derive(Default, Clone, PartialEq)]
pub struct RawResponse {
    /// JSON text of an object, or `null`; never empty. A clone shares it.
    pub data: Bytes,
    /// Warnings for the client.
    pub warnings: Vec<String>,
    /// Response headers.
    pub headers: Vec<(String, Vec<String>)>,
    /// The lease to issue, or the renewed one. The transport must set an issue time: the host refuses a lease without.
    pub lease: Option<RawLease>,
    /// The login of which the host makes a token, or whose token it renews.
    pub auth: Option<Box<Login>>,
    /// Wrap the response with this time to live.
    pub wrap_ttl: Option<Duration>,
}

/// A lease for the host.
#[derive(Default, Clone, PartialEq)]
pub struct RawLease {
    /// Time to live; zero for the mount's default.
    pub ttl: Duration,
    /// Upper limit; zero for the mount's maximum.
    pub max_ttl: Duration,
    /// Whether it can be renewed.
    pub renewable: bool,
    /// JSON text of an object.
    pub internal_data: String,
}

/// What is asked, and where, without a value.
impl std::fmt::Debug for RawRequest {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawRequest")
            .field("id", &self.id)
            .field("operation", &self.operation)
            .field("mount_point", &self.mount_point)
            .field("path", &self.path)
            .field("octets", &self.data.len())
            .finish_non_exhaustive()
    }
}

/// What it is made of, without a value.
impl std::fmt::Debug for RawResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawResponse")
            .field("octets", &self.data.len())
            .field("warnings", &self.warnings)
            .field("lease", &self.lease)
            .field("auth", &self.auth)
            .finish_non_exhaustive()
    }
}

/// All but what the engine stores with it, which may be secret.
impl std::fmt::Debug for RawLease {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("RawLease")
            .field("ttl", &self.ttl)
            .field("max_ttl", &self.max_ttl)
            .field("renewable", &self.renewable)
            .finish_non_exhaustive()
    }
}

/// An error value: `pb.ProtoError`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ReplyError {
    /// The error type of the protocol, 0 to 10.
    pub kind: u32,
    /// Text.
    pub message: String,
    /// HTTP status, for kind 3 only.
    pub code: i64,
}

/// The answer to an existence check.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct ExistsReply {
    /// Whether the path has a check at all; without one every write is an update.
    pub check_found: bool,
    /// Whether the object exists.
    pub exists: bool,
    /// Why the check failed.
    pub error: Option<ReplyError>,
}

/// Paths that the host treats specially, in the host's syntax.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
pub struct SpecialPaths {
    /// Need a policy with `sudo`.
    pub root: Vec<String>,
    /// Need no token.
    pub unauthenticated: Vec<String>,
    /// Storage that is not replicated (Vault Enterprise).
    pub local_storage: Vec<String>,
    /// Storage with an extra layer of encryption by the seal (Vault Enterprise).
    pub seal_wrap_storage: Vec<String>,
}
