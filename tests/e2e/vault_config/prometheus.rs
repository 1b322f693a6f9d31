//! `prometheus/scrape.yml` on a real server, read by the parser of Prometheus' own client; and what the dashboard and the alarms of the
//! development stack ask for is there.

use std::collections::BTreeSet;

use super::*;
use crate::support::{Openssl, Server};

/// What scraping by the file brings.
fn scraped(server: &Server, token: &Path) -> Value {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let python = root.join(".tools/metrics/bin/python");
    let output = Command::new(&python)
        .arg(root.join("tests/e2e/vault_config/scrape.py"))
        .args([path("prometheus/scrape.yml"), server.address().into()])
        .arg(token)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "{}: {error}: run scripts/tools.sh metrics",
                python.display()
            )
        });
    assert!(output.status.success(), "{output:?}");
    serde_json::from_slice(&output.stdout).expect("JSON")
}

/// The sum of the samples with this name whose labels have these values.
fn sum_of(job: &Value, name: &str, labels: &Value) -> f64 {
    let samples = job["samples"].as_array().expect("samples");
    let of = samples.iter().filter(|sample| {
        sample[0] == name
            && labels
                .as_object()
                .expect("labels")
                .iter()
                .all(|(label, value)| sample[1][label] == *value)
    });
    let values: Vec<f64> = of
        .map(|sample| sample[2].as_f64().expect("a number"))
        .collect();
    assert!(!values.is_empty(), "no {name} {labels}");
    values.iter().sum()
}

/// A server with a mount on which something happened, and a file with a token of the policy `monitoring`.
fn prepared() -> (Server, PathBuf) {
    let server = Server::dev();
    server.mount("pki", PLUGIN_NAME);
    let client = server.client();
    let root = json!({"common_name": "Root", "key_type": "ec", "ttl": "8760h"});
    client.write("pki/root/generate/internal", root).ok();
    let role = json!({"allowed_domains": "example.com", "allow_subdomains": true, "key_type": "ec", "ttl": "1h"});
    client.write("pki/roles/service", role).ok();
    let name = json!({"common_name": "one.example.com"});
    let leaf = client.write("pki/issue/service", name.clone()).ok();
    client.write("pki/issue/service", name).ok();
    let csr = json!({"csr": Openssl::new().csr("two.example.com")});
    client.write("pki/sign/service", csr).ok();
    let foreign = json!({"common_name": "one.example.org"});
    client
        .write("pki/issue/service", foreign)
        .refused(400, "not allowed by this role");
    let serial = json!({"serial_number": leaf.text("serial_number")});
    client.write("pki/revoke", serial).ok();

    let policy =
        json!({"policy": fs::read_to_string(path("policies/monitoring.hcl")).expect("a policy")});
    client.write("sys/policies/acl/monitoring", policy).ok();
    let made = json!({"policies": ["monitoring"]});
    let made = client.write("auth/token/create", made).ok();
    let token = made.body["auth"]["client_token"].as_str().expect("a token");
    let file = server.dir().join("openbao-token");
    fs::write(&file, token).expect("a folder of ours");
    (server, file)
}

#[test]
fn each_job_of_the_file_reads_the_figures() {
    let (server, token) = prepared();
    let client = server.client();
    let before = scraped(&server, &token);
    assert_eq!(before["pki-public"]["status"], 403, "closed by itself");
    let told = before["pki-public"]["text"].as_str().expect("a text");
    assert!(told.contains("config/metrics"), "{told}");
    let stranger = client.with_token("").read("pki/metrics");
    assert_eq!(stranger.status, 403);

    let issuer = client.read("pki/issuer/default").ok();
    let (id, key) = (issuer.text("issuer_id"), issuer.text("key_id"));
    let holds = |job: &Value| {
        assert_eq!(job["labels"], json!({"mount": "pki"}));
        for (name, labels, value) in [
            ("certificates_issued_total", json!({"path": "issue"}), 2.0),
            ("certificates_issued_total", json!({}), 4.0),
            (
                "requests_refused_total",
                json!({"rule": "common-name"}),
                1.0,
            ),
            ("requests_refused_total", json!({}), 1.0),
            ("certificates_revoked_total", json!({"path": "revoke"}), 1.0),
            (
                "crl_entries",
                json!({"issuer": id, "kind": "complete"}),
                1.0,
            ),
            ("tidy_running", json!({}), 0.0),
            // The root itself, its two CRLs, three leaves, and two CRLs for the revocation.
            (
                "signatures_total",
                json!({"key": key, "kind": "local"}),
                8.0,
            ),
        ] {
            let name = format!("landfast_pki_{name}");
            assert_eq!(sum_of(job, &name, &labels), value, "{name} {labels}");
        }
        let der = client.read("pki/crl").ok().bytes.len() as f64;
        let complete = json!({"issuer": id, "kind": "complete"});
        let size = sum_of(job, "landfast_pki_crl_size_bytes", &complete);
        assert_eq!(size, der);
        let now = jiff::Timestamp::now().as_second() as f64;
        let made = sum_of(
            job,
            "landfast_pki_crl_this_update_timestamp_seconds",
            &complete,
        );
        assert!(now - made < 120.0, "{made}");
        let end = sum_of(
            job,
            "landfast_pki_issuer_not_after_timestamp_seconds",
            &json!({"issuer": id}),
        );
        assert!((end - now - 31_536_000.0).abs() < 120.0, "{end}");
    };
    holds(&before["pki"]);
    let open = json!({"unauthenticated": true});
    client.write("pki/config/metrics", open).ok();
    let after = scraped(&server, &token);
    holds(&after["pki"]);
    holds(&after["pki-public"]);
    let closed = json!({"unauthenticated": false});
    client.write("pki/config/metrics", closed).ok();
    let closed = client.with_token("").read("pki/metrics/public");
    closed.refused(403, "config/metrics");
}

/// Every name of ours in a text.
fn words(text: &str) -> BTreeSet<&str> {
    let words = text.split(|c: char| !(c.is_ascii_alphanumeric() || c == '_'));
    words
        .filter(|word| word.len() > "landfast_pki_".len() && word.starts_with("landfast_pki_"))
        .collect()
}

#[test]
fn what_the_dashboard_and_the_alarms_ask_for_is_there() {
    let (server, token) = prepared();
    let scraped = scraped(&server, &token);
    let samples = scraped["pki"]["samples"].as_array().expect("samples");
    let mut known: BTreeSet<_> = samples
        .iter()
        .map(|sample| sample[0].as_str().expect("a name"))
        .collect();
    // There once a run of tidying ended.
    known.insert("landfast_pki_tidy_last_finish_timestamp_seconds");
    for (file, least) in [
        ("compose/observe/alerts.yml", 4),
        ("compose/observe/grafana/dashboards/landfast.json", 8),
    ] {
        let text = fs::read_to_string(path(file)).expect("a file of the folder");
        let asked = words(&text);
        assert!(asked.len() >= least, "{file}: {asked:?}");
        let unknown: Vec<_> = asked.difference(&known).collect();
        assert!(unknown.is_empty(), "{file}: {unknown:?}");
    }
    let page = fs::read_to_string(path("../docs/metrics.md")).expect("a page");
    let told = words(&page);
    let untold: Vec<_> = known.difference(&told).collect();
    assert!(untold.is_empty(), "docs/metrics.md lacks {untold:?}");
    let gone: Vec<_> = told.difference(&known).collect();
    assert!(gone.is_empty(), "docs/metrics.md tells of {gone:?}");
}
