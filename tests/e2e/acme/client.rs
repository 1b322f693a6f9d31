//! An ACME client over HTTP that hides nothing of an answer, and a server with a mount for it.

use std::cell::RefCell;
use std::time::Duration;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::signature::EcdsaKeyPair;
use rcgen::{CertificateParams, DistinguishedName, KeyPair};
use serde_json::{Value, json};

use super::dns::Dns;
use super::jws::{b64, jwk, key, sign};
use crate::support::{Client, Reply, Server, until};

/// Headers that a mount must let pass for ACME.
pub(super) const HEADERS: [&str; 4] = ["Replay-Nonce", "Link", "Location", "Retry-After"];

/// Sets a mount up for ACME: a root, a role, headers, and the name server.
pub(super) fn serve(server: &Server, mount: &str, dns: &Dns) {
    let client = server.client();
    let tuned = json!({ "allowed_response_headers": HEADERS, "max_lease_ttl": "87600h" });
    // A slash is of the mount's own path, or stands behind a namespace.
    let mut settings = format!("sys/mounts/{mount}");
    if client.read(&settings).status != 200 {
        let (namespace, below) = mount.split_at(mount.rfind('/').map_or(0, |at| at + 1));
        settings = format!("{namespace}sys/mounts/{below}");
    }
    client.write(&format!("{settings}/tune"), tuned).ok();
    let write = |path: &str, body: Value| client.write(&format!("{mount}/{path}"), body).ok();
    write(
        "root/generate/internal",
        json!({ "common_name": "Root", "key_type": "ec", "ttl": "8760h" }),
    );
    write(
        "roles/web",
        json!({ "allowed_domains": "example.com", "allow_subdomains": true, "allow_bare_domains": true, "key_type": "any",
            "max_ttl": "720h" }),
    );
    write(
        "config/cluster",
        json!({ "path": format!("{}/v1/{mount}", server.address()) }),
    );
    write(
        "config/acme",
        json!({ "enabled": true, "dns_resolver": dns.address() }),
    );
}

/// Lets validation of our engine reach this machine.
pub(super) fn open_networks(server: &Server, mount: &str) {
    let body = json!({ "networks": "public,private,127.0.0.0/8" });
    server
        .client()
        .write(&format!("{mount}/config/acme-validation"), body)
        .ok();
}

/// A client of one directory.
pub(super) struct Acme {
    http: Client,
    base: String,
    path: String,
    pub(super) key: EcdsaKeyPair,
    pub(super) account: Option<String>,
    nonce: RefCell<Option<String>>,
}

impl Acme {
    /// `path` is that of the directory, such as `pki/acme`.
    pub(super) fn new(server: &Server, path: &str) -> Self {
        Self::of(server.client(), path)
    }

    /// The same by a client of the server; its token is not used.
    pub(super) fn of(client: Client, path: &str) -> Self {
        let http = client.with_token("");
        Self {
            base: format!("{}/v1/", http.address()),
            http,
            path: path.to_owned(),
            key: key(),
            account: None,
            nonce: RefCell::default(),
        }
    }

    /// The URLs that the server names begin with this, whichever node is asked.
    pub(super) fn named(mut self, base: &str) -> Self {
        self.base = format!("{base}/v1/");
        self
    }

    /// Asks by way of another node from here on.
    pub(super) fn by(&mut self, client: &Client) {
        self.http = client.with_token("");
        self.nonce.take();
    }

    pub(super) fn registered(mut self) -> Self {
        let reply = self.register(json!({ "termsOfServiceAgreed": true }));
        assert_eq!(reply.status, 201, "{reply:?}");
        self
    }

    pub(super) fn register(&mut self, payload: Value) -> Reply {
        self.account = None;
        let reply = self.post("new-account", &payload.to_string());
        self.account = reply.header("location").map(str::to_owned);
        reply
    }

    pub(super) fn url(&self, below: &str) -> String {
        format!("{}{}/{below}", self.base, self.path)
    }

    fn nonce(&self) -> String {
        let kept = self.nonce.take();
        kept.unwrap_or_else(|| {
            let reply = self
                .http
                .call("HEAD", &format!("{}/new-nonce", self.path), None)
                .ok();
            reply.header("replay-nonce").expect("a nonce").to_owned()
        })
    }

    pub(super) fn header(&self, url: &str) -> Value {
        let mut header = json!({ "alg": "ES256", "nonce": self.nonce(), "url": url });
        match &self.account {
            Some(account) => header["kid"] = account.as_str().into(),
            None => header["jwk"] = jwk(&self.key),
        }
        header
    }

