//! One client misbehaves on one mount; the requests of another mount of the same plugin process are answered meanwhile.
//!
//! What is sent is taken from the engine's own description of its API: each path and operation, and in each of its fields a long text, a long
//! list, many names, and a deep value.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Map, Value, json};

use crate::large_answers::{crl_key, folder, large_crl, put, reload};
use crate::support::{Client, Openssl, PLUGIN_NAME, Server};

/// Bytes in a field. The environment variable `LANDFAST_FIELD_BYTES` has another number.
const FIELD: usize = 128 << 10;
/// What a request may wait in this unoptimised build on a busy machine, beside what the server itself makes it wait.
const PATIENCE: Duration = Duration::from_secs(1);

/// Two mounts of the plugin, and one of the server's own engine, which tells how long the server itself takes.
struct Neighbours {
    server: Server,
    client: Client,
    /// What the client that misbehaves is about to send.
    sending: Mutex<String>,
}

/// The longest waits.
#[derive(Debug, Default)]
struct Waits {
    ours: Duration,
    /// What was being sent then.
    meanwhile: String,
    servers: Duration,
    asked: usize,
}

impl Neighbours {
    fn new() -> Self {
        Self::on(Server::dev())
    }

    fn on(server: Server) -> Self {
        for (path, kind) in [
            ("loud", PLUGIN_NAME),
            ("quiet", PLUGIN_NAME),
            ("builtin", "pki"),
        ] {
            server.mount(path, kind);
            let root = json!({"common_name": path, "key_type": "ec", "ttl": "8760h"});
            server
                .client()
                .write(&format!("{path}/root/generate/internal"), root)
                .ok();
        }
        assert_eq!(server.plugins().len(), 1, "one process serves both");
        let client = server.client();
        Self {
            server,
            client,
            sending: Mutex::default(),
        }
    }

    fn send(&self, method: &str, path: &str, body: Option<&Value>, what: &str) -> u16 {
        *self.sending.lock().expect("no holder panics") = format!("{method} {path:.60} {what}");
        let body = body.map(|body| body.to_string().into_bytes());
        let reply = self.client.try_call(method, &format!("loud/{path}"), body);
        // The server may close a connection on a head that is too large for it; that is no answer of ours.
        reply.map_or(0, |reply| reply.status)
    }

    /// Asks the quiet mount again and again while `misbehave` runs.
    fn meanwhile(&self, misbehave: impl FnOnce()) -> Waits {
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let asking = scope.spawn(|| {
                let mut waits = Waits::default();
                let client = self.server.client();
                let took = |path: &str| {
                    let asked = Instant::now();
                    client.read(path).ok();
                    asked.elapsed()
                };
                while !done.load(Ordering::Relaxed) {
                    let sending = || self.sending.lock().expect("no holder panics").clone();
                    let before = sending();
                    let ours = took("quiet/cert/ca");
                    if ours > waits.ours {
                        waits.ours = ours;
                        waits.meanwhile = format!("{before} … {}", sending());
                    }
                    waits.servers = waits.servers.max(took("builtin/cert/ca"));
                    waits.asked += 1;
                    std::thread::sleep(Duration::from_millis(2));
                }
                waits
            });
            struct Done<'a>(&'a AtomicBool);
            impl Drop for Done<'_> {
                fn drop(&mut self) {
                    self.0.store(true, Ordering::Relaxed);
                }
            }
            let ended = Done(&done);
            misbehave();
            drop(ended);
            asking.join().expect("every answer came")
        })
    }
}

impl Waits {
    /// # Panics
    /// When a request of the quiet mount waited for the loud one.
    fn check(&self, what: &str) {
        println!("{what}: {self:?}");
        assert!(self.asked >= 10, "{what}: {self:?}");
        assert!(!self.is_long(), "{what}: {self:?}");
    }

    fn is_long(&self) -> bool {
        self.ours > PATIENCE + 3 * self.servers
    }
}

