//! Runs a backend: one request in, one reply out.

use std::sync::Arc;

use zeroize::Zeroize as _;

use super::bounds;
use super::json::{self, Object};
use super::path::{Path, Slot};
use super::route::Captures;
use super::schema::FieldSet;
use super::secret::noticing;
use super::typed::Reply;
use super::watch::{Caller, LARGE, carry};
use super::weak::{Asked, Input};
use super::{
    Backend, Cx, Error, ExistsReply, LeaseContext, MountKind, Operation, RawReply, RawRequest,
    RawResponse, ReplyError, Response, Setup, SpecialPaths, SystemView, Table, help, reply,
};

/// One mount of a plugin, driven by raw requests. A transport makes it; an author of plugins has no need of it, and tests
/// use `testing::Harness`.
pub struct Engine<B> {
    backend: Arc<B>,
    table: Arc<Table<B>>,
    special: Arc<SpecialPaths>,
    system: Arc<dyn SystemView>,
}

impl<B: Backend> Engine<B> {
    /// Sets a mount up, with a table of its own.
    ///
    /// # Errors
    /// What [`Backend::new`] returns.
    pub async fn new(setup: Setup) -> Result<Self, Error> {
        Self::with_table(Arc::new(B::table()), setup).await
    }

    /// Sets a mount up with a table that it shares with other mounts of the process.
    ///
    /// # Errors
    /// What [`Backend::new`] returns.
    ///
    /// # Panics
    /// When a secrets engine has a row for logins: the host would throw the token away.
    pub async fn with_table(table: Arc<Table<B>>, setup: Setup) -> Result<Self, Error> {
        let login = table.rows.iter().find(|row| row.logs_in);
        assert!(
            B::KIND == MountKind::Auth || login.is_none(),
            "{login:?} is for logins, which only an auth method has: set `Backend::KIND` to `MountKind::Auth`"
        );
        let special = Arc::new(table.special_paths());
        let system = Arc::clone(&setup.system);
        Ok(Self {
            system,
            backend: Arc::new(B::new(setup).await?),
            table,
            special,
        })
    }

    /// The backend of this mount.
    #[must_use]
    pub fn backend(&self) -> &Arc<B> {
        &self.backend
    }

    /// Serves one request.
    pub async fn handle(&self, request: RawRequest) -> RawReply {
        let operation = Operation::parse(&request.operation);
        let outcome = match operation {
            Operation::ResolvePath => return self.resolve(&request.path),
            Operation::Unknown => return reply::unsupported_operation(),
            Operation::Help => {
                // The document of all paths is made anew for each.
                carry(LARGE + 1).await;
                help::answer(&self.table, &request).map(Outcome::from)
            }
            // Boxed: these are rare, and would make the future of every request as large as theirs.
            Operation::Rollback => {
                // The host drops the text: nobody would learn of it.
                match Box::pin(self.periodic(&request)).await {
                    Ok(()) => Ok(Response::none().into()),
                    Err(error) => return reply::of_periodic(error, &request.mount_point),
                }
            }
            Operation::Renew if request.login.is_some() => {
                Box::pin(self.renew_login(request)).await.map(Outcome::from)
            }
            Operation::Renew | Operation::Revoke => Box::pin(self.lease(operation, request))
                .await
                .map(Outcome::from),
            _ => match self.dispatch(operation, request).await {
                Ok(outcome) if outcome.response.has_lease() && Caller::present().has_gone() => {
                    Ok(Box::pin(self.take_back(outcome)).await)
                }
                outcome => outcome,
            },
        };
        match outcome {
            Ok(Outcome { response, warnings }) => {
                // As in the built-in engines, an answer of nothing carries no warnings.
                let response = response.into_raw().map(|mut response| {
                    response.warnings.extend(warnings);
                    bounds::warnings(&mut response.warnings);
                    response
                });
                RawReply {
                    response,
                    error: None,
                }
            }
            Err(error) => reply::of_error(error),
        }
    }

    /// Answers an existence check, which decides between the policies `create` and `update`.
    pub async fn exists(&self, request: RawRequest) -> ExistsReply {
        let outcome = match self.start_check(request) {
            Ok(Some(check)) => check.await.map(Some),
            Ok(None) => Ok(None),
            Err(error) => Err(error),
        };
        match outcome {
            Ok(found) => ExistsReply {
                check_found: found.is_some(),
                exists: found.unwrap_or(false),
                error: None,
            },
            // Only this error type shows its text to the caller here.
            Err(Error::BadRequest(message)) => ExistsReply {
                error: Some(ReplyError {
                    kind: 1,
                    message,
                    code: 0,
                }),
                ..ExistsReply::default()
            },
            Err(error) => ExistsReply {
                error: reply::of_error(error).error,
                ..ExistsReply::default()
            },
        }
    }

