//! Secrets engines and auth methods: what they are made of, without any transport.
//!
//! A plugin is a type that implements [`Backend`]: a value of it is one mount, and its [`Table`] says which paths it serves.
//! Each row of the table is a [`path()`] with plain async functions as handlers. From the same rows come routing, decoding,
//! help, the OpenAPI document, and the lists of paths that need no token or a `sudo` policy.
//!
//! # A plugin
//!
//! `landfast-sdk new NAME` begins one (see [the first page](crate)). By hand, it needs this crate, `serde` with the feature `derive`, and
//! `schemars` 1; for the tests below, the harness:
//!
//! ```toml
//! [dependencies]
//! landfast-sdk = "0.1"
//! schemars = "1"
//! serde = { version = "1", features = ["derive"] }
//! serde_json = "1"
//!
//! [dev-dependencies]
//! landfast-sdk = { version = "0.1", features = ["testing"] }
//! tokio = { version = "1", features = ["macros", "rt"] }
//! ```
//!
//! This one counts. It is complete but for its `main` function, which is
//! `fn main() -> ExitCode { landfast_sdk::serve::<Counters>(landfast_sdk::Options::default()) }`, and the test below it is all
//! that is needed to try it; `examples/ports` in the repository is a larger one.
//!
//! ```
//! use std::sync::Arc;
//!
//! use landfast_sdk::logical::{Backend, Cx, Error, Json, Result, Setup, Storage, Table, path};
//! use landfast_sdk::testing::Harness;
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//! use serde_json::json;
//!
//! struct Counters {
//!     storage: Arc<dyn Storage>,
//! }
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Count {
//!     /// Name of the counter.
//!     name: String,
//!     /// How far to count.
//!     #[serde(default = "one")]
//!     by: u32,
//! }
//!
//! fn one() -> u32 {
//!     1
//! }
//!
//! #[derive(Serialize, JsonSchema)]
//! struct Counted {
//!     /// Where the counter stands.
//!     count: u32,
//! }
//!
//! impl Backend for Counters {
//!     async fn new(setup: Setup) -> Result<Self> {
//!         Ok(Self { storage: setup.storage })
//!     }
//!
//!     fn table() -> Table<Self> {
//!         Table::new(vec![path("count/{name}", "Count on, and tell where it stands.").update(count)])
//!             .help("Counts.")
//!     }
//! }
//!
//! async fn count(counters: Arc<Counters>, _: Cx, request: Count) -> Result<Json<Counted>> {
//!     let key = format!("count/{}", request.name);
//!     let before: u32 = counters.storage.read(&key).await?.unwrap_or_default();
//!     let now = before.checked_add(request.by).ok_or_else(|| Error::bad_request("counted to the end"))?;
//!     counters.storage.write(&key, &now).await?;
//!     Json::of(&Counted { count: now })
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let counters = Harness::<Counters>::new().await;
//! assert_eq!(counters.update("count/sheep", json!({})).await.data["count"], 1);
//! // Clients send texts for numbers, and fields that nobody knows.
//! let reply = counters.update("count/sheep", json!({ "by": "0x10", "colour": "black" })).await;
//! assert_eq!(reply.data["count"], 17);
//! assert_eq!(reply.warnings, ["Endpoint ignored these unrecognized parameters: [colour]"]);
//! // The state is in storage: it outlives the process.
//! let counters = counters.reload().await;
//! let reply = counters.update("count/sheep", json!({ "by": "many" })).await;
//! assert_eq!(reply.status, 400);
//! assert_eq!(counters.update("count/sheep", json!({ "by": 0 })).await.data["count"], 17);
//! # });
//! ```
//!
//! # An auth method
//!
//! An auth method is a [`Backend`] whose [`KIND`](Backend::KIND) says so, with a row for logins ([`Path::login`]). It answers with an
//! [`Auth`]: who it is, and what the server's token shall be like. [`Path::resolve_role`] and [`Path::look_ahead`] answer what the server asks
//! before a login. This one knows badges; `examples/machine-auth` in the repository is a real one, for machines that sign.
//!
//! ```
//! use std::sync::Arc;
//!
//! use landfast_sdk::logical::{
//!     Auth, Backend, Cx, Error, Login, MountKind, Named, Response, Result, Setup, Storage, Table, TokenParams, path,
//! };
//! use landfast_sdk::testing::Harness;
//! use schemars::JsonSchema;
//! use serde::{Deserialize, Serialize};
//! use serde_json::json;
//!
//! struct Badges {
//!     storage: Arc<dyn Storage>,
//! }
//!
//! #[derive(Deserialize, Serialize, JsonSchema)]
//! struct Badge {
//!     /// Digest of the badge's number, which is a long one.
//!     digest: String,
//!     /// The fields `token_policies`, `token_ttl` and so on, which all methods share.
//!     #[serde(flatten)]
//!     token: TokenParams,
//! }
//!
//! #[derive(Deserialize, JsonSchema)]
//! struct Shown {
//!     /// Number of the badge.
//!     number: String,
//! }
//! # fn digest(text: &str) -> String { text.chars().rev().collect() }
//!
//! impl Backend for Badges {
//!     const KIND: MountKind = MountKind::Auth;
//!
//!     async fn new(setup: Setup) -> Result<Self> {
//!         Ok(Self { storage: setup.storage })
//!     }
//!
//!     fn table() -> Table<Self> {
//!         Table::new(vec![
//!             path("badge/{name}", "Whose badge it is.").update(Self::write),
//!             path("login/{name}", "Log in with a badge.").login(Self::login),
//!         ])
//!     }
//!
//!     // Whoever has lost the badge since, or has other policies now, logs in again.
//!     async fn renew_login(self: Arc<Self>, _: Cx, login: Login) -> Result<Auth> {
//!         login.renew_by(&self.badge(login.name()).await?.token)
//!     }
//! }
//!
//! impl Badges {
//!     async fn badge(&self, name: &str) -> Result<Badge> {
//!         let badge = self.storage.read(&format!("badge/{name}")).await?;
//!         badge.ok_or_else(|| Error::denied("no such badge"))
//!     }
//!
//!     async fn write(self: Arc<Self>, _: Cx, (of, badge): (Named, Badge)) -> Result<Response> {
//!         badge.token.check()?;
//!         self.storage.write(&format!("badge/{}", of.name), &badge).await?;
//!         Ok(Response::none())
//!     }
//!
//!     async fn login(self: Arc<Self>, _: Cx, (of, shown): (Named, Shown)) -> Result<Auth> {
//!         let badge = self.badge(&of.name).await?;
//!         if badge.digest != digest(&shown.number) {
//!             return Err(Error::denied("no such badge"));
//!         }
//!         Ok(Auth::of(&of.name).with_token(&badge.token).with_metadata("door", "front"))
//!     }
//! }
//!
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let badges = Harness::<Badges>::new().await;
//! let badge = json!({ "digest": "321", "token_policies": "office", "token_ttl": "8h" });
//! assert_eq!(badges.update("badge/ann", badge).await.status, 204);
//! let reply = badges.login("login/ann", json!({ "number": "123" })).await;
//! let auth = reply.auth.unwrap();
//! assert_eq!(auth.alias.unwrap().name, "ann");
//! assert_eq!((auth.policies, auth.ttl.as_secs()), (vec!["office".to_owned()], 8 * 3600));
//! let reply = badges.login("login/ann", json!({ "number": "124" })).await;
//! assert_eq!((reply.status, reply.error()), (403, "no such badge"));
//! # });
//! ```
//!
//! The server finds the entity of a login by the name of its alias, and makes it at the first; [`Cx::identity`] tells of the entity and the groups
//! behind a request with a token. A token ends without a word to the method.
//!
//! # Requests
//!
//! A handler takes the parameters of its path and the fields of the data in one struct; the path wins. `Deserialize` decodes
//! it and `JsonSchema` documents it: the comment on a field is its help. The decoding is Vault's, with its texts:
//!
//! | type | takes |
//! | --- | --- |
//! | `bool` | `true`, `1`, `"1"`, `"t"`, `"TRUE"` and their opposites; `""` is false |
//! | whole numbers | numbers and numeric texts, also `"0x10"`; `""` is 0 |
//! | `String` | texts, numbers as they were written; true is `1` |
//! | [`Ttl`] | `60`, `"60"`, `"1h30m"`, `"1d"` |
//! | [`CommaList`], [`Cidrs`] | a list as it is, a text split at commas |
//! | [`Base64`] | bytes, as a text in base64 |
//! | [`KeyValues`] | an object, a list of `name=value` |
//! | enums | the text of a variant |
//! | [`Secret`] of any of them | the same; it is never printed, and wiped: see [`secret`] |
//!
//! A field that was not sent needs a `#[serde(default)]` or an `Option`; else the request is refused. Null is the zero value
//! of the type, except for a [`Ttl`], where it is as if nothing was sent. What null and nothing mean in a PATCH, and how little a PATCH needs, says the page
//! [`patch`]. A field goes by its `#[serde(alias)]` too. Groups of fields that several requests share go into structs of their own: a handler may take a
//! tuple of them, `(Names, Validity)`, and `#[serde(flatten)]` works as well; a flattened field with an alias needs a
//! `#[schemars(extend("x-aliases" = ["other-name"]))]` besides.
//!
//! A parameter in a path looks like a name by default; [`Path::name_rule`] and the functions of [`rule`] change that. A value
//! that breaks its rule makes the path an unknown one. A parameter that a handler does not take is a panic when the table is made, in every test; write
//! `{_name}` for one that nobody needs.
//!
//! # Answers
//!
//! [`Json`] takes what serializes to an object, and its type describes the answer in the OpenAPI document; `Option` of it is 404 to a read of nothing; a
//! handler that returns `Result<()>` answers 204; [`Keys`] is a list. What has no type is a [`Response`]: [`Response::data`] takes what serializes,
//! [`Response::none`] is 404 to a read and 204 to a write, and [`Response::raw`] is a body of your own. [`Response::warn`] adds to the warnings. Errors
//! are answers too:
//!
//! | [`Error`] | status | text |
//! | --- | --- | --- |
//! | `BadRequest` | 400 | as given |
//! | `Failed` | 500 | as given |
//! | `Internal` | 500 | the public one; the other goes to the log |
//! | `NotFound`, `PermissionDenied` | 404, 403 | as given |
//! | `UnsupportedPath`, `UnsupportedOperation` | 404, 405 | the host's own |
//! | `Status` | as given | as given |
//! | `Storage` | 500 | that of a standby passes on unchanged, and the host sends the request to the active node |
//!
//! # Storage
//!
//! [`Storage`] is a tree of keys and bytes; `read` and `write` on `dyn Storage` do JSON. Writes that belong together go
//! through [`Storage::apply`]: in a transaction where the host has them, in order elsewhere, so put first what may be left
//! over by a crash. Reads and writes that are one step go through `transaction` on `dyn Storage`, or stand under a lock of their key ([`Locks`]);
//! `below` walks through all keys of a folder, and `delete_below` ends them. What is
//! cached must be dropped in [`Backend::invalidate`]: another node may have written it.
//!
//! A host cancels a request by dropping it, mostly because its client has gone. A handler that has begun is run to its end nevertheless, and so are
//! [`Backend::initialize`], [`Backend::periodic`], [`Backend::renew`] and [`Backend::revoke`]: none of them needs a task of its
//! own for that. A crash still ends them half way, so order your writes that one between two of them does no harm. Try both:
//! `testing::FaultyStorage` fails at any write, or holds it until the caller is gone. What waits long, and changes nothing that nobody undoes, need
//! not wait for a client that has gone: [`Cx::unless_cancelled`] drops it then, and [`Cx::cancelled`] tells of it. A lease that such a client would have got is revoked at once.
//!
//! # What takes long
//!
//! A few threads answer for all mounts ([`Options::threads`](crate::Options::threads)), so no handler may keep one:
//!
//! | what | where |
//! | --- | --- |
//! | what waits: for storage, a socket, a timer | `.await` |
//! | what blocks a thread: files, DNS of the system, drivers of databases that are not async | `tokio::task::spawn_blocking(..).await` |
//! | what computes for more than some milliseconds | [`apart`], with a bound on how many do at a time |
//!
//! The work of `spawn_blocking` goes on when its handler is dropped, and a panic in it is an error of the `.await`, not of the process. The transport runs a large request apart as a
//! whole, and another one from when it has read more than 32 KiB from storage; a handler that answers with what it has kept in memory says how much
//! by [`carry`]. What keeps a thread for more than 100 ms is told in the log.
//!
//! # Leases
//!
//! [`Response::lease`] issues one. The host keeps [`Lease::internal`] and gives it back to [`Backend::renew`] and
//! [`Backend::revoke`]. Expiry is a revocation. [`Lease::of`] gives it a kind, for engines with several; [`LeaseTimes`] says how long it may
//! live, by the rules of the server, for who has to tell an outside system; and [`LeaseParams`] are the fields of a role for that.
//!
//! # What is done outside of storage
//!
//! A user in a database, a key in a cloud: what is made there and what the server knows of it are in no transaction. A [`Wal`] has on record what is
//! about to be made, so that a crash between the two leaves nothing that nobody ends. `examples/service-users` in the repository is a whole
//! engine of that kind, which a test kills at every step:
//!
//! ```
//! # use std::sync::Arc;
//! # use std::time::Duration;
//! # use landfast_sdk::logical::*;
//! # struct Outside;
//! # impl Outside {
//! #     async fn make(&self, _: &str) -> Result<()> { Ok(()) }
//! #     async fn delete(&self, _: &str) -> Result<()> { Ok(()) }
//! # }
//! # struct Users { wal: Wal, outside: Outside }
//! # impl Backend for Users {
//! #     async fn new(setup: Setup) -> Result<Self> {
//! #         Ok(Self { wal: Wal::of(&setup), outside: Outside })
//! #     }
//! #     fn table() -> Table<Self> { Table::new(vec![path("user/{name}", "A user.").update(Self::user)]) }
//! fn wal(&self) -> Option<&Wal> {
//!     Some(&self.wal)
//! }
//!
//! // In the next process, and in the periodic work, for what was begun and not seen through.
//! async fn undo(self: Arc<Self>, entry: WalEntry) -> Result<()> {
//!     self.outside.delete(&entry.data_as::<Named>()?.name).await
//! }
//!
//! async fn revoke(self: Arc<Self>, _: Cx, lease: LeaseContext) -> Result<Response> {
//!     self.outside.delete(&lease.internal_as::<Named>()?.name).await?;
//!     self.wal.settle(&lease).await?;
//!     Ok(Response::none())
//! }
//! # }
//! # impl Users {
//!
//! async fn user(self: Arc<Self>, _: Cx, user: Named) -> Result<Response> {
//!     let made = self.outside.make(&user.name);
//!     let ((), begun) = self.wal.guard(&self, "user", &user, made).await?;
//!     let hour = Duration::from_secs(3600);
//!     let lease = begun.lease(hour, 24 * hour, &user).await?;
//!     Ok(Response::null().lease(lease))
//! }
//! # }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! # let users = landfast_sdk::testing::Harness::<Users>::new().await;
//! # assert!(users.update("user/ann", serde_json::json!({})).await.lease.is_some());
//! # });
//! ```

mod answer;
mod auth;
mod backend;
mod below;
mod bounds;
mod complete;
mod cx;
mod decoder;
mod duration;
mod engine;
mod error;
mod fields;
mod form;
mod help;
mod json;
mod lease;
mod locks;
mod openapi;
pub mod patch;
mod path;
mod reply;
mod response;
mod route;
pub mod rule;
mod schema;
pub mod secret;
mod storage;
mod system;
mod table;
mod transaction;
mod typed;
mod wal;
mod watch;
mod weak;
mod wire;

pub use answer::{Answer, Member, Shape, fits};
pub use auth::{Auth, Cidrs, Login, TokenParams, TokenType};
pub use backend::{Backend, MountKind, Setup};
pub use below::Below;
pub(crate) use bounds::{LARGEST_OPEN_DATA, MAX_OPEN_DATA};
pub(crate) use complete::complete;
pub use cx::{Cx, Operation};
pub(crate) use decoder::Decoder;
pub use duration::{
    DurationError, format_duration, format_nanos, parse_duration, parse_duration_nanos,
};
pub use engine::Engine;
pub(crate) use engine::MAX_PATH;
pub use error::{Error, Result};
pub use fields::{Base64, CommaList, KeyValues, Named, NoFields, Page, Sent, Ttl};
pub use form::{Filled, Form};
pub use lease::{Granted, Lease, LeaseContext, LeaseParams, LeaseTimes, MountTimes, calculate_ttl};
pub use locks::{Locked, Locks};
pub use path::{Handler, Path, RequestData, path};
pub use response::{RawBody, Response};
pub use secret::{Secret, shown, stored};
pub use storage::{Storage, StorageError, Transaction, Write, page};
pub use system::{Alias, Cluster, Entity, Group, Identity, Product, ReplicationState, SystemView};
pub use table::Table;
pub use transaction::Tx;
#[doc(hidden)]
pub use typed::Told;
pub use typed::{IntoResponse, Json, Keys};
pub use wal::{Begun, Entry as WalEntry, Wal};
pub(crate) use watch::{Asked, LARGE, Turns, at_present};
pub use watch::{Caller, apart, carry};
pub use weak::parse_bool;
pub use wire::{
    ExistsReply, RawLease, RawReply, RawRequest, RawResponse, ReplyError, SpecialPaths,
};