/// What is too much for a field, each of some `size` bytes.
fn shapes(name: &str, kind: &str, size: usize) -> Vec<(&'static str, Value)> {
    let host = |n: usize| format!("host-{n:06}.example.com");
    let hosts = || (0..size / 24).map(host);
    match kind {
        "array" => vec![
            ("many names", hosts().map(Value::from).collect()),
            ("one long name", json!(["ä".repeat(size / 2)])),
        ],
        "object" => {
            let deep = (0..60).fold(json!("x"), |inner, _| json!([inner]));
            let members = hosts().map(|host| (host, json!("value")));
            vec![
                ("many members", Value::Object(members.collect())),
                ("deep", deep),
            ]
        }
        "integer" | "boolean" | "number" => vec![("many digits", json!("9".repeat(size)))],
        _ if ["pem", "csr", "certificate"]
            .iter()
            .any(|word| name.contains(word)) =>
        {
            let body = "MIIB".repeat(size / 4);
            let pem = format!("-----BEGIN CERTIFICATE-----\n{body}\n-----END CERTIFICATE-----\n");
            vec![("PEM", json!(pem)), ("no PEM", json!("ä".repeat(size / 2)))]
        }
        _ if ["names", "sans", "domains"]
            .iter()
            .any(|word| name.contains(word)) =>
        {
            vec![
                ("many names", json!(hosts().collect::<Vec<_>>().join(","))),
                ("labels", json!("a.".repeat(size / 2))),
                ("one long label", json!("ä".repeat(size / 2))),
            ]
        }
        _ => vec![("one long text", json!("ä".repeat(size / 2)))],
    }
}

/// What a field is called, and its kind.
type Field = (String, String);

/// Each operation of the API: method, path with its parameters filled in, and fields. Of those with the same fields one stands for all.
fn operations(client: &Client) -> Vec<(String, String, Vec<Field>)> {
    let help = client.read("loud?help=1").ok();
    let document = &help.body["data"]["openapi"];
    let document = if document.is_null() {
        &help.body["openapi"]
    } else {
        document
    };
    let paths = document["paths"].as_object().expect("a list of paths");
    assert!(paths.len() > 60, "{}", paths.len());
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for (path, item) in paths {
        let filled = fill(path.trim_start_matches('/'));
        for (method, verb) in [
            ("get", "GET"),
            ("post", "POST"),
            ("patch", "PATCH"),
            ("delete", "DELETE"),
        ] {
            let Some(operation) = item.get(method) else {
                continue;
            };
            let body = &operation["requestBody"]["content"];
            let body = body.as_object().and_then(|kinds| kinds.values().next());
            let mut fields: Vec<Field> = Vec::new();
            for (name, field) in body
                .into_iter()
                .flat_map(|body| body["schema"]["properties"].as_object())
                .flatten()
            {
                fields.push((
                    name.clone(),
                    field["type"].as_str().unwrap_or("string").to_owned(),
                ));
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                let name = parameter["name"].as_str().expect("a parameter has a name");
                let kind = parameter["schema"]["type"].as_str().unwrap_or("string");
                fields.push((name.to_owned(), kind.to_owned()));
            }
            if seen.insert((verb, fields.clone())) {
                found.push((verb.to_owned(), filled.clone(), fields));
            }
        }
    }
    found
}

/// A path with the name of something that is there for each of its parameters.
fn fill(pattern: &str) -> String {
    let segments = pattern.split('/').map(|segment| match segment {
        "{role}" | "{name}" => "r",
        "{issuer_ref}" | "{key_ref}" => "default",
        "{exported}" => "internal",
        parameter if parameter.starts_with('{') => "11-22",
        word => word,
    });
    segments.collect::<Vec<_>>().join("/")
}

