//! An ACME client that speaks to a mount without a server.

use std::cell::RefCell;

use aws_lc_rs::signature::EcdsaKeyPair;
use landfast_pki::ext::GeneralNames;
use landfast_pki::{Csr, KeySpec, Name, PrivateKey, SignatureAlgorithm, Subject};
use landfast_plugin::Mount;
use landfast_sdk::testing::{Harness, HttpReply};
use serde_json::{Value, json};

pub(crate) use crate::jws::{b64, binding, jwk, key, sign};

/// The URL of the mount, as `config/cluster` has it.
pub(crate) const ROOT: &str = "https://ca.example:8200/v1/inner/pki";

/// A client of one directory.
pub(crate) struct Client<'a> {
    pub(crate) mount: &'a Harness<Mount>,
    directory: String,
    pub(crate) key: EcdsaKeyPair,
    pub(crate) account: Option<String>,
    nonce: RefCell<Option<String>>,
}

/// The body of a reply of the server.
pub(crate) fn body(reply: &HttpReply) -> Value {
    serde_json::from_str(&reply.text()).unwrap_or(Value::Null)
}

/// The type of a problem document, without its beginning.
pub(crate) fn problem(reply: &HttpReply) -> String {
    assert_eq!(reply.content_type, "application/problem+json", "{reply:?}");
    let body = body(reply);
    let urn = body["type"].as_str().unwrap_or_default();
    urn.strip_prefix("urn:ietf:params:acme:error:")
        .unwrap_or(urn)
        .to_owned()
}

impl<'a> Client<'a> {
    /// A client that knows nothing but its directory, such as `acme/`.
    pub(crate) fn new(mount: &'a Harness<Mount>, directory: &str) -> Self {
        Self {
            mount,
            directory: directory.to_owned(),
            key: key(),
            account: None,
            nonce: RefCell::default(),
        }
    }

    /// One with an account.
    pub(crate) async fn registered(mount: &'a Harness<Mount>, directory: &str) -> Self {
        let mut client = Self::new(mount, directory);
        let reply = client.register(json!({})).await;
        assert_eq!(reply.status, 201, "{reply:?}");
        client
    }

    /// Asks for an account.
    pub(crate) async fn register(&mut self, payload: Value) -> HttpReply {
        self.account = None;
        let reply = self.post("new-account", &payload.to_string()).await;
        self.account = reply.headers.get("Location").map(|all| all[0].clone());
        reply
    }

    /// The URL of something below the directory.
    pub(crate) fn url(&self, below: &str) -> String {
        format!("{ROOT}/{}{below}", self.directory)
    }

    /// A nonce: that of the last answer, or a new one.
    pub(crate) async fn nonce(&self) -> String {
        let kept = self.nonce.borrow_mut().take();
        if let Some(nonce) = kept {
            return nonce;
        }
        let reply = self
            .mount
            .header(&format!("{}new-nonce", self.directory))
            .await;
        assert_eq!(reply.status, 200, "{reply:?}");
        reply.headers["Replay-Nonce"][0].clone()
    }

    /// The header of a request to `url`.
    pub(crate) async fn header(&self, url: &str) -> Value {
        let mut header = json!({ "alg": "ES256", "nonce": self.nonce().await, "url": url });
        match &self.account {
            Some(account) => header["kid"] = account.as_str().into(),
            None => header["jwk"] = jwk(&self.key),
        }
        header
    }

    /// Posts below the directory; an empty payload reads.
    pub(crate) async fn post(&self, below: &str, payload: &str) -> HttpReply {
        let header = self.header(&self.url(below)).await;
        self.send(below, sign(&self.key, &header, payload)).await
    }

    /// Posts what is signed already.
    pub(crate) async fn send(&self, below: &str, signed: Value) -> HttpReply {
        let reply = self
            .mount
            .update(&format!("{}{below}", self.directory), signed)
            .await;
        *self.nonce.borrow_mut() = reply.headers.get("Replay-Nonce").map(|all| all[0].clone());
        reply
    }