    /// The documented answers of an operation on a path; `None` where the table documents none at all, or nothing is served. Those of a handler
    /// with a typed answer are documented by it.
    #[cfg(any(test, feature = "testing"))]
    pub(crate) fn documented(&self, operation: Operation, path: &str) -> Option<serde_json::Value> {
        let (row, _) = self.table.find(operation, path).ok()?;
        if row.documents(operation) {
            return Some(super::openapi::responses(row, operation));
        }
        let some = self.table.rows.iter().any(|row| !row.answers.is_empty());
        some.then_some(serde_json::Value::Null)
    }

    /// The paths that the host treats specially.
    #[must_use]
    pub fn special_paths(&self) -> &SpecialPaths {
        &self.special
    }

    /// Runs [`Backend::initialize`].
    ///
    /// # Errors
    /// What the backend returns.
    pub async fn initialize(&self) -> Result<(), Error> {
        Arc::clone(&self.backend).initialize().await?;
        // A mount that serves is worth more than one that is tidy: what is left is undone in the periodic work.
        if let Err(error) = self.recover(false).await {
            reply::tell("what a crash has left", &error, "");
        }
        Ok(())
    }

    /// One turn of the periodic work. What fails in the first part does not hold up the second.
    async fn periodic(&self, request: &RawRequest) -> Result<(), Error> {
        // A mount that goes away does not wait for the age of entries.
        let data: serde_json::Value = serde_json::from_str(&request.data).unwrap_or_default();
        if let Err(error) = self.recover(data["immediate"] == true).await {
            reply::tell("what a crash has left", &error, &request.mount_point);
        }
        // Apart, so that the compiler need not see through all that an engine waits for.
        Box::pin(Arc::clone(&self.backend).periodic()).await
    }

    async fn recover(&self, now: bool) -> Result<(), Error> {
        match self.backend.wal() {
            Some(wal) => wal.recover(&self.backend, now, &*self.system).await,
            None => Ok(()),
        }
    }

    /// Passes on that a storage key has changed elsewhere.
    pub fn invalidate(&self, key: &str) {
        self.backend.invalidate(key);
    }

    /// Passes on that the mount goes away.
    pub fn cleanup(&self) {
        self.backend.cleanup();
    }

    async fn dispatch(&self, operation: Operation, request: RawRequest) -> Result<Outcome, Error> {
        // The handler owns its request: what borrows from the raw one ends before the first await.
        let (reply, warnings) = self.start(operation, request)?;
        Ok(Outcome {
            response: reply.await?,
            warnings,
        })
    }

    fn start(
        &self,
        operation: Operation,
        mut request: RawRequest,
    ) -> Result<(Reply<Response>, Vec<String>), Error> {
        let path = std::mem::take(&mut request.path);
        let mut data = std::mem::take(&mut request.data);
        if path.len() > MAX_PATH {
            return Err(Error::BadRequest(format!(
                "the path is too long: at most {MAX_PATH} octets are taken"
            )));
        }
        let (row, captures) = self.table.find(operation, &path)?;
        // Before anything is read: what strangers send may cost no more than what they are answered.
        if row.unauthenticated && data.len() > row.most_open {
            return Err(Error::BadRequest(format!(
                "the request has too much data: a path that needs no token takes at most {} octets",
                row.most_open
            )));
        }
        let slot = row.slot(operation).ok_or(Error::UnsupportedOperation)?;
        let mut object = json::parse_object(&data)
            .map_err(|why| Error::BadRequest(format!("failed to decode JSON input: {why}")))?;
        let fields = row.fields_of(operation);
        let mut unused = Unused::of(row, fields, &captures, &object);
        let asked = Asked::default();
        let input = Input {
            captures: &captures.values(),
            data: &object,
            fields,
            // An alias is in no schema: whether a field is one is known when it was asked for.
            asked: (!unused.ignored.is_empty()).then_some(&asked),
        };
        request.path = path.strip_suffix('/').unwrap_or(&path).to_owned();
        let cx = self.cx(operation, request);
        let (reply, secret) = noticing(|| slot.invoke(Arc::clone(&self.backend), cx, input));
        unused.forget(asked.into_inner(), fields);
        unused.forget(row.slots.iter().map(Slot::names), fields);
        let warnings = unused.warnings();
        if secret {
            object.wipe();
            drop(object);
            data.zeroize();
        }
        Ok((reply?, warnings))
    }

    /// Starts the existence check of a path, if it has one. The data of the request plays no part.
    fn start_check(&self, mut request: RawRequest) -> Result<Option<Reply<bool>>, Error> {
        static NO_FIELDS: FieldSet = FieldSet::EMPTY;

        let path = std::mem::take(&mut request.path);
        if path.len() > MAX_PATH {
            return Ok(None);
        }
        let (row, captures) = self.table.find(Operation::Update, &path)?;
        let Some(check) = row.existence_check() else {
            return Ok(None);
        };
        let input = Input {
            captures: &captures.values(),
            data: &Object::default(),
            fields: &NO_FIELDS,
            asked: None,
        };
        request.path.clone_from(&path);
        let cx = self.cx(Operation::Update, request);
        check(Arc::clone(&self.backend), cx, input).map(Some)
    }