#[test]
fn whatever_is_sent_to_a_mount_another_one_is_answered() {
    let size = std::env::var("LANDFAST_FIELD_BYTES").map_or(FIELD, |size| size.parse().unwrap());
    let neighbours = Neighbours::new();
    let role = json!({"allow_any_name": true, "enforce_hostnames": false, "key_type": "ec", "no_store": true});
    neighbours.client.write("loud/roles/r", role).ok();
    let operations = operations(&neighbours.client);
    let fields: usize = operations.iter().map(|(_, _, fields)| fields.len()).sum();
    assert!(fields > 200, "{fields}");
    let mut sent = 0;
    let waits = neighbours.meanwhile(|| {
        // What deletes comes last: the others need what it takes away.
        let (last, first): (Vec<_>, Vec<_>) = operations
            .iter()
            .partition(|(method, ..)| method == "DELETE");
        for (method, path, fields) in first.into_iter().chain(last) {
            for (name, kind) in fields {
                for (shape, value) in shapes(name, kind, size) {
                    sent += 1;
                    let what = format!("{name}: {shape}");
                    if method == "GET" {
                        // A query is as long as the server takes a head.
                        let text = value
                            .as_str()
                            .map_or_else(|| value.to_string(), str::to_owned);
                        let text: String = text
                            .bytes()
                            .take(60_000)
                            .map(char::from)
                            .filter(char::is_ascii_alphanumeric)
                            .collect();
                        neighbours.send(method, &format!("{path}?{name}={text}"), None, &what);
                        continue;
                    }
                    // The rest is small and quick, so that nothing but the field takes time.
                    let mut body = Map::from_iter([
                        ("common_name".to_owned(), json!("a.example.com")),
                        ("key_type".to_owned(), json!("ec")),
                    ]);
                    body.insert(name.clone(), value);
                    neighbours.send(method, path, Some(&Value::Object(body)), &what);
                }
            }
            let unknown: Map<_, _> = (0..size / 24)
                .map(|n| (format!("unknown-{n:08}"), json!(1)))
                .collect();
            if method != "GET" {
                neighbours.send(
                    method,
                    path,
                    Some(&Value::Object(unknown)),
                    "unknown fields",
                );
            }
            neighbours.send(
                method,
                &format!("{path}/{}", "x".repeat(30_000)),
                None,
                "a long path",
            );
        }
    });
    waits.check(&format!("{sent} requests"));
}

/// Puts into the storage of the loud mount what makes its answers long: a role and a chain of a megabyte, a CRL of five, and many
/// certificates.
fn fill_up(client: &Client) {
    const CHAIN: usize = 1500;
    const CERTIFICATES: usize = 1500;
    // In one text: the server takes few elements of lists.
    let hosts = (0..40_000).map(|n| format!("host-{n:06}.example.com"));
    let hosts = hosts.collect::<Vec<_>>().join(",");
    client
        .write("loud/roles/large", json!({"allowed_domains": hosts}))
        .ok();
    let issuer = client.read("loud/issuer/default").ok();
    let certificate = issuer.text("certificate");
    let folder = folder(client, "loud");
    let entry = format!("{folder}config/issuer/{}", issuer.text("issuer_id"));
    let mut stored: Value = serde_json::from_str(&client.read(&entry).ok().text("value"))
        .expect("an issuer is stored as JSON");
    stored["ca_chain"] = json!(vec![&certificate; CHAIN]);
    put(client, &entry, stored.to_string().as_bytes());
    let crl = large_crl(&certificate);
    put(
        client,
        &format!("{folder}{}", crl_key(client, &folder)),
        &crl,
    );
    let der = landfast_pki::Certificate::from_pem(certificate.as_bytes()).expect("a certificate");
    // Longer than serial numbers are, so that fewer make a megabyte.
    let tail = "-ab".repeat(250);
    for n in 0..CERTIFICATES {
        let key = format!("{folder}certs/{:02x}-{:02x}{tail}", n / 256, n % 256);
        put(client, &key, der.der());
    }
    reload(client, "loud");
}

