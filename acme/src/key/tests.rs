use proptest::prelude::*;
use serde_json::{Value, json};

use super::*;
use crate::testing::{self, Client, VECTORS};

fn parse(jwk: &Value) -> Result<AccountKey, Problem> {
    AccountKey::parse(jwk.to_string().as_bytes())
}

/// The example of RFC 7638 section 3.1.
#[test]
fn the_thumbprint_of_the_standard() {
    let jwk = json!({
        "kty": "RSA",
        "n": "0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw",
        "e": "AQAB",
        "alg": "RS256",
        "kid": "2011-04-29",
    });
    let key = parse(&jwk).unwrap();
    assert_eq!(
        key.thumbprint(),
        "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs"
    );
    assert_eq!(key.public_key().bits(), 2048);
}

/// The example of RFC 8037 appendix A.3.
#[test]
fn the_thumbprint_of_an_ed25519_key() {
    let key = parse(&json!({
        "kty": "OKP", "crv": "Ed25519", "x": "11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"
    }))
    .unwrap();
    assert_eq!(
        key.thumbprint(),
        "kPrK_qmxVWaYVA9wwBF6Iuo3vVzz7TxHCTwXBygrS4k"
    );
}

#[test]
fn keys_are_those_that_others_see() {
    for (algorithm, vector) in VECTORS["signed"].as_object().unwrap() {
        let key = testing::key(algorithm);
        assert_eq!(key.thumbprint(), vector["thumbprint"], "{algorithm}");
        assert_eq!(
            landfast_base::hex(key.spki_der()),
            vector["spki"],
            "{algorithm}"
        );
        let json = serde_json::to_string(&key).unwrap();
        assert_eq!(json, key.canonical());
        assert_eq!(serde_json::from_str::<AccountKey>(&json).unwrap(), key);
        assert!(key.is(key.public_key()));
        assert!(!key.is(Client::new().key().public_key()));
    }
}

#[test]
fn a_key_is_the_same_whatever_the_order_and_spelling() {
    let key = testing::key("RS256");
    let jwk: Value = serde_json::from_str(&key.canonical()).unwrap();
    let n = jwk["n"].as_str().unwrap();
    let padded = text::encode([&[0], &*text::decode(n).unwrap()].concat());
    for other in [
        format!(r#"{{"n":"{n}","use":"sig","kty":"RSA","e":"AQAB"}}"#),
        format!(r#" {{ "kty" : "RSA" , "e" : "AAEAAQ" , "n" : "{padded}" }} "#),
    ] {
        assert_eq!(AccountKey::parse(other.as_bytes()).unwrap(), key);
    }
}

#[test]
fn private_and_symmetric_keys_are_refused_by_name() {
    let public: Value = serde_json::from_str(&testing::key("RS256").canonical()).unwrap();
    for member in ["d", "p", "q", "dp", "dq", "qi", "oth", "k"] {
        let mut private = public.clone();
        private[member] = json!("AQAB");
        let problem = parse(&private).unwrap_err();
        assert_eq!(problem.kind, Kind::Malformed);
        assert!(
            problem.detail.contains(&format!("'{member}'")),
            "{}",
            problem.detail
        );
        assert!(!problem.detail.contains("AQAB"));
    }
    let problem = parse(&json!({"kty": "oct"})).unwrap_err();
    assert_eq!(problem.kind, Kind::BadPublicKey);
}

#[test]
fn keys_that_are_not_taken_say_why() {
    let rsa = |bits: usize, exponent: &[u8]| {
        let modulus = [&[0x80], &vec![0x11; bits / 8 - 2][..], &[1]].concat();
        json!({"kty": "RSA", "n": text::encode(modulus), "e": text::encode(exponent)})
    };
    let f4 = [1, 0, 1];
    assert!(parse(&rsa(2048, &f4)).is_ok() && parse(&rsa(8192, &f4)).is_ok());
    let ec: Value = serde_json::from_str(&testing::key("ES256").canonical()).unwrap();
    let with = |member: &str, value: Value| {
        let mut jwk = ec.clone();
        jwk[member] = value;
        jwk
    };
    let x = text::decode(ec["x"].as_str().unwrap()).unwrap();
    for (jwk, kind, word) in [
        (rsa(1024, &f4), Kind::BadPublicKey, "1024"),
        (rsa(2040, &f4), Kind::BadPublicKey, "2040"),
        (rsa(8200, &f4), Kind::BadPublicKey, "8200"),
        (rsa(16_384, &f4), Kind::Malformed, "'n' is longer"),
        (rsa(2048, &[1]), Kind::BadPublicKey, "RSA"),
        (rsa(2048, &[2]), Kind::BadPublicKey, "RSA"),
        (rsa(2048, &[]), Kind::BadPublicKey, "RSA"),
        (rsa(2048, &[1, 0, 0, 0, 1]), Kind::BadPublicKey, "exponent"),
        (json!({"kty": "RSA", "e": "AQAB"}), Kind::Malformed, "'n'"),
        (json!({"kty": "EC"}), Kind::Malformed, "'crv'"),
        (json!({"crv": "P-256"}), Kind::Malformed, "kty"),
        (
            with("crv", json!("secp256k1")),
            Kind::BadPublicKey,
            "secp256k1",
        ),
        (
            with("crv", json!("P-384")),
            Kind::BadPublicKey,
            "coordinate",
        ),
        (with("x", ec["y"].clone()), Kind::BadPublicKey, "curve"),
        (
            with("x", json!(text::encode(&x[1..]))),
            Kind::BadPublicKey,
            "coordinate",
        ),
        (
            with("x", json!(text::encode([&[0], &*x].concat()))),
            Kind::BadPublicKey,
            "coordinate",
        ),
        (with("x", json!("AQ==")), Kind::Malformed, "'x'"),
        (with("y", json!(5)), Kind::Malformed, "string"),
        (
            json!({"kty": "OKP", "crv": "Ed448", "x": "AQ"}),
            Kind::BadPublicKey,
            "Ed448",
        ),
        (
            json!({"kty": "OKP", "crv": "Ed25519", "x": "AQ"}),
            Kind::BadPublicKey,
            "32",
        ),
        (json!([]), Kind::Malformed, "jwk"),
    ] {
        let problem = parse(&jwk).expect_err(word);
        assert_eq!(problem.kind, kind, "{jwk}: {problem}");
        assert!(problem.detail.contains(word), "{word}: {problem}");
    }
}

#[test]
fn a_member_that_stands_twice_is_refused() {
    let jwk = testing::key("EdDSA").canonical();
    let twice = jwk.replace(
        '}',
        r#","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo"}"#,
    );
    let problem = AccountKey::parse(twice.as_bytes()).unwrap_err();
    assert!(problem.detail.contains("duplicate"), "{problem}");
}

proptest! {
    #[test]
    fn bytes_from_anywhere_are_read_or_refused(bytes: Vec<u8>) {
        let _ = AccountKey::parse(&bytes);
    }

    #[test]
    fn whatever_is_read_has_one_form(kty in "(RSA|EC|OKP)", crv in "(P-256|Ed25519)", n in "[A-Za-z0-9_-]{300,400}", x in "[A-Za-z0-9_-]{42}[AEIMQUYcgkosw048]") {
        let jwk = json!({"kty": kty, "crv": crv, "n": n, "e": "AQAB", "x": x, "y": x});
        if let Ok(key) = parse(&jwk) {
            prop_assert_eq!(AccountKey::parse(key.canonical().as_bytes()), Ok(key));
        }
    }
}
