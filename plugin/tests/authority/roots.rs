//! Making roots and intermediates.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfast_pki::{Certificate, Csr, PrivateKey};
use landfast_plugin::Mount;
use landfast_sdk::testing::Harness;
use serde_json::{Value, json};

use crate::support::*;

const NO_AIA: &str = "This mount hasn't configured any authority information access (AIA) fields; this may make it harder for systems to find missing certificates in the chain or to validate revocation status of certificates. Consider updating /config/urls or the newly generated issuer with this information.";

fn certificate(value: &Value) -> Certificate {
    Certificate::from_pem(value.as_str().unwrap().as_bytes()).unwrap()
}

async fn make_root(mount: &Harness<Mount>, fields: Value) -> Value {
    ok(mount.update("root/generate/internal", fields).await).data
}

#[tokio::test]
async fn a_root_is_an_issuer_with_its_key_and_crl() {
    let mount = mount().await;
    let fields = json!({ "common_name": "root.example", "key_type": "ec", "issuer_name": "r1", "key_name": "k1" });
    let reply = ok(mount.update("root/generate/internal", fields).await);
    assert_eq!(reply.warnings, [NO_AIA]);
    let made = certificate(&reply.data["certificate"]);
    assert!(made.is_self_signed() && made.is_ca());
    assert_eq!(made.path_len(), None);
    // Without a lifetime it is the mount's default lease that counts, from now on.
    assert_eq!(made.not_after().as_second(), now().as_second() + 768 * 3600);
    assert_eq!(made.not_before().as_second(), now().as_second() - 30);
    assert_eq!(made.dns_names(), ["root.example"]);
    let text = reply.data["certificate"].as_str().unwrap();
    assert!(!text.ends_with('\n'));
    let expected = json!({
        "certificate": text, "issuing_ca": text, "serial_number": made.serial().colon(),
        "expiration": made.not_after().as_second(), "issuer_id": reply.data["issuer_id"], "issuer_name": "r1",
        "key_id": reply.data["key_id"], "key_name": "k1",
    });
    assert_eq!(reply.data, expected);
    let issuer = mount.read("issuer/r1").await.data;
    assert_eq!(issuer["issuer_id"], reply.data["issuer_id"]);
    assert_eq!(issuer["revocation_signature_algorithm"], "ECDSAWithSHA256");
    assert_eq!(
        mount.read("config/issuers").await.data["default"],
        reply.data["issuer_id"]
    );
    assert_eq!(
        mount.read("config/keys").await.data["default"],
        reply.data["key_id"]
    );
    let stored = mount.storage().memory().snapshot();
    assert_eq!(
        stored[&format!("certs/{}", made.serial().dash())],
        made.der()
    );
    assert_eq!(mount.read("crl").await.status, 200);
}

