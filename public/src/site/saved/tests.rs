use rcgen::{
    BasicConstraints, CertificateParams, CertificateRevocationListParams, DnType, IsCa,
    KeyIdMethod, KeyPair, SerialNumber, date_time_ymd,
};
use serde_json::json;

use super::*;
use crate::config::{Config, LimitsFile, ServerFile};
use crate::mounts::Mounts;

/// In the year 2030.
const NOW: i64 = 1_900_000_000;

fn site() -> Site {
    let server = ServerFile {
        address: "http://127.0.0.1:9".to_owned(),
        other_nodes: Vec::new(),
        ca: None,
        namespace: None,
    };
    let listen = "127.0.0.1:0".parse().expect("an address");
    let mounts = Mounts::new(&Config::of_one(listen, server, "pki")).expect("an address");
    let mount = mounts.get("/").expect("the only one").clone();
    Site::new(mount, &LimitsFile::default(), None)
}

/// A CA that is good until a year, as a mount tells of it, and its list of the year 2030.
fn authority(id: &str, name: &str, until: i32) -> (Authority, List) {
    let key = KeyPair::generate().expect("a key");
    let mut params = CertificateParams::default();
    params.distinguished_name.push(DnType::CommonName, name);
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.not_after = date_time_ymd(until, 1, 1);
    let pem = params.self_signed(&key).expect("signed").pem();
    let told = json!({"data": {"issuer_id": id, "certificate": pem, "ca_chain": [pem]}});
    let authority = Authority::read(told.to_string().as_bytes(), None, NOW).expect("an issuer");
    let list = CertificateRevocationListParams {
        this_update: date_time_ymd(2030, 1, 1),
        next_update: date_time_ymd(2030, 12, 31),
        crl_number: SerialNumber::from(7),
        issuing_distribution_point: None,
        revoked_certs: Vec::new(),
        key_identifier_method: KeyIdMethod::Sha256,
    };
    let issuer = rcgen::Issuer::new(params, &key);
    let list = list.signed_by(&issuer).expect("signed");
    let list = Bytes::copy_from_slice(list.der());
    let list = List::read(list, authority.certificate(), false).expect("a list");
    (authority, list)
}

/// A site whose default issuer is `a`, with that and its list in memory.
fn filled(until: i32) -> Site {
    let site = site();
    let (authority, list) = authority("a", "one", until);
    let index = json!({"data": {"keys": ["a"], "key_info": {"a": {"issuer_name": "first"}}}});
    let index = Index::read(index.to_string().as_bytes()).expect("a list");
    site.default.restore(Arc::new(authority));
    site.index.restore(Arc::new(index));
    site.issuer(&"a".into()).complete.restore(Arc::new(list));
    site
}

fn store() -> (tempfile::TempDir, Store) {
    let folder = tempfile::tempdir().expect("a folder");
    let store = Store::open(&folder.path().join("cache"), 1 << 20).expect("it is made");
    (folder, store)
}

#[test]
fn what_is_valid_is_there_after_a_restart() {
    let (_folder, store) = store();
    let before = filled(2040);
    before.save(&store, NOW);
    let after = site();
    after.load(&store, NOW);
    let default = after.default.held(NOW).expect("the default issuer");
    assert_eq!(
        default.certificates,
        before.default.held(NOW).expect("held").certificates
    );
    let index = after.index.held(NOW).expect("the index");
    assert_eq!(index.id("first").map(|id| &**id), Some("a"));
    let list = after
        .issuer(&"a".into())
        .complete
        .held(NOW)
        .expect("its list");
    let same = before.issuer(&"a".into()).complete.held(NOW).expect("held");
    assert_eq!(list.der().body(), same.der().body());
}

#[test]
fn what_is_over_is_neither_written_nor_read() {
    let (_folder, store) = store();
    let before = filled(2031);
    before.save(&store, NOW);
    // The list ends with the year 2030, the CA two days later.
    let end = before
        .issuer(&"a".into())
        .complete
        .held(NOW)
        .expect("held")
        .valid_until();
    let after = site();
    after.load(&store, end);
    assert!(after.issuer(&"a".into()).complete.held(0).is_none());
    assert!(after.default.held(end).is_some());
    let after = site();
    after.load(&store, end + 3 * 86_400);
    assert!(after.default.held(0).is_none());
    before.save(&store, end + 3 * 86_400);
    let left = store.load(before.mount());
    assert_eq!(left.keys().collect::<Vec<_>>(), [INDEX]);
}

#[test]
fn a_list_that_another_ca_signed_is_not_taken() {
    let (_folder, store) = store();
    let before = filled(2040);
    let (_, foreign) = authority("a", "one", 2040);
    before
        .issuer(&"a".into())
        .complete
        .restore(Arc::new(foreign));
    before.save(&store, NOW);
    let after = site();
    after.load(&store, NOW);
    assert!(after.default.held(NOW).is_some());
    assert!(after.issuer(&"a".into()).complete.held(NOW).is_none());
    // Nor without the CA that signed it.
    let alone = Entry {
        what: "crl-a".to_owned(),
        mark: Vec::new(),
        content: before
            .issuer(&"a".into())
            .complete
            .held(NOW)
            .expect("held")
            .der()
            .body()
            .clone(),
    };
    store.save(before.mount(), vec![alone]);
    let after = site();
    after.load(&store, NOW);
    assert!(after.issuers.lock().expect("no panic").is_empty());
}

#[test]
fn nonsense_in_a_file_is_nothing() {
    let (_folder, store) = store();
    let whats = [
        INDEX, DEFAULT, OCSP, "issuer-a", "crl-a", "delta-a", "other",
    ];
    let pair = json!([{"question": "MAA=", "answer": "MAA="}, {"question": "!", "answer": ""}]);
    for content in ["", "x", "{}", "[]", "{\"data\":{}}", &pair.to_string()] {
        let entries = whats.map(|what| Entry {
            what: what.to_owned(),
            mark: content.as_bytes().to_vec(),
            content: Bytes::copy_from_slice(content.as_bytes()),
        });
        store.save(site().mount(), entries.into());
        let after = site();
        after.load(&store, NOW);
        assert!(after.default.held(0).is_none(), "{content}");
        assert!(after.answers.held(9, 0).is_empty(), "{content}");
    }
}
