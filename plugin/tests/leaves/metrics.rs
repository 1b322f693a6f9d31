//! What the mount counts, what it tells of itself in figures, and to whom.

use std::collections::BTreeMap;

use landfast_plugin::Mount;
use landfast_sdk::logical::Backend as _;
use landfast_sdk::testing::Harness;
use serde_json::json;

use crate::support::{CSR, certificate, issue, role, with_ca};

/// Every sample by its name and labels, after the text was held against the rules of OpenMetrics 1.0 that can be seen in a line.
struct Page(BTreeMap<String, f64>);

impl Page {
    fn parse(text: &str) -> Self {
        let mut samples = BTreeMap::new();
        let (mut family, mut kind) = ("", "");
        let body = text.strip_suffix("# EOF\n").expect("the end is marked");
        for line in body.lines() {
            if let Some(told) = line.strip_prefix("# TYPE ") {
                (family, kind) = told.split_once(' ').expect("a name and a type");
                continue;
            }
            if line.starts_with("# ") {
                continue;
            }
            let (name, value) = line.rsplit_once(' ').expect("a sample has a value");
            let bare = name.split('{').next().unwrap();
            let wanted = match kind {
                "counter" => format!("{family}_total"),
                "gauge" => family.to_owned(),
                other => panic!("{other}"),
            };
            assert_eq!(bare, wanted, "{line}");
            assert!(bare.starts_with("landfast_pki_"), "{line}");
            let value = value.parse().expect("a number");
            assert!(samples.insert(name.to_owned(), value).is_none(), "{line}");
        }
        assert!(samples.len() > 40, "{text}");
        Self(samples)
    }

    async fn of(mount: &Harness<Mount>) -> Self {
        Self::parse(&text(mount, "metrics").await)
    }

    #[track_caller]
    fn at(&self, name: &str) -> f64 {
        let found = self.0.get(&format!("landfast_pki_{name}"));
        *found.unwrap_or_else(|| panic!("no {name} in {:#?}", self.0))
    }

    /// The only sample whose name begins so and whose labels hold this.
    #[track_caller]
    fn one(&self, name: &str, label: &str) -> f64 {
        let name = format!("landfast_pki_{name}{{");
        let mut found = self
            .0
            .iter()
            .filter(|(key, _)| key.starts_with(&name) && key.contains(label));
        let (_, value) = found.next().unwrap_or_else(|| panic!("no {name} {label}"));
        assert!(found.next().is_none(), "{name} {label}");
        *value
    }

    fn sum(&self, name: &str) -> f64 {
        let name = format!("landfast_pki_{name}{{");
        let of = self.0.iter().filter(|(key, _)| key.starts_with(&name));
        of.map(|(_, value)| value).sum()
    }
}

async fn text(mount: &Harness<Mount>, path: &str) -> String {
    let reply = mount.read(path).await;
    assert_eq!(reply.status, 200, "{:?}", reply.errors);
    assert_eq!(
        reply.content_type,
        "application/openmetrics-text; version=1.0.0; charset=utf-8"
    );
    reply.text()
}

