//! The unseal server against clients of every kind, with a stand-in for AWS KMS behind it.

use std::time::Duration;

use serde_json::{Value, json};

#[path = "serve/costs.rs"]
mod costs;
#[path = "support/fake_aws.rs"]
mod fake_aws;
#[path = "serve/mistakes.rs"]
mod mistakes;
#[path = "serve/strangers.rs"]
mod strangers;
#[path = "serve/trust.rs"]
mod trust;
#[path = "support/world.rs"]
mod world;

use fake_aws::{ACCESS_KEY, Fault, OTHER_KEY, REGION, UNSEAL_KEY, arn};
use world::{Authority, World, dns, uri};

const PLAINTEXT: &str = "cm9vdCBrZXk=";

#[tokio::test]
async fn a_known_certificate_wraps_and_opens_with_one_call_each() {
    let world = World::new().await;
    for client in [world.berlin(), world.known_as(uri("spiffe://berlin/bao"))] {
        let ciphertext = world.encrypt(&client, "unseal", PLAINTEXT).await;
        assert!(
            ciphertext.starts_with("vault:v1:") && ciphertext.split(':').count() == 3,
            "{ciphertext}"
        );
        let (status, body) = world
            .put(
                &client,
                "transit/decrypt/unseal",
                &json!({"ciphertext": ciphertext}),
            )
            .await;
        assert_eq!(
            (status.as_u16(), &body["data"]["plaintext"]),
            (200, &json!(PLAINTEXT))
        );
    }
    let calls = world.fake.calls();
    let operations: Vec<_> = calls.iter().map(|call| call.operation.as_str()).collect();
    assert_eq!(operations, ["Encrypt", "Decrypt", "Encrypt", "Decrypt"]);
    assert_eq!(
        calls[1].key_id,
        Some(arn(REGION, UNSEAL_KEY)),
        "Decrypt is pinned"
    );
    let context: Vec<_> = calls[1]
        .context
        .iter()
        .map(|(name, value)| format!("{name}={value}"))
        .collect();
    assert_eq!(
        context,
        [
            "client=berlin",
            "key=transit/unseal",
            "landfast=unseal",
            "version=1"
        ]
    );
}