    /// What stands behind a URL of the directory.
    pub(crate) fn below<'b>(&self, url: &'b str) -> &'b str {
        let front = self.url("");
        url.strip_prefix(front.as_str())
            .unwrap_or_else(|| panic!("{url} is not below {front}"))
    }

    /// Posts to a URL that the server named.
    pub(crate) async fn follow(&self, url: &Value, payload: &str) -> HttpReply {
        let url = url.as_str().unwrap_or_default();
        self.post(self.below(url), payload).await
    }

    /// Orders names; an address is told by its digits.
    pub(crate) async fn order(&self, names: &[&str]) -> HttpReply {
        self.order_with(names, json!({})).await
    }

    /// The same with more members.
    pub(crate) async fn order_with(&self, names: &[&str], more: Value) -> HttpReply {
        let identifiers: Vec<_> = names
            .iter()
            .map(|name| {
                let kind = if name.parse::<std::net::IpAddr>().is_ok() {
                    "ip"
                } else {
                    "dns"
                };
                json!({ "type": kind, "value": name })
            })
            .collect();
        let mut payload = more;
        payload["identifiers"] = identifiers.into();
        self.post("new-order", &payload.to_string()).await
    }

    /// Says that every name of an order is ready, by the first challenge of each, and waits until the order is.
    pub(crate) async fn prove(&self, order: &HttpReply) {
        for url in body(order)["authorizations"].as_array().unwrap() {
            let authorization = body(&self.follow(url, "").await);
            let reply = self
                .follow(&authorization["challenges"][0]["url"], "{}")
                .await;
            assert_eq!(reply.status, 200, "{reply:?}");
        }
        let url = order.headers["Location"][0].clone();
        for _ in 0..200 {
            let now = body(&self.follow(&json!(url), "").await);
            if now["status"] == "ready" {
                return;
            }
            assert_eq!(now["status"], "pending", "{now}");
            tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        }
        panic!("the order {url} does not become ready");
    }

    /// Finalizes an order.
    pub(crate) async fn finalize(&self, order: &HttpReply, csr: &[u8]) -> HttpReply {
        let payload = json!({ "csr": b64(csr) }).to_string();
        self.follow(&body(order)["finalize"], &payload).await
    }

    /// From the order to the chain of certificates, as PEM.
    pub(crate) async fn obtain(&self, names: &[&str]) -> String {
        let order = self.order(names).await;
        assert_eq!(order.status, 201, "{}", order.text());
        self.prove(&order).await;
        let done = self.finalize(&order, &csr(names)).await;
        assert_eq!(done.status, 200, "{}", done.text());
        let chain = self.follow(&body(&done)["certificate"], "").await;
        assert_eq!(
            chain.content_type, "application/pem-certificate-chain",
            "{chain:?}"
        );
        chain.text()
    }
}

/// A certification request for these names, with a key of its own and no subject.
pub(crate) fn csr(names: &[&str]) -> Vec<u8> {
    csr_of(Subject::default().to_name(), names)
}

/// The same with a subject.
pub(crate) fn csr_of(subject: Name, names: &[&str]) -> Vec<u8> {
    let key = PrivateKey::generate(KeySpec::parse("ec", 256).unwrap()).unwrap();
    csr_by(subject, names, &key)
}

/// The same with a key.
pub(crate) fn csr_by(subject: Name, names: &[&str], key: &PrivateKey) -> Vec<u8> {
    let mut san = GeneralNames::default();
    for name in names {
        match name.parse() {
            Ok(ip) => san.ips.push(ip),
            Err(_) => san.dns.push((*name).to_owned()),
        }
    }
    let algorithm = SignatureAlgorithm::choose(key.public_key(), 0, false)
        .unwrap()
        .algorithm;
    Csr::build(subject, &san, &[], algorithm, key)
        .unwrap()
        .der()
        .to_vec()
}

/// A subject with a common name.
pub(crate) fn common_name(name: &str) -> Name {
    Subject {
        common_name: name.to_owned(),
        ..Subject::default()
    }
    .to_name()
}
