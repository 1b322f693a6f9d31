//! One row of the path table: a pattern, its handlers and its documentation.

use std::future::Future;
use std::sync::{Arc, OnceLock};

use schemars::JsonSchema;
use serde::de::DeserializeOwned;

use super::answer::Answer;
use super::bounds::{LARGEST_OPEN_DATA, MAX_OPEN_DATA};
use super::form::Form;
use super::route::Pattern;
use super::rule::Rule;
use super::schema::{FieldSet, SchemaOf, schema_of};
use super::typed::{IntoResponse, Reply, Told};
use super::weak::{Input, names_of};
use super::{Auth, Cx, Error, Operation, Response};

mod check;

/// What a handler takes of a request: a struct that takes the parameters of the path and the fields of the data together;
/// the path wins. Use [`super::NoFields`] for none, and a tuple of structs to share groups of fields between requests.
pub trait RequestData: DeserializeOwned + JsonSchema + Send + 'static {}

impl<R: DeserializeOwned + JsonSchema + Send + 'static> RequestData for R {}

/// What serves an operation: an `async fn(Arc<B>, Cx, R) -> Result<A, Error>`, where `A` is [`Response`], or a type that tells the document what is
/// answered: see [`IntoResponse`].
pub trait Handler<B, R>: Fn(Arc<B>, Cx, R) -> Self::Future + Send + Sync + 'static {
    /// The handler's future.
    type Future: Future<Output = Result<Self::Answer, Error>> + Send + 'static;
    /// What it answers.
    type Answer: IntoResponse;
}

impl<B, R, F, Fut, A> Handler<B, R> for F
where
    F: Fn(Arc<B>, Cx, R) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<A, Error>> + Send + 'static,
    A: IntoResponse,
{
    type Future = Fut;
    type Answer = A;
}

