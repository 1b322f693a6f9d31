//! Certificates that were good when a connection began, and are not any more.

use std::time::Duration;

use rcgen::date_time_ymd;
use reqwest::Client;
use serde_json::{Value, json};

use super::PLAINTEXT;
use super::world::{Authority, World, dns, since_1970};

const SERIAL: u64 = 4711;

/// Nobody waits for this.
const FAR: Duration = Duration::from_secs(24 * 3600);

impl World {
    fn berlin_for(&self, life: Duration) -> Client {
        let name = [dns("bao-1.berlin.example")];
        self.client(Some(self.authority.issue_with(&name, |params| {
            params.not_after = date_time_ymd(1970, 1, 1) + since_1970(life);
            params.serial_number = Some(SERIAL.into());
        })))
    }

    /// Whether a client is served; nothing is asked of the key service if it is not.
    async fn serves(&self, client: &Client) -> bool {
        self.fake.take_operations();
        let request = client
            .put(self.url("transit/encrypt/unseal"))
            .body(json!({"plaintext": PLAINTEXT}).to_string());
        let served = match request.send().await {
            Ok(answer) => answer.status() == 200,
            Err(_) => false,
        };
        assert_eq!(!self.fake.take_operations().is_empty(), served);
        served
    }
}

#[tokio::test]
async fn a_certificate_that_ends_ends_what_its_connection_may_do() {
    let world = World::new().await;
    let berlin = world.berlin_for(Duration::from_secs(3));
    assert!(world.serves(&berlin).await);
    let limit = tokio::time::Instant::now() + Duration::from_secs(20);
    while world.serves(&berlin).await {
        assert!(tokio::time::Instant::now() < limit, "it is served for ever");
        // More often than a connection ends for idleness.
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let why: Vec<Value> = world.audit();
    let why = why.iter().filter_map(|line| line["error"].as_str());
    assert!(
        why.into_iter().any(|why| why.contains("has ended at")),
        "the connection was still open"
    );
}

#[tokio::test]
async fn a_list_that_names_a_client_ends_its_connection() {
    let world = World::new().await;
    let list = world.directory.path().join("crl.der");
    std::fs::write(&list, world.authority.revoke(&[], FAR)).expect("writes");
    world
        .reconfigure(|config| config["tls"]["client_crl"] = json!(list))
        .await;
    let berlin = world.berlin_for(FAR);
    assert!(world.serves(&berlin).await, "a list in DER is taken");
    tokio::time::sleep(Duration::from_millis(20)).await;
    std::fs::write(&list, world.authority.revoke(&[SERIAL], FAR)).expect("writes");
    world.control.refresh_tls();
    assert!(!world.serves(&berlin).await);
    // Another of the same CA goes on.
    assert!(world.serves(&world.berlin()).await);
}

#[tokio::test]
async fn another_ca_or_other_clients_end_connections() {
    let world = World::new().await;
    let berlin = world.berlin();
    assert!(world.serves(&berlin).await);
    let ca = world.directory.path().join("ca.pem");
    tokio::time::sleep(Duration::from_millis(20)).await;
    std::fs::write(&ca, Authority::new().pem()).expect("writes");
    world.control.refresh_tls();
    assert!(!world.serves(&berlin).await);
    tokio::time::sleep(Duration::from_millis(20)).await;
    std::fs::write(&ca, world.authority.pem()).expect("writes");
    world.control.refresh_tls();
    assert!(world.serves(&berlin).await);
    world
        .reconfigure(|config| {
            config["clients"]["berlin"]["certificates"] = json!(["dns:elsewhere.example"]);
        })
        .await;
    assert!(!world.serves(&berlin).await);
}
