//! The logical-backend framework: what a secrets engine is made of, without any transport.
//!
//! A plugin author writes a [`Backend`]: a value that holds the state of one mount, and a [`Table`] of [`Path`] rows.
//! [`Engine`] drives it from raw requests, and [`crate::testing::Harness`] drives it in tests.

mod backend;
mod cx;
mod duration;
mod engine;
mod error;
mod fields;
mod help;
mod json;
mod openapi;
mod path;
mod reply;
mod response;
mod route;
pub mod rule;
mod schema;
mod storage;
mod system;
mod table;
mod weak;
mod wire;

pub use backend::{Backend, Setup};
pub use cx::{Cx, Headers, LeaseContext, Operation};
pub use duration::{
    DurationError, format_duration, format_nanos, parse_duration, parse_duration_nanos,
};
pub use engine::Engine;
pub use error::{Error, Result};
pub use fields::{CommaList, KeyValues, NoFields, Page, Ttl};
pub use path::{Path, path};
pub use response::{Lease, Response};
pub use storage::{Storage, StorageError, Transaction, Write, page};
pub use system::{Alias, Cluster, Entity, Group, ReplicationState, SystemView};
pub use table::Table;
pub use wire::{
    ExistsReply, RawLease, RawReply, RawRequest, RawResponse, ReplyError, SpecialPaths,
};