#[test]
fn large_answers_keep_nobody_waiting() {
    const CLIENTS: usize = 32;
    const SPAN: Duration = Duration::from_secs(3);
    let neighbours = Neighbours::on(Server::dev_on("raw_storage_endpoint = true\n"));
    fill_up(&neighbours.client);
    let mut slow = Vec::new();
    for (method, path, least) in [
        ("GET", "roles/large", 1_000_000),
        ("GET", "issuer/default/json", 800_000),
        ("GET", "ca_chain", 800_000),
        ("GET", "issuer/default/crl", 7_000_000),
        ("GET", "crl", 5_000_001),
        ("LIST", "certs", 1_000_000),
        ("LIST", "certs/detailed", 1_000_000),
        ("GET", "roles/large?help=1", 20),
    ] {
        // Many of several megabytes fill the one connection between the server and the plugin, whatever they take to make; and those who ask for
        // all certificates take turns, so that many would lose their patience on a slow machine.
        let few = least > 5_000_000 || path == "certs/detailed";
        let clients = if few { 8 } else { CLIENTS };
        let answered = Mutex::new(0);
        let waits = neighbours.meanwhile(|| {
            let end = Instant::now() + SPAN;
            std::thread::scope(|scope| {
                for _ in 0..clients {
                    scope.spawn(|| {
                        let client = neighbours.server.client();
                        while Instant::now() < end {
                            let reply = client.call(method, &format!("loud/{path}"), None);
                            assert_eq!(reply.status, 200, "{path}: {reply:?}");
                            let size = reply.bytes.len();
                            assert!(size >= least, "{path}: {size}");
                            *answered.lock().expect("no holder panics") += 1;
                        }
                    });
                }
            });
        });
        let answered = answered.into_inner().expect("no holder panics");
        println!("{path}, {answered} answers: {waits:?}");
        if waits.is_long() {
            slow.push(format!("{path}: {waits:?}"));
        }
    }
    assert!(slow.is_empty(), "{slow:#?}");
}

#[test]
fn many_issuers_of_one_name_keep_nobody_waiting() {
    let neighbours = Neighbours::new();
    let waits = neighbours.meanwhile(|| {
        for n in 0..60 {
            let root =
                json!({"common_name": "Same", "key_type": "ec", "issuer_name": format!("i{n}")});
            let made = neighbours.send("POST", "root/generate/internal", Some(&root), "one more");
            assert_eq!(made, 200);
        }
    });
    waits.check("60 issuers");
}

#[test]
fn strangers_who_ask_for_slow_signatures_keep_nobody_waiting() {
    const STRANGERS: usize = 64;
    let neighbours = Neighbours::new();
    let root = json!({"common_name": "Slow", "key_type": "rsa", "key_bits": 4096, "ttl": "8760h", "issuer_name": "slow"});
    let root = neighbours
        .client
        .write("loud/root/generate/internal", root)
        .ok();
    neighbours
        .client
        .write("loud/config/issuers", json!({"default": "slow"}))
        .ok();
    let openssl = Openssl::new();
    let request = openssl.ocsp_request(&root.text("certificate"), &["-serial", "0x1122"]);
    let answered = Mutex::new(0);
    let waits = neighbours.meanwhile(|| {
        let end = Instant::now() + Duration::from_secs(8);
        std::thread::scope(|scope| {
            for _ in 0..STRANGERS {
                scope.spawn(|| {
                    let client = neighbours.server.client();
                    while Instant::now() < end {
                        let reply = client.ocsp("loud", &request);
                        assert!([200, 503].contains(&reply.status), "{reply:?}");
                        *answered.lock().expect("no holder panics") +=
                            usize::from(reply.status == 200);
                    }
                });
            }
        });
    });
    let answered = answered.into_inner().expect("no holder panics");
    assert!(answered > 10, "{answered}");
    waits.check(&format!("{answered} answers to {STRANGERS} strangers"));
}
