//! What a handler knows of a request besides its typed data.

use std::time::Duration;

/// What the host asks for. Names are those of the protocol, in lower case on the wire.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Operation {
    /// POST or PUT of something that the existence check did not find.
    Create,
    /// POST or PUT.
    Update,
    /// GET.
    Read,
    /// LIST, or GET with `list=true`.
    List,
    /// SCAN, or GET with `scan=true` (OpenBao 2.2).
    Scan,
    /// DELETE.
    Delete,
    /// PATCH with a JSON merge patch (RFC 7396).
    Patch,
    /// HEAD.
    Header,
    /// Help on a path, or the OpenAPI document.
    Help,
    /// Periodic work.
    Rollback,
    /// Renewal of a lease.
    Renew,
    /// Revocation of a lease.
    Revoke,
    /// Asks before every request for the canonical path (OpenBao 2.7).
    ResolvePath,
    /// Anything this framework does not know; answered as unsupported.
    Unknown,
}

impl Operation {
    /// Reads the name used in the protocol; unknown names become [`Operation::Unknown`].
    #[must_use]
    pub fn parse(name: &str) -> Self {
        match name {
            "create" => Self::Create,
            "update" => Self::Update,
            "read" => Self::Read,
            "list" => Self::List,
            "scan" => Self::Scan,
            "delete" => Self::Delete,
            "patch" => Self::Patch,
            "header" => Self::Header,
            "help" => Self::Help,
            "rollback" => Self::Rollback,
            "renew" => Self::Renew,
            "revoke" => Self::Revoke,
            "resolve-path" => Self::ResolvePath,
            _ => Self::Unknown,
        }
    }

    /// The name used in the protocol.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Create => "create",
            Self::Update => "update",
            Self::Read => "read",
            Self::List => "list",
            Self::Scan => "scan",
            Self::Delete => "delete",
            Self::Patch => "patch",
            Self::Header => "header",
            Self::Help => "help",
            Self::Rollback => "rollback",
            Self::Renew => "renew",
            Self::Revoke => "revoke",
            Self::ResolvePath => "resolve-path",
            Self::Unknown => "unknown",
        }
    }
}

/// The context of one request.
#[derive(Debug, Clone)]
pub struct Cx {
    /// The host's request id; empty for requests that the host makes itself.
    pub id: String,
    /// The operation.
    pub operation: Operation,
    /// The path relative to the mount, without a trailing `/`.
    pub path: String,
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
    /// Request headers that the mount's tuning lets through.
    pub headers: Headers,
    /// Address of the client, without the port; empty when unknown.
    pub remote_addr: String,
    /// Time to live that the client asked for its wrapped response, if any.
    pub wrap_ttl: Option<Duration>,
    /// The lease, when the request renews or revokes one.
    pub lease: Option<LeaseContext>,
}

/// Headers, looked up without regard to case.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<(String, Vec<String>)>);

impl Headers {
    /// The first value of a header.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&str> {
        self.all(name).first().map(String::as_str)
    }

    /// All values of a header, in order.
    #[must_use]
    pub fn all(&self, name: &str) -> &[String] {
        self.0
            .iter()
            .find(|(key, _)| key.eq_ignore_ascii_case(name))
            .map_or(&[], |(_, values)| values)
    }

    /// True when the host passed no header.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<(String, Vec<String>)> for Headers {
    fn from_iter<I: IntoIterator<Item = (String, Vec<String>)>>(headers: I) -> Self {
        Self(headers.into_iter().collect())
    }
}

/// The lease that a request renews or revokes.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct LeaseContext {
    /// The lease id; the host leaves it empty when renewing.
    pub id: String,
    /// Time to live at the last issue or renewal.
    pub ttl: Duration,
    /// Upper limit of the lease's life; zero for the mount's own.
    pub max_ttl: Duration,
    /// Whether it was issued as renewable.
    pub renewable: bool,
    /// The extension that the client asks for; zero for the default.
    pub increment: Duration,
    /// When the lease was issued, in seconds since 1970; `None` for the host's zero time.
    pub issued_at: Option<i64>,
    /// What the engine stored with the lease, see [`super::Lease::internal`].
    pub internal: serde_json::Map<String, serde_json::Value>,
}

impl LeaseContext {
    /// What the engine stored with the lease, as a type of its own.
    ///
    /// # Errors
    /// The lease was made with something else.
    pub fn internal_as<T: serde::de::DeserializeOwned>(&self) -> Result<T, super::Error> {
        let internal = serde_json::Value::Object(self.internal.clone());
        serde_json::from_value(internal)
            .map_err(|error| super::Error::internal("the lease could not be read", error))
    }
}
