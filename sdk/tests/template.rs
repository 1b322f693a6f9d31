//! What `landfast-sdk new` writes, with its own tests.

#[path = "../template/secret.rs"]
#[expect(
    dead_code,
    reason = "its main function serves a host, which this program is not"
)]
mod secret;

#[path = "../template/auth.rs"]
#[expect(
    dead_code,
    reason = "its main function serves a host, which this program is not"
)]
mod auth;

#[path = "../template/database.rs"]
#[expect(
    dead_code,
    reason = "its main function serves a host, which this program is not"
)]
mod database;