/// A row: everything that is served under one pattern, each operation by a [`Handler`].
pub struct Path<B> {
    pub(crate) pattern: &'static str,
    pub(crate) parsed: Pattern,
    pub(crate) help: &'static str,
    pub(crate) description: &'static str,
    pub(crate) display: Option<&'static str>,
    /// Operation ids that are given, not made.
    pub(crate) ids: Vec<(Operation, &'static str)>,
    pub(crate) rules: Vec<(&'static str, Rule)>,
    /// How forms show fields; the first list that has a field counts.
    pub(crate) forms: Vec<&'static [Form]>,
    pub(crate) hidden: bool,
    /// Whether handlers read parameters from the path themselves.
    by_path: bool,
    /// What operations answer, where it is said.
    pub(crate) answers: Vec<(Operation, Answer)>,
    pub(crate) unauthenticated: bool,
    /// Octets of data that the row takes without a token.
    pub(crate) most_open: usize,
    pub(crate) sudo: bool,
    /// Whether it makes tokens.
    pub(crate) logs_in: bool,
    pub(crate) slots: Vec<Slot<B>>,
    exists: Option<Exists<B>>,
    fields: OnceLock<FieldSet>,
    /// The fields as a PATCH takes them.
    patched: OnceLock<FieldSet>,
}

/// A handler with its type erased.
pub(crate) struct Slot<B> {
    pub(crate) operation: Operation,
    pub(crate) schema: SchemaOf,
    names: fn() -> &'static [&'static str],
    /// What the type of the answer tells of it.
    pub(crate) told: Told,
    invoke: Invoke<B>,
}

type Invoke<B> = Box<dyn Fn(Arc<B>, Cx, Input<'_>) -> Result<Reply<Response>, Error> + Send + Sync>;
type Exists<B> = Box<dyn Fn(Arc<B>, Cx, Input<'_>) -> Result<Reply<bool>, Error> + Send + Sync>;

/// Starts a row.
///
/// A pattern has segments between slashes: text, `{name}` for one segment, `{*name}` for the rest of the path. `help` is one
/// line on what is served there.
///
/// # Panics
/// On a malformed pattern.
#[must_use]
pub fn path<B: Send + Sync + 'static>(pattern: &'static str, help: &'static str) -> Path<B> {
    Path {
        pattern,
        parsed: Pattern::parse(pattern),
        help,
        description: "",
        display: None,
        ids: Vec::new(),
        rules: Vec::new(),
        forms: Vec::new(),
        hidden: false,
        by_path: false,
        answers: Vec::new(),
        unauthenticated: false,
        most_open: MAX_OPEN_DATA,
        sudo: false,
        logs_in: false,
        slots: Vec::new(),
        exists: None,
        fields: OnceLock::new(),
        patched: OnceLock::new(),
    }
}

impl<B: Send + Sync + 'static> Path<B> {
    /// Says more than the one line of help.
    #[must_use]
    pub fn describe(mut self, text: &'static str) -> Self {
        self.description = text;
        self
    }

    /// Serves GET.
    #[must_use]
    pub fn read<R: RequestData>(self, handler: impl Handler<B, R>) -> Self {
        self.on(Operation::Read, handler)
    }

    /// Serves LIST, and GET with `list=true`.
    #[must_use]
    pub fn list<R: RequestData>(self, handler: impl Handler<B, R>) -> Self {
        self.on(Operation::List, handler)
    }

    /// Serves SCAN, the recursive list of OpenBao.
    #[must_use]
    pub fn scan<R: RequestData>(self, handler: impl Handler<B, R>) -> Self {
        self.on(Operation::Scan, handler)
    }

    /// Serves POST and PUT, of things new and old alike: no existence check, so policies see `update` only.
    #[must_use]
    pub fn update<R: RequestData>(self, handler: impl Handler<B, R>) -> Self {
        self.on(Operation::Update, handler)
    }

    /// Serves POST and PUT of something that does not exist, so that policies tell `create` from `update`. Needs
    /// [`Path::exists`].
    #[must_use]
    pub fn create<R: RequestData>(self, handler: impl Handler<B, R>) -> Self {
        self.on(Operation::Create, handler)
    }

    /// Serves PATCH with a JSON merge patch (RFC 7396): see [`patch`](super::patch).
    #[must_use]
    pub fn patch<R: RequestData>(self, handler: impl Handler<B, R>) -> Self {
        self.on(Operation::Patch, handler)
    }

    /// Serves DELETE.
    #[must_use]
    pub fn delete<R: RequestData>(self, handler: impl Handler<B, R>) -> Self {
        self.on(Operation::Delete, handler)
    }

    /// Serves HEAD; without it the host answers 405.
    #[must_use]
    pub fn header<R: RequestData>(self, handler: impl Handler<B, R>) -> Self {
        self.on(Operation::Header, handler)
    }

    /// Serves logins of an auth method: POST and PUT without a token. The handler answers with an [`Auth`], or with a [`Response`] that has one.
    ///
    /// Anybody may ask. A refusal that tells who is registered from who is not helps those who guess: give one text to all.
    #[must_use]
    pub fn login<R, F, Fut, A>(self, handler: F) -> Self
    where
        R: RequestData,
        F: Fn(Arc<B>, Cx, R) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<A, Error>> + Send + 'static,
        A: Into<Response> + 'static,
    {
        let mut row = self.on(Operation::Update, move |backend, cx, request: R| {
            let login = handler(backend, cx, request);
            async move { login.await.map(Into::into) }
        });
        row.logs_in = true;
        row.unauthenticated()
    }

    /// Says by its data alone for whom a login would be, without a look at credentials: the host locks out whom somebody guesses for. Asked
    /// only where a mount is of a type that the host locks out.
    #[must_use]
    pub fn look_ahead<R, F, Fut>(self, handler: F) -> Self
    where
        R: RequestData,
        F: Fn(Arc<B>, Cx, R) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<String>, Error>> + Send + 'static,
    {
        self.on(Operation::AliasLookahead, move |backend, cx, request: R| {
            let alias = handler(backend, cx, request);
            async move {
                Ok(alias
                    .await?
                    .map_or_else(Response::none, |name| Auth::of(name).into()))
            }
        })
    }

    /// Says by its data alone under which role a login would be, without a look at credentials: the host counts by it where a quota is of a role.
    /// The host asks the path `login` only, before each login, so it should be cheap.
    #[must_use]
    pub fn resolve_role<R, F, Fut>(self, handler: F) -> Self
    where
        R: RequestData,
        F: Fn(Arc<B>, Cx, R) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<Option<String>, Error>> + Send + 'static,
    {
        self.on(Operation::ResolveRole, move |backend, cx, request: R| {
            let role = handler(backend, cx, request);
            async move {
                match role.await? {
                    Some(role) => Response::data(&serde_json::json!({ "role": role })),
                    None => Ok(Response::none()),
                }
            }
        })
    }

    /// Tells whether the object of a path exists, by the path's parameters alone; see [`Path::create`].
    #[must_use]
    pub fn exists<R, F, Fut>(mut self, check: F) -> Self
    where
        R: DeserializeOwned + Send + 'static,
        F: Fn(Arc<B>, Cx, R) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = Result<bool, Error>> + Send + 'static,
    {
        self.exists = Some(Box::new(move |backend, cx, input| {
            let request = input.decode::<R>().map_err(Error::BadRequest)?;
            Ok(Box::pin(check(backend, cx, request)))
        }));
        self
    }

    /// Needs no token. Since anybody may ask, a request with more than 4 KiB of data is answered with 400 before it is decoded.
    #[must_use]
    pub fn unauthenticated(mut self) -> Self {
        self.unauthenticated = true;
        self
    }

    /// Lets a row that needs no token take so many octets of data instead of 4 KiB; 64 KiB are the most.
    ///
    /// # Panics
    /// When that is more.
    #[must_use]
    pub fn takes(mut self, octets: usize) -> Self {
        assert!(
            octets <= LARGEST_OPEN_DATA,
            "{octets} octets are more than are read"
        );
        self.most_open = octets;
        self
    }

    /// Needs a policy with `sudo`.
    #[must_use]
    pub fn sudo(mut self) -> Self {
        self.sudo = true;
        self
    }

    /// Leaves the row out of the help of the mount and out of the OpenAPI document: a path that only says that it is not there.
    #[must_use]
    pub fn hidden(mut self) -> Self {
        self.hidden = true;
        self
    }

    /// Sets what a parameter may look like; the default is [`super::rule::name`], and [`super::rule::any`] for a tail.
    ///
    /// # Panics
    /// When the pattern has no such parameter.
    #[must_use]
    pub fn name_rule(mut self, parameter: &'static str, rule: Rule) -> Self {
        assert!(
            self.parsed.parameters().any(|name| name == parameter),
            "path {:?} has no parameter {parameter:?}",
            self.pattern
        );
        self.rules.push((parameter, rule));
        self
    }

    /// Says that handlers read parameters from [`Cx`]'s `path` themselves, as those that serve several patterns may: no request type need take them.
    #[must_use]
    pub fn by_path(mut self) -> Self {
        self.by_path = true;
        self
    }

    /// Sets the end of the row's operation ids in the OpenAPI document, in place of one made from the pattern.
    #[must_use]
    pub fn display(mut self, suffix: &'static str) -> Self {
        self.display = Some(suffix);
        self
    }

    fn on<R: RequestData, H: Handler<B, R>>(mut self, operation: Operation, handler: H) -> Self {
        assert!(
            self.slots.iter().all(|slot| slot.operation != operation),
            "path {:?} has two handlers for {operation:?}",
            self.pattern
        );
        self.slots.push(Slot {
            operation,
            schema: schema_of::<R>,
            names: names_of::<R>,
            told: H::Answer::told(),
            invoke: Box::new(move |backend, cx, input| {
                let request = input.decode::<R>().map_err(Error::BadRequest)?;
                Ok(H::Answer::reply(handler(backend, cx, request)))
            }),
        });
        self
    }

    /// The handler of an operation. A create without a handler of its own is an update.
    pub(crate) fn slot(&self, operation: Operation) -> Option<&Slot<B>> {
        let find = |wanted| self.slots.iter().find(|slot| slot.operation == wanted);
        match operation {
            Operation::Create => find(Operation::Create).or_else(|| find(Operation::Update)),
            other => find(other),
        }
    }

    /// The fields of all operations together, gathered at the first use.
    pub(crate) fn fields(&self) -> &FieldSet {
        self.fields
            .get_or_init(|| FieldSet::new(self.slots.iter().map(|slot| slot.schema)))
    }

    /// The same for one operation: a field may be of one type in a PATCH and of another elsewhere.
    pub(crate) fn fields_of(&self, operation: Operation) -> &FieldSet {
        if operation != Operation::Patch {
            return self.fields();
        }
        self.patched.get_or_init(|| {
            let patches = |slot: &&Slot<B>| slot.operation == Operation::Patch;
            let (own, others): (Vec<_>, Vec<_>) = self.slots.iter().partition(patches);
            FieldSet::new(own.into_iter().chain(others).map(|slot| slot.schema))
        })
    }

    /// Whether it is said what an operation answers.
    pub(crate) fn documents(&self, operation: Operation) -> bool {
        let told = |slot: &Slot<B>| !matches!(slot.told, Told::Nothing);
        self.answer(operation).is_some() || self.slot(operation).is_some_and(told)
    }

    /// What an operation answers, where it is said. A create answers as an update.
    pub(crate) fn answer(&self, operation: Operation) -> Option<&Answer> {
        let operation = match operation {
            Operation::Create => Operation::Update,
            other => other,
        };
        let found = self.answers.iter().find(|(of, _)| *of == operation);
        found.map(|(_, answer)| answer)
    }

    /// How a form shows a field, where it is said.
    pub(crate) fn form(&self, field: &str) -> Option<&Form> {
        self.forms
            .iter()
            .flat_map(|list| list.iter())
            .find(|form| form.field == field)
    }

    pub(crate) fn existence_check(&self) -> Option<&Exists<B>> {
        self.exists
            .as_ref()
            .filter(|_| self.slot_is_declared(Operation::Create))
    }

    fn slot_is_declared(&self, operation: Operation) -> bool {
        self.slots.iter().any(|slot| slot.operation == operation)
    }
}

impl<B> Slot<B> {
    /// The names under which the request type looks for its fields, as far as it knows them without its schema.
    pub(crate) fn names(&self) -> &'static [&'static str] {
        (self.names)()
    }

    /// Decodes the request and starts the handler.
    pub(crate) fn invoke(
        &self,
        backend: Arc<B>,
        cx: Cx,
        input: Input<'_>,
    ) -> Result<Reply<Response>, Error> {
        (self.invoke)(backend, cx, input)
    }
}

impl<B> std::fmt::Debug for Path<B> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_tuple("Path").field(&self.pattern).finish()
    }
}