#[tokio::test]
async fn nobody_opens_anothers_and_the_key_service_never_hears_of_it() {
    let world = World::new().await;
    let berlin = world.berlin();
    let mine = world.encrypt(&berlin, "unseal", PLAINTEXT).await;
    let nobody = world.client(None);
    let paris = |request: reqwest::RequestBuilder, token: &str| {
        request.header("X-Vault-Token", token.to_owned())
    };
    let body = json!({"plaintext": PLAINTEXT});
    let (status, answer) = world
        .send(paris(
            nobody
                .put(world.url("transit/encrypt/paris"))
                .body(body.to_string()),
            "token-of-paris",
        ))
        .await;
    assert_eq!(status, 200);
    let theirs = answer["data"]["ciphertext"]
        .as_str()
        .expect("a ciphertext")
        .to_owned();
    world.fake.take_operations();

    // Who are you?
    let decrypt = json!({"ciphertext": mine});
    let stranger = world.known_as(dns("mallory.example"));
    let wildcard = world.known_as(dns("*.berlin.example"));
    for (who, client) in [
        ("nobody", &nobody),
        ("stranger", &stranger),
        ("wildcard", &wildcard),
    ] {
        for path in [
            "transit/decrypt/unseal",
            "transit/encrypt/unseal",
            "transit/nothing",
            "auth/token/renew-self",
        ] {
            let (status, answer) = world.put(client, path, &decrypt).await;
            assert_eq!(
                (status.as_u16(), answer),
                (403, json!({"errors": ["permission denied"]})),
                "{who} {path}"
            );
        }
    }
    for token in ["", "token-of-berlin", "token-of-both", "token-of-pari"] {
        let request = paris(
            nobody
                .put(world.url("transit/encrypt/paris"))
                .body(body.to_string()),
            token,
        );
        assert_eq!(world.send(request).await.0, 403, "{token}");
    }
    // A certificate of another CA does not get through the handshake, or its requests do not.
    let forged = world.client(Some(Authority::new().issue(&[dns("bao-1.berlin.example")])));
    assert!(
        forged
            .put(world.url("transit/decrypt/unseal"))
            .body(decrypt.to_string())
            .send()
            .await
            .is_err()
    );

    // Both means both.
    let both = world.known_as(dns("both.example"));
    let ask = |token: &str| {
        let request = both
            .put(world.url("transit/encrypt/unseal"))
            .header("X-Vault-Namespace", "ns1/")
            .body(body.to_string());
        paris(request, token)
    };
    assert_eq!(world.send(ask("")).await.0, 403);
    assert_eq!(world.send(ask("token-of-paris")).await.0, 403);
    assert_eq!(
        world
            .send(paris(
                nobody
                    .put(world.url("ns1/transit/encrypt/unseal"))
                    .body(body.to_string()),
                "token-of-both"
            ))
            .await
            .0,
        403
    );

    // A known client with what is not its own.
    assert_eq!(
        world.put(&berlin, "transit/encrypt/paris", &body).await.0,
        403
    );
    assert_eq!(
        world
            .put(
                &berlin,
                "transit/decrypt/paris",
                &json!({"ciphertext": theirs})
            )
            .await
            .0,
        403
    );
    assert_eq!(
        world
            .put(&berlin, "ns1/transit/encrypt/unseal", &body)
            .await
            .0,
        403
    );
    assert_eq!(world.fake.take_operations(), [""; 0]);
    assert_eq!(world.send(ask("token-of-both")).await.0, 200);
    world.fake.take_operations();

    // Another client's blob under the own path: the same AWS key, but not the same context.
    let (status, answer) = world
        .put(
            &berlin,
            "transit/decrypt/unseal",
            &json!({"ciphertext": theirs}),
        )
        .await;
    assert_eq!(
        (status.as_u16(), &answer["errors"][0]),
        (
            400,
            &json!("the ciphertext cannot be decrypted: InvalidCiphertextException")
        )
    );

    world.fake.take_operations();
    let cut = &mine[..mine.len() - 8];
    for broken in [
        "",
        "vault:v1:",
        "vault:v2:AAAA",
        "vault:v0:AAAA",
        "vault:v01:AAAA",
        "vault:v1:AAAA:AAAA",
        "v1:AAAA",
        "vault:v1:!!!",
        cut,
    ] {
        let (status, answer) = world
            .put(
                &berlin,
                "transit/decrypt/unseal",
                &json!({"ciphertext": broken}),
            )
            .await;
        assert_eq!(status, 400, "{broken}: {answer}");
    }
    assert!(
        world.fake.take_operations().len() <= 1,
        "only the cut one may look whole enough to ask"
    );
}

#[tokio::test]
async fn a_certificate_with_names_of_two_clients_is_neither() {
    let world = World::new().await;
    let body = json!({"plaintext": PLAINTEXT});
    let names = [
        dns("bao-1.berlin.example"),
        dns("both.example"),
        dns("elsewhere.example"),
    ];
    let reversed = [names[2].clone(), names[1].clone(), names[0].clone()];
    for names in [&names, &reversed] {
        let torn = world.client(Some(world.authority.issue(names)));
        for path in ["transit/encrypt/unseal", "ns1/transit/encrypt/unseal"] {
            let request = torn
                .put(world.url(path))
                .header("X-Vault-Token", "token-of-both")
                .body(body.to_string());
            let (status, answer) = world.send(request).await;
            assert_eq!(
                (status.as_u16(), answer),
                (403, json!({"errors": ["permission denied"]})),
                "{path}"
            );
        }
    }
    assert!(world.fake.take_operations().is_empty());
    let lines = world.audit();
    assert_eq!(lines.len(), 4);
    for line in lines {
        let why = line["error"].as_str().expect("a reason");
        assert!(
            why.contains("names of two clients")
                && why.contains("berlin")
                && why.contains("both")
                && line["client"].is_null(),
            "{line}"
        );
    }
    // Two names of one client are one client, and a name of nobody does no harm.
    let whole = world.client(Some(world.authority.issue(&[
        dns("elsewhere.example"),
        dns("bao-1.berlin.example"),
        uri("spiffe://berlin/bao"),
    ])));
    world.encrypt(&whole, "unseal", PLAINTEXT).await;
}

