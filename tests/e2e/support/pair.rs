//! The built-in engine and ours side by side in one server: the same request
//! goes to both, and what may not differ is compared.

use serde_json::{Map, Value, json};

use super::client::Asked;
use super::{Client, PLUGIN_NAME, Release, Reply, Server};

/// Mount of the server's own engine.
const THEIRS: &str = "builtin";
/// Mount of the engine under test. As long as the other's, so that texts that
/// are cut at a length stay alike.
const OURS: &str = "landfst";

/// Two mounts, and the differences found so far.
pub(crate) struct Pair {
    server: Server,
    client: Client,
    /// The paths of the mounts, the built-in engine's first.
    mounts: [String; 2],
    /// The OpenAPI document of our mount.
    document: Value,
    differences: Vec<String>,
}

/// What the two mounts answered.
pub(crate) struct Both {
    pub(crate) theirs: Reply,
    pub(crate) ours: Reply,
}

impl Pair {
    /// A dev server with both engines mounted.
    pub(crate) fn new() -> Self {
        Self::on(Server::dev(), "")
    }

    /// The same on a certain server.
    pub(crate) fn of(release: Release) -> Self {
        Self::on(Server::dev_of(release), "")
    }

    /// The same below a namespace of this name.
    pub(crate) fn within(namespace: &str) -> Self {
        let server = Server::dev();
        let path = format!("sys/namespaces/{namespace}");
        server.client().write(&path, json!({})).ok();
        Self::on(server, &format!("{namespace}/"))
    }

    fn on(server: Server, namespace: &str) -> Self {
        let client = server.client();
        for (mount, kind) in [(THEIRS, "pki"), (OURS, PLUGIN_NAME)] {
            let body = json!({"type": kind, "config": {"max_lease_ttl": "87600h"}});
            client
                .write(&format!("{namespace}sys/mounts/{mount}"), body)
                .ok();
        }
        let mounts = [THEIRS, OURS].map(|mount| format!("{namespace}{mount}"));
        let document = client.read(&format!("{}/?help=1", mounts[1])).ok();
        Self {
            document: document.body["openapi"].clone(),
            client,
            mounts,
            server,
            differences: Vec::new(),
        }
    }

    /// The paths of the mounts, the built-in engine's first.
    pub(crate) fn mounts(&self) -> &[String; 2] {
        &self.mounts
    }

    /// What each mount was asked so far, by its index, with the path below it.
    pub(crate) fn asked(&self) -> Vec<(usize, Asked)> {
        let of_a_mount = |asked: Asked| {
            let below = |mount: &String| {
                let path = asked.path.strip_prefix(mount.as_str())?;
                Some(path.strip_prefix('/')?.to_owned())
            };
            let (at, path) = (0..2).find_map(|at| Some((at, below(&self.mounts[at])?)))?;
            Some((at, Asked { path, ..asked }))
        };
        self.server
            .asked()
            .into_iter()
            .filter_map(of_a_mount)
            .collect()
    }

    pub(crate) fn server(&self) -> &Server {
        &self.server
    }

    /// From now on, requests come from this caller.
    pub(crate) fn speak_as(&mut self, client: Client) {
        self.client = client;
    }

    /// Sends the same request to both, without comparing.
    pub(crate) fn both(&self, method: &str, path: &str, body: Option<&Value>) -> Both {
        self.each(method, |_| path.to_owned(), |_| body.cloned())
    }

    /// Sends each its own body, or none for null, without comparing.
    pub(crate) fn both_with(&self, method: &str, path: &str, bodies: &[Value; 2]) -> Both {
        let body = |i: usize| Some(bodies[i].clone()).filter(|body| !body.is_null());
        self.each(method, |_| path.to_owned(), body)
    }

    /// Sends the same request to both and notes every difference.
    pub(crate) fn same(&mut self, method: &str, path: &str, body: Value) -> Both {
        let body = (!body.is_null()).then_some(body);
        let both = self.both(method, path, body.as_ref());
        let what = match &body {
            Some(body) => format!("{method} {path} {}", short(&body.to_string())),
            None => format!("{method} {path}"),
        };
        self.compare(&what, &both);
        both
    }

    /// Like [`Pair::same`], for requests that name what a mount has made
    /// itself: both functions get the mount's index, 0 for the built-in.
    pub(crate) fn same_with(
        &mut self,
        method: &str,
        path: impl Fn(usize) -> String,
        body: impl Fn(usize) -> Value,
    ) -> Both {
        let what = format!("{method} {} {}", path(0), short(&body(0).to_string()));
        let both = self.each(method, path, |i| {
            Some(body(i)).filter(|body| !body.is_null())
        });
        self.compare(&what, &both);
        both
    }

