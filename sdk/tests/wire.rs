//! The transport against a fake host, over real sockets and real TLS, in one process.

#[allow(dead_code, reason = "each test program uses a part")]
mod fake_host;
mod probe;

use std::time::{Duration, Instant};

use landfast_proto::{
    logical::{self, plugin_version_client::PluginVersionClient},
    multiplexing::{
        MultiplexingSupportRequest, plugin_multiplexing_client::PluginMultiplexingClient,
    },
    pb,
};
use landfast_sdk::logical::{Backend, Cx, NoFields, Result, Setup, Table, path};
use landfast_sdk::{End, Options, PluginKind, Server};
use tokio::task::JoinHandle;
use tonic::Code;
use tonic_health::pb::{HealthCheckRequest, health_client::HealthClient};

use self::{
    fake_host::{Connection, FakeHost, Handshake, Mount, Store},
    probe::Probe,
};

/// A plugin that serves, and the host that started it.
struct Pair {
    host: FakeHost,
    plugin: Handshake,
    running: JoinHandle<End>,
}

impl Pair {
    fn start() -> Self {
        let host = FakeHost::new();
        let launch = host.launch(PluginKind::Secret);
        let server =
            Server::backend::<Probe>(&launch, Options::default().version("v1.2.3")).unwrap();
        let plugin = Handshake::parse(server.handshake_line());
        let running = tokio::spawn(async { server.run().await.unwrap() });
        Self {
            host,
            plugin,
            running,
        }
    }

    async fn mounted(store: &Store) -> (Self, Connection, Mount) {
        let pair = Self::start();
        let connection = pair.host.connect(&pair.plugin).await;
        let mount = pair.host.mount(&pair.plugin, &connection, 1, store).await;
        (pair, connection, mount)
    }
}

#[tokio::test]
async fn only_the_host_may_connect() {
    let Pair { host, plugin, .. } = Pair::start();
    assert_eq!(plugin.version, "5");
    FakeHost::new()
        .channel(&plugin, true)
        .await
        .expect_err("another certificate");
    host.channel(&plugin, false)
        .await
        .expect_err("no certificate");
    host.channel(&plugin, true)
        .await
        .expect("the right certificate, after refusals");
}

#[tokio::test]
async fn the_plugin_serves_what_every_plugin_must() {
    let Pair { host, plugin, .. } = Pair::start();
    let channel = host.channel(&plugin, true).await.unwrap();

    let check = HealthCheckRequest {
        service: "plugin".into(),
    };
    let health = HealthClient::new(channel.clone())
        .check(check)
        .await
        .unwrap();
    assert_eq!(health.get_ref().status, 1, "SERVING");

    let mut multiplexing = PluginMultiplexingClient::new(channel.clone());
    let reply = multiplexing
        .multiplexing_support(MultiplexingSupportRequest {})
        .await
        .unwrap();
    assert!(reply.get_ref().supported);

    let version = PluginVersionClient::new(channel.clone())
        .version(logical::Empty {})
        .await
        .unwrap();
    assert_eq!(version.get_ref().plugin_version, "v1.2.3");

    let mut storage = pb::storage_client::StorageClient::new(channel);
    let unknown = storage
        .get(pb::StorageGetArgs::default())
        .await
        .unwrap_err();
    assert_eq!(unknown.code(), Code::Unimplemented);
}

#[tokio::test]
async fn a_setup_may_come_before_its_announcement() {
    let pair = Pair::start();
    let store = Store::openbao();
    let announcement = pair.host.serve(&pair.plugin, 7, &store);
    let connection = pair.host.connect(&pair.plugin).await;
    let mut mount = Mount::new(&connection, "early00001");
    let (error, ()) = tokio::join!(mount.set_up(7, &[]), async {
        tokio::task::yield_now().await;
        connection.broker.send(announcement).unwrap();
    });
    assert_eq!(error, "");
}

/// Its handler does not take the parameter of its path.
struct Wrong;

impl Backend for Wrong {
    async fn new(_: Setup) -> Result<Self> {
        Ok(Self)
    }

    fn table() -> Table<Self> {
        let read = async |_: std::sync::Arc<Self>, _: Cx, _: NoFields| Ok(());
        Table::new(vec![path("items/{name}", "Items.").read(read)])
    }
}