#[tokio::test]
async fn requests_for_roots_are_refused_in_the_known_words() {
    let mount = mount().await;
    make_root(
        &mount,
        json!({ "common_name": "r", "key_type": "ec", "issuer_name": "r1", "key_name": "k1" }),
    )
    .await;
    let before = mount.storage().memory().snapshot();
    for (word, fields, error) in [
        (
            "foo",
            json!({}),
            "the \"exported\" path parameter must be \"internal\", \"existing\", exported\" or \"kms\"",
        ),
        (
            "kms",
            json!({}),
            "must specify \"kms_key_id\" on \"kms\"-typed generation requests: the id, ARN or alias of a key in AWS KMS",
        ),
        (
            "kms",
            json!({ "external_key_ref": "a:b" }),
            "\"external_key_ref\" names a key in the server's own store, which no plugin can use: give \"kms_key_id\", the id, ARN or alias of a key in AWS KMS",
        ),
        (
            "internal",
            json!({ "external_key_ref": "a:b" }),
            "cannot specify \"external_key_ref\" on \"internal\"-typed generation requests",
        ),
        (
            "existing",
            json!({ "key_ref": "zzz" }),
            "failed to lookup public key from existing key: unable to find PKI key for reference: zzz",
        ),
        (
            "existing",
            json!({ "key_type": "ec" }),
            "invalid parameter for the kms/existing path parameter, key_type nor key_bits arguments can be set in this mode",
        ),
        (
            "internal",
            json!({ "key_type": "any" }),
            "unknown key type: any",
        ),
        (
            "internal",
            json!({ "key_type": "zz" }),
            "unknown key type zz",
        ),
        (
            "internal",
            json!({ "key_type": "ec", "key_bits": 512 }),
            "unsupported bit length for EC key: 512",
        ),
        (
            "internal",
            json!({ "key_bits": 1024 }),
            "RSA keys < 2048 bits are unsafe and not supported: got 1024",
        ),
        (
            "internal",
            json!({ "signature_bits": 1 }),
            "unsupported hash signature algorithm: 1",
        ),
        (
            "internal",
            json!({ "issuer_name": "default" }),
            "reserved keyword 'default' can not be used as issuer name",
        ),
        (
            "internal",
            json!({ "issuer_name": "" }),
            "expected non-empty issuer name",
        ),
        (
            "internal",
            json!({ "key_name": "" }),
            "key name contained invalid characters",
        ),
        (
            "internal",
            json!({ "issuer_name": "a b" }),
            "issuer name contained invalid characters",
        ),
        (
            "internal",
            json!({ "issuer_name": "r1" }),
            "issuer name already in use",
        ),
        (
            "internal",
            json!({ "key_name": "default" }),
            "reserved keyword 'default' can not be used as key name",
        ),
        (
            "internal",
            json!({ "key_name": "k1" }),
            "key name already in use",
        ),
        (
            "internal",
            json!({ "format": "zz" }),
            "the \"format\" path parameter must be \"pem\", \"der\", or \"pem_bundle\"",
        ),
        (
            "internal",
            json!({ "key_type": "ec", "ttl": "1h", "not_after": "2030-01-01T00:00:00Z" }),
            "Either ttl or not_after should be provided. Both should not be provided in the same request.",
        ),
        (
            "internal",
            json!({ "key_type": "ec", "not_after": "2020-01-01T00:00:00Z" }),
            "The certificate's Not Before (2026-11-22T11:59:30Z) is later than the certificate's Not After (2020-01-01T00:00:00Z)",
        ),
        (
            "internal",
            json!({ "key_type": "ec", "not_after": "zz" }),
            "parsing time \"zz\" as \"2006-01-02T15:04:05Z07:00\": cannot parse \"zz\" as \"2006\"",
        ),
        (
            "internal",
            json!({ "key_type": "ec", "ip_sans": "zz" }),
            "the value \"zz\" is not a valid IP address",
        ),
        (
            "internal",
            json!({ "key_type": "ec", "uri_sans": "://" }),
            "the provided URI Subject Alternative Name \"://\" is not a valid URI",
        ),
    ] {
        for path in ["root/generate", "issuers/generate/root", "root/rotate"] {
            refused(
                &mount
                    .update(&format!("{path}/{word}"), fields.clone())
                    .await,
                400,
                error,
            );
        }
    }
    assert_eq!(mount.storage().memory().snapshot(), before);
}

#[tokio::test]
async fn a_root_shows_its_key_only_where_that_was_asked_for() {
    let mount = mount().await;
    let fields = |form: &str, key: &str| json!({ "key_type": "ec", "common_name": "r", "format": form, "private_key_format": key });
    let pem = ok(mount
        .update("root/generate/exported", fields("pem", "der"))
        .await)
    .data;
    assert!(
        pem["private_key"]
            .as_str()
            .unwrap()
            .starts_with("-----BEGIN EC PRIVATE KEY-----\n")
    );
    assert_eq!(pem["private_key_type"], "ec");
    let key = PrivateKey::from_pem(pem["private_key"].as_str().unwrap().as_bytes()).unwrap();
    assert_eq!(
        key.public_key().spki_der(),
        certificate(&pem["certificate"]).public_key().spki_der()
    );

    let bundle = ok(mount
        .update("root/generate/exported", fields("pem_bundle", "pkcs8"))
        .await)
    .data;
    let text = bundle["certificate"].as_str().unwrap();
    assert!(
        text.starts_with("-----BEGIN EC PRIVATE KEY-----\n")
            && text.ends_with("-----END CERTIFICATE-----")
    );
    assert!(
        bundle["private_key"]
            .as_str()
            .unwrap()
            .starts_with("-----BEGIN PRIVATE KEY-----\n")
    );
    assert!(
        bundle["issuing_ca"]
            .as_str()
            .unwrap()
            .starts_with("-----BEGIN CERTIFICATE-----\n")
    );

    let der = ok(mount
        .update("root/generate/exported", fields("der", ""))
        .await)
    .data;
    let bytes = |name: &str| STANDARD.decode(der[name].as_str().unwrap()).unwrap();
    Certificate::from_der(&bytes("certificate")).unwrap();
    PrivateKey::from_der(&bytes("private_key")).unwrap();

    let hidden = make_root(&mount, fields("pem_bundle", "pem")).await;
    assert!(!hidden.to_string().contains("PRIVATE"));
}

