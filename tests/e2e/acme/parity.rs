//! The same requests to the built-in engine and to ours: what clients are answered, and the certificates that they get.

use landfast_pki::Certificate;
use serde_json::{Value, json};

use super::client::{Acme, HEADERS, csr, open_networks, serve};
use super::dns::Dns;
use super::jws::{b64, sign};
use crate::support::{Release, Reply, Server};

/// Each kind of directory, with a name that it has certificates for.
pub(super) const DIRECTORIES: [(&str, &str); 4] = [
    ("acme", "a.test"),
    ("roles/web/acme", "a.example.com"),
    ("issuer/default/acme", "b.test"),
    ("issuer/default/roles/web/acme", "b.example.com"),
];

/// A server with both engines, and the name server that they ask.
pub(super) fn both(release: Release) -> (Server, Dns) {
    let (server, dns) = (Server::dev_of(release), Dns::start());
    server.mount("theirs", "pki");
    server.mount("ours", "landfast");
    for mount in ["theirs", "ours"] {
        serve(&server, mount, &dns);
    }
    open_networks(&server, "ours");
    (server, dns)
}

/// What of an answer must be alike: status, content type, headers by name, and the body with ids, tokens and the mount taken out.
///
/// Ours says more: a nonce, the directory and the status come with problems too, as RFC 8555 section 6.5 and RFC 7807 have it.
pub(super) fn picture(reply: &Reply, mount: &str) -> Value {
    let headers: Vec<_> = HEADERS
        .iter()
        .filter(|name| match **name {
            "Replay-Nonce" | "Link" => reply.status < 300 && reply.header(name).is_some(),
            "Retry-After" => false,
            _ => reply.header(name).is_some(),
        })
        .collect();
    let kind = reply.header("content-type").unwrap_or_default();
    let mut body = reply.body.clone();
    if let (true, Some(members)) = (kind.contains("problem"), body.as_object_mut()) {
        members.remove("status");
    }
    plain(&mut body, mount);
    json!({ "status": reply.status, "type": kind, "headers": headers, "body": body })
}

fn plain(value: &mut Value, mount: &str) {
    match value {
        Value::String(text) => {
            let masked = text.replace(&format!("/v1/{mount}/"), "/v1/MOUNT/");
            let parts = masked.split('/').map(|part| match part.len() {
                36 if part.matches('-').count() == 4 => "ID",
                _ => part,
            });
            *text = parts.collect::<Vec<_>>().join("/");
        }
        Value::Array(list) => list.iter_mut().for_each(|one| plain(one, mount)),
        Value::Object(members) => {
            for (name, member) in members.iter_mut() {
                match name.as_str() {
                    "token"
                    | "expires"
                    | "validated"
                    | "revocation_time_rfc3339"
                    | "key"
                    | "id"
                    | "created_on" => {
                        *member = Value::from("RANDOM");
                    }
                    "revocation_time" => *member = Value::from(0),
                    _ => plain(member, mount),
                }
            }
        }
        _ => {}
    }
}

/// The same steps on each engine; the pictures are compared at the end.
pub(super) struct Steps {
    pictures: [Vec<(String, Value)>; 2],
}

impl Steps {
    pub(super) fn take(
        mounts: [&str; 2],
        dns: &Dns,
        walk: impl Fn(&mut Vec<(String, Value)>, &str, &Dns),
    ) -> Self {
        let pictures = mounts.map(|mount| {
            let mut seen = Vec::new();
            walk(&mut seen, mount, dns);
            seen
        });
        Self { pictures }
    }

    /// # Panics
    /// With all that differs.
    pub(super) fn alike(self) {
        let [theirs, ours] = self.pictures;
        assert_eq!(theirs.len(), ours.len());
        let differ: Vec<_> = theirs
            .iter()
            .zip(&ours)
            .filter(|(theirs, ours)| theirs != ours)
            .map(|((name, theirs), (_, ours))| {
                format!("{name}\n  theirs {theirs}\n  ours   {ours}")
            })
            .collect();
        assert!(
            differ.is_empty(),
            "{} of {} differ:\n{}",
            differ.len(),
            theirs.len(),
            differ.join("\n")
        );
    }
}