#[tokio::test]
async fn where_every_client_has_a_certificate_a_stranger_ends_at_the_handshake() {
    let world = World::with(|config| {
        config["clients"]
            .as_object_mut()
            .expect("clients")
            .remove("paris");
    })
    .await;
    let health = world.url("sys/health");
    assert!(world.client(None).get(&health).send().await.is_err());
    assert_eq!(
        world
            .berlin()
            .get(&health)
            .send()
            .await
            .expect("an answer")
            .status(),
        200
    );
    assert!(
        world
            .figures()
            .await
            .contains("landfast_unseal_failed_handshakes_total 1")
    );
}

#[tokio::test]
async fn a_rotated_key_wraps_anew_and_opens_the_old() {
    let world = World::new().await;
    let old = world.encrypt(&world.berlin(), "unseal", PLAINTEXT).await;
    let second = World::with(|config| {
        config["clients"]["berlin"]["keys"]["transit/unseal"] =
            json!([UNSEAL_KEY, arn(REGION, OTHER_KEY)]);
    })
    .await;
    let berlin = second.berlin();
    let new = second.encrypt(&berlin, "unseal", PLAINTEXT).await;
    assert!(new.starts_with("vault:v2:"), "{new}");
    for ciphertext in [&old, &new] {
        let (status, _) = second
            .put(
                &berlin,
                "transit/decrypt/unseal",
                &json!({"ciphertext": ciphertext}),
            )
            .await;
        assert_eq!(status, 200);
    }
    // A version's number is part of what was wrapped.
    for renamed in [
        old.replace("vault:v1:", "vault:v2:"),
        new.replace("vault:v2:", "vault:v1:"),
    ] {
        let (status, _) = second
            .put(
                &berlin,
                "transit/decrypt/unseal",
                &json!({"ciphertext": renamed}),
            )
            .await;
        assert_eq!(status, 400);
    }
}

#[tokio::test]
async fn faults_of_the_key_service_have_statuses_that_clients_survive() {
    let world = World::new().await;
    let berlin = world.berlin();
    let ciphertext = world.encrypt(&berlin, "unseal", PLAINTEXT).await;
    for (fault, wanted) in [
        (Fault::Error("ThrottlingException", 400), 503),
        (Fault::Error("KMSInternalException", 500), 503),
        (Fault::Hang, 503),
        (Fault::Reset, 503),
        (Fault::Garbage, 503),
        (Fault::Error("AccessDeniedException", 400), 500),
        (Fault::Error("DisabledException", 400), 500),
        (Fault::Error("ExpiredTokenException", 400), 500),
        (Fault::Error("InvalidCiphertextException", 400), 400),
    ] {
        world.fake.fail("Decrypt", fault.clone(), usize::MAX);
        let request = berlin
            .put(world.url("transit/decrypt/unseal"))
            .body(json!({"ciphertext": ciphertext}).to_string());
        let answer = request.send().await.expect("an answer");
        assert_eq!(answer.status(), wanted, "{fault:?}");
        assert_eq!(
            answer.headers().contains_key("retry-after"),
            wanted == 503,
            "{fault:?}"
        );
        let text = answer.text().await.expect("text");
        assert!(
            !text.contains(ACCESS_KEY) && text.contains("errors"),
            "{text}"
        );
        world.fake.heal();
    }
    assert_eq!(
        world
            .put(
                &berlin,
                "transit/decrypt/unseal",
                &json!({"ciphertext": ciphertext})
            )
            .await
            .0,
        200
    );
}

