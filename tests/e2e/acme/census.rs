//! What ACME has, asked of a pair of mounts: signed by a client as it should be, and by nobody as it should not.

use serde_json::{Value, json};

use super::client::{open_networks, serve};
use super::dns::Dns;
use super::parity::{DIRECTORIES, Steps, picture, seen_status, walk};
use crate::support::{Pair, Reply};

/// Paths below a directory that take a signed request.
const SIGNED: [&str; 10] = [
    "new-account",
    "new-order",
    "revoke-cert",
    "orders",
    "account/x",
    "authorization/x",
    "challenge/x/http-01",
    "order/x",
    "order/x/finalize",
    "order/x/cert",
];

/// Asks both mounts by every directory, and compares.
///
/// # Panics
/// With all that differs.
pub(crate) fn ask(pair: &Pair) {
    let dns = Dns::start();
    let mounts = pair.mounts().clone();
    let server = pair.server();
    for mount in &mounts {
        serve(server, mount, &dns);
    }
    open_networks(server, &mounts[1]);
    let mounts = mounts.each_ref().map(String::as_str);
    for (directory, name) in DIRECTORIES {
        Steps::take(mounts, &dns, |seen, mount, dns| {
            walk(server, seen, mount, dns, directory, name);
            unsigned(pair, seen, mount, directory);
        })
        .alike();
    }
}

/// Without a signature, without a token, by the wrong method, and of a role or an issuer that is not there.
fn unsigned(pair: &Pair, seen: &mut Vec<(String, Value)>, mount: &str, directory: &str) {
    let nobody = pair.server().client().with_token("");
    let mut note = |what: &str, reply: &Reply| {
        seen.push((format!("{directory} {what}"), picture(reply, mount)));
    };
    let reply = nobody.read(&format!("{mount}/{directory}/directory"));
    // Ours has more in it (docs/compatibility.md).
    let theirs = ["newNonce", "newAccount", "newOrder", "revokeCert"];
    assert!(reply.status == 200 && theirs.iter().all(|key| reply.body[*key].is_string()));
    for path in SIGNED {
        for body in [
            json!({}),
            json!({"protected": "e30", "payload": "", "signature": ""}),
        ] {
            // Their words name Go's types.
            let reply = nobody.write(&format!("{mount}/{directory}/{path}"), body);
            seen_status(&mut note, path, reply);
        }
        note(path, &nobody.delete(&format!("{mount}/{directory}/{path}")));
    }
    for path in ["directory", "new-nonce"] {
        let path = format!("{mount}/{directory}/{path}");
        note("by POST", &nobody.write(&path, json!({})));
        let lost = path.replace("web", "nope").replace("default", "nope");
        if lost != path {
            seen_status(&mut note, "of what is not there", nobody.read(&lost));
        }
    }
    let eab = format!("{mount}/{directory}/new-eab");
    note("EAB of nobody", &nobody.write(&eab, json!({})));
    let operator = pair.server().client();
    let lost = eab.replace("web", "nope").replace("default", "nope");
    seen_status(
        &mut note,
        "EAB of what is not there",
        operator.write(&lost, json!({})),
    );
}