    /// Sends each mount an OCSP request of its own by GET, and the built-in one the same by POST.
    pub(crate) fn ocsp(&self, requests: &[Vec<u8>; 2]) -> (Both, Reply) {
        let both = Both {
            theirs: self.client.ocsp(&self.mounts[0], &requests[0]),
            ours: self.client.ocsp(&self.mounts[1], &requests[1]),
        };
        let posted = self.post_ocsp(&self.mounts[0], &requests[0]);
        (both, posted)
    }

    /// Sends both mounts an OCSP request by POST.
    pub(crate) fn ocsp_by_post(&self, request: &[u8]) -> Both {
        Both {
            theirs: self.post_ocsp(&self.mounts[0], request),
            ours: self.post_ocsp(&self.mounts[1], request),
        }
    }

    fn post_ocsp(&self, mount: &str, request: &[u8]) -> Reply {
        let anybody = self.client.with_token("");
        anybody
            .try_call("POST", &format!("{mount}/ocsp"), Some(request.to_vec()))
            .expect("an answer")
    }

    /// Notes a difference unless the two values are equal.
    pub(crate) fn equal(&mut self, what: &str, theirs: &str, ours: &str) {
        if theirs != ours {
            self.differ(&format!(
                "{what}\n    built-in: {theirs}\n    ours:     {ours}"
            ));
        }
    }

    /// Notes a difference.
    pub(crate) fn differ(&mut self, what: &str) {
        self.differences.push(what.to_owned());
    }

    /// Ends the comparison.
    ///
    /// # Panics
    ///
    /// With every difference that was noted.
    #[track_caller]
    pub(crate) fn finish(self) {
        assert!(
            self.differences.is_empty(),
            "{} differences:\n{}",
            self.differences.len(),
            self.differences.join("\n")
        );
    }

    /// Sends each mount its own request, without comparing: both functions get the mount's index, 0 for the built-in.
    pub(crate) fn each(
        &self,
        method: &str,
        path: impl Fn(usize) -> String,
        body: impl Fn(usize) -> Option<Value>,
    ) -> Both {
        let ask = |i: usize| {
            let path = format!("{}/{}", self.mounts[i], path(i));
            self.client.call(method, &path, body(i))
        };
        let both = Both {
            theirs: ask(0),
            ours: ask(1),
        };
        super::schema::hold(&self.document, method, &path(1), &both.ours);
        both
    }

    fn compare(&mut self, what: &str, both: &Both) {
        let theirs = picture(&both.theirs, THEIRS);
        let ours = picture(&both.ours, OURS);
        for key in ["status", "type", "errors", "warnings", "frame", "body"] {
            self.equal(
                &format!("{what}: {key}"),
                &theirs[key].to_string(),
                &ours[key].to_string(),
            );
        }
        let empty = Map::new();
        let theirs = theirs["data"].as_object().unwrap_or(&empty).clone();
        let ours = ours["data"].as_object().unwrap_or(&empty).clone();
        for key in theirs
            .keys()
            .chain(ours.keys().filter(|key| !theirs.contains_key(*key)))
        {
            let show = |map: &Map<String, Value>| {
                map.get(key)
                    .map_or_else(|| "absent".to_owned(), Value::to_string)
            };
            self.equal(&format!("{what}: data.{key}"), &show(&theirs), &show(&ours));
        }
    }
}

impl Both {
    /// Asserts that both succeeded.
    #[track_caller]
    pub(crate) fn ok(self) -> Self {
        Self {
            theirs: self.theirs.ok(),
            ours: self.ours.ok(),
        }
    }

    /// A text field of both.
    #[track_caller]
    pub(crate) fn text(&self, field: &str) -> [String; 2] {
        [self.theirs.text(field), self.ours.text(field)]
    }
}

/// A reply with everything taken out that differs from one run to the next.
fn picture(reply: &Reply, mount: &str) -> Value {
    let data = masked(reply.data(), mount);
    let warnings: Vec<String> = reply
        .warnings()
        .iter()
        .map(|text| mask(text, mount))
        .collect();
    let errors: Vec<String> = reply
        .errors()
        .iter()
        .map(|text| mask(text, mount))
        .collect();
    let raw = reply.body.is_null();
    let body = match std::str::from_utf8(&reply.bytes) {
        Ok(text) if raw => mask(text, mount),
        _ if raw => "<binary>".to_owned(),
        _ => String::new(),
    };
    // A null answer and an empty one are told apart by clients.
    let frame = if data.is_object() { "object" } else { "none" };
    json!({
        "status": reply.status,
        "type": reply.header("content-type"),
        "errors": errors,
        "warnings": warnings,
        "frame": frame,
        "data": data,
        "body": body,
    })
}

