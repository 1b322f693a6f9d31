//! A host gives a request up by dropping it. What the request was to write is written nevertheless, all of it, and the mount
//! answers by it at once. Each request of the table is given up at each of its writes.

use std::collections::BTreeMap;

use jiff::SignedDuration;
use landfast_plugin::Mount;
use landfast_sdk::logical::{LeaseContext, Operation};
use landfast_sdk::testing::{FaultyStorage, Harness, HttpReply, MemoryStorage};
use landfast_unseal::keys::local::LocalKey;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::support::*;

/// Paths that are written to and store nothing.
const STORE_NOTHING: &[&str] = &[
    "intermediate/cross-sign",
    "issuer/{issuer_ref}/resign-crls",
    "issuer/{issuer_ref}/sign-revocation-list",
    "issuer/{issuer_ref}/sign-self-issued",
    "ocsp",
    "root/sign-self-issued",
    "tidy-cancel",
];
/// The first stores a key that a key service keeps, and is given up where that service is, in `kms::tests`. The other begins a run that writes after
/// the answer; what a fault leaves of it stands in the tests of tidying. The last is one deletion.
const ELSEWHERE: [&str; 3] = ["eab/{key_id}", "keys/generate/kms", "tidy"];

/// Whether it is one of ACME's, whose requests are signed: the tests of ACME have a fault at each of their writes.
fn is_signed(path: &str) -> bool {
    path.contains("acme/") && path != "acme/new-eab" && !path.starts_with("config/")
}

