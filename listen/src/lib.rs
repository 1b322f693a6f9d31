//! HTTP/1.1 listeners that strangers cannot hold up.
//!
//! Whoever connects and then says nothing, or a byte at a time, costs a socket. A fixed limit of sockets does not help against
//! that: it lets the silent lock out the others. Here a place is taken from whoever waits longest and from where most wait, so
//! that a newcomer always finds one:
//!
//! - [`Room`] is a bounded number of places, with a smaller bound for each group, such as the connections of one address. A full
//!   room gives up the place of an idle guest, the oldest of the largest group; guests whose request is being answered stay.
//! - [`converse`] speaks HTTP on one connection with limits for a request's head, in bytes and in time, and for the connection's life, and
//!   ends it when its place is taken or when its owner says so.
//! - [`serve`] is all of it for a listener whose requests need no more than a handler: it accepts, opens (TLS, or nothing), and
//!   serves until it is told to stop. The handler is a function of a request, for which an `axum::Router` serves as well:
//!
//! ```text
//! let handle = move |request| {
//!     let router = router.clone();
//!     async move { router.oneshot(request).await.unwrap_or_else(|never| match never {}) }
//! };
//! landfast_listen::serve(listener, &Limits::default(), plain, stopped, handle).await;
//! ```
//!
//! [`receive`] does the same for a [`Host`], which looks at who connects before it answers.
//!
//! Where clients show certificates, [`bounded`] says how much of that is looked at.
//!
//! A listener that knows its clients has two rooms: a small one for strangers, and one that a connection moves to once it is known
//! ([`Place::move_to`]).
//!
//! What a listener writes of strangers has a [`Budget`], and what they ask for has [`Buckets`]; [`Lines`] are what it writes to.
//!
//! Nothing here depends on another crate of landfast, so every one that listens can use it.

use std::time::Duration;

mod budget;
mod connection;
mod limit;
mod lines;
mod room;
mod scheme;
mod server;
mod shown;

pub use budget::{Budget, Decision, Sum, Unwritten};
pub use connection::{Bounds, Ending, LEAST_HEAD, converse};
pub use limit::{Bucket, Buckets};
pub use lines::Lines;
pub use room::{Busy, Full, Place, Room, neighbourhood};
pub use scheme::refuse_plain_http;
pub use server::{Accept, Host, plain, receive, serve};
pub use shown::{Shown, bounded};

/// What the connections of one listener may cost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// Connections at one time.
    pub connections: usize,
    /// Connections at one time from one address; those of a Unix socket count as from one.
    pub per_address: usize,
    /// A connection has to be opened in this time: the TLS handshake, mostly.
    pub handshake: Duration,
    /// What an open connection may cost.
    pub bounds: Bounds,
}

impl Default for Limits {
    /// For a service of this machine: 256 connections, all of which may be of one address, 5 s for a handshake.
    fn default() -> Self {
        Self {
            connections: 256,
            per_address: 256,
            handshake: Duration::from_secs(5),
            bounds: Bounds::default(),
        }
    }
}