#[tokio::test]
async fn what_happens_is_counted_under_few_words() {
    let mount = with_ca().await;
    role(&mount, json!({})).await;
    let before = Page::of(&mount).await;
    assert_eq!(before.sum("certificates_issued_total"), 0.0);
    let signed = before.one("signatures_total", "kind=\"local\"");

    let leaf = certificate(&issue(&mount, json!({"common_name": "secret-name.example"})).await);
    issue(&mount, json!({"common_name": "b.example"})).await;
    for path in ["sign/r", "sign-verbatim"] {
        let csr = json!({"csr": CSR, "common_name": "csr.example.com"});
        assert_eq!(mount.update(path, csr).await.status, 200, "{path}");
    }
    let root = json!({"common_name": "Root", "key_type": "ec", "ttl": "700h"});
    let made = mount.update("root/generate/internal", root).await;
    assert_eq!(made.status, 200, "{:?}", made.errors);

    // Turned down: by a rule on IP addresses, on lifetimes, and as no request at all.
    role(&mount, json!({"allow_ip_sans": false})).await;
    let ip = json!({"common_name": "c.example", "ip_sans": "192.0.2.1"});
    assert_eq!(issue(&mount, ip).await.status, 400);
    let time =
        json!({"common_name": "c.example", "ttl": "1h", "not_after": "2030-01-01T00:00:00Z"});
    assert_eq!(issue(&mount, time).await.status, 400);
    assert_eq!(mount.update("sign/r", json!({"csr": ""})).await.status, 400);
    // No rule is asked about a role that is not there.
    let nowhere = mount.update("issue/nowhere", json!({"common_name": "c"}));
    assert_eq!(nowhere.await.status, 400);

    let serial = json!({"serial_number": leaf.serial().colon()});
    assert_eq!(mount.update("revoke", serial.clone()).await.status, 200);
    // It is on record already.
    assert_eq!(mount.update("revoke", serial).await.status, 200);

    let after = Page::of(&mount).await;
    for (path, count) in [
        ("issue", 2.0),
        ("sign", 1.0),
        ("sign-verbatim", 1.0),
        ("root", 1.0),
        ("sign-intermediate", 0.0),
    ] {
        let name = format!("certificates_issued_total{{path=\"{path}\"}}");
        assert_eq!(after.at(&name), count, "{path}");
    }
    for (rule, count) in [
        ("ip-address", 1.0),
        ("validity", 1.0),
        ("csr", 1.0),
        ("dns-name", 0.0),
    ] {
        let name = format!("requests_refused_total{{rule=\"{rule}\"}}");
        assert_eq!(after.at(&name), count, "{rule}");
    }
    assert_eq!(after.sum("requests_refused_total"), 3.0);
    assert_eq!(after.at("certificates_revoked_total{path=\"revoke\"}"), 1.0);
    assert_eq!(after.sum("certificates_revoked_total"), 1.0);

    // Two leaves, two signed requests, and a complete and a delta CRL each for the new root and for the revocation; the root signed itself and its CRLs.
    let key = mount.read("key/default").await.data["key_id"].clone();
    let key = key.as_str().unwrap();
    let of = |page: &Page| page.one("signatures_total", &format!("key=\"{key}\""));
    assert_eq!(of(&before), signed);
    assert_eq!(of(&after), signed + 4.0 + 4.0);
    assert_eq!(
        after.sum("signatures_total"),
        signed + 4.0 + 4.0 + 1.0 + 4.0
    );

    // Nothing that anybody sent or named is in the text.
    let text = text(&mount, "metrics").await;
    for word in ["secret-name", "example", "Root", "role", "\"r\""] {
        let told = text
            .replace("rule=\"role\"", "")
            .replace("rule=\"other-name\"", "");
        assert!(!told.contains(word), "{word}: {text}");
    }
}

#[tokio::test]
async fn crls_and_issuers_are_told_without_reading_storage_again() {
    let mount = with_ca().await;
    role(&mount, json!({})).await;
    for name in ["a.example", "b.example"] {
        let leaf = certificate(&issue(&mount, json!({"common_name": name})).await);
        let serial = json!({"serial_number": leaf.serial().colon()});
        assert_eq!(mount.update("revoke", serial).await.status, 200);
    }
    let der = mount.read("crl").await.raw.unwrap();
    let page = Page::of(&mount).await;
    let complete = "kind=\"complete\"";
    let now = 1_795_359_600.0;
    assert_eq!(page.one("crl_size_bytes", complete), der.len() as f64);
    assert_eq!(page.one("crl_entries", complete), 2.0);
    assert_eq!(page.one("crl_entries", "kind=\"delta\""), 0.0);
    assert_eq!(page.one("crl_this_update_timestamp_seconds", complete), now);
    let end = page.one("crl_next_update_timestamp_seconds", complete);
    assert_eq!(end, now + 72.0 * 3600.0);
    let took = page.one("crl_build_duration_seconds", complete);
    assert!(took > 0.0 && took < 10.0, "{took}");
    assert!(page.one("issuer_not_after_timestamp_seconds", "issuer=") > 4.9e9);

    mount.storage().reset_calls();
    Page::of(&mount).await;
    assert_eq!(mount.storage().calls().total(), 0);

    // A process that built nothing reads each CRL once, and knows all but how long it took.
    let mount = mount.reload().await;
    crate::support::stop_clock(&mount);
    let again = Page::of(&mount).await;
    for name in [
        "crl_size_bytes",
        "crl_entries",
        "crl_this_update_timestamp_seconds",
    ] {
        assert_eq!(
            again.one(name, complete),
            page.one(name, complete),
            "{name}"
        );
    }
    assert!(!again.0.keys().any(|key| key.contains("build_duration")));
    assert_eq!(again.sum("certificates_issued_total"), 0.0);
    mount.storage().reset_calls();
    Page::of(&mount).await;
    assert_eq!(mount.storage().calls().total(), 0);

    // Another node built them anew: what was known is read again.
    let (key, _) = mount
        .storage()
        .memory()
        .snapshot()
        .into_iter()
        .find(|(key, _)| key.starts_with("crls/") && key != "crls/config")
        .unwrap();
    mount.backend().invalidate(&key);
    mount.storage().reset_calls();
    Page::of(&mount).await;
    assert_eq!(mount.storage().calls().gets, 2);
}

