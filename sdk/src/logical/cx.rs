//! What a handler knows of a request besides its typed data.

use std::sync::Arc;
use std::time::Duration;

use super::{Error, Identity, RawRequest, SystemView};

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
    /// Asks an auth method for whom a login would be, to lock out who guesses; see [`super::Path::look_ahead`].
    AliasLookahead,
    /// Asks an auth method for the role of a login, to count what quotas limit; see [`super::Path::resolve_role`].
    ResolveRole,
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
            "alias-lookahead" => Self::AliasLookahead,
            "resolve-role" => Self::ResolveRole,
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
            Self::AliasLookahead => "alias-lookahead",
            Self::ResolveRole => "resolve-role",
            Self::Unknown => "unknown",
        }
    }
}

/// The context of one request: what the host says of it, but for its data, which a handler gets as a type of its own.
#[derive(Clone)]
pub struct Cx {
    /// The operation.
    pub operation: Operation,
    request: RawRequest,
    system: Arc<dyn SystemView>,
}

impl Cx {
    pub(super) fn new(
        operation: Operation,
        request: RawRequest,
        system: Arc<dyn SystemView>,
    ) -> Self {
        let request = RawRequest {
            data: String::new(),
            ..request
        };
        Self {
            operation,
            request,
            system,
        }
    }

    /// The entity that the request comes from, and its groups; `None` for a token without one, and for a login. Two questions to the host.
    ///
    /// # Errors
    /// The host does not answer.
    pub async fn identity(&self) -> Result<Option<Identity>, Error> {
        if self.entity_id.is_empty() {
            return Ok(None);
        }
        let Some(entity) = self.system.entity(&self.entity_id).await? else {
            return Ok(None);
        };
        let groups = self.system.groups(&self.entity_id).await?;
        Ok(Some(Identity { entity, groups }))
    }

    /// The first value of a request header that the mount's tuning lets through, whatever the case of its name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut headers = self.headers.iter();
        let (_, values) = headers.find(|(key, _)| key.eq_ignore_ascii_case(name))?;
        values.first().map(String::as_str)
    }
}

/// What is asked, and where. The rest may hold what a log must not have.
impl std::fmt::Debug for Cx {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cx")
            .field("operation", &self.operation)
            .field("mount_point", &self.mount_point)
            .field("path", &self.path)
            .finish_non_exhaustive()
    }
}

impl std::ops::Deref for Cx {
    type Target = RawRequest;

    fn deref(&self) -> &RawRequest {
        &self.request
    }
}

/// The lease that a request renews or revokes.
#[derive(Clone, Default, PartialEq)]
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

/// All but what the engine stored with it, which may be secret.
impl std::fmt::Debug for LeaseContext {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("LeaseContext")
            .field("id", &self.id)
            .field("ttl", &self.ttl)
            .field("max_ttl", &self.max_ttl)
            .field("renewable", &self.renewable)
            .field("increment", &self.increment)
            .field("issued_at", &self.issued_at)
            .finish_non_exhaustive()
    }
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
