use serde_json::{Value, json};

use super::*;
use crate::testing::{self, URL};

fn mac_key() -> Secret<Vec<u8>> {
    Secret::new((0..41).collect())
}

#[test]
fn bindings_that_others_made_are_taken() {
    let outer = testing::key("ES256");
    for algorithm in ["HS256", "HS384", "HS512"] {
        let binding = Binding::read(testing::request(&format!("/bindings/{algorithm}"))).unwrap();
        assert_eq!(binding.kid(), "kid-1");
        assert_eq!(
            binding.verify(URL, &outer, &mac_key()),
            Ok(()),
            "{algorithm}"
        );
    }
}

#[test]
fn another_key_url_or_tag_is_refused() {
    let outer = testing::key("ES256");
    let signed = testing::request("/bindings/HS256");
    let binding = Binding::read(signed.clone()).unwrap();
    let kind = |result: Result<(), Problem>| result.unwrap_err().kind;
    let other_url = binding.verify("https://pki.example/other", &outer, &mac_key());
    assert_eq!(kind(other_url), Kind::Unauthorized);
    let other_mac = binding.verify(URL, &outer, &Secret::new(vec![7; 41]));
    assert_eq!(kind(other_mac), Kind::Unauthorized);
    let no_mac = binding.verify(URL, &outer, &Secret::new(Vec::new()));
    assert_eq!(kind(no_mac), Kind::Unauthorized);
    let other_outer = binding.verify(URL, &testing::key("EdDSA"), &mac_key());
    assert_eq!(kind(other_outer), Kind::Malformed);

    for tag in ["", "AAAA", &signed.signature[..20]] {
        let cut = Flattened {
            signature: tag.to_owned(),
            ..signed.clone()
        };
        let cut = Binding::read(cut).unwrap().verify(URL, &outer, &mac_key());
        assert_eq!(kind(cut), Kind::Unauthorized, "{tag}");
    }
}

#[test]
fn the_same_key_in_another_spelling_is_the_same_key() {
    let outer = testing::key("ES256");
    let jwk: Value = serde_json::from_str(&outer.canonical()).unwrap();
    let respelled = format!(
        r#"{{ "y": {}, "use": "sig", "x": {}, "crv": "P-256", "kty": "EC" }}"#,
        jwk["y"], jwk["x"]
    );
    let header = json!({"alg": "HS256", "kid": "kid-1", "url": URL});
    let mut signed = Flattened::new(
        text::encode(header.to_string()),
        text::encode(respelled),
        "",
    );
    let tag = landfast_base::hmac_sha256(mac_key().expose(), &signed.signing_input());
    signed.signature = text::encode(tag);
    let binding = Binding::read(signed).unwrap();
    assert_eq!(binding.verify(URL, &outer, &mac_key()), Ok(()));
}

#[test]
fn headers_that_are_none_of_a_binding_are_refused() {
    for (header, word) in [
        (json!({"alg": "HS256", "url": URL}), "'kid'"),
        (json!({"alg": "HS256", "url": URL, "kid": ""}), "'kid'"),
        (json!({"alg": "ES256", "url": URL, "kid": "k"}), "HS256"),
        (json!({"alg": "none", "url": URL, "kid": "k"}), "HS256"),
        (
            json!({"alg": "HS256", "url": URL, "kid": "k", "nonce": "AA"}),
            "nonce",
        ),
        (
            json!({"alg": "HS256", "url": URL, "kid": "k", "crit": []}),
            "'crit'",
        ),
        (
            json!({"alg": "HS256", "url": URL, "kid": "k", "jwk": {"kty": "OKP"}}),
            "'jwk'",
        ),
    ] {
        let signed = Flattened::new(text::encode(header.to_string()), "", "");
        let problem = Binding::read(signed).expect_err(word);
        assert_eq!(problem.kind, Kind::Malformed);
        assert!(problem.detail.contains(word), "{problem}");
    }
}
