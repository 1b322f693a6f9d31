//! Whole orders of ACME (RFC 8555), from `new-order` to the download of the certificate, validated by http-01 on loopback.
//!
//! One request of a round is one certificate. Every target has one account, which its clients share, all with one key. They order
//! certificates for 127.0.0.1, whose challenges this process answers on port 80 of that address. What is validated is read again after 5 ms,
//! then after twice as long each time.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::{BodyExt, Full};
use hyper::body::Bytes;
use hyper::client::conn::http1::SendRequest;
use hyper::{Request, Uri};
use rcgen::{CertificateParams, DistinguishedName, KeyPair, SanType};
use ring::digest;
use ring::rand::SystemRandom;
use ring::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpListener;

use crate::Plan;

/// What every order names, and where http-01 asks.
const ADDRESS: [u8; 4] = [127, 0, 0, 1];

/// The first pause before what is being validated is read again, and how often it is read at most.
const PAUSE: Duration = Duration::from_millis(5);
const READINGS: u32 = 12;

/// The key of every account, and the CSR of every order.
pub(crate) struct Identity {
    key: EcdsaKeyPair,
    jwk: Value,
    random: SystemRandom,
    csr: String,
}

/// An account at one target, and what its clients share.
pub(crate) struct Account {
    identity: Arc<Identity>,
    nonces: Mutex<Vec<String>>,
    directory: Value,
    kid: String,
}

struct Answer {
    body: Bytes,
    location: Option<String>,
}

impl Identity {
    /// Makes the key, and begins to answer challenges with it.
    pub(crate) async fn new() -> Result<Self> {
        let random = SystemRandom::new();
        let made = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random)
            .map_err(|_| anyhow!("no key could be made"))?;
        let key =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, made.as_ref(), &random)
                .map_err(|error| anyhow!("the key that was made: {error}"))?;
        let (x, y) = key.public_key().as_ref()[1..].split_at(32);
        // Its text is the canonical one of RFC 7638: the members of a JSON object are sorted here.
        let jwk = json!({
            "crv": "P-256", "kty": "EC", "x": URL_SAFE_NO_PAD.encode(x), "y": URL_SAFE_NO_PAD.encode(y)
        });
        let thumbprint = digest::digest(&digest::SHA256, jwk.to_string().as_bytes());
        answer_challenges(URL_SAFE_NO_PAD.encode(thumbprint)).await?;
        let mut wanted = CertificateParams::default();
        wanted.distinguished_name = DistinguishedName::new();
        wanted.subject_alt_names = vec![SanType::IpAddress(ADDRESS.into())];
        let csr = wanted.serialize_request(&KeyPair::generate()?)?;
        Ok(Self {
            key,
            jwk,
            random,
            csr: URL_SAFE_NO_PAD.encode(csr.der()),
        })
    }
}

impl Account {
    /// A new account at the directory `acme/` of the plan's mount.
    pub(crate) async fn open(identity: Arc<Identity>, plan: &Plan) -> Result<Self> {
        let mut account = Self {
            identity,
            nonces: Mutex::default(),
            directory: Value::Null,
            kid: String::new(),
        };
        let mut connection = plan.connect().await?;
        let path = format!("{}/acme/directory", plan.path);
        let request = Request::get(path).header("host", &plan.authority);
        let found = account
            .exchange(&mut connection, request.body(Full::default())?)
            .await?;
        account.directory = serde_json::from_slice(&found.body)?;
        let url = account.url("newAccount")?;
        let wish = json!({ "termsOfServiceAgreed": true });
        let made = account
            .post(plan, &mut connection, &url, Some(wish))
            .await?;
        account.kid = made.location.context("an account without a Location")?;
        Ok(account)
    }

    /// Orders a certificate, and gives its chain in PEM.
    pub(crate) async fn certificate(
        &self,
        plan: &Plan,
        connection: &mut SendRequest<Full<Bytes>>,
    ) -> Result<Bytes> {
        let wish = json!({ "identifiers": [{ "type": "ip", "value": "127.0.0.1" }] });
        let url = self.url("newOrder")?;
        let (order, at) = self.ask(plan, connection, &url, Some(wish)).await?;
        let at = at.context("an order without a Location")?;
        for authorization in order["authorizations"].as_array().into_iter().flatten() {
            let url = authorization.as_str().unwrap_or_default();
            let (found, _) = self.ask(plan, connection, url, None).await?;
            let challenge = found["challenges"]
                .as_array()
                .and_then(|all| all.iter().find(|one| one["type"] == "http-01"))
                .context("no http-01")?;
            let challenge = text(&challenge["url"])?;
            let (answer, _) = self
                .ask(plan, connection, challenge, Some(json!({})))
                .await?;
            self.wait(plan, connection, url, answer["status"] == "valid")
                .await?;
        }
        let csr = json!({ "csr": self.identity.csr });
        let (done, _) = self
            .ask(plan, connection, text(&order["finalize"])?, Some(csr))
            .await?;
        ensure!(
            done["status"] == "valid",
            "order {at} is {}",
            done["status"]
        );
        let chain = self
            .post(plan, connection, text(&done["certificate"])?, None)
            .await?;
        ensure!(
            chain.body.starts_with(b"-----BEGIN CERTIFICATE-----"),
            "what was downloaded is no certificate"
        );
        Ok(chain.body)
    }

