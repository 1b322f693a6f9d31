//! What a secret leaves behind.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use landfast_base::passed;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::*;
use crate::logical::{
    Auth, Cx, Json, Lease, LeaseContext, Login, Operation, RawBody, RawLease, RawReply, RawRequest,
    RawResponse, Response, Sent, Storage, WalEntry, Write,
};
use crate::testing::{FixedSystem, MemoryStorage};

const VALUE: &str = "hunter2-and-more";

#[derive(Deserialize, Serialize)]
struct Account {
    user: String,
    #[serde(serialize_with = "stored")]
    password: Secret<String>,
}

fn account() -> Account {
    Account {
        user: "ann".to_owned(),
        password: Secret::new(VALUE.to_owned()),
    }
}

#[tokio::test]
async fn a_secret_goes_to_storage_and_to_leases_and_into_no_answer() {
    let memory = MemoryStorage::new();
    let storage: &dyn Storage = &memory;
    storage.write("account", &account()).await.unwrap();
    let read: Account = storage.read("account").await.unwrap().unwrap();
    assert!(read.password.matches(VALUE.as_bytes()));

    let lease = Lease::renewable(Duration::from_secs(1), &account()).unwrap();
    let context = LeaseContext {
        internal: lease.internal,
        ..LeaseContext::default()
    };
    let kept: Account = context.internal_as().unwrap();
    assert!(kept.password.matches(VALUE.as_bytes()));
    let login = Login::from(Auth::of("ann").with_internal(&account()).unwrap());
    let kept: Account = login.internal_as().unwrap();
    assert!(kept.password.matches(VALUE.as_bytes()));

    let error = format!("{:?}", Response::data(&account()).unwrap_err());
    assert!(error.contains("a secret that is for storage was about to be shown"));
    assert!(!error.contains(VALUE), "{error}");
    assert!(Json::of(&account()).is_err());
}

#[tokio::test]
async fn what_does_not_decode_tells_no_value() {
    let memory = MemoryStorage::new();
    let storage: &dyn Storage = &memory;
    storage
        .put("number", br#""hunter2-and-more""#.to_vec())
        .await
        .unwrap();
    let error = storage.read::<Secret<u8>>("number").await.unwrap_err();
    let error = format!("{error:?}");
    assert!(error.contains("it holds a secret and does not decode at line 1"));
    assert!(!error.contains(VALUE), "{error}");
    // As it was, for what is none.
    let error = format!("{:?}", storage.read::<u8>("number").await.unwrap_err());
    assert!(error.contains("invalid type: string"), "{error}");
}

#[test]
fn an_entry_grows_without_a_copy_left_behind() {
    let (text, noticed) = noticing(|| {
        let long: Vec<_> = (0..100).map(|_| Secret::new(VALUE.to_owned())).collect();
        #[derive(Serialize)]
        struct Many(#[serde(serialize_with = "stored")] Vec<Secret<String>>);
        let text = to_vec(&Many(long)).unwrap();
        assert!(passed());
        text
    });
    assert!(noticed);
    assert_eq!(text.len(), 100 * (VALUE.len() + 3) + 1);
    let read: Vec<Secret<String>> = from_vec(text).unwrap();
    assert!(read.iter().all(|one| one.matches(VALUE.as_bytes())));
}

#[test]
fn wiping_leaves_no_text() {
    let mut value = json!({ "a": VALUE, "b": [VALUE, { "c": VALUE }], "d": 1 });
    wipe(&mut value);
    assert_eq!(value, json!({ "a": "", "b": ["", { "c": "" }], "d": 1 }));
}

#[test]
fn nothing_that_is_printed_for_the_log_holds_a_value() {
    let internal = || json!({ "password": VALUE }).as_object().cloned().unwrap();
    let lease = || Lease {
        internal: internal(),
        ..Lease::default()
    };
    let context = || LeaseContext {
        internal: internal(),
        ..LeaseContext::default()
    };
    let auth = || Auth {
        internal: internal(),
        ..Auth::of("ann")
    };
    let request = || RawRequest {
        data: json!({ "password": VALUE }).to_string(),
        headers: vec![("X-Password".to_owned(), vec![VALUE.to_owned()])],
        lease: Some(context()),
        login: Some(Box::new(Login::from(auth()))),
        ..RawRequest::default()
    };
    let response = || RawResponse {
        data: json!({ "password": VALUE }).to_string().into(),
        headers: vec![("X-Password".to_owned(), vec![VALUE.to_owned()])],
        lease: Some(RawLease {
            internal_data: json!({ "password": VALUE }).to_string(),
            ..RawLease::default()
        }),
        auth: Some(Box::new(Login::from(auth()))),
        ..RawResponse::default()
    };
    let reply = RawReply {
        response: Some(response()),
        error: None,
    };
    let data = Response::data(&json!({ "password": VALUE })).unwrap();
    let data = data.lease(lease()).auth(auth()).header("X-Password", VALUE);
    let cx = Cx::new(Operation::Read, request(), Arc::new(FixedSystem::new()));
    let entry = WalEntry {
        id: "1".to_owned(),
        kind: "user".to_owned(),
        data: Value::Object(internal()),
    };
    let printed: BTreeMap<&str, String> = [
        ("Response", format!("{data:?} {data:#?}")),
        ("Lease", format!("{:?} {:#?}", lease(), lease())),
        ("LeaseContext", format!("{:?} {:#?}", context(), context())),
        ("Cx", format!("{cx:?} {cx:#?}")),
        ("Auth", format!("{:?}", auth())),
        ("Login", format!("{:?}", Login::from(auth()))),
        ("RawRequest", format!("{:?} {:#?}", request(), request())),
        ("RawResponse", format!("{:?} {:#?}", response(), response())),
        ("RawReply", format!("{reply:?}")),
        (
            "RawBody",
            format!("{:?}", RawBody::new(200, "x", VALUE.as_bytes())),
        ),
        ("Sent", format!("{:?}", Sent(internal()))),
        (
            "Write",
            format!("{:?}", Write::put("key", VALUE.as_bytes())),
        ),
        ("WalEntry", format!("{entry:?}")),
        ("Secret", format!("{:?}", account().password)),
        (
            "Json",
            format!("{:?}", Json::of(&json!({ "password": VALUE })).unwrap()),
        ),
    ]
    .into();
    // The bytes of it, as lists are printed, and its base64.
    let bytes = format!("{:?}", VALUE.as_bytes());
    let encoded = "aHVudGVyMi1hbmQtbW9yZQ==";
    for (what, text) in printed {
        for value in [VALUE, bytes.trim_matches(['[', ']']), encoded] {
            assert!(!text.contains(value), "{what} prints {text}");
        }
    }
}