#[tokio::test]
async fn a_root_can_be_made_for_a_key_that_is_here() {
    let mount = mount().await;
    let first = make_root(
        &mount,
        json!({ "common_name": "a", "key_type": "ec", "key_name": "k1" }),
    )
    .await;
    let fields = json!({ "common_name": "b", "key_ref": "k1", "key_name": "other" });
    let second = ok(mount.update("root/generate/existing", fields).await).data;
    assert_eq!(
        (&second["key_id"], &second["key_name"]),
        (&first["key_id"], &json!("k1"))
    );
    assert_ne!(second["issuer_id"], first["issuer_id"]);
    assert_eq!(mount.list("keys").await.keys().len(), 1);
}

#[tokio::test]
async fn warnings_say_what_a_root_lacks() {
    let mount = mount().await;
    let reply = mount
        .update(
            "root/generate/internal",
            json!({ "key_type": "ed25519", "max_path_length": 0, "ttl": "99999h" }),
        )
        .await;
    assert_eq!(
        ok(reply).warnings,
        [
            "TTL \"99999h0m0s\" is longer than permitted maxTTL \"87600h0m0s\", so maxTTL is being used",
            "This issuer certificate was generated without a Subject; this makes it likely that issuing leaf certs with this certificate will cause TLS validation libraries to reject this certificate.",
            NO_AIA,
            "Max path length of the generated certificate is zero. This certificate cannot be used to issue intermediate CA certificates.",
        ]
    );
    let template =
        json!({ "issuing_certificates": "http://{{issuer_id}}/x", "enable_templating": true });
    ok(mount.update("config/urls", template).await);
    let reply = ok(mount
        .update(
            "root/generate/internal",
            json!({ "key_type": "ec", "common_name": "r" }),
        )
        .await);
    assert!(reply.warnings[0].starts_with(
        "When generating root CA, found global AIA configuration with issuer_id template"
    ));
    let template =
        json!({ "issuing_certificates": "http://{{cluster_path}}/x", "enable_templating": true });
    ok(mount.update("config/urls", template).await);
    refused(
        &mount
            .update(
                "root/generate/internal",
                json!({ "key_type": "ec", "common_name": "r" }),
            )
            .await,
        500,
        "unable to parse AIA URL information: unable to template AIA URLs as we lack local cluster address information (path)\nUsing templated AIA URL's {{issuer_id}} field when generating root certificates is not supported.",
    );
    let plain = json!({ "issuing_certificates": "http://a/ca", "enable_templating": false });
    ok(mount.update("config/urls", plain).await);
    let reply = ok(mount
        .update(
            "root/generate/internal",
            json!({ "key_type": "ec", "common_name": "r" }),
        )
        .await);
    assert!(reply.warnings.is_empty(), "{reply:?}");
    assert_eq!(
        certificate(&reply.data["certificate"])
            .authority_info_access()
            .1,
        ["http://a/ca"]
    );
}

#[tokio::test]
async fn rotation_makes_the_next_root_and_replacement_puts_it_in_force() {
    let mount = mount().await;
    let old = make_root(&mount, json!({ "common_name": "r", "key_type": "ec" })).await;
    let fields = json!({ "common_name": "r", "key_type": "ec" });
    let next = ok(mount.update("root/rotate/internal", fields.clone()).await).data;
    assert_eq!(next["issuer_name"], "next");
    let after = ok(mount.update("root/rotate/internal", fields).await).data;
    assert_eq!(after["issuer_name"], "");
    assert_eq!(
        mount.read("config/issuers").await.data["default"],
        old["issuer_id"]
    );
    assert_eq!(
        ok(mount.update("root/replace", json!({})).await).data["default"],
        next["issuer_id"]
    );
    assert_eq!(
        mount.read("issuer/default").await.data["issuer_id"],
        next["issuer_id"]
    );
}