#[tokio::test]
async fn bad_requests_are_refused_without_a_call_and_without_an_echo() {
    let world = World::new().await;
    let berlin = world.berlin();
    let post = async |body: String| {
        let answer = berlin
            .post(world.url("transit/encrypt/unseal"))
            .body(body)
            .send()
            .await
            .expect("an answer");
        (answer.status().as_u16(), answer.text().await.expect("text"))
    };
    for body in [
        "",
        "null",
        "[]",
        "{",
        "{}",
        "{\"plaintext\": 5}",
        "{\"plaintext\": \"hunter2!\"}",
        "{\"plaintext\":\"AA==\",\"context\":\"AA==\"}",
    ] {
        let (status, text) = post(body.to_owned()).await;
        assert_eq!(status, 400, "{body}");
        assert!(!text.contains("hunter2"), "{text}");
    }
    assert_eq!(
        post(format!("{{\"plaintext\": \"{}\"}}", "A".repeat(70_000)))
            .await
            .0,
        413
    );
    assert_eq!(post("[".repeat(60_000)).await.0, 400);
    assert_eq!(world.fake.take_operations(), [""; 0]);
    // Larger than AWS KMS would take itself, and empty: both are legal.
    for plaintext in ["A".repeat(40_000), String::new()] {
        let ciphertext = world.encrypt(&berlin, "unseal", &plaintext).await;
        let (status, body) = world
            .put(
                &berlin,
                "transit/decrypt/unseal",
                &json!({"ciphertext": ciphertext}),
            )
            .await;
        assert_eq!(
            (status.as_u16(), &body["data"]["plaintext"]),
            (200, &json!(plaintext))
        );
    }
}

#[tokio::test]
async fn a_client_that_asks_too_often_is_told_to_wait_and_others_are_not() {
    let world =
        World::with(|config| config["clients"]["berlin"]["requests_per_minute"] = json!(3)).await;
    let berlin = world.berlin();
    for _ in 0..3 {
        world.encrypt(&berlin, "unseal", PLAINTEXT).await;
    }
    world.fake.take_operations();
    let answer = berlin
        .put(world.url("transit/encrypt/unseal"))
        .body("{}")
        .send()
        .await
        .expect("an answer");
    assert_eq!(answer.status(), 429);
    assert!(answer.headers().contains_key("retry-after"));
    assert_eq!(world.fake.take_operations(), [""; 0]);
    let request = world
        .client(None)
        .put(world.url("transit/encrypt/paris"))
        .header("X-Vault-Token", "token-of-paris");
    assert_eq!(
        world
            .send(request.body(json!({"plaintext": PLAINTEXT}).to_string()))
            .await
            .0,
        200
    );
    assert!(
        world
            .figures()
            .await
            .contains("landfast_unseal_rate_limited_total{client=\"berlin\"} 1")
    );
}

#[tokio::test]
async fn tokens_renew_as_long_as_they_are_configured() {
    let world = World::new().await;
    let nobody = world.client(None);
    let ask = |request: reqwest::RequestBuilder| request.header("X-Vault-Token", "token-of-paris");
    let (status, body) = world
        .send(ask(nobody
            .put(world.url("auth/token/renew-self"))
            .body("{\"increment\":0}")))
        .await;
    assert_eq!(status, 200);
    let auth = &body["auth"];
    assert_eq!(
        (
            &auth["client_token"],
            &auth["lease_duration"],
            &auth["renewable"]
        ),
        (&json!("token-of-paris"), &json!(3600), &json!(true))
    );
    let (status, body) = world
        .send(ask(nobody.get(world.url("auth/token/lookup-self"))))
        .await;
    assert_eq!(
        (status.as_u16(), &body["data"]["display_name"]),
        (200, &json!("paris"))
    );
    // Without a token there is none to renew, which ends a client's renewals and nothing else.
    assert_eq!(
        world
            .put(&world.berlin(), "auth/token/renew-self", &json!({}))
            .await
            .0,
        403
    );
    let (status, body) = world.send(nobody.get(world.url("sys/health"))).await;
    assert_eq!((status.as_u16(), &body["sealed"]), (200, &json!(false)));
}

