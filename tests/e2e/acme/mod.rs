//! The ACME server of the engine: beside the built-in one, and with real clients.

mod census;
mod certbot;
mod client;
mod dns;
mod instant;
#[path = "../../../plugin/tests/acme/jws.rs"]
mod jws;
mod parity;
mod post_quantum;
mod take_over;
mod under_load;

pub(crate) use self::census::ask;
