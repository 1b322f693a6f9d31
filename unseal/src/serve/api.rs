//! Requests in the manner of the transit engine: recognise, route, authorise, limit, and only then read and call.

use std::sync::Arc;
use std::time::Instant;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::{Method, Request, Response};
use landfast_base::{hex, random};
use serde_json::{Value, json};
use zeroize::Zeroizing;

use super::Shared;
use super::audit::Record;
use super::clients::{Client, Identity, TOKEN_BYTES};
use super::keys::{KeyRing, kind, split};
use super::messages::{Decrypt, Encrypt, Sign, decode, parse, read};
use super::reply::{Done, Refusal, reply};
use super::route::{Operation, Route};
use super::visit::Visit;
use crate::keys::key::KmsSigner;

/// Answers a client.
pub(super) async fn handle(
    shared: Arc<Shared>,
    visit: Arc<Visit>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let began = Instant::now();
    let request_id = request_id();
    let peer = &visit.peer;
    let clients = shared.clients.load_full();
    let token = request.headers().get("x-vault-token");
    let token = token.filter(|value| value.len() <= TOKEN_BYTES);
    let token = token.and_then(|value| value.to_str().ok());
    let good = visit.recheck(&shared.tls.load_full());
    let over = good.is_err();
    let identity = good.and_then(|()| clients.identify(peer, token, &shared.metrics));
    let route = Route::of(&request);
    let mut size = 0;
    let known = identity.as_ref().map_err(String::as_str);
    let admitted = match known {
        Ok(identity) => visit.admit(&identity.client.name, &shared.places),
        Err(_) => Ok(()),
    };
    let outcome = match admitted {
        Ok(()) => answer(&shared, known, &route, request, &mut size).await,
        Err(_) => Err(Refusal::busy()),
    };
    let outcome = outcome.map_err(|refusal| if over { refusal.and_close() } else { refusal });
    let identity = identity.ok();

    let status = outcome
        .as_ref()
        .map_or_else(|refusal| refusal.status, |_| 200);
    let client = identity
        .as_ref()
        .map(|identity| identity.client.name.as_str());
    let record = Record {
        time: jiff::Timestamp::now().to_string(),
        request_id: &request_id,
        client,
        identity: identity.as_ref().map(|identity| identity.name.as_str()),
        showed: match identity {
            Some(_) => Vec::new(),
            None => peer.showed(),
        },
        remote: peer.remote.to_string(),
        operation: route.operation.name(),
        // What an unknown client typed is nobody's key.
        key: identity
            .is_some()
            .then_some(route.key.as_str())
            .filter(|key| !key.is_empty()),
        version: outcome.as_ref().ok().and_then(|done| done.version),
        status,
        request_bytes: size,
        milliseconds: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        error: outcome.as_ref().err().map(|refusal| refusal.log.as_str()),
    };
    let written = match client {
        Some(_) => shared.audit.write(&record),
        None => shared.audit.stranger(&record, peer.remote.ip()),
    };
    let outcome = match written {
        Ok(()) => outcome,
        // What cannot be accounted for is not done.
        Err(error) => {
            tracing::error!(%error, "the audit log cannot be written");
            Err(Refusal::new(500, "the audit log cannot be written"))
        }
    };
    let status = outcome
        .as_ref()
        .map_or_else(|refusal| refusal.status, |_| 200);
    shared.metrics.call(
        client.unwrap_or("unknown"),
        route.operation.name(),
        status,
        began.elapsed(),
    );
    if let (Ok(_), Operation::Decrypt, Some(client)) = (&outcome, &route.operation, client) {
        shared.metrics.opened(client);
    }
    reply(outcome, &request_id)
}

/// Answers whoever may see metrics and health.
pub(super) async fn observe(shared: &Shared, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let text = |status: u16, kind: &str, body: String| {
        let response = Response::builder()
            .status(status)
            .header("content-type", kind);
        response
            .body(Full::new(Bytes::from(body)))
            .unwrap_or_default()
    };
    match (request.method(), request.uri().path()) {
        (&Method::GET, "/metrics") => {
            let kind = "application/openmetrics-text; version=1.0.0; charset=utf-8";
            text(
                200,
                kind,
                shared.metrics.text(&key_service_lines(shared).await),
            )
        }
        (&Method::GET, "/health" | "/v1/sys/health") => {
            text(200, "application/json", health().to_string())
        }
        _ => text(404, "application/json", json!({"errors": []}).to_string()),
    }
}

/// Figures of the key service since the configuration was read.
async fn key_service_lines(shared: &Shared) -> String {
    match &shared.clients.load_full().service {
        Some(service) => service.metrics().await,
        None => String::new(),
    }
}