#[tokio::test]
async fn keys_sign_and_verify_as_the_transit_engine_does() {
    let world = World::new().await;
    let berlin = world.berlin();
    let (status, body) = world
        .send(berlin.get(world.url("transit/export/public-key/ca/1?format=der")))
        .await;
    assert_eq!(
        (status.as_u16(), &body["data"]["type"]),
        (200, &json!("ecdsa-p256"))
    );
    assert!(
        body["data"]["keys"]["1"]
            .as_str()
            .is_some_and(|key| key.len() > 100)
    );
    let (_, body) = world
        .send(berlin.get(world.url("transit/export/public-key/rsa/1?format=der")))
        .await;
    assert_eq!(body["data"]["type"], "rsa-2048");
    assert_eq!(
        world
            .send(berlin.get(world.url("transit/export/public-key/ca/2")))
            .await
            .0,
        400
    );
    assert_eq!(
        world
            .send(berlin.get(world.url("transit/export/public-key/unseal/1")))
            .await
            .0,
        403
    );

    for (key, request) in [
        ("ca", json!({"input": PLAINTEXT})),
        (
            "ca",
            json!({"input": PLAINTEXT, "hash_algorithm": "sha2-256", "key_version": "1", "salt_length": "auto"}),
        ),
        (
            "rsa",
            json!({"input": PLAINTEXT, "signature_algorithm": "pkcs1v15", "hash_algorithm": "sha2-384"}),
        ),
        (
            "rsa",
            json!({"input": PLAINTEXT, "signature_algorithm": "pss", "salt_length": "hash"}),
        ),
        ("rsa", json!({"input": PLAINTEXT, "salt_length": -1})),
    ] {
        let (status, body) = world
            .put(&berlin, &format!("transit/sign/{key}"), &request)
            .await;
        assert_eq!(status, 200, "{request}: {body}");
        let mut verify = request.clone();
        verify["signature"] = body["data"]["signature"].clone();
        let (_, body) = world
            .put(&berlin, &format!("transit/verify/{key}"), &verify)
            .await;
        assert_eq!(body["data"]["valid"], true, "{request}");
        verify["input"] = json!("AAAA");
        let (_, body) = world
            .put(&berlin, &format!("transit/verify/{key}"), &verify)
            .await;
        assert_eq!(body["data"]["valid"], false, "{request}");
    }
    world.fake.take_operations();
    for request in [
        json!({"input": PLAINTEXT, "hash_algorithm": "sha1"}),
        json!({"input": PLAINTEXT, "hash_algorithm": "sha2-384"}),
        json!({"input": PLAINTEXT, "prehashed": true}),
        json!({"input": PLAINTEXT, "marshaling_algorithm": "jws"}),
        json!({"input": PLAINTEXT, "key_version": 7}),
    ] {
        let (status, body) = world.put(&berlin, "transit/sign/ca", &request).await;
        assert_eq!(status, 400, "{request}: {body}");
    }
    assert_eq!(world.fake.take_operations(), [""; 0]);
}

#[tokio::test]
async fn a_cache_carries_clients_through_an_outage() {
    let world = World::with(|config| config["cache"] = json!({"ttl_seconds": 3600})).await;
    let berlin = world.berlin();
    let stored = world.encrypt(&berlin, "unseal", PLAINTEXT).await;
    world.fake.take_operations();
    world
        .fake
        .fail("*", Fault::Error("KMSInternalException", 500), usize::MAX);
    let probe = world.encrypt(&berlin, "unseal", "YQ==").await;
    assert_ne!(
        probe,
        world.encrypt(&berlin, "unseal", "YQ==").await,
        "nonces differ"
    );
    for (ciphertext, plaintext) in [(&stored, PLAINTEXT), (&probe, "YQ==")] {
        let (status, body) = world
            .put(
                &berlin,
                "transit/decrypt/unseal",
                &json!({"ciphertext": ciphertext}),
            )
            .await;
        assert_eq!(
            (status.as_u16(), &body["data"]["plaintext"]),
            (200, &json!(plaintext))
        );
    }
    assert_eq!(world.fake.take_operations(), [""; 0]);
    // A changed ciphertext under a known data key is still no ciphertext.
    let last = if stored.ends_with('A') { 'B' } else { 'A' };
    let changed: String = stored
        .chars()
        .take(60)
        .chain([last])
        .chain(stored.chars().skip(61))
        .collect();
    let (status, _) = world
        .put(
            &berlin,
            "transit/decrypt/unseal",
            &json!({"ciphertext": changed}),
        )
        .await;
    assert!(status == 400 || status == 503, "{status}");
}