fn masked(value: &Value, mount: &str) -> Value {
    match value {
        Value::String(text) => Value::String(mask(text, mount)),
        // Seconds since 1970 in this century; no setting is as large.
        Value::Number(number) if number.as_i64().is_some_and(|n| n > 1_500_000_000) => {
            json!("<unix time>")
        }
        Value::Array(list) => list.iter().map(|value| masked(value, mount)).collect(),
        Value::Object(map) => {
            // Objects keyed by identifiers become sorted lists: masked keys
            // would fall onto each other.
            let named = map.keys().all(|key| mask(key, mount) == *key);
            let values = map
                .iter()
                .map(|(key, value)| (mask(key, mount), masked(value, mount)));
            if named {
                return values.collect();
            }
            let mut rows: Vec<String> = values
                .map(|(key, value)| format!("{key}: {value}"))
                .collect();
            rows.sort();
            json!(rows)
        }
        other => other.clone(),
    }
}

/// A text without identifiers, serial numbers, times and encoded objects.
fn mask(text: &str, mount: &str) -> String {
    let mut text = text.replace(&format!("{mount}/"), "MOUNT/");
    // A list in the order of a Go map: another one in every reply.
    if let Some((head, list)) = text.split_once("valid values are ") {
        let mut values: Vec<&str> = list.split(", ").collect();
        values.sort_unstable();
        text = format!("{head}valid values are {}", values.join(", "));
    }
    let mut out = String::with_capacity(text.len());
    let mut rest = text.as_str();
    while let Some(first) = rest.chars().next() {
        let edge = !out.ends_with(|c: char| c.is_ascii_alphanumeric());
        if let Some((name, length)) = pem(rest) {
            out.push_str(&format!("<pem {name}>"));
            rest = &rest[length..];
        } else if let Some(length) = uuid(rest).filter(|_| edge) {
            out.push_str("<id>");
            rest = &rest[length..];
        } else if let Some(length) = serial(rest).filter(|_| edge) {
            out.push_str("<serial>");
            rest = &rest[length..];
        } else if let Some(length) = time(rest).filter(|_| edge) {
            out.push_str("<time>");
            rest = &rest[length..];
        } else if let Some(length) = base64(rest).filter(|_| edge) {
            out.push_str("<base64>");
            rest = &rest[length..];
        } else {
            out.push(first);
            rest = &rest[first.len_utf8()..];
        }
    }
    out
}

fn pem(text: &str) -> Option<(&str, usize)> {
    let (name, body) = text.strip_prefix("-----BEGIN ")?.split_once("-----")?;
    let end = format!("-----END {name}-----");
    let at = body.find(&end)?;
    Some((name, text.len() - body.len() + at + end.len()))
}

fn uuid(text: &str) -> Option<usize> {
    let candidate = text.get(..36)?;
    let fits = candidate.char_indices().all(|(at, c)| match at {
        8 | 13 | 18 | 23 => c == '-',
        _ => c.is_ascii_hexdigit(),
    });
    fits.then_some(36)
}

/// At least ten pairs of hex digits with colons or dashes between them.
fn serial(text: &str) -> Option<usize> {
    let bytes = text.as_bytes();
    let mut at = 0;
    let mut pairs = 0;
    while bytes.len() >= at + 2 && bytes[at..at + 2].iter().all(u8::is_ascii_hexdigit) {
        at += 2;
        pairs += 1;
        match bytes.get(at) {
            Some(b':' | b'-') => at += 1,
            _ => break,
        }
    }
    (pairs >= 10).then_some(at)
}

/// A time of RFC 3339, with or without fractions.
fn time(text: &str) -> Option<usize> {
    let shape = "dddd-dd-ddTdd:dd:dd";
    let candidate = text.get(..shape.len())?;
    let fits = candidate.chars().zip(shape.chars()).all(|(c, s)| match s {
        'd' => c.is_ascii_digit(),
        s => c == s,
    });
    let tail = text.get(shape.len()..)?;
    let end = tail.find(|c: char| !c.is_ascii_digit() && !".Z+:".contains(c));
    fits.then_some(shape.len() + end.unwrap_or(tail.len()))
}

/// A long run of base64: DER of a key, a certificate, a digest.
fn base64(text: &str) -> Option<usize> {
    let end = text
        .find(|c: char| !c.is_ascii_alphanumeric() && !"+/=".contains(c))
        .unwrap_or(text.len());
    (end >= 56).then_some(end)
}

fn short(text: &str) -> String {
    match text.char_indices().nth(160) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