#[tokio::test]
async fn whoever_enables_a_plugin_with_a_wrong_table_is_told_what_is_wrong() {
    let host = FakeHost::new();
    let launch = host.launch(PluginKind::Secret);
    let server = Server::backend::<Wrong>(&launch, Options::default()).unwrap();
    let plugin = Handshake::parse(server.handshake_line());
    tokio::spawn(async { server.run().await.unwrap() });
    let connection = host.connect(&plugin).await;
    for id in [1, 2] {
        let announcement = host.serve(&plugin, id, &Store::openbao());
        connection.broker.send(announcement).unwrap();
        let mut mount = Mount::new(&connection, &format!("wrong{id:05}"));
        let error = mount.set_up(id, &[]).await;
        for part in [
            "the plugin's table of paths is wrong: ",
            "path \"items/{name}\": the handler of read does not take the parameter \"name\"",
        ] {
            assert!(error.contains(part), "{error}");
        }
    }
}

#[tokio::test]
async fn a_setup_that_fails_has_connected_first() {
    let pair = Pair::start();
    let connection = pair.host.connect(&pair.plugin).await;
    for (id, how, expected) in [(1, "fail", "told to fail"), (2, "panic", "internal error")] {
        let store = Store::openbao();
        connection
            .broker
            .send(pair.host.serve(&pair.plugin, id, &store))
            .unwrap();
        let mut mount = Mount::new(&connection, &format!("failing{id:03}"));
        assert_eq!(mount.set_up(id, &[("new", how)]).await, expected);
        store.until(|store| store.connections() == 1).await;
        let status = mount.request("read", "self", "null").await.unwrap_err();
        assert_eq!(status.code(), Code::FailedPrecondition);
    }
}

#[tokio::test]
async fn a_mount_has_its_type_its_paths_and_is_initialized() {
    let store = Store::openbao();
    let (_pair, _connection, mut mount) = Pair::mounted(&store).await;
    let message = mount.message(pb::Empty {});
    assert_eq!(
        mount.client.r#type(message).await.unwrap().get_ref().r#type,
        1
    );
    let message = mount.message(pb::Empty {});
    let paths = mount
        .client
        .special_paths(message)
        .await
        .unwrap()
        .into_inner()
        .paths
        .unwrap();
    assert_eq!(paths.unauthenticated, ["public"]);
    let message = mount.message(pb::InitializeArgs {});
    assert_eq!(
        mount
            .client
            .initialize(message)
            .await
            .unwrap()
            .get_ref()
            .err,
        None
    );
    assert_eq!(store.get("initialized").as_deref(), Some("yes"));
}

