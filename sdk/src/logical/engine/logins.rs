//! Logins through the engine: what the host asks before, at and after one.

use std::sync::Arc;

use serde_json::json;

use crate::logical::{
    Auth, Backend, Cx, Entity, Error, Group, Login, MountKind, Named, NoFields, Response, Result,
    Setup, Table, path,
};
use crate::testing::{FixedSystem, Harness};

/// Lets everybody in but `eve`.
struct Open;

impl Backend for Open {
    const KIND: MountKind = MountKind::Auth;

    async fn new(_: Setup) -> Result<Self> {
        Ok(Self)
    }

    fn table() -> Table<Self> {
        let role =
            async |_, _, of: Named| Ok((of.name != "eve").then(|| format!("role-{}", of.name)));
        Table::new(vec![
            path("login", "Log in.")
                .login(login)
                .look_ahead(async |_, _, of: Named| Ok((of.name != "eve").then_some(of.name)))
                .resolve_role(role),
            path("me", "Who asks.").read(me),
        ])
    }

    async fn renew_login(self: Arc<Self>, _: Cx, login: Login) -> Result<Auth> {
        Ok(Auth {
            period: std::time::Duration::from_secs(5),
            ..login.auth
        })
    }
}

async fn login(_: Arc<Open>, cx: Cx, of: Named) -> Result<Response> {
    assert!(cx.unauthenticated);
    assert_eq!(cx.identity().await?, None);
    if of.name == "eve" {
        return Err(Error::denied("not you"));
    }
    Ok(Response::data(&json!({ "hello": of.name }))?.auth(Auth::of(of.name)))
}

async fn me(_: Arc<Open>, cx: Cx, _: NoFields) -> Result<Response> {
    match cx.identity().await? {
        None => Ok(Response::none()),
        Some(who) => {
            Response::data(&json!({ "name": who.entity.name, "groups": who.groups.len() }))
        }
    }
}

#[tokio::test]
async fn a_login_may_answer_with_more() {
    let open = Harness::<Open>::new().await;
    let reply = open
        .login("login", json!({ "name": "ann", "colour": "red" }))
        .await;
    assert_eq!(reply.status, 200);
    assert_eq!(reply.data, json!({ "hello": "ann" }));
    assert_eq!(reply.auth, Some(Auth::of("ann")));
    assert_eq!(reply.warnings.len(), 1);
    let reply = open.login("login", json!({ "name": "eve" })).await;
    assert_eq!(
        (reply.status, reply.error(), reply.auth.clone()),
        (403, "not you", None)
    );
    assert_eq!(open.special_paths().unauthenticated, ["login"]);
}

#[tokio::test]
async fn the_host_asks_for_alias_and_role_by_the_data_alone() {
    let open = Harness::<Open>::new().await;
    let ann = json!({ "name": "ann", "password": "x" });
    assert_eq!(
        open.alias_of("login", ann.clone()).await.as_deref(),
        Some("ann")
    );
    assert_eq!(open.role_of(ann).await.as_deref(), Some("role-ann"));
    let eve = json!({ "name": "eve" });
    assert_eq!(open.alias_of("login", eve.clone()).await, None);
    assert_eq!(open.role_of(eve).await, None);
    // Nobody else is asked.
    assert_eq!(open.alias_of("me", json!({})).await, None);
    // As of whoever has no token.
    let long = json!({ "name": "ann", "password": "x".repeat(8 << 10) });
    assert_eq!(open.role_of(long).await, None);
}

#[tokio::test]
async fn what_the_host_knows_of_a_login_stays() {
    let open = Harness::<Open>::new().await;
    let login = Login {
        entity_id: "entity".to_owned(),
        accessor: "accessor".to_owned(),
        identity_policies: vec!["group".to_owned()],
        ..Login::from(Auth::of("ann"))
    };
    let request = crate::logical::RawRequest {
        operation: "renew".to_owned(),
        path: "login".to_owned(),
        login: Some(Box::new(login.clone())),
        ..crate::logical::RawRequest::default()
    };
    let reply = open.engine().handle(request).await;
    let renewed = *reply.response.and_then(|response| response.auth).unwrap();
    assert_eq!(renewed.auth.period.as_secs(), 5);
    let auth = login.auth.clone();
    assert_eq!(Login { auth, ..renewed }, login);
}

#[tokio::test]
async fn a_handler_learns_who_asks() {
    let entity = Entity {
        id: "1".to_owned(),
        name: "ann".to_owned(),
        ..Entity::default()
    };
    let system = FixedSystem::new().entity(entity, vec![Group::default()]);
    let open: Harness<Open> = Harness::<Open>::builder()
        .system(system)
        .start()
        .await
        .unwrap();
    let open = open.as_entity("1");
    assert_eq!(
        open.read("me").await.data,
        json!({ "name": "ann", "groups": 1 })
    );
    let open = open.as_entity("2");
    assert_eq!(open.read("me").await.status, 404);
}

#[tokio::test]
#[should_panic(expected = "only an auth method has")]
async fn a_secrets_engine_has_no_logins() {
    struct Secrets;
    impl Backend for Secrets {
        async fn new(_: Setup) -> Result<Self> {
            Ok(Self)
        }

        fn table() -> Table<Self> {
            let login = async |_, _, of: Named| Ok(Auth::of(of.name));
            Table::new(vec![path("login", "Log in.").login(login)])
        }
    }
    Harness::<Secrets>::new().await;
}