#[tokio::test]
async fn nobody_reads_without_a_token_until_an_operator_says_so() {
    let mount = with_ca().await;
    let open = &mount.special_paths().unauthenticated;
    assert!(open.contains(&"metrics/public".to_owned()), "{open:?}");
    assert!(!open.contains(&"metrics".to_owned()), "{open:?}");
    let shown = mount.read("config/metrics").await.data;
    assert_eq!(shown, json!({"unauthenticated": false}));

    let closed = mount.read("metrics/public").await;
    assert_eq!(closed.status, 403);
    assert!(closed.error().contains("config/metrics"), "{closed:?}");
    assert!(closed.raw.is_none());

    for (sent, status) in [(json!(true), 200), (json!("false"), 403)] {
        let body = json!({ "unauthenticated": sent });
        assert_eq!(mount.update("config/metrics", body).await.status, 200);
        assert_eq!(mount.read("metrics/public").await.status, status, "{sent}");
    }
    // What is not sent stays.
    let body = json!({"unauthenticated": true});
    mount.update("config/metrics", body).await;
    let kept = mount.update("config/metrics", json!({})).await;
    assert_eq!(kept.data, json!({"unauthenticated": true}));
    Page::parse(&text(&mount, "metrics/public").await);
    let mount = mount.reload().await;
    Page::parse(&text(&mount, "metrics/public").await);
}

#[tokio::test]
async fn ocsp_tidying_and_the_pool_are_counted() {
    let mount = with_ca().await;
    role(&mount, json!({})).await;
    assert_eq!(mount.read("ocsp/AAAA").await.status, 400);
    let run = mount.update("tidy", json!({"tidy_cert_store": true})).await;
    assert_eq!(run.status, 202, "{:?}", run.errors);
    for _ in 0..2_000 {
        if mount.read("tidy-status").await.data["state"] == "Finished" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    let page = Page::of(&mount).await;
    assert_eq!(page.at("ocsp_answers_total{answer=\"malformed\"}"), 1.0);
    assert_eq!(page.at("tidy_runs_total{outcome=\"finished\"}"), 1.0);
    assert_eq!(page.at("tidy_deleted_total{kind=\"certificate\"}"), 0.0);
    assert_eq!(page.at("tidy_running"), 0.0);
    assert_eq!(
        page.at("tidy_last_finish_timestamp_seconds"),
        1_795_359_600.0
    );
    assert_eq!(page.at("key_pool_ready{bits=\"2048\"}"), 0.0);
    assert_eq!(page.at("key_pool_misses_total{bits=\"2048\"}"), 0.0);
    // The next process has no run of its own, and the record of the last one.
    let mount = mount.reload().await;
    let page = Page::of(&mount).await;
    assert_eq!(page.at("tidy_runs_total{outcome=\"finished\"}"), 0.0);
    assert_eq!(
        page.at("tidy_last_finish_timestamp_seconds"),
        1_795_359_600.0
    );
}
