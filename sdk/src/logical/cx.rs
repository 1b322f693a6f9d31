//! What a handler knows of a request besides its typed data.

use std::sync::Arc;
use std::time::SystemTime;

use super::{Caller, Error, Identity, RawRequest, SystemView};

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
    caller: Caller,
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
            caller: Caller::present(),
        }
    }

    /// Questions to the host.
    #[must_use]
    pub fn system(&self) -> &dyn SystemView {
        &*self.system
    }

    /// The time, by the host's clock: [`SystemView::now`].
    #[must_use]
    pub fn now(&self) -> SystemTime {
        self.system.now()
    }

    /// Whoever waits for the answer.
    #[must_use]
    pub fn caller(&self) -> &Caller {
        &self.caller
    }

    /// Waits until the client has gone, or the host has given the request up, as it does after `max_request_duration` (90 seconds). For who waits
    /// for something else meanwhile, and has a way back; else see [`Cx::unless_cancelled`].
    pub async fn cancelled(&self) {
        self.caller.gone().await;
    }

    /// Does work that nobody wants any more once the client has gone: it is dropped where it waits then, and the error ends the handler. Only
    /// what changes nothing may be left like that, or what somebody undoes: within [`Wal::guard`](super::Wal::guard) for example, which undoes what was begun.
    ///
    /// ```
    /// # use std::{sync::Arc, time::Duration};
    /// # use landfast_sdk::logical::*;
    /// # struct Engine;
    /// # async fn ask_a_slow_service() -> Result<String> { Ok("fine".to_owned()) }
    /// async fn state(_: Arc<Engine>, cx: Cx, _: NoFields) -> Result<Response> {
    ///     let state = cx.unless_cancelled(ask_a_slow_service()).await?;
    ///     Response::data(&serde_json::json!({ "state": state }))
    /// }
    /// # let _ = state;
    /// ```
    ///
    /// # Errors
    /// Those of the work, and that the client has gone, which nobody hears.
    pub async fn unless_cancelled<T>(
        &self,
        work: impl Future<Output = Result<T, Error>>,
    ) -> Result<T, Error> {
        tokio::select! {
            biased;
            done = work => done,
            () = self.cancelled() => Err(Error::Status {
                code: 499,
                message: "the client has gone".to_owned(),
            }),
        }
    }

    /// A span with the mount and the id of the request, for tasks of one's own. What a handler itself logs has both without one.
    #[must_use]
    pub fn span(&self) -> tracing::Span {
        tracing::error_span!("request", mount = %self.mount_point, request = %self.id)
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
