//! Mistakes in the configuration and in the files that it names, and bodies beyond all limits.

use std::path::PathBuf;
use std::time::Duration;

use serde_json::{Value, json};

use super::fake_aws::UNSEAL_KEY;
use super::world::{World, bind};

#[tokio::test]
async fn mistakes_in_the_configuration_are_named() {
    let world = World::new().await;
    let path: PathBuf = world.directory.path().join("broken.json");
    let base: Value = serde_json::from_str(
        &std::fs::read_to_string(world.directory.path().join("config.json")).expect("reads"),
    )
    .expect("JSON");
    let refused = async |change: &dyn Fn(&mut Value)| {
        let mut config = base.clone();
        change(&mut config);
        std::fs::write(&path, config.to_string()).expect("writes");
        bind(&path)
            .await
            .err()
            .expect("must be refused")
            .to_string()
    };
    type Change<'a> = &'a dyn Fn(&mut Value);
    let cases: [(Change<'_>, &str); 10] = [
        (
            &|c| c["lisen"] = json!("x"),
            "unknown field `lisen`, expected one of `listen`",
        ),
        (
            &|c| c["clients"]["berlin"]["keys"]["transit/unseal"] = json!(["alias/bao-unseal"]),
            "alias/bao-unseal is an alias",
        ),
        (
            &|c| c["clients"]["berlin"]["keys"]["transit/unseal"] = json!([]),
            "at least one version",
        ),
        (
            &|c| c["clients"]["berlin"]["keys"]["../unseal"] = json!([UNSEAL_KEY]),
            "is not a path",
        ),
        (
            &|c| c["clients"]["berlin"]["certificates"] = json!(["both.example"]),
            "dns:NAME or uri:URI",
        ),
        (
            &|c| c["clients"]["berlin"]["certificates"] = json!(["dns:BOTH.example"]),
            "stands for two clients",
        ),
        (
            &|c| c["clients"]["paris"]["tokens"] = json!([]),
            "needs certificates or tokens",
        ),
        (
            &|c| c["clients"]["paris"]["tokens"] = json!([{"sha256": "abc"}]),
            "64 hex digits",
        ),
        (
            &|c| c["tls"]["client_ca"] = Value::Null,
            "without tls.client_ca",
        ),
        (
            &|c| c["aws"]["region"] = json!("Nowhere!"),
            "is not the name of a Region",
        ),
    ];
    for (change, part) in cases {
        let text = refused(change).await;
        assert!(text.contains(part), "{part}: {text}");
    }
    std::fs::write(&path, "{\"listen\": \"secret-in-the-wrong-place\"}").expect("writes");
    let text = bind(&path).await.err().expect("refused").to_string();
    assert!(
        !text.contains("secret-in-the-wrong-place") && text.contains("line 1"),
        "{text}"
    );
}

#[tokio::test]
async fn a_port_that_is_taken_is_named_by_its_field() {
    let world = World::new().await;
    let path: PathBuf = world.directory.path().join("config.json");
    let text = std::fs::read_to_string(&path).expect("reads");
    let base: Value = serde_json::from_str(&text).expect("JSON");
    for (field, address) in [("listen", world.address), ("metrics_listen", world.metrics)] {
        let mut config = base.clone();
        config[field] = json!(address.to_string());
        std::fs::write(&path, config.to_string()).expect("writes");
        let text = bind(&path).await.err().expect("refused").to_string();
        assert!(
            text.starts_with(&format!("{field}: cannot listen on {address}")),
            "{text}"
        );
    }
}

#[tokio::test]
async fn a_tls_file_that_cannot_be_read_is_told_from_one_that_is_no_pem() {
    let world = World::new().await;
    let path: PathBuf = world.directory.path().join("config.json");
    let text = std::fs::read_to_string(&path).expect("reads");
    let base: Value = serde_json::from_str(&text).expect("JSON");
    let (missing, other) = (
        world.directory.path().join("missing.pem"),
        world.directory.path().join("other.pem"),
    );
    std::fs::write(&other, "no PEM").expect("writes");
    for (field, what) in [
        ("certificate", "certificate in PEM or DER"),
        ("key", "private key in PEM"),
        ("client_ca", "certificate in PEM or DER"),
        ("client_crl", "revocation list in PEM or DER"),
    ] {
        for (file, part) in [
            (&missing, "No such file".to_owned()),
            (&other, format!("holds no {what}")),
        ] {
            let mut config = base.clone();
            config["tls"][field] = json!(file);
            std::fs::write(&path, config.to_string()).expect("writes");
            let text = bind(&path).await.err().expect("refused").to_string();
            assert!(
                text.contains(&part) && text.contains(file.to_str().expect("UTF-8")),
                "{field}: {text}"
            );
        }
    }
}

/// By hand, as a client that looks for an answer only when it has sent everything.
#[tokio::test]
async fn a_body_that_is_far_too_large_gets_its_status_and_the_connection_ends() {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    let world = World::with(|config| {
        config["tls"]["client_ca"] = Value::Null;
        let paris = config["clients"]["paris"].clone();
        config["clients"] = json!({ "paris": paris });
    })
    .await;
    let size = 4 * 1024 * 1024;
    let head = |more: &str| {
        format!(
            "PUT /v1/transit/encrypt/paris HTTP/1.1\r\nhost: localhost\r\nx-vault-token: token-of-paris\r\n{more}\r\n"
        )
    };
    for (head, body) in [
        (head(&format!("content-length: {size}\r\n")), size),
        // Whoever asks before it sends need not send.
        (
            head(&format!(
                "content-length: {size}\r\nexpect: 100-continue\r\n"
            )),
            0,
        ),
    ] {
        let mut stream = world.tls().await;
        stream.write_all(head.as_bytes()).await.expect("sends");
        stream.write_all(&vec![b' '; body]).await.expect("sends");
        let mut answer = Vec::new();
        let read = tokio::time::timeout(Duration::from_secs(10), stream.read_to_end(&mut answer));
        read.await.expect("the connection ends").expect("reads");
        let answer = String::from_utf8_lossy(&answer).to_lowercase();
        assert!(
            answer.starts_with("http/1.1 413 ") && answer.contains("connection: close"),
            "{answer}"
        );
    }
    assert!(world.fake.calls().is_empty());
}
