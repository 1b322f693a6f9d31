//! What tests of a plugin need: the whole engine on memory storage, without a server.
//!
//! | to try | there is |
//! | --- | --- |
//! | requests of clients, and what they see | [`Harness::read`], [`Harness::update`] and so on, [`HttpReply`] |
//! | logins, and renewals of their tokens | [`Harness::login`], [`Harness::login_of`], [`Harness::renew_login`] |
//! | leases | [`Harness::lease_of`], [`Harness::renew`], [`Harness::revoke`] |
//! | what time brings | [`FixedSystem::at`], [`Harness::later`], [`Harness::periodic`] |
//! | passwords, entities, tuning | [`FixedSystem`] |
//! | a restart, a crash, a crash at any write | [`Harness::reload`], [`Harness::crash`], [`FaultyStorage::fail_at`] |
//! | what the write-ahead log has on record | [`Harness::wal_entries`] |
//! | a client that goes away | drop the call of the harness while [`FaultyStorage::hold_at`] holds a write, then [`Harness::idle`] |
//! | a database plugin | [`DatabaseHarness`] |
//! | what is logged | [`logged`] |
//!
//! ```
//! # use std::{sync::Arc, time::Duration};
//! # use landfast_sdk::logical::*;
//! use landfast_sdk::testing::{FixedSystem, Harness};
//! use serde_json::json;
//!
//! # struct Engine;
//! # impl Backend for Engine {
//! #     async fn new(_: Setup) -> Result<Self> { Ok(Self) }
//! #     fn table() -> Table<Self> { Table::new(vec![path("token/{name}", "A token.").update(token)]) }
//! #     async fn renew(self: Arc<Self>, cx: Cx, lease: LeaseContext) -> Result<Response> {
//! #         let granted = lease.times().renew(cx.system(), &lease).await?;
//! #         Ok(Response::none().lease(lease.renewed().with_times(&granted)))
//! #     }
//! # }
//! # async fn token(_: Arc<Engine>, cx: Cx, of: Named) -> Result<Response> {
//! #     let granted = LeaseTimes::default().grant(cx.system()).await?;
//! #     let token = cx.system().password("tokens").await?;
//! #     let lease = Lease::of("token", &of)?.with_times(&granted);
//! #     Ok(Response::data(&json!({ "token": token }))?.lease(lease))
//! # }
//! # tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
//! let hours = |hours: u64| Duration::from_secs(hours * 3600);
//! let system = FixedSystem::new().lease_ttls(hours(1), hours(8)).password_policy("tokens", "t0ken");
//! let engine: Harness<Engine> = Harness::<Engine>::builder().system(system).start().await.unwrap();
//! let reply = engine.update("token/ann", json!({})).await;
//! assert_eq!(reply.data["token"], "t0ken");
//! let lease = engine.lease_of(&reply);
//! engine.later(hours(7) + hours(1) / 2);
//! let renewed = engine.renew("token/ann", lease).await;
//! assert_eq!(renewed.lease.unwrap().ttl, hours(1) / 2);
//! # });
//! ```

mod database;
mod fixed;
mod harness;
mod http;
mod log;
mod storage;

pub use database::DatabaseHarness;
pub use fixed::FixedSystem;
pub use harness::{Harness, HarnessBuilder};
pub use http::HttpReply;
pub use log::logged;
pub use storage::{Calls, Fault, FaultyStorage, MemoryStorage};