/// Requests, by operation, path and data. `Rollback` stands for the minute's work, `Revoke` for the end of a lease.
type Request = (Operation, &'static str, Value);

/// What requests are about, and storage that has some of it.
struct Stage {
    new: Pair,
    stored: Pair,
    stray: Pair,
    key_files: TempDir,
    entries: BTreeMap<String, Vec<u8>>,
}

impl Stage {
    async fn new() -> Self {
        let root = root("Root");
        let stored = leaf("stored", &root);
        let mount = mount().await;
        for (pair, name) in [(&root, "root"), (&intermediate("Second", &root), "second")] {
            let id = adopt(&mount, pair).await;
            let named = json!({ "issuer_name": name });
            ok(mount.patch(&format!("issuer/{id}"), named).await);
        }
        let spare = leaf("spare", &root).key_pem();
        for (path, data) in [
            (
                "keys/import",
                json!({ "pem_bundle": spare, "key_name": "spare" }),
            ),
            (
                "roles/r",
                json!({ "allow_any_name": true, "key_type": "any", "ttl": "1h" }),
            ),
            ("config/kms", json!({ "region": "eu-central-1" })),
            (
                "cel/roles/c",
                json!({ "cel_program": { "expression": "ValidationOutput{key_type: 'ec', template: CertTemplate{\
                    Subject: PKIX.Name{CommonName: 'a'}, NotBefore: now, NotAfter: now + duration('1h')}}" } }),
            ),
        ] {
            ok(mount.update(path, data).await);
        }
        stored.store(&mount).await;
        let key_files = tempfile::tempdir().unwrap();
        LocalKey::create(&key_files.path().join("one")).unwrap();
        Self {
            new: intermediate("New", &root),
            stray: leaf("stray", &root),
            stored,
            key_files,
            entries: mount.storage().memory().snapshot(),
        }
    }

    async fn mount(&self, operation: Operation) -> Harness<Mount> {
        // Each write is one that the caller can be gone at.
        let memory = MemoryStorage::new().without_transactions();
        memory.restore(self.entries.clone());
        let storage = FaultyStorage::over(memory);
        let mount = started(Harness::<Mount>::builder().storage(storage)).await;
        mount.backend().use_key_directory(self.key_files.path());
        // By then the CRLs are about to run out.
        let later = now() + SignedDuration::from_hours(71);
        at(
            mount,
            if operation == Operation::Rollback {
                later
            } else {
                now()
            },
        )
    }

    async fn send(&self, mount: &Harness<Mount>, (operation, path, data): &Request) -> HttpReply {
        let reply = match operation {
            Operation::Rollback => mount.periodic().await,
            Operation::Revoke => {
                let serial = Value::String(self.stored.serial());
                let lease = LeaseContext {
                    internal: [("serial_number".to_owned(), serial)].into_iter().collect(),
                    ..LeaseContext::default()
                };
                mount.revoke(path, lease).await
            }
            _ => mount.request(*operation, path, data.clone()).await,
        };
        assert!(reply.status < 300, "{operation:?} {path}: {reply:?}");
        reply
    }

    fn requests(&self) -> Vec<Request> {
        use Operation::{Delete, Patch, Read, Revoke, Rollback, Update};
        let csr = include_str!("../data/csr.pem");
        let bundle = json!({ "pem_bundle": self.new.bundle() });
        let certificate = json!({ "pem_bundle": self.new.certificate.pem() });
        let second = json!({ "default": "second" });
        let ca = json!({ "common_name": "New CA", "key_type": "ec", "ttl": "1h" });
        let ca_csr = json!({ "common_name": "Below", "csr": csr, "ttl": "1h" });
        let leaf = json!({ "common_name": "a.example", "key_type": "ec" });
        let leaf_csr = json!({ "common_name": "a.example", "csr": csr });
        let by_key = json!({
            "serial_number": self.stored.serial(),
            "private_key": self.stored.key_pem(),
        });
        let key = json!({ "key_type": "ec", "key_name": "new" });
        let imported = json!({ "pem_bundle": self.new.key_pem() });
        let none = || json!({});
        let program = json!({ "cel_program": { "expression": "'no'" } });
        vec![
            (Update, "issuers/import/bundle", bundle.clone()),
            (Update, "config/ca", bundle),
            (Update, "issuers/import/cert", certificate),
            (
                Update,
                "intermediate/set-signed",
                json!({ "certificate": self.new.certificate.pem() }),
            ),
            (Update, "issuer/root", json!({ "issuer_name": "renamed" })),
            (Patch, "issuer/root", json!({ "issuer_name": "renamed" })),
            (Delete, "issuer/root", none()),
            (Update, "issuer/second/revoke", none()),
            (Update, "config/issuers", second.clone()),
            (Update, "root/replace", second),
            (Delete, "root", none()),
            (Update, "root/generate/internal", ca.clone()),
            (Update, "root/generate/exported", ca.clone()),
            (Update, "issuers/generate/root/internal", ca.clone()),
            (Update, "root/rotate/internal", ca.clone()),
            (Update, "intermediate/generate/internal", ca.clone()),
            (Update, "issuers/generate/intermediate/exported", ca),
            (Update, "root/sign-intermediate", ca_csr.clone()),
            (Update, "issuer/root/sign-intermediate", ca_csr),
            (Update, "key/spare", json!({ "key_name": "renamed" })),
            (Delete, "key/spare", none()),
            (Update, "keys/generate/internal", key.clone()),
            (Update, "keys/generate/exported", key),
            (Update, "keys/import", imported),
            (Update, "config/keys", json!({ "default": "spare" })),
            (Update, "config/kms", json!({ "region": "eu-west-1" })),
            (Delete, "config/kms", none()),
            (
                Update,
                "config/seal",
                json!({ "type": "local", "key_file": "one" }),
            ),
            (Delete, "config/seal", none()),
            (Update, "seal/migrate", none()),
            (
                Update,
                "revoke",
                json!({ "serial_number": self.stored.serial() }),
            ),
            (
                Update,
                "revoke",
                json!({ "certificate": self.stray.certificate.pem() }),
            ),
            (Update, "revoke-with-key", by_key),
            (Revoke, "issue/r", none()),
            (Rollback, "", none()),
            (Read, "crl/rotate", none()),
            (Update, "config/crl", json!({ "disable": true })),
            (
                Update,
                "config/urls",
                json!({ "ocsp_servers": "http://ocsp.example" }),
            ),
            (
                Update,
                "config/cluster",
                json!({ "path": "https://a.example/v1/pki" }),
            ),
            (Update, "config/acme", json!({ "dns_resolver": "" })),
            (
                Update,
                "config/acme-validation",
                json!({ "networks": "private" }),
            ),
            (Update, "acme/new-eab", none()),
            (
                Update,
                "config/auto-tidy",
                json!({ "interval_duration": "6h" }),
            ),
            (Update, "config/key-pool", json!({ "rsa_2048": 0 })),
            (Update, "config/metrics", json!({ "unauthenticated": true })),
            (Update, "roles/new", none()),
            (Patch, "roles/r", json!({ "ttl": "2h" })),
            (Delete, "roles/r", none()),
            (Update, "cel/roles/new", program.clone()),
            (Patch, "cel/roles/c", program),
            (Delete, "cel/roles/c", none()),
            (Update, "cel/issue/c", none()),
            (Update, "cel/sign/c", json!({ "csr": csr })),
            (Update, "issue/r", leaf.clone()),
            (Update, "issuer/root/issue/r", leaf),
            (Update, "sign/r", leaf_csr.clone()),
            (Update, "issuer/root/sign/r", leaf_csr.clone()),
            (Update, "sign-verbatim", leaf_csr.clone()),
            (Update, "sign-verbatim/r", leaf_csr.clone()),
            (Update, "issuer/root/sign-verbatim", leaf_csr.clone()),
            (Update, "issuer/root/sign-verbatim/r", leaf_csr),
        ]
    }
}

#[tokio::test]
async fn what_was_begun_is_done_although_the_caller_is_gone() {
    let stage = Stage::new().await;
    for request in stage.requests() {
        let mount = stage.mount(request.0).await;
        stage.send(&mount, &request).await;
        settle(&mount).await;
        let writes = mount.storage().calls().writes();
        let stored = shape(&mount);
        let what = format!("{:?} {}", request.0, request.1);
        assert!(writes > 0, "{what} writes nothing");
        for at in 1..=writes {
            let what = format!("{what}, given up at write {at} of {writes}");
            let mount = stage.mount(request.0).await;
            mount.storage().hold_at(at);
            tokio::select! {
                reply = stage.send(&mount, &request) => panic!("{what}: {reply:?}"),
                () = mount.storage().held() => {}
            }
            mount.storage().release();
            mount.idle().await;
            settle(&mount).await;
            assert_eq!(mount.storage().calls().writes(), writes, "{what}");
            assert_eq!(shape(&mount), stored, "{what}");
            let told = told(&mount).await;
            let mount = mount.reload().await;
            assert_eq!(told, self::told(&mount).await, "{what}");
        }
    }
}

#[tokio::test]
async fn every_path_that_stores_something_is_given_up() {
    let document = mount().await.help("").await["openapi"].clone();
    let given_up = Stage::new().await.requests();
    for (path, methods) in document["paths"].as_object().unwrap() {
        let path = path.trim_start_matches('/');
        for (method, operation) in [
            ("post", Operation::Update),
            ("patch", Operation::Patch),
            ("delete", Operation::Delete),
        ] {
            if methods[method].is_null()
                || ELSEWHERE.contains(&path)
                || STORE_NOTHING.contains(&path)
                || is_signed(path)
            {
                continue;
            }
            assert!(
                given_up
                    .iter()
                    .any(|request| request.0 == operation && is_of(request.1, path)),
                "{method} {path} is missing from the table"
            );
        }
    }
}

/// Whether the document means `path` by `template`.
fn is_of(path: &str, template: &str) -> bool {
    let (path, template) = (path.split('/'), template.split('/'));
    path.clone().count() == template.clone().count()
        && path
            .zip(template)
            .all(|(one, other)| one == other || other.starts_with('{'))
}

/// Waits for the migration of keys, which is no part of the request that begins it.
async fn settle(mount: &Harness<Mount>) {
    while mount.read("seal/status").await.data["migration_pending"] == true {
        tokio::task::yield_now().await;
    }
}

/// The keys of storage, without what is random in them, and how many there are of each.
fn shape(mount: &Harness<Mount>) -> BTreeMap<String, usize> {
    let mut shape = BTreeMap::new();
    for key in mount.storage().memory().snapshot().into_keys() {
        let (folder, name) = key.rsplit_once('/').unwrap_or(("", &key));
        let bare = name.trim_end_matches("-delta");
        let random = bare.len() > 30 && bare.chars().all(|c| c.is_ascii_hexdigit() || c == '-');
        let name = if random { "*" } else { name };
        *shape.entry(format!("{folder}/{name}")).or_default() += 1;
    }
    shape
}

/// What the mount says of all that requests change.
async fn told(mount: &Harness<Mount>) -> Vec<Value> {
    let mut told = Vec::new();
    for path in [
        "issuers",
        "keys",
        "roles",
        "cel/roles",
        "certs",
        "certs/revoked",
    ] {
        told.push(mount.list(path).await.data);
    }
    for path in [
        "config/issuers",
        "config/keys",
        "config/kms",
        "config/seal",
        "config/crl",
        "config/urls",
        "config/cluster",
        "config/acme",
        "config/acme-validation",
        "config/auto-tidy",
        "config/key-pool",
        "config/metrics",
        "roles/r",
        "roles/new",
        "cel/roles/c",
        "cel/roles/new",
        "issuer/root",
        "issuer/second",
        "issuer/renamed",
        "key/spare",
        "key/renamed",
        "issuer/root/crl",
        "issuer/second/crl",
        "issuer/root/crl/delta",
    ] {
        told.push(mount.read(path).await.data);
    }
    told
}
