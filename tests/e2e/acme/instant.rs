//! instant-acme, a client in Rust: external accounts, profiles, renewal information, and a change of the account's key.

use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http_body_util::BodyExt as _;
use hyper::body::Bytes;
use instant_acme::{
    Account, AccountCredentials, BodyWrapper, BytesResponse, CertificateIdentifier, ChallengeType,
    Error, ExternalAccountKey, HttpClient, Identifier, NewAccount, NewOrder, RetryPolicy,
    RevocationRequest,
};
use landfast_pki::Certificate;
use rustls_pki_types::CertificateDer;
use serde_json::json;

use super::client::{open_networks, serve};
use super::dns::Dns;
use crate::support::Server;

/// Its own client takes HTTPS only.
#[derive(Clone)]
struct Plain(reqwest::Client);

impl HttpClient for Plain {
    fn request(
        &self,
        request: hyper::Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let http = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let body = body
                .collect()
                .await
                .map_or_else(|never| match never {}, |body| body.to_bytes());
            let sent = http
                .request(parts.method, parts.uri.to_string())
                .headers(parts.headers)
                .body(body)
                .send()
                .await
                .map_err(|error| Error::Other(Box::new(error)))?;
            let (status, headers) = (sent.status(), sent.headers().clone());
            let bytes = sent
                .bytes()
                .await
                .map_err(|error| Error::Other(Box::new(error)))?;
            let mut response = hyper::Response::new(BodyWrapper::from(bytes.to_vec()));
            *response.status_mut() = status;
            *response.headers_mut() = headers;
            Ok(BytesResponse::from(response))
        })
    }
}

fn plain() -> Box<Plain> {
    Box::new(Plain(
        reqwest::Client::builder()
            .no_proxy()
            .build()
            .expect("a client of plain settings"),
    ))
}

/// Orders, shows control by DNS, and gives the chain.
async fn obtain(account: &Account, order: &NewOrder<'_>, dns: &Dns) -> String {
    let mut order = account.new_order(order).await.expect("an order");
    let mut authorizations = order.authorizations();
    while let Some(authorization) = authorizations.next().await {
        let mut authorization = authorization.expect("an authorization");
        let name = authorization.identifier().to_string();
        let mut challenge = authorization
            .challenge(ChallengeType::Dns01)
            .expect("one by DNS");
        let name = name.trim_start_matches("*.").to_owned();
        dns.publish(
            &format!("_acme-challenge.{name}"),
            &challenge.key_authorization().dns_value(),
        );
        challenge.set_ready().await.expect("ready");
    }
    let patience = RetryPolicy::default().timeout(Duration::from_secs(30));
    order.poll_ready(&patience).await.expect("a ready order");
    order.finalize().await.expect("a valid order");
    order.poll_certificate(&patience).await.expect("a chain")
}

#[tokio::test(flavor = "multi_thread")]
async fn instant_acme_gets_along() {
    let (server, dns) = tokio::task::spawn_blocking(|| {
        let (server, dns) = (Server::dev(), Dns::start());
        server.mount("certificates/inner", "landfast");
        serve(&server, "certificates/inner", &dns);
        open_networks(&server, "certificates/inner");
        let client = server.client();
        client
            .write(
                "certificates/inner/config/acme",
                json!({ "eab_policy": "always-required" }),
            )
            .ok();
        let short =
            json!({ "allow_any_name": true, "key_type": "any", "ttl": "1h", "require_cn": false });
        client.write("certificates/inner/roles/short", short).ok();
        (server, dns)
    })
    .await
    .expect("a server");
    let directory = format!("{}/v1/certificates/inner/acme/directory", server.address());
    let builder = || Account::builder_with_http(plain());
    let asked = NewAccount {
        contact: &[],
        terms_of_service_agreed: true,
        only_return_existing: false,
    };
    let refused = builder().create(&asked, directory.clone(), None).await;
    assert!(refused.is_err(), "an external account is required");
    let operator = server.client();
    let eab = tokio::task::spawn_blocking(move || {
        operator
            .write("certificates/inner/acme/new-eab", json!({}))
            .ok()
    })
    .await
    .expect("an external account");
    let mac = URL_SAFE_NO_PAD.decode(eab.text("key")).expect("base64url");
    let external = ExternalAccountKey::new(eab.text("id"), &mac);
    let (mut account, _) = builder()
        .create(&asked, directory.clone(), Some(&external))
        .await
        .expect("an account");

    let mut profiles: Vec<_> = account
        .profiles()
        .map(|profile| profile.name.to_owned())
        .collect();
    // The client keeps them in no order.
    profiles.sort();
    assert_eq!(profiles, ["short", "web"]);
    let names = [
        Identifier::Dns("a.test".to_owned()),
        Identifier::Dns("*.a.test".to_owned()),
    ];
    let chain = obtain(&account, &NewOrder::new(&names).profile("short"), &dns).await;
    let leaf = Certificate::from_pem(chain.as_bytes()).expect("a certificate");
    let life = leaf.not_after().duration_since(leaf.not_before());
    assert!(
        life < jiff::SignedDuration::from_hours(2),
        "by the role: {life:?}"
    );
    assert!(
        account
            .new_order(&NewOrder::new(&names).profile("none"))
            .await
            .is_err()
    );

    // Another key, by which the account goes on, also from what is kept of it.
    let credentials: AccountCredentials = account.update_key().await.expect("another key");
    let account = builder()
        .from_credentials(credentials)
        .await
        .expect("the account");
    let der = CertificateDer::from(leaf.der().to_vec());
    let id = CertificateIdentifier::try_from(&der).expect("a name");
    let (information, again) = account
        .renewal_info(&id)
        .await
        .expect("renewal information");
    let window = information.suggested_window;
    assert!(
        window.start < window.end && !again.is_zero(),
        "{window:?} {again:?}"
    );
    let renewed = obtain(&account, &NewOrder::new(&names).replaces(id.clone()), &dns).await;
    assert_ne!(renewed, chain);
    assert!(
        account
            .new_order(&NewOrder::new(&names).replaces(id.clone()))
            .await
            .is_err(),
        "replaced already"
    );

    account
        .revoke(&RevocationRequest {
            certificate: &der,
            reason: None,
        })
        .await
        .expect("revoked");
    let (information, _) = account
        .renewal_info(&id)
        .await
        .expect("renewal information");
    let now = jiff::Timestamp::now().as_second();
    assert!(
        information.suggested_window.end.unix_timestamp() < now,
        "at once"
    );
    account.deactivate().await.expect("given up");
    tokio::task::spawn_blocking(move || drop((server, dns)))
        .await
        .expect("the end");
}