async fn answer(
    shared: &Shared,
    identity: Result<&Identity<'_>, &str>,
    route: &Route,
    request: Request<Incoming>,
    size: &mut usize,
) -> Result<Done, Refusal> {
    if let Operation::Health = route.operation {
        return Ok(Done {
            body: health(),
            version: None,
        });
    }
    let identity = identity.map_err(Refusal::denied)?;
    let client = identity.client;
    if let Err(wait) = client.bucket.take(Instant::now()) {
        shared.metrics.limited(&client.name);
        let retry_after = Some(wait.as_secs().max(1));
        return Err(Refusal {
            retry_after,
            ..Refusal::new(429, "rate limit quota exceeded")
        });
    }
    let foreign = || Refusal::denied("a path that is not this client's");
    match route.operation {
        Operation::RenewSelf | Operation::LookupSelf => token(identity, &request, &route.operation),
        Operation::Encrypt | Operation::Decrypt => {
            let ring = client.keys.get(&route.key).ok_or_else(foreign)?;
            wrap(ring, &route.operation, &read(request, size).await?).await
        }
        Operation::PublicKey => {
            let (signer, version) = signer(client, route, route.version).await?;
            let key = STANDARD.encode(signer.public_key_der());
            let name = route.key.rsplit('/').next().unwrap_or_default();
            Ok(done(
                json!({"name": name, "keys": {version.to_string(): key}, "type": kind(signer)}),
                version,
            ))
        }
        Operation::Sign => {
            client.signing.get(&route.key).ok_or_else(foreign)?;
            let asked: Sign = parse(&read(request, size).await?)?;
            let wanted =
                usize::try_from(asked.key_version.unwrap_or_default()).unwrap_or(usize::MAX);
            let (signer, version) = signer(client, route, Some(wanted).filter(|v| *v > 0)).await?;
            let signed = asked.plan(signer.schemes(), route.hash.as_deref())?;
            let signature = signed.by(signer).await?;
            let signature = format!("vault:v{version}:{}", STANDARD.encode(signature));
            Ok(done(
                json!({"signature": signature, "key_version": version}),
                version,
            ))
        }
        Operation::Verify => {
            client.signing.get(&route.key).ok_or_else(foreign)?;
            let asked: Sign = parse(&read(request, size).await?)?;
            let (version, signature) = split(&asked.signature)?;
            let (signer, version) = signer(client, route, Some(version)).await?;
            let signed = asked.plan(signer.schemes(), route.hash.as_deref())?;
            let valid = signed.verifies(signer, &signature);
            Ok(done(json!({"valid": valid}), version))
        }
        Operation::Health | Operation::Unknown => Err(foreign()),
    }
}

/// Encrypts or decrypts what a body asks for.
pub(super) async fn wrap(
    ring: &KeyRing,
    operation: &Operation,
    body: &[u8],
) -> Result<Done, Refusal> {
    if let Operation::Encrypt = operation {
        let asked: Encrypt = parse(body)?;
        asked.refuse_unsupported()?;
        let plaintext = Zeroizing::new(decode("plaintext", asked.plaintext.expose())?);
        let version = usize::try_from(asked.key_version.unwrap_or_default()).unwrap_or(usize::MAX);
        let (ciphertext, version) = ring
            .encrypt(Some(version).filter(|v| *v > 0), &plaintext)
            .await?;
        Ok(done(
            json!({"ciphertext": ciphertext, "key_version": version}),
            version,
        ))
    } else {
        let asked: Decrypt = parse(body)?;
        asked.refuse_unsupported()?;
        let (plaintext, version) = ring.decrypt(&asked.ciphertext).await?;
        Ok(done(
            json!({"plaintext": STANDARD.encode(plaintext.expose())}),
            version,
        ))
    }
}

async fn signer<'a>(
    client: &'a Client,
    route: &Route,
    version: Option<usize>,
) -> Result<(&'a dyn KmsSigner, usize), Refusal> {
    let ring = client.signing.get(&route.key);
    let ring = ring.ok_or_else(|| Refusal::denied("a path that is not this client's"))?;
    let version = version.unwrap_or_else(|| ring.latest());
    Ok((ring.signer(version).await?, version))
}

/// Answers about the token that the client came with. It lives as long as the configuration says, so there is nothing to change.
fn token(
    identity: &Identity<'_>,
    request: &Request<Incoming>,
    operation: &Operation,
) -> Result<Done, Refusal> {
    let Some(ttl) = identity.token_ttl else {
        return Err(Refusal::denied("no token to renew"));
    };
    let token = request
        .headers()
        .get("x-vault-token")
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let body = if let Operation::RenewSelf = operation {
        json!({"auth": {
            "client_token": token, "policies": ["unseal"], "token_policies": ["unseal"],
            "lease_duration": ttl, "renewable": true, "token_type": "service", "orphan": true,
        }})
    } else {
        json!({"data": {"display_name": identity.client.name, "policies": ["unseal"], "ttl": ttl, "renewable": true, "type": "service"}})
    };
    Ok(Done {
        body,
        version: None,
    })
}

fn done(data: Value, version: usize) -> Done {
    Done {
        body: json!({"data": data}),
        version: Some(version),
    }
}

fn health() -> Value {
    json!({"initialized": true, "sealed": false, "standby": false, "version": env!("CARGO_PKG_VERSION")})
}

fn request_id() -> String {
    hex(&random::<12>().unwrap_or_default())
}