pub(super) fn walk(
    server: &Server,
    seen: &mut Vec<(String, Value)>,
    mount: &str,
    dns: &Dns,
    directory: &str,
    name: &str,
) {
    let nobody = server.client().with_token("");
    let path = format!("{mount}/{directory}");
    let mut note = |what: &str, reply: &Reply| {
        seen.push((format!("{directory} {what}"), picture(reply, mount)))
    };
    note("GET new-nonce", &nobody.read(&format!("{path}/new-nonce")));
    note(
        "HEAD new-nonce",
        &nobody.call("HEAD", &format!("{path}/new-nonce"), None),
    );

    let mut client = Acme::new(server, &path);
    note(
        "unknown key",
        &client.register(json!({ "onlyReturnExisting": true })),
    );
    note(
        "new account",
        &client
            .register(json!({ "contact": ["mailto:a@example.com"], "termsOfServiceAgreed": true })),
    );
    note("known account", &client.register(json!({})));
    let url = json!(client.account);
    note(
        "account",
        &client.follow(
            &url,
            &json!({ "contact": ["mailto:b@example.com"] }).to_string(),
        ),
    );
    note("order", &client.order(&[name]));
    note("no names", &client.post("new-order", "{}"));
    seen_status(
        &mut note,
        "odd names",
        client.post("new-order", &json!({ "identifiers": "x" }).to_string()),
    );
    for (kind, value) in [
        ("email", "a@b.test"),
        ("dns", "10.0.0.1"),
        ("dns", ""),
        ("ip", "a.test"),
        ("dns", "a..b"),
    ] {
        let body = json!({ "identifiers": [{ "type": kind, "value": value }] });
        let reply = client.post("new-order", &body.to_string());
        // Their words name Go's types and libraries.
        seen_status(&mut note, &format!("{kind} {value}"), reply);
    }
    let order = client.order(&[name, &format!("*.{name}")]);
    note("order of two", &order);
    for authorization in order.body["authorizations"].as_array().expect("two") {
        note("authorization", &client.follow(authorization, ""));
    }
    let early = client.finalize(&order, &csr(&[name], ""));
    note("too early", &early);
    for authorization in order.body["authorizations"].as_array().expect("two") {
        let authorization = client.follow(authorization, "").ok().body;
        let challenge = client.publish(&authorization, dns);
        note("challenge, read", &client.follow(&challenge, ""));
        let mut begun = client.follow(&challenge, "{}");
        // The built-in engine only says that it has begun; ours waits for a moment, and mostly knows.
        let theirs = ["theirs", "builtin"]
            .iter()
            .any(|name| mount.ends_with(name));
        if !theirs && begun.body["status"] == "valid" {
            begun.body["status"] = "processing".into();
            let members = begun.body.as_object_mut().expect("a challenge");
            members.remove("validated").expect("valid since a time");
        }
        note("challenge", &begun);
    }
    client.await_ready(&order);
    for authorization in order.body["authorizations"].as_array().expect("two") {
        note("validated", &client.follow(authorization, ""));
    }
    seen_status(
        &mut note,
        "other names",
        client.finalize(&order, &csr(&["x.test"], "")),
    );
    let names = [name, &format!("*.{name}")];
    let done = client.finalize(&order, &csr(&names, ""));
    note("finalized", &done);
    note(
        "finalized twice",
        &client.finalize(&order, &csr(&names, "")),
    );
    note(
        "valid order",
        &client.follow(&json!(order.header("location")), ""),
    );
    let chain = client.follow(&done.body["certificate"], "");
    note("chain", &chain);
    let leaf = Certificate::from_pem(&chain.bytes).expect("a certificate");
    note("orders", &client.post("orders", ""));
    let payload = json!({ "certificate": b64(leaf.der()) }).to_string();
    note("revoked", &client.post("revoke-cert", &payload));
    note("revoked twice", &client.post("revoke-cert", &payload));

    let mut header = client.header(&client.url("new-order"));
    header["nonce"] = "AAAA".into();
    seen_status(
        &mut note,
        "bad nonce",
        client.send("new-order", sign(&client.key, &header, "{}")),
    );
    let header = client.header(&client.url("new-account"));
    seen_status(
        &mut note,
        "bad url",
        client.send("new-order", sign(&client.key, &header, "{}")),
    );
    // Theirs drops the contacts of who does not repeat them.
    let gone = json!({ "status": "deactivated", "contact": ["mailto:b@example.com"] });
    note("given up", &client.follow(&url, &gone.to_string()));
    note("after that", &client.order(&[name]));
}

/// Status and type of the problem, where the words differ.
pub(super) fn seen_status(note: &mut impl FnMut(&str, &Reply), what: &str, mut reply: Reply) {
    if let Some(body) = reply.body.as_object_mut() {
        body.remove("detail");
    }
    note(what, &reply);
}

#[test]
fn clients_are_answered_alike() {
    for release in [Release::Current, Release::Previous] {
        let (server, dns) = both(release);
        for (directory, name) in DIRECTORIES {
            Steps::take(["theirs", "ours"], &dns, |seen, mount, dns| {
                walk(&server, seen, mount, dns, directory, name)
            })
            .alike();
        }
    }
}
