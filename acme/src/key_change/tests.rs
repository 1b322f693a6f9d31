use serde_json::json;

use super::*;
use crate::Kind;
use crate::testing::{self, ACCOUNT, Client, URL};

#[test]
fn a_change_that_others_signed_is_taken() {
    let inner = testing::request("/change");
    let new_key = open(&inner, URL, ACCOUNT, &testing::key("ES256"));
    assert_eq!(new_key, Ok(testing::key("ES384")));
}

#[test]
fn a_change_is_for_one_url_account_and_key() {
    let inner = testing::request("/change");
    let old = testing::key("ES256");
    for (result, word) in [
        (
            open(&inner, "https://pki.example/x", ACCOUNT, &old),
            "'url'",
        ),
        (
            open(&inner, URL, "https://pki.example/2", &old),
            "'account'",
        ),
        (
            open(&inner, URL, ACCOUNT, &testing::key("EdDSA")),
            "'oldKey'",
        ),
    ] {
        let problem = result.expect_err(word);
        assert_eq!(problem.kind, Kind::Malformed);
        assert!(problem.detail.contains(word), "{problem}");
    }
}

#[test]
fn the_new_key_signs_without_a_nonce_and_is_another() {
    let (old, new) = (Client::new(), Client::new());
    let change = json!({"account": ACCOUNT, "oldKey": old.jwk()}).to_string();
    let try_with = |signer: &Client, header: serde_json::Value, payload: &str| {
        open(
            &signer.sign(&header.to_string(), payload),
            URL,
            ACCOUNT,
            &old.key(),
        )
    };
    let header = |client: &Client| json!({"alg": "EdDSA", "url": URL, "jwk": client.jwk()});
    assert_eq!(try_with(&new, header(&new), &change), Ok(new.key()));

    let mut nonce = header(&new);
    nonce["nonce"] = json!("AA");
    let kid = json!({"alg": "EdDSA", "url": URL, "kid": ACCOUNT});
    for (result, word) in [
        (try_with(&old, header(&new), &change), "signature"),
        (try_with(&old, header(&old), &change), "the new key is"),
        (try_with(&new, nonce, &change), "nonce"),
        (try_with(&new, kid, &change), "'jwk'"),
        (try_with(&new, header(&new), "{}"), "account"),
        (try_with(&new, header(&new), ""), "inner payload"),
    ] {
        let problem = result.expect_err(word);
        assert!(problem.detail.contains(word), "{word}: {problem}");
    }
}
