//! `landfast public` in front of real servers, with real clients.

mod clients;
pub(crate) mod front;
mod hostile;
mod kept;
pub(crate) mod life;
mod others;
mod outage;
mod slashes;

use serde_json::json;

use self::front::{Front, Road, body, header, status};
use crate::support::{Client, PLUGIN_NAME, Release, Server};

/// The built-in engine and ours, by the paths of their mounts.
const MOUNTS: [(&str, &str); 2] = [("builtin", "pki"), ("ours", PLUGIN_NAME)];

/// A server with a root of one issuer in each of [`MOUNTS`], and a role `web`.
fn server(release: Release) -> Server {
    let server = Server::dev_of(release);
    for (mount, kind) in MOUNTS {
        server.mount(mount, kind);
        prepare(&server.client(), mount);
    }
    server
}

/// A root and a role for a mount.
pub(crate) fn prepare(client: &Client, mount: &str) {
    let root = json!({"common_name": format!("root of {mount}"), "issuer_name": "first", "key_type": "ec", "ttl": "8760h"});
    client
        .write(&format!("{mount}/root/generate/internal"), root)
        .ok();
    let role = json!({"allow_any_name": true, "key_type": "ec", "ttl": "1h"});
    client.write(&format!("{mount}/roles/web"), role).ok();
}

/// A certificate of a mount, and its serial number.
fn issue(client: &Client, mount: &str) -> (String, String) {
    let body = json!({"common_name": "a.test"});
    let made = client.write(&format!("{mount}/issue/web"), body).ok();
    (made.text("certificate"), made.text("serial_number"))
}

fn revoke(client: &Client, mount: &str, serial: &str) {
    let body = json!({"serial_number": serial});
    client.write(&format!("{mount}/revoke"), body).ok();
}

/// A configuration with both mounts of a server, below their names.
fn config(address: &str) -> serde_json::Value {
    json!({
        "listeners": [{"address": "127.0.0.1:0"}],
        "metrics_listen": "127.0.0.1:0",
        "server": {"address": address},
        "mounts": {"/builtin": {"mount": "builtin"}, "/ours": {"mount": "ours"}},
        // So that a change is seen in the next answer.
        "limits": {"refresh_seconds": 1},
    })
}