#[tokio::test]
async fn storage_and_system_view_are_the_hosts() {
    let store = Store::openbao();
    let (_pair, _connection, mount) = Pair::mounted(&store).await;
    for name in ["a", "b", "c", "d"] {
        let reply = mount
            .request("update", &format!("items/{name}"), r#"{"value":"v"}"#)
            .await
            .unwrap();
        assert_eq!((reply.response, reply.err), (None, None));
    }
    assert_eq!(store.get("items/a").as_deref(), Some("v"));
    assert_eq!(mount.data("read", "items/b").await["value"], "v");
    assert_eq!(
        mount.data("list", "items/").await["keys"],
        serde_json::json!(["b", "c"])
    );
    mount.request("delete", "items/b", "null").await.unwrap();
    assert_eq!(store.get("items/b"), None);
    assert_eq!(
        mount
            .request("read", "items/b", "null")
            .await
            .unwrap()
            .response,
        None
    );

    let about = mount.data("read", "self").await;
    assert_eq!(about["max_ttl"], 3600);
    assert_eq!(about["entity"], "entity one");
    assert_eq!(about["nobody"], true);
    assert_eq!(store.connections(), 1);
}

#[tokio::test]
async fn transactions_are_used_where_there_are_any() {
    let store = Store::openbao();
    let (_pair, _connection, mount) = Pair::mounted(&store).await;
    mount
        .request("update", "pairs/p", r#"{"value":"v"}"#)
        .await
        .unwrap();
    assert_eq!(store.get("items/p1"), store.get("items/p2"));
    assert_eq!(
        (store.begun_transactions(), store.open_transactions()),
        (1, 0)
    );

    assert_eq!(mount.data("update", "abandoned").await["begun"], true);
    store.until(|store| store.open_transactions() == 0).await;
    assert_eq!(store.begun_transactions(), 2);
}

#[tokio::test]
async fn deletions_of_a_transaction_go_together_and_keep_to_the_order_of_what_is_written() {
    for (store, begun) in [(Store::openbao(), 1), (Store::vault(), 0)] {
        let (_pair, _connection, mount) = Pair::mounted(&store).await;
        let ask = async |path: &str, value: &str| {
            let body = serde_json::json!({ "value": value }).to_string();
            mount.request("update", path, &body).await.unwrap()
        };
        for number in 0..51 {
            ask(&format!("items/p{number}"), "old").await;
        }
        ask("items/p", "old").await;
        assert!(ask("many/p", "new").await.err.is_none());
        assert_eq!(store.get("items/p").as_deref(), Some("new"));
        let left = (0..51).filter(|number| store.get(&format!("items/p{number}")).is_some());
        assert_eq!(left.collect::<Vec<_>>(), [50]);
        let transactions = (store.begun_transactions(), store.open_transactions());
        assert_eq!(transactions, (begun, 0));
    }
    // One that is refused ends the transaction.
    let store = Store::read_only();
    let (_pair, _connection, mount) = Pair::mounted(&store).await;
    let reply = mount.request("update", "many/p", r#"{"value":"v"}"#).await;
    let error = reply.unwrap().err.unwrap();
    assert_eq!(error.err_msg, "cannot write to readonly storage");
    store.until(|store| store.open_transactions() == 0).await;
}

#[tokio::test]
async fn vault_has_neither_transactions_nor_pages_and_is_asked_once() {
    let store = Store::vault();
    let (_pair, _connection, mount) = Pair::mounted(&store).await;
    for name in ["p", "q"] {
        mount
            .request("update", &format!("pairs/{name}"), r#"{"value":"v"}"#)
            .await
            .unwrap();
        assert_eq!(
            mount.data("list", "items/").await["keys"],
            serde_json::json!(["p1", "p2"])
        );
    }
    assert_eq!(store.get("items/q2").as_deref(), Some("v"));
    assert_eq!(store.unknown_calls(), 2);
}

#[tokio::test]
async fn the_text_of_read_only_storage_reaches_the_host_unchanged() {
    let (_pair, _connection, mount) = Pair::mounted(&Store::read_only()).await;
    let reply = mount
        .request("update", "items/a", r#"{"value":"v"}"#)
        .await
        .unwrap();
    let error = reply.err.unwrap();
    assert_eq!(
        (error.err_type, error.err_msg.as_str()),
        (0, "cannot write to readonly storage")
    );
    assert_eq!(reply.response, None);
}

#[tokio::test]
async fn what_is_not_served_is_answered_by_type() {
    let (_pair, _connection, mount) = Pair::mounted(&Store::openbao()).await;
    for (operation, path, kind) in [
        ("resolve-path", "items/a", 5),
        ("alias-lookahead", "items/a", 5),
        ("no such operation", "", 5),
        ("patch", "items/a", 5),
        ("read", "no/such/path", 6),
    ] {
        let reply = mount.request(operation, path, "null").await.unwrap();
        assert_eq!(
            reply.err.map(|error| error.err_type),
            Some(kind),
            "{operation} {path}"
        );
        assert_eq!(reply.response, None);
    }
    assert_eq!(
        mount.data("resolve-path", "alias").await["path"],
        "items/alias"
    );
}

#[tokio::test]
async fn a_panic_ends_one_request_only() {
    let store = Store::openbao();
    let (_pair, _connection, mut mount) = Pair::mounted(&store).await;
    let (slow, ()) = tokio::join!(
        mount.request("update", "slow/s", r#"{"value":"v"}"#),
        async {
            store.at_gate(1).await;
            let reply = mount.request("read", "panic", "null").await.unwrap();
            let error = reply.err.unwrap();
            assert_eq!(
                (error.err_type, error.err_msg.as_str()),
                (2, "internal error")
            );
            store.open_gate();
        }
    );
    assert_eq!(slow.unwrap().err, None);
    assert_eq!(store.get("items/s").as_deref(), Some("v"));

    let message = mount.message(pb::InvalidateKeyArgs {
        key: "panic".into(),
    });
    assert_eq!(
        mount
            .client
            .invalidate_key(message)
            .await
            .unwrap_err()
            .code(),
        Code::Internal
    );
    let message = mount.message(pb::InvalidateKeyArgs {
        key: "items/a".into(),
    });
    mount.client.invalidate_key(message).await.unwrap();
    assert_eq!(mount.data("read", "self").await["invalidated"], 1);
}

#[tokio::test]
async fn a_request_that_the_host_gives_up_is_still_completed() {
    let store = Store::openbao();
    let (_pair, _connection, mount) = Pair::mounted(&store).await;
    {
        let request = mount.request("update", "slow/s", r#"{"value":"v"}"#);
        tokio::select! {
            _ = request => panic!("nobody has opened the gate"),
            () = store.at_gate(1) => {}
        }
    }
    // The host has dropped the call; another shows that the plugin has read so.
    mount.data("read", "self").await;
    store.open_gate();
    store.until(|store| store.get("items/s").is_some()).await;
}

#[tokio::test]
async fn whatever_the_host_gives_up_is_still_completed() {
    for call in ["initialize", "rollback", "renew", "revoke"] {
        let pair = Pair::start();
        let connection = pair.host.connect(&pair.plugin).await;
        let store = Store::openbao();
        let served = pair.host.serve(&pair.plugin, 1, &store);
        connection.broker.send(served).unwrap();
        let mut mount = Mount::new(&connection, "slow000001");
        assert_eq!(mount.set_up(1, &[("slow", "yes")]).await, "");
        let mut client = mount.client.clone();
        let message = mount.message(pb::InitializeArgs {});
        let given_up = async {
            if call == "initialize" {
                client.initialize(message).await.map(drop)
            } else {
                mount.request(call, "items/s", "null").await.map(drop)
            }
        };
        tokio::select! {
            _ = given_up => panic!("nobody has opened the gate"),
            () = store.at_gate(1) => {}
        }
        // The host has dropped the call; another shows that the plugin has read so.
        mount.data("read", "self").await;
        store.open_gate();
        let done = format!("items/{call}");
        store.until(|store| store.get(&done).is_some()).await;
    }
}

#[tokio::test]
async fn mounts_of_one_process_do_not_share_anything() {
    let (one, two) = (Store::openbao(), Store::openbao());
    let (pair, connection, mut first) = Pair::mounted(&one).await;
    let second = pair.host.mount(&pair.plugin, &connection, 2, &two).await;
    first
        .request("update", "items/x", r#"{"value":"1"}"#)
        .await
        .unwrap();
    second
        .request("update", "items/x", r#"{"value":"2"}"#)
        .await
        .unwrap();
    assert_eq!(one.get("items/x").as_deref(), Some("1"));
    assert_eq!(two.get("items/x").as_deref(), Some("2"));
    assert_eq!(first.data("read", "self").await["uuid"], "uuid-1");
    assert_eq!(second.data("read", "self").await["uuid"], "uuid-2");

    first.clean_up().await;
    first.clean_up().await;
    assert!(first.request("read", "self", "null").await.is_err());
    assert_eq!(
        second.data("read", "self").await["mount_point"],
        "mount00002/"
    );
}

#[tokio::test]
async fn a_call_without_a_mount_id_is_for_the_mount_that_was_set_up_so() {
    let pair = Pair::start();
    let connection = pair.host.connect(&pair.plugin).await;
    let store = Store::openbao();
    connection
        .broker
        .send(pair.host.serve(&pair.plugin, 1, &store))
        .unwrap();
    let mut client = pb::backend_client::BackendClient::new(connection.channel.clone());
    let args = pb::SetupArgs {
        broker_id: 1,
        ..pb::SetupArgs::default()
    };
    assert_eq!(client.setup(args).await.unwrap().get_ref().err, "");
    client.special_paths(pb::Empty {}).await.unwrap();
}

#[tokio::test]
async fn a_shutdown_is_answered_and_then_done_whatever_hangs() {
    let (pair, connection, mount) = Pair::mounted(&Store::openbao()).await;
    let stuck = tokio::spawn(async move { mount.request("read", "stuck", "null").await });
    let (path, began) = (pair.plugin.path.clone(), Instant::now());
    assert!(path.exists());
    connection
        .shut_down()
        .await
        .expect("the answer comes before the end");
    assert_eq!(pair.running.await.unwrap(), End::Shutdown);
    assert!(
        began.elapsed() < Duration::from_secs(2),
        "{:?}",
        began.elapsed()
    );
    assert!(!path.exists());
    stuck.abort();
}

#[tokio::test]
async fn an_idle_plugin_shuts_down_at_once() {
    let (pair, connection, _mount) = Pair::mounted(&Store::openbao()).await;
    let began = Instant::now();
    connection.shut_down().await.unwrap();
    drop(connection);
    drop(_mount);
    pair.running.await.unwrap();
    assert!(
        began.elapsed() < Duration::from_millis(500),
        "{:?}",
        began.elapsed()
    );
}

#[tokio::test]
async fn a_host_that_goes_away_ends_the_plugin() {
    let (pair, connection, mount) = Pair::mounted(&Store::openbao()).await;
    drop((connection, mount));
    assert_eq!(pair.running.await.unwrap(), End::BrokerClosed);
}

#[tokio::test]
async fn a_mount_of_another_kind_is_told_which_ones_there_are() {
    let pair = Pair::start();
    let connection = pair.host.connect(&pair.plugin).await;
    let announcement = pair.host.serve(&pair.plugin, 7, &Store::openbao());
    connection.broker.send(announcement).unwrap();
    let mut mount = Mount::new(&connection, "other00001");
    let error = mount.set_up(7, &[("plugin_type", "auth")]).await;
    let text = "this binary serves plugins of type secret, and was started as one of type auth";
    assert!(error.starts_with(text), "{error}");
    let announcement = pair.host.serve(&pair.plugin, 8, &Store::openbao());
    connection.broker.send(announcement).unwrap();
    assert_eq!(mount.set_up(8, &[("plugin_type", "secret")]).await, "");
}