#[tokio::test]
async fn deleting_the_root_takes_everything() {
    let mount = mount().await;
    make_root(&mount, json!({ "common_name": "r", "key_type": "ec" })).await;
    make_root(&mount, json!({ "common_name": "s", "key_type": "ec" })).await;
    let reply = mount.delete("root").await;
    assert_eq!(
        (reply.status, &reply.data, reply.warnings.len()),
        (200, &Value::Null, 1)
    );
    assert_eq!(mount.list("issuers").await.status, 404);
    assert_eq!(mount.list("keys").await.status, 404);
    assert_eq!(mount.read("config/issuers").await.data["default"], "");
    let left = mount.storage().memory().snapshot();
    assert!(
        !left
            .keys()
            .any(|key| key.starts_with("config/key/") || key.starts_with("config/issuer/"))
    );
    assert!(
        mount.special_paths().root.contains(&"root".to_owned()),
        "{:?}",
        mount.special_paths()
    );
}

#[tokio::test]
async fn an_intermediate_goes_from_request_to_issuer() {
    let (above, below) = (mount().await, mount().await);
    let root = make_root(
        &above,
        json!({ "common_name": "root", "key_type": "ec", "ttl": "8760h" }),
    )
    .await;
    let fields = json!({ "common_name": "int.example", "key_type": "ec", "key_name": "ik" });
    let asked = ok(below.update("intermediate/generate/internal", fields).await);
    assert!(
        asked.warnings[0]
            .ends_with("regenerate this certificate after fixing this problem for the root mount.")
    );
    assert_eq!(
        asked.data.as_object().unwrap().keys().collect::<Vec<_>>(),
        ["csr", "key_id"]
    );
    let csr = Csr::from_pem(asked.data["csr"].as_str().unwrap().as_bytes()).unwrap();
    csr.verify().unwrap();

    let fields = json!({ "csr": asked.data["csr"], "common_name": "int.example", "format": "pem_bundle", "ttl": "4380h" });
    let signed = ok(above.update("root/sign-intermediate", fields).await).data;
    assert_eq!(signed["issuing_ca"], root["certificate"]);
    let chain: Vec<_> = signed["ca_chain"]
        .as_array()
        .unwrap()
        .iter()
        .map(certificate)
        .collect();
    assert_eq!(chain.len(), 2);
    chain[0].verify_issued_by(&chain[1]).unwrap();
    assert_eq!(
        chain[0].serial().colon(),
        signed["serial_number"].as_str().unwrap()
    );
    assert_eq!(
        signed["certificate"]
            .as_str()
            .unwrap()
            .matches("BEGIN CERTIFICATE")
            .count(),
        2
    );
    assert_eq!(signed.get("not_before"), None);
    let stored = above.storage().memory().snapshot();
    assert_eq!(
        stored[&format!("certs/{}", chain[0].serial().dash())],
        chain[0].der()
    );

    let set = ok(below
        .update(
            "intermediate/set-signed",
            json!({ "certificate": signed["certificate"] }),
        )
        .await)
    .data;
    let imported = set["imported_issuers"].as_array().unwrap();
    assert_eq!(
        set["mapping"][imported[0].as_str().unwrap()],
        asked.data["key_id"]
    );
    assert_eq!(set["mapping"][imported[1].as_str().unwrap()], "");
    let issuer = below.read("issuer/default").await.data;
    assert_eq!(issuer["key_id"], asked.data["key_id"]);
    assert_eq!(issuer["ca_chain"].as_array().unwrap().len(), 2);
    ok(below
        .update(
            "roles/r",
            json!({ "allow_any_name": true, "key_type": "ec" }),
        )
        .await);
    let leaf = ok(below
        .update(
            "issue/r",
            json!({ "common_name": "a.example", "ttl": "1h" }),
        )
        .await)
    .data;
    certificate(&leaf["certificate"])
        .verify_issued_by(&chain[0])
        .unwrap();
}

