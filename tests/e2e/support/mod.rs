//! Real servers, real clients, and the small helpers that every test shares.

/// Makes tests of functions that take a [`Release`]: one for each of the two servers.
macro_rules! on_both_releases {
    ($($case:ident)*) => {
        mod current {
            $(#[test] fn $case() { super::$case(crate::support::Release::Current) })*
        }
        mod previous {
            $(#[test] fn $case() { super::$case(crate::support::Release::Previous) })*
        }
    };
}

pub(crate) use on_both_releases;

mod client;
mod cluster;
mod ml_dsa;
mod openssl;
mod page;
mod pair;
mod program;
mod running;
mod schema;
mod server;
mod take_over;
mod tools;
mod webpki;

pub(crate) use self::client::{Client, Reply};
pub(crate) use self::cluster::Cluster;
pub(crate) use self::ml_dsa::{MlDsa, ocsp_request, tlv};
pub(crate) use self::openssl::Openssl;
pub(crate) use self::page::{Page, commands, free_port, ran, replaced, shell};
pub(crate) use self::pair::{Both, Pair};
pub(crate) use self::program::Program;
pub(crate) use self::running::Running;
pub(crate) use self::schema::pattern_of;
pub(crate) use self::server::{
    PLUGIN_NAME, Release, Server, directory, in_dev_mode, kill_all, plugins_below, private_memory,
    start, terminate, tools,
};
pub(crate) use self::take_over::{TakeOver, VERSION};
pub(crate) use self::tools::Python;
pub(crate) use self::webpki::webpki_verify;

use std::time::{Duration, Instant};

/// Asks `probe` until it has an answer, for at most `limit`.
///
/// # Panics
///
/// When the time is over: the message names `what` was waited for.
pub(crate) fn until<T>(what: &str, limit: Duration, mut probe: impl FnMut() -> Option<T>) -> T {
    let end = Instant::now() + limit;
    loop {
        if let Some(found) = probe() {
            return found;
        }
        assert!(Instant::now() < end, "{what}: not within {limit:?}");
        std::thread::sleep(Duration::from_millis(20));
    }
}
