use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::{self, Client, URL};

#[test]
fn requests_of_every_algorithm_that_others_signed_are_taken() {
    for algorithm in Algorithm::ALL {
        let request = testing::request(&format!("/signed/{}/jws", algorithm.name()));
        let header = request.header().unwrap();
        assert_eq!(header.algorithm, *algorithm);
        assert_eq!(header.nonce.as_deref(), Some("AAEC"));
        assert_eq!(header.check_url(URL), Ok(()));
        let KeyRef::Jwk(key) = &header.key else {
            panic!("a key");
        };
        let payload = request.verify(key, header.algorithm).unwrap();
        assert_eq!(payload, br#"{"termsOfServiceAgreed":true}"#);
    }
}

/// The examples of RFC 7515 appendix A.3 and of RFC 8037 appendix A.4.
#[test]
fn the_signatures_of_the_standards_are_taken() {
    let es256 = AccountKey::parse(
        br#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#,
    );
    let signed = Flattened::new(
        "eyJhbGciOiJFUzI1NiJ9",
        "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ",
        "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q",
    );
    let payload = signed.verify(&es256.unwrap(), Algorithm::Es256).unwrap();
    assert!(payload.starts_with(br#"{"iss":"joe","#));

    let ed25519 = AccountKey::parse(
        br#"{"kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    );
    let signed = Flattened::new(
        "eyJhbGciOiJFZERTQSJ9",
        "RXhhbXBsZSBvZiBFZDI1NTE5IHNpZ25pbmc",
        "hgyY0il_MGCjP0JzlnLWG1PPOt7-09PGcvMg3AIbQR6dWbhijcNR4ki4iylGjg5BhVsPt9g7sVvpAr_MuM0KAg",
    );
    let payload = signed.verify(&ed25519.unwrap(), Algorithm::EdDsa).unwrap();
    assert_eq!(payload, b"Example of Ed25519 signing");
}

#[test]
fn a_changed_request_is_refused() {
    for algorithm in Algorithm::ALL {
        let request = testing::request(&format!("/signed/{}/jws", algorithm.name()));
        let key = testing::key(algorithm.name());
        let refused = |change: &dyn Fn(&mut Flattened)| {
            let mut request = request.clone();
            change(&mut request);
            let problem = request
                .verify(&key, *algorithm)
                .expect_err(algorithm.name());
            assert_eq!(problem.kind, Kind::Malformed);
        };
        refused(&|request| request.payload = text::encode("{}"));
        refused(&|request| request.payload.clear());
        refused(&|request| request.protected = text::encode("{}"));
        refused(&|request| request.signature.clear());
        refused(&|request| request.signature.push_str("AAAA"));
        refused(&|request| {
            let mut signature = text::decode(&request.signature).unwrap();
            signature[3] ^= 1;
            request.signature = text::encode(signature);
        });
    }
}

#[test]
fn the_algorithm_must_be_one_for_the_key() {
    for signed in Algorithm::ALL {
        let request = testing::request(&format!("/signed/{}/jws", signed.name()));
        let key = testing::key(signed.name());
        for other in Algorithm::ALL.iter().filter(|one| *one != signed) {
            assert!(
                request.verify(&key, *other).is_err(),
                "{other:?} for {signed:?}"
            );
        }
    }
    // The two numbers in DER, as certificates have them, are another encoding of the same signature.
    let request = testing::request("/signed/ES256/jws");
    let signature = text::decode(&request.signature).unwrap();
    let number = |octets: &[u8]| {
        let pad = usize::from(octets[0] >= 0x80);
        [&[2, (octets.len() + pad) as u8][..], &[0][..pad], octets].concat()
    };
    let body = [number(&signature[..32]), number(&signature[32..])].concat();
    let mut der = request;
    der.signature = text::encode([&[0x30, body.len() as u8][..], &body].concat());
    assert!(
        der.verify(&testing::key("ES256"), Algorithm::Es256)
            .is_err()
    );
}

fn header(header: &Value) -> Result<Header, Problem> {
    Flattened::new(text::encode(header.to_string()), "", "").header()
}

#[test]
fn algorithms_that_are_not_taken_are_told_with_those_that_are() {
    for name in ["none", "HS256", "HS512", "es256", "ES256K", ""] {
        let problem = header(&json!({"alg": name, "kid": "k"})).expect_err(name);
        assert_eq!(problem.kind, Kind::BadSignatureAlgorithm, "{name}");
        assert!(problem.detail.contains("EdDSA"));
        assert!(problem.to_json()["algorithms"].as_array().unwrap().len() >= 10);
    }
}

#[test]
fn a_header_has_one_key_and_no_extension() {
    let jwk = Client::new().jwk();
    let good = header(
        &json!({"alg": "EdDSA", "kid": "https://a.example/1", "nonce": "AA", "url": "u", "typ": "x"}),
    );
    assert_eq!(
        good.unwrap().key,
        KeyRef::Kid("https://a.example/1".to_owned())
    );
    for (wrong, word) in [
        (json!({"alg": "EdDSA", "kid": "k", "jwk": jwk}), "both"),
        (json!({"alg": "EdDSA"}), "neither"),
        (json!({"alg": "EdDSA", "kid": ""}), "neither"),
        (json!({"kid": "k"}), "alg"),
        (
            json!({"alg": "EdDSA", "kid": "k", "crit": ["exp"]}),
            "'crit'",
        ),
        (json!({"alg": "EdDSA", "kid": "k", "crit": null}), "'crit'"),
        (json!({"alg": "EdDSA", "kid": "k", "b64": false}), "'b64'"),
        (json!({"alg": "EdDSA", "kid": "k", "b64": true}), "'b64'"),
        (
            json!({"alg": "EdDSA", "kid": "k", "nonce": "a b"}),
            "'nonce'",
        ),
        (json!({"alg": "EdDSA", "kid": 1}), "string"),
        (json!([]), "protected"),
    ] {
        let problem = header(&wrong).expect_err(word);
        assert_eq!(problem.kind, Kind::Malformed, "{wrong}");
        assert!(problem.detail.contains(word), "{word}: {problem}");
    }
    let twice = r#"{"alg":"EdDSA","kid":"k","alg":"none"}"#;
    let problem = Flattened::new(text::encode(twice), "", "")
        .header()
        .unwrap_err();
    assert!(problem.detail.contains("duplicate"), "{problem}");
}

#[test]
fn the_url_is_compared_to_the_letter() {
    let of = |url: Value| header(&json!({"alg": "EdDSA", "kid": "k", "url": url})).unwrap();
    assert_eq!(of(json!("https://a/b")).check_url("https://a/b"), Ok(()));
    let other = of(json!("https://a/b/"))
        .check_url("https://a/b")
        .unwrap_err();
    assert_eq!(other.kind, Kind::Unauthorized);
    let none = of(Value::Null).check_url("https://a/b").unwrap_err();
    assert_eq!(none.kind, Kind::Malformed);
}

#[test]
fn a_request_has_three_members_and_no_other() {
    let good = json!({"protected": "e30", "payload": "", "signature": "AA"});
    assert!(serde_json::from_value::<Flattened>(good.clone()).is_ok());
    for member in ["header", "signatures"] {
        let mut more = good.clone();
        more[member] = json!({});
        assert!(
            serde_json::from_value::<Flattened>(more).is_err(),
            "{member}"
        );
    }
}

#[test]
fn what_is_too_long_is_not_decoded() {
    let client = Client::new();
    let long = |protected: usize, payload: usize, signature: usize| {
        Flattened::new(
            "A".repeat(protected),
            "A".repeat(payload),
            "A".repeat(signature),
        )
    };
    assert!(
        long(1 << 20, 0, 0)
            .header()
            .unwrap_err()
            .detail
            .contains("16384")
    );
    let verify = |request: Flattened| {
        request
            .verify(&client.key(), Algorithm::EdDsa)
            .unwrap_err()
            .detail
    };
    assert!(verify(long(4, 1 << 20, 0)).contains("262144"));
    assert!(verify(long(4, 4, 1 << 20)).contains("1024"));
}

#[test]
fn post_as_get_has_an_empty_payload() {
    let client = Client::new();
    let signed = client.sign(r#"{"alg":"EdDSA","kid":"k"}"#, "");
    assert_eq!(signed.payload, "");
    assert_eq!(
        signed.verify(&client.key(), Algorithm::EdDsa),
        Ok(Vec::new())
    );
}

proptest! {
    #[test]
    fn texts_from_anywhere_are_read_or_refused(protected: String, payload: String, signature: String, header: String) {
        let key = testing::key("EdDSA");
        for protected in [protected, text::encode(header)] {
            let request = Flattened::new(protected, payload.clone(), signature.clone());
            let _ = request.header();
            prop_assert!(request.verify(&key, Algorithm::EdDsa).is_err());
        }
    }
}