#[tokio::test]
async fn every_call_leaves_a_line_and_no_secret() {
    let world = World::new().await;
    let berlin = world.berlin();
    let ciphertext = world.encrypt(&berlin, "unseal", PLAINTEXT).await;
    world
        .put(
            &berlin,
            "transit/decrypt/unseal",
            &json!({"ciphertext": ciphertext}),
        )
        .await;
    world
        .put(
            &world.client(None),
            "transit/decrypt/unseal",
            &json!({"ciphertext": ciphertext}),
        )
        .await;
    let lines = world.audit();
    assert_eq!(lines.len(), 3);
    let of = |line: &Value, names: &[&str]| {
        names
            .iter()
            .map(|name| line[*name].to_string())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let names = [
        "operation",
        "client",
        "identity",
        "key",
        "version",
        "status",
    ];
    assert_eq!(
        of(&lines[0], &names),
        r#""encrypt" "berlin" "dns:bao-1.berlin.example" "transit/unseal" 1 200"#
    );
    assert_eq!(
        of(&lines[1], &names),
        r#""decrypt" "berlin" "dns:bao-1.berlin.example" "transit/unseal" 1 200"#
    );
    assert_eq!(
        of(&lines[2], &names),
        r#""decrypt" null null null null 403"#
    );
    let text = json!(lines).to_string();
    let payload = ciphertext.rsplit(':').next().expect("a payload");
    for secret in [PLAINTEXT, payload, "root key"] {
        assert!(!text.contains(secret));
    }
    let figures = world.figures().await;
    for figure in [
        "landfast_unseal_requests_total{client=\"berlin\",operation=\"encrypt\",status=\"200\"} 1",
        "landfast_unseal_requests_total{client=\"unknown\",operation=\"decrypt\",status=\"403\"} 1",
        "landfast_unseal_kms_requests_total 2",
        "landfast_unseal_client_certificate_expiry_timestamp_seconds{client=\"berlin\",identity=\"dns:bao-1.berlin.example\"}",
        "landfast_unseal_last_decrypt_timestamp_seconds{client=\"berlin\"}",
        "# EOF",
    ] {
        assert!(figures.contains(figure), "{figure}\n{figures}");
    }
}

#[tokio::test]
async fn requests_under_way_finish_when_the_server_stops() {
    let world = World::new().await;
    let berlin = world.berlin();
    let ciphertext = world.encrypt(&berlin, "unseal", PLAINTEXT).await;
    world.fake.take_operations();
    world.fake.fail("Decrypt", Fault::Hang, 1);
    let request = berlin
        .put(world.url("transit/decrypt/unseal"))
        .body(json!({"ciphertext": ciphertext}).to_string());
    let under_way = tokio::spawn(request.send());
    while world.fake.calls().is_empty() {
        tokio::task::yield_now().await;
    }
    world.stop.send(true).expect("the server listens");
    assert_eq!(
        under_way
            .await
            .expect("no panic")
            .expect("an answer")
            .status(),
        200
    );
    tokio::time::timeout(Duration::from_secs(5), world.server)
        .await
        .expect("stops")
        .expect("no panic");
    assert!(
        berlin
            .get(format!(
                "https://localhost:{}/v1/sys/health",
                world.address.port()
            ))
            .send()
            .await
            .is_err()
    );
}