    /// Until an authorization is valid; `done` if the answer to the challenge said so.
    async fn wait(
        &self,
        plan: &Plan,
        connection: &mut SendRequest<Full<Bytes>>,
        url: &str,
        done: bool,
    ) -> Result<()> {
        let mut pause = PAUSE;
        for _ in 0..READINGS {
            if done {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
            pause *= 2;
            let (found, _) = self.ask(plan, connection, url, None).await?;
            match found["status"].as_str() {
                Some("valid") => return Ok(()),
                Some("pending" | "processing") => {}
                _ => bail!("authorization: {found}"),
            }
        }
        bail!("{url} is not valid yet")
    }

    fn url(&self, name: &str) -> Result<String> {
        Ok(text(&self.directory[name])?.to_owned())
    }

    /// Sends a signed request and reads its answer as JSON.
    async fn ask(
        &self,
        plan: &Plan,
        connection: &mut SendRequest<Full<Bytes>>,
        url: &str,
        payload: Option<Value>,
    ) -> Result<(Value, Option<String>)> {
        let answer = self.post(plan, connection, url, payload).await?;
        Ok((serde_json::from_slice(&answer.body)?, answer.location))
    }

    async fn post(
        &self,
        plan: &Plan,
        connection: &mut SendRequest<Full<Bytes>>,
        url: &str,
        payload: Option<Value>,
    ) -> Result<Answer> {
        let known = self.nonces.lock().expect("not poisoned").pop();
        let nonce = match known {
            Some(nonce) => nonce,
            None => {
                let path = self.url("newNonce")?.parse::<Uri>()?;
                let request = Request::head(path.path()).header("host", &plan.authority);
                self.exchange(connection, request.body(Full::default())?)
                    .await?;
                let known = self.nonces.lock().expect("not poisoned").pop();
                known.context("newNonce gave no Replay-Nonce: is the header allowed?")?
            }
        };
        let mut protected = json!({ "alg": "ES256", "nonce": nonce, "url": url });
        if self.kid.is_empty() {
            protected["jwk"] = self.identity.jwk.clone();
        } else {
            protected["kid"] = self.kid.as_str().into();
        }
        let protected = URL_SAFE_NO_PAD.encode(protected.to_string());
        let payload =
            payload.map_or_else(String::new, |body| URL_SAFE_NO_PAD.encode(body.to_string()));
        let signed = format!("{protected}.{payload}");
        let identity = &self.identity;
        let signature = identity
            .key
            .sign(&identity.random, signed.as_bytes())
            .map_err(|_| anyhow!("signing failed"))?;
        let body = json!({
            "protected": protected, "payload": payload, "signature": URL_SAFE_NO_PAD.encode(signature)
        });
        let url: Uri = url.parse()?;
        let request = Request::post(url.path())
            .header("host", &plan.authority)
            .header("content-type", "application/jose+json");
        self.exchange(
            connection,
            request.body(Full::new(body.to_string().into()))?,
        )
        .await
    }

    async fn exchange(
        &self,
        connection: &mut SendRequest<Full<Bytes>>,
        request: Request<Full<Bytes>>,
    ) -> Result<Answer> {
        let asked = request.uri().clone();
        connection.ready().await?;
        let response = connection.send_request(request).await?;
        let header = |name: &str| {
            let value = response.headers().get(name)?;
            value.to_str().ok().map(str::to_owned)
        };
        let (nonce, location) = (header("replay-nonce"), header("location"));
        self.nonces.lock().expect("not poisoned").extend(nonce);
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        ensure!(
            status.is_success(),
            "{asked}: status {status}: {}",
            String::from_utf8_lossy(&body)
        );
        Ok(Answer { body, location })
    }
}

fn text(value: &Value) -> Result<&str> {
    value
        .as_str()
        .with_context(|| format!("{value} is no text"))
}

/// Answers every http-01 challenge of accounts with the key of this thumbprint.
async fn answer_challenges(thumbprint: String) -> Result<()> {
    let listener = TcpListener::bind((std::net::Ipv4Addr::from(ADDRESS), 80))
        .await
        .context("http-01 asks at port 80")?;
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let thumbprint = thumbprint.clone();
            tokio::spawn(async move {
                let mut asked = vec![0; 4096];
                let mut read = 0;
                while !asked[..read].ends_with(b"\r\n\r\n") && read < asked.len() {
                    match stream.read(&mut asked[read..]).await {
                        Ok(more @ 1..) => read += more,
                        _ => return,
                    }
                }
                let line = String::from_utf8_lossy(&asked[..read]);
                let path = line.split(' ').nth(1).unwrap_or_default();
                let token = path.rsplit('/').next().unwrap_or_default();
                let body = format!("{token}.{thumbprint}");
                let answer = format!(
                    "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}",
                    body.len()
                );
                let _ = stream.write_all(answer.as_bytes()).await;
            });
        }
    });
    Ok(())
}