    pub(super) fn send(&self, below: &str, signed: Value) -> Reply {
        let reply = self
            .http
            .call("POST", &format!("{}/{below}", self.path), Some(signed));
        self.nonce
            .replace(reply.header("replay-nonce").map(str::to_owned));
        reply
    }

    /// Posts; tries again where the nonce is not known, as clients do.
    pub(super) fn post(&self, below: &str, payload: &str) -> Reply {
        let url = self.url(below);
        let once = || self.send(below, sign(&self.key, &self.header(&url), payload));
        let reply = once();
        if reply.body["type"] == "urn:ietf:params:acme:error:badNonce" {
            return once();
        }
        reply
    }

    pub(super) fn follow(&self, url: &Value, payload: &str) -> Reply {
        let front = self.url("");
        let url = url.as_str().unwrap_or_default();
        self.post(
            url.strip_prefix(&front)
                .unwrap_or_else(|| panic!("{url} is not below {front}")),
            payload,
        )
    }

    pub(super) fn order(&self, names: &[&str]) -> Reply {
        let identifiers: Vec<_> = names
            .iter()
            .map(|name| json!({ "type": "dns", "value": name }))
            .collect();
        self.post(
            "new-order",
            &json!({ "identifiers": identifiers }).to_string(),
        )
    }

    /// What a TXT record must say for a token (RFC 8555 section 8.4).
    fn proof(&self, token: &str) -> String {
        let jwk = jwk(&self.key);
        let canonical = format!(
            "{{\"crv\":\"P-256\",\"kty\":\"EC\",\"x\":{},\"y\":{}}}",
            jwk["x"], jwk["y"]
        );
        let thumbprint = b64(digest(&SHA256, canonical.as_bytes()));
        b64(digest(&SHA256, format!("{token}.{thumbprint}").as_bytes()))
    }

    /// Publishes what an authorization wants, and gives the URL of its challenge by DNS.
    pub(super) fn publish(&self, authorization: &Value, dns: &Dns) -> Value {
        let challenges = authorization["challenges"].as_array().expect("challenges");
        let challenge = challenges
            .iter()
            .find(|one| one["type"] == "dns-01")
            .expect("one by DNS");
        let name = authorization["identifier"]["value"]
            .as_str()
            .unwrap_or_default();
        dns.publish(
            &format!("_acme-challenge.{name}"),
            &self.proof(challenge["token"].as_str().unwrap_or_default()),
        );
        challenge["url"].clone()
    }

    /// Shows control of all names of an order, and waits until it is ready.
    pub(super) fn prove(&self, order: &Reply, dns: &Dns) {
        for url in order.body["authorizations"]
            .as_array()
            .expect("authorizations")
        {
            let authorization = self.follow(url, "").ok().body;
            let challenge = self.publish(&authorization, dns);
            self.follow(&challenge, "{}").ok();
        }
        self.await_ready(order);
    }

    /// Waits until an order is ready.
    pub(super) fn await_ready(&self, order: &Reply) {
        let location = json!(order.header("location"));
        until("the order is ready", Duration::from_secs(30), || {
            let now = self.follow(&location, "").ok().body;
            assert_ne!(now["status"], "invalid", "{now}");
            (now["status"] == "ready").then_some(())
        });
    }

    pub(super) fn finalize(&self, order: &Reply, csr: &[u8]) -> Reply {
        self.follow(
            &order.body["finalize"],
            &json!({ "csr": b64(csr) }).to_string(),
        )
    }

    /// From the order to the chain, as PEM.
    pub(super) fn obtain(&self, names: &[&str], dns: &Dns) -> String {
        let order = self.order(names).ok();
        self.prove(&order, dns);
        let done = self.finalize(&order, &csr(names, "")).ok();
        let chain = self.follow(&done.body["certificate"], "").ok();
        String::from_utf8(chain.bytes).expect("PEM")
    }
}

/// A certification request for these names, with a key of its own.
pub(super) fn csr(names: &[&str], common_name: &str) -> Vec<u8> {
    let names: Vec<String> = names.iter().map(ToString::to_string).collect();
    let mut params = CertificateParams::new(names).expect("names");
    params.distinguished_name = DistinguishedName::new();
    if !common_name.is_empty() {
        params
            .distinguished_name
            .push(rcgen::DnType::CommonName, common_name);
    }
    let key = KeyPair::generate().expect("a key");
    params
        .serialize_request(&key)
        .expect("a request")
        .der()
        .to_vec()
}
