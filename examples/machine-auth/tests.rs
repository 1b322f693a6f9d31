//! The method without a server: the whole table on storage in memory.

use std::time::{Duration, SystemTime};

use aws_lc_rs::signature::{Ed25519KeyPair, KeyPair as _};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfast_sdk::logical::TokenType;
use landfast_sdk::testing::{Harness, HttpReply};
use serde_json::{Value, json};

use super::Machines;

/// A machine with a key of its own.
struct Web(Ed25519KeyPair);

impl Web {
    fn new() -> Self {
        Self(Ed25519KeyPair::generate().expect("a key"))
    }

    fn role(&self, policies: &str) -> Value {
        json!({ "public_key": STANDARD.encode(self.0.public_key()), "token_policies": policies, "token_ttl": "1h" })
    }

    fn signed(&self, mount: &str, time: u64) -> Value {
        let signature = self.0.sign(format!("{mount} web-1 {time}").as_bytes());
        json!({ "name": "web-1", "password": format!("{time}:{}", STANDARD.encode(signature)) })
    }
}

fn now() -> u64 {
    let since = SystemTime::UNIX_EPOCH.elapsed().expect("after 1970");
    u64::try_from(since.as_millis()).expect("before long")
}

async fn with_machine(web: &Web) -> Harness<Machines> {
    let builder = Harness::<Machines>::builder().mount("machine");
    let machines = builder.start().await.expect("it starts");
    let written = machines.update("machine/web-1", web.role("web")).await;
    assert_eq!(written.status, 204, "{written:?}");
    machines
}

fn refused(reply: &HttpReply) {
    let text = "no such machine, or no fresh signature of it";
    assert_eq!((reply.status, reply.error()), (403, text));
    assert_eq!(reply.auth, None);
}

#[tokio::test]
async fn a_signature_is_good_once() {
    let web = Web::new();
    let machines = with_machine(&web).await;
    let login = web.signed("auth/machine/", now());
    let reply = machines.login("login", login.clone()).await;
    let auth = reply.auth.expect("a login");
    assert_eq!(auth.policies, ["web"]);
    assert_eq!(auth.ttl, Duration::from_secs(3600));
    assert_eq!(auth.metadata["machine"], "web-1");
    assert_eq!(auth.alias.expect("an alias").name, "web-1");
    assert_eq!(
        machines.role_of(login.clone()).await.as_deref(),
        Some("web-1")
    );

    refused(&machines.login("login", login.clone()).await);
    let machines = machines.reload().await;
    refused(&machines.login("login", login).await);
    let later = web.signed("auth/machine/", now() + 1000);
    assert_eq!(machines.login("login", later).await.status, 200);
}

#[tokio::test]
async fn the_same_signature_twice_at_once_is_one_login() {
    let web = Web::new();
    let machines = with_machine(&web).await;
    let login = || machines.login("login", web.signed("auth/machine/", now()));
    let (one, two) = tokio::join!(login(), login());
    let mut status = [one.status, two.status];
    status.sort_unstable();
    assert_eq!(status[0], 200);
    let again = web.signed("auth/machine/", now() + 5000);
    let (one, two) = tokio::join!(
        machines.login("login", again.clone()),
        machines.login("login", again)
    );
    let mut status = [one.status, two.status];
    status.sort_unstable();
    assert_eq!(status, [200, 403]);
}

#[tokio::test]
async fn who_has_not_the_key_is_told_nothing() {
    let (web, other) = (Web::new(), Web::new());
    let machines = with_machine(&web).await;
    let mount = "auth/machine/";
    for (name, mut login) in [
        ("web-1", other.signed(mount, now())),
        ("web-2", web.signed(mount, now())),
        ("web-1", web.signed("auth/other/", now())),
        ("web-1", web.signed(mount, now() - 61_000)),
        ("web-1", web.signed(mount, now() + 61_000)),
        ("web-1", json!({ "password": format!("{}:", now()) })),
    ] {
        login["name"] = json!(name);
        refused(&machines.login("login", login).await);
    }
    for password in ["ä", ":", "1:ä", "", "x:AAAA"] {
        let login = json!({ "name": "web-1", "password": password });
        refused(&machines.login("login", login).await);
    }
}

/// As the command line does it.
#[tokio::test]
async fn the_name_may_stand_in_the_path() {
    let web = Web::new();
    let machines = with_machine(&web).await;
    let password = web.signed("auth/machine/", now())["password"].clone();
    let login = json!({ "password": password });
    let reply = machines.login("login/web-2", login.clone()).await;
    refused(&reply);
    let reply = machines.login("login/web-1", login).await;
    assert_eq!(reply.auth.expect("a login").policies, ["web"]);
}

#[tokio::test]
async fn a_login_is_renewed_while_the_machine_is_registered() {
    let web = Web::new();
    let machines = with_machine(&web).await;
    let reply = machines
        .login("login", web.signed("auth/machine/", now()))
        .await;
    let login = machines.login_of(&reply);
    let renew = || machines.renew_login("login", login.clone());
    assert_eq!(renew().await.auth.as_ref(), Some(&login.auth));

    machines.update("machine/web-1", web.role("db")).await;
    assert_eq!(renew().await.status, 400);
    machines.update("machine/web-1", web.role("web")).await;
    assert_eq!(renew().await.status, 200);
    assert_eq!(machines.delete("machine/web-1").await.status, 204);
    refused(&renew().await);
}

#[tokio::test]
async fn the_parameters_of_a_token_are_checked() {
    let web = Web::new();
    let machines = with_machine(&web).await;
    let mut role = web.role("web");
    role["token_type"] = json!("batch");
    assert_eq!(
        machines.update("machine/web-1", role.clone()).await.status,
        204
    );
    let reply = machines
        .login("login", web.signed("auth/machine/", now()))
        .await;
    assert_eq!(
        reply.auth.map(|auth| auth.token_type),
        Some(TokenType::Batch)
    );
    role["token_period"] = json!("1h");
    let reply = machines.update("machine/web-1", role.clone()).await;
    assert!(
        reply.status == 400 && reply.error().starts_with("token_period"),
        "{reply:?}"
    );
    for (field, value, text) in [
        (
            "token_bound_cidrs",
            "10.0.0.0/33",
            "is no address or CIDR block",
        ),
        ("token_type", "long", "expected one of"),
        ("public_key", "?", "is no base64"),
    ] {
        let mut role = web.role("web");
        role[field] = json!(value);
        let reply = machines.update("machine/web-1", role).await;
        assert!(
            reply.status == 400 && reply.error().contains(text),
            "{reply:?}"
        );
    }
}