    async fn lease(
        &self,
        operation: Operation,
        mut request: RawRequest,
    ) -> Result<Response, Error> {
        let lease = request.lease.get_or_insert_default().clone();
        let cx = self.cx(operation, request);
        let backend = Arc::clone(&self.backend);
        if operation != Operation::Renew {
            return backend.revoke(cx, lease).await;
        }
        let former = self.backend.wal().map(|wal| (wal, lease.clone()));
        let mut response = backend.renew(cx, lease).await?;
        if let Some((wal, former)) = former
            && let Some(renewed) = response.lease_mut()
        {
            wal.keep(&former, renewed);
        }
        Ok(response)
    }

    /// Ends a lease that nobody learns of: its caller has gone, and the host drops the answer.
    async fn take_back(&self, mut outcome: Outcome) -> Outcome {
        let lease = outcome.response.take_lease().map(LeaseContext::from);
        let request = lease.and_then(|lease| Caller::present().revocation(lease));
        if let Some(request) = request {
            let mount = request.mount_point.clone();
            match self.lease(Operation::Revoke, request).await {
                Ok(_) => tracing::info!("the client has gone, and its lease was ended"),
                Err(error) => {
                    reply::tell("to end the lease of a client that has gone", &error, &mount);
                }
            }
        }
        outcome
    }

    /// What the host knows of the login stays as it is.
    async fn renew_login(&self, mut request: RawRequest) -> Result<Response, Error> {
        let login = request.login.take().unwrap_or_default();
        let cx = self.cx(Operation::Renew, request);
        let renewal = Arc::clone(&self.backend).renew_login(cx, (*login).clone());
        let auth = renewal.await?;
        Ok(Response::renewed(login.renewed(auth)))
    }

    fn cx(&self, operation: Operation, request: RawRequest) -> Cx {
        Cx::new(operation, request, Arc::clone(&self.system))
    }

    fn resolve(&self, path: &str) -> RawReply {
        let resolve = self.table.resolve.filter(|_| path.len() <= MAX_PATH);
        match resolve.and_then(|resolve| resolve(path)) {
            Some(path) => {
                let data = serde_json::json!({ "path": path }).to_string().into();
                RawReply {
                    response: Some(RawResponse {
                        data,
                        ..RawResponse::default()
                    }),
                    error: None,
                }
            }
            None => reply::unsupported_operation(),
        }
    }
}

impl<B> std::fmt::Debug for Engine<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("table", &self.table)
            .finish_non_exhaustive()
    }
}

/// The longest path that is looked up, in octets: room for an OCSP request in base64.
pub(crate) const MAX_PATH: usize = 8 << 10;

struct Outcome {
    response: Response,
    warnings: Vec<String>,
}

impl From<Response> for Outcome {
    fn from(response: Response) -> Self {
        Self {
            response,
            warnings: Vec::new(),
        }
    }
}

/// Fields that have no effect.
#[derive(Default)]
struct Unused<'d> {
    /// Sorted.
    ignored: Vec<&'d str>,
    replaced: Vec<&'d str>,
}

impl<'d> Unused<'d> {
    fn of<B: Send + Sync + 'static>(
        row: &Path<B>,
        fields: &FieldSet,
        captures: &Captures<'_>,
        data: &'d Object<'_>,
    ) -> Self {
        let mut unused = Self::default();
        for (name, value) in data.iter() {
            if row.parsed.parameters().any(|parameter| parameter == name) {
                if captures.get(name).is_some() && *value != json::Json::Null {
                    unused.replaced.push(name);
                }
            } else if !fields.arbitrary && fields.get(name).is_none() {
                unused.ignored.push(name);
            }
        }
        unused
    }

    /// Leaves out what was asked for.
    fn forget(
        &mut self,
        asked: impl IntoIterator<Item = &'static [&'static str]>,
        fields: &FieldSet,
    ) {
        if self.ignored.is_empty() {
            return;
        }
        for name in asked.into_iter().flatten() {
            if let Ok(at) = self.ignored.binary_search(name)
                && fields.untold.iter().all(|untold| untold != name)
            {
                self.ignored.remove(at);
            }
        }
    }

    /// What Vault says of them.
    fn warnings(&self) -> Vec<String> {
        let mut warnings = Vec::new();
        if !self.ignored.is_empty() {
            warnings.push(format!(
                "Endpoint ignored these unrecognized parameters: [{}]",
                bounds::names(&self.ignored)
            ));
        }
        if !self.replaced.is_empty() {
            warnings.push(format!(
                "Endpoint replaced the value of these parameters with the values captured from the endpoint's path: [{}]",
                bounds::names(&self.replaced)
            ));
        }
        warnings
    }
}

#[cfg(test)]
mod logins;
#[cfg(test)]
mod tests;
