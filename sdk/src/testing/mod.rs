//! What tests of a plugin need: the whole engine on memory storage, without a server.

mod connect;
mod fixed;
mod harness;
mod http;
mod log;
mod storage;

pub use connect::connect;
pub use fixed::FixedSystem;
pub use harness::{Harness, HarnessBuilder};
pub use http::HttpReply;
pub use log::logged;
pub use storage::{Calls, Fault, FaultyStorage, MemoryStorage};