#[tokio::test]
async fn signing_an_intermediate_is_refused_in_the_known_words() {
    let mount = mount().await;
    make_root(
        &mount,
        json!({ "common_name": "root", "key_type": "ec", "issuer_name": "r" }),
    )
    .await;
    let csr = ok(mount
        .update(
            "intermediate/generate/internal",
            json!({ "common_name": "i", "key_type": "ec" }),
        )
        .await);
    let csr = csr.data["csr"].clone();
    for (fields, status, error) in [
        (json!({}), 400, "\"csr\" is empty"),
        (json!({ "csr": "zz" }), 400, "csr contains no data"),
        (
            json!({ "csr": csr, "format": "zz" }),
            400,
            "The \"format\" path parameter must be \"pem\" or \"der\"",
        ),
        (
            json!({ "csr": csr, "skid": "zz" }),
            400,
            "cannot parse requested SKID value as hex: encoding/hex: invalid byte: U+007A 'z'",
        ),
        (
            json!({ "csr": csr, "issuer_ref": "nope" }),
            500,
            "could not fetch the CA certificate (was one set?): unable to find PKI issuer for reference: nope",
        ),
    ] {
        refused(
            &mount.update("root/sign-intermediate", fields).await,
            status,
            error,
        );
    }
    make_root(&mount, json!({ "common_name": "end", "key_type": "ec", "issuer_name": "end", "max_path_length": 0 })).await;
    refused(
        &mount
            .update(
                "issuer/end/sign-intermediate",
                json!({ "csr": csr, "common_name": "i" }),
            )
            .await,
        400,
        "signing certificate has a max path length of zero, and cannot issue further CA certificates",
    );
    let id = mount.read("issuer/r").await.data["issuer_id"]
        .as_str()
        .unwrap()
        .to_owned();
    ok(mount
        .patch("issuer/r", json!({ "usage": "read-only" }))
        .await);
    refused(
        &mount
            .update(
                "issuer/r/sign-intermediate",
                json!({ "csr": csr, "common_name": "i" }),
            )
            .await,
        500,
        &format!(
            "error fetching CA certificate: error while attempting to use issuer {id}: requested usage issuing-certificates for issuer [id:{id} / name:r] but only had usage read-only"
        ),
    );
    for (fields, error) in [
        (json!({}), "certificate could not be PEM-decoded"),
        (
            json!({ "certificate": leaf("l", &root("x")).certificate.pem() }),
            "given certificate is not a CA certificate",
        ),
        (
            json!({ "certificate": intermediate("i", &root("x")).certificate.pem() }),
            "given certificate is not self-issued",
        ),
    ] {
        refused(
            &mount.update("issuer/end/sign-self-issued", fields).await,
            400,
            error,
        );
    }
}

#[tokio::test]
async fn a_cross_signed_root_chains_to_both() {
    let mount = mount().await;
    make_root(
        &mount,
        json!({ "common_name": "new", "key_type": "ec", "issuer_name": "new" }),
    )
    .await;
    let old = root("old");
    let signed = ok(mount
        .update(
            "root/sign-self-issued",
            json!({ "certificate": old.certificate.pem() }),
        )
        .await)
    .data;
    let crossed = certificate(&signed["certificate"]);
    assert_eq!(
        crossed.public_key().spki_der(),
        old.certificate.public_key().spki_der()
    );
    crossed
        .verify_issued_by(&certificate(&signed["issuing_ca"]))
        .unwrap();
    let request = ok(mount
        .update("intermediate/cross-sign", json!({ "common_name": "new" }))
        .await)
    .data;
    assert_eq!(
        request["key_id"],
        mount.read("key/default").await.data["key_id"]
    );
}

#[tokio::test]
async fn a_ca_without_end_is_said_to_end_with_the_last_second_of_9999() {
    let mount = mount().await;
    let endless =
        json!({ "common_name": "Endless", "key_type": "ec", "not_after": "9999-12-31T23:59:59Z" });
    let root = make_root(&mount, endless.clone()).await;
    let mut below = endless;
    let asked = ok(mount
        .update("intermediate/generate/internal", below.clone())
        .await)
    .data;
    below["csr"] = asked["csr"].clone();
    let below = ok(mount.update("root/sign-intermediate", below).await).data;
    for made in [root, below] {
        assert_eq!(made["expiration"], 253_402_300_799_i64, "{made}");
    }
}
