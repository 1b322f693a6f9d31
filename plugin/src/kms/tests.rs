//! Keys in a service that throttles, hangs, lies and recovers.

use std::sync::Mutex as StdMutex;

use async_trait::async_trait;
use aws_lc_rs::digest;
use aws_lc_rs::signature::{self, EcdsaKeyPair, EcdsaSigningAlgorithm, RsaEncoding, RsaKeyPair};
use landfast_pki::{Certificate, KeyEncoding, KeySpec, PrivateKey};
use landfast_sdk::logical::Backend as _;
use landfast_sdk::testing::{Fault, FaultyStorage, Harness, HttpReply};
use landfast_unseal::{Error as KmsError, KmsSigner, ServiceError};
use serde_json::{Value, json};

use super::*;
use crate::fault::passes;

mod ocsp;

/// What the service does next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Well,
    Throttles,
    Refuses,
    Hangs,
    Slow,
    Lies,
}

/// A key service in memory with one key, whose alias is `alias/ca`.
#[derive(Debug)]
struct Service {
    signer: Signer,
    public: PublicKey,
    mood: StdMutex<Mood>,
    calls: StdMutex<Vec<&'static str>>,
}

#[derive(Debug)]
struct Handle(Arc<Service>, Vec<SigningScheme>);

struct Fake(Arc<Service>);

const ARN: &str = "arn:aws:kms:eu-central-1:123456789012:key/00000000-0000-4000-8000-000000000000";

impl Service {
    fn be(&self, mood: Mood) {
        *self.mood.lock().unwrap() = mood;
    }

    fn take_calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.calls.lock().unwrap())
    }

    async fn call(&self, operation: &'static str) -> Result<Mood, KmsError> {
        self.calls.lock().unwrap().push(operation);
        let mood = *self.mood.lock().unwrap();
        let (class, code) = match mood {
            Mood::Well | Mood::Lies => return Ok(mood),
            Mood::Slow => {
                tokio::time::sleep(Duration::from_millis(30)).await;
                return Ok(mood);
            }
            Mood::Throttles => (Class::Throttled, "ThrottlingException"),
            Mood::Refuses => (Class::Refused, "AccessDeniedException"),
            Mood::Hangs => std::future::pending().await,
        };
        Err(KmsError::from(ServiceError {
            class,
            operation,
            code: code.to_owned(),
            message: String::new(),
            key: Some(ARN.to_owned()),
            region: Some("eu-central-1".to_owned()),
            endpoint: None,
            principal: Some("arn:aws:iam::123456789012:role/ca".to_owned()),
            next_step: Some("allow kms:Sign".to_owned()),
            attempts: 1,
        }))
    }
}

#[async_trait]
impl KeyService for Fake {
    async fn open(
        &self,
        key: &Place,
        region: Option<&str>,
    ) -> Result<Arc<dyn KmsSigner>, KmsError> {
        assert_eq!((key.as_str(), region), ("alias/ca", None));
        self.0.call("GetPublicKey").await?;
        let schemes = schemes(&self.0.public);
        Ok(Arc::new(Handle(Arc::clone(&self.0), schemes)))
    }

    async fn known(
        &self,
        place: &KmsPlace,
        public: &PublicKey,
    ) -> Result<Arc<dyn KmsSigner>, KmsError> {
        assert_eq!(
            (place.key_id.as_str(), place.region.as_str()),
            (ARN, "eu-central-1")
        );
        Ok(Arc::new(Handle(Arc::clone(&self.0), schemes(public))))
    }
}

#[async_trait]
impl KmsSigner for Handle {
    fn key_id(&self) -> &str {
        ARN
    }

    fn public_key_der(&self) -> &[u8] {
        self.0.public.spki_der()
    }

    fn schemes(&self) -> &[SigningScheme] {
        &self.1
    }

    async fn sign_digest(&self, scheme: SigningScheme, digest: &[u8]) -> Result<Vec<u8>, KmsError> {
        let mood = self.0.call("Sign").await?;
        let mut digest = digest.to_vec();
        if mood == Mood::Lies {
            digest[0] ^= 1;
        }
        Ok(self.0.signer.sign(scheme, &digest))
    }
}

/// Keys of the library, because those of `pki` sign messages and not digests.
#[derive(Debug)]
enum Signer {
    Ec(EcdsaKeyPair),
    Rsa(RsaKeyPair),
    /// The seed of an ML-DSA key of this set: what the library has for it signs messages, and no representatives.
    MlDsa(u32, [u8; 32]),
}

impl Signer {
    /// The stand-in's key, and the same with its public half.
    fn new(kind: &str, bits: u32) -> (Self, PublicKey) {
        let key = PrivateKey::generate(KeySpec::parse(kind, bits).unwrap()).unwrap();
        let der = key.to_der(KeyEncoding::Pkcs8).unwrap();
        let signer = match (kind, bits) {
            ("ec", 256) => Self::ec(&signature::ECDSA_P256_SHA256_ASN1_SIGNING, der.expose()),
            ("ec", _) => Self::ec(&signature::ECDSA_P384_SHA384_ASN1_SIGNING, der.expose()),
            ("mldsa", set) => {
                let seed = &der.expose()[der.expose().len() - 32..];
                Self::MlDsa(set, seed.try_into().unwrap())
            }
            _ => Self::Rsa(RsaKeyPair::from_pkcs8(der.expose()).unwrap()),
        };
        (signer, key.public_key().clone())
    }

    fn ec(algorithm: &'static EcdsaSigningAlgorithm, der: &[u8]) -> Self {
        Self::Ec(EcdsaKeyPair::from_pkcs8(algorithm, der).unwrap())
    }

    fn sign(&self, scheme: SigningScheme, digest: &[u8]) -> Vec<u8> {
        if let (Self::MlDsa(set, seed), SigningScheme::MlDsa) = (self, scheme) {
            return match set {
                44 => representative::<ml_dsa::MlDsa44>(seed, digest),
                65 => representative::<ml_dsa::MlDsa65>(seed, digest),
                _ => representative::<ml_dsa::MlDsa87>(seed, digest),
            };
        }
        let hash = match scheme.digest().expect("a digest") {
            Digest::Sha256 => &digest::SHA256,
            Digest::Sha384 => &digest::SHA384,
            Digest::Sha512 => &digest::SHA512,
        };
        let digest = digest::Digest::import_less_safe(digest, hash).expect("a whole digest");
        match (self, scheme) {
            (Self::Ec(pair), SigningScheme::Ecdsa(_)) => {
                pair.sign_digest(&digest).unwrap().as_ref().to_vec()
            }
            (Self::Rsa(pair), SigningScheme::RsaPkcs1(Digest::Sha256)) => {
                rsa(pair, &signature::RSA_PKCS1_SHA256, &digest)
            }
            (Self::Rsa(pair), SigningScheme::RsaPss(Digest::Sha384)) => {
                rsa(pair, &signature::RSA_PSS_SHA384, &digest)
            }
            (_, other) => panic!("{other:?} is not asked for here"),
        }
    }
}

/// Signs a representative, by code that is not the product's.
fn representative<P: ml_dsa::MlDsaParams>(seed: &[u8; 32], mu: &[u8]) -> Vec<u8> {
    let signer = ml_dsa::ExpandedSigningKey::<P>::from_seed(&(*seed).into());
    let mu = mu.try_into().expect("64 octets");
    signer.sign_mu_deterministic(mu).encode().to_vec()
}

fn rsa(pair: &RsaKeyPair, encoding: &'static dyn RsaEncoding, digest: &digest::Digest) -> Vec<u8> {
    let mut signature = vec![0; pair.public_modulus_len()];
    pair.sign_digest(encoding, digest, &mut signature).unwrap();
    signature
}

fn service(kind: &str, bits: u32) -> Arc<Service> {
    let (signer, public) = Signer::new(kind, bits);
    Arc::new(Service {
        signer,
        public,
        mood: StdMutex::new(Mood::Well),
        calls: StdMutex::default(),
    })
}

async fn mount(service: &Arc<Service>) -> Harness<Mount> {
    with(
        Harness::<Mount>::builder()
            .storage(FaultyStorage::new())
            .start()
            .await
            .unwrap(),
        service,
    )
}

/// The mount with the service in place of AWS KMS.
fn with(mount: Harness<Mount>, service: &Arc<Service>) -> Harness<Mount> {
    mount
        .backend()
        .use_key_service(Arc::new(Fake(Arc::clone(service))));
    mount
}

fn root_request() -> Value {
    json!({ "common_name": "Root", "kms_key_id": "alias/ca", "ttl": "8760h" })
}

#[track_caller]
fn ok(reply: HttpReply) -> HttpReply {
    assert!((200..300).contains(&reply.status), "{reply:?}");
    reply
}

async fn root(mount: &Harness<Mount>) -> Certificate {
    let reply = ok(mount.update("root/generate/kms", root_request()).await);
    let role = json!({ "allow_any_name": true, "key_type": "ec", "ttl": "1h" });
    ok(mount.update("roles/any", role).await);
    Certificate::from_pem(reply.data["certificate"].as_str().unwrap().as_bytes()).unwrap()
}

/// A root that signs with RSA-PSS and SHA-384.
async fn pss_root(mount: &Harness<Mount>) -> Certificate {
    let mut request = root_request();
    request["use_pss"] = json!(true);
    request["signature_bits"] = json!(384);
    let reply = ok(mount.update("root/generate/kms", request).await);
    Certificate::from_pem(reply.data["certificate"].as_str().unwrap().as_bytes()).unwrap()
}

async fn leaf(mount: &Harness<Mount>) -> HttpReply {
    mount
        .update("issue/any", json!({ "common_name": "leaf" }))
        .await
}

async fn nothing_is_there(mount: &Harness<Mount>) {
    for path in ["issuers", "keys", "certs"] {
        assert_eq!(mount.list(path).await.status, 404, "{path}");
    }
    assert_eq!(mount.read("config/issuers").await.data["default"], "");
    assert_eq!(mount.read("config/keys").await.data["default"], "");
}

#[tokio::test]
async fn a_ca_in_the_service_signs_everything_with_one_call_each() {
    for (kind, bits) in [
        ("ec", 256),
        ("ec", 384),
        ("rsa", 2048),
        ("mldsa", 44),
        ("mldsa", 65),
        ("mldsa", 87),
    ] {
        let service = service(kind, bits);
        let mount = mount(&service).await;
        let root = root(&mount).await;
        assert!(root.is_self_signed());
        // The certificate, a complete and a delta CRL.
        assert_eq!(
            service.take_calls(),
            ["GetPublicKey", "Sign", "Sign", "Sign"]
        );
        let issued = ok(leaf(&mount).await);
        let text = issued.data["certificate"].as_str().unwrap();
        let certificate = Certificate::from_pem(text.as_bytes()).unwrap();
        certificate.verify_signed_by(root.public_key()).unwrap();
        assert_eq!(service.take_calls(), ["Sign"]);

        let serial = json!({ "serial_number": certificate.serial().colon() });
        ok(mount.update("revoke", serial).await);
        assert_eq!(service.take_calls(), ["Sign", "Sign"]);
        let crl = landfast_pki::Crl::from_der(&mount.read("crl").await.raw.unwrap()).unwrap();
        crl.verify(&root).unwrap();
        assert!(crl.find(certificate.serial()).is_some());

        // Looking is free, also after a restart; and so is signing but for the signature itself.
        let mount = with(mount.reload().await, &service);
        for path in ["key/default", "issuer/default", "config/kms", "ca", "crl"] {
            ok(mount.read(path).await);
        }
        ok(mount.list("keys").await);
        let key = mount.read("key/default").await.data;
        assert_eq!(
            (&key["key_type"], &key["kms_key_id"], &key["kms_region"]),
            (&json!(kind), &json!(ARN), &json!("eu-central-1"))
        );
        assert_eq!(service.take_calls(), [""; 0]);
        ok(leaf(&mount).await);
        assert_eq!(service.take_calls(), ["Sign"]);
    }
}

#[tokio::test]
async fn pss_and_hash_of_a_root_hold_for_its_crls() {
    let service = service("rsa", 2048);
    let mount = mount(&service).await;
    let root = pss_root(&mount).await;
    let pss = Ok(SignatureAlgorithm::RsaPss(landfast_pki::Hash::Sha384));
    assert_eq!(root.signature_algorithm(), pss);
    for path in ["crl", "crl/delta"] {
        let crl = landfast_pki::Crl::from_der(&mount.read(path).await.raw.unwrap()).unwrap();
        crl.verify(&root).unwrap();
        assert_eq!(crl.signature_algorithm(), pss, "{path}");
    }
}

#[tokio::test]
async fn a_root_that_the_service_does_not_sign_leaves_nothing_behind() {
    let service = service("ec", 256);
    let mount = mount(&service).await;
    for (mood, status, words) in [
        (Mood::Throttles, 503, "ThrottlingException"),
        (Mood::Hangs, 503, "no answer within"),
        (Mood::Refuses, 400, "AccessDeniedException"),
    ] {
        service.be(mood);
        for path in [
            "root/generate/kms",
            "intermediate/generate/kms",
            "keys/generate/kms",
        ] {
            let request = match path {
                "keys/generate/kms" => json!({ "kms_key_id": "alias/ca" }),
                _ => root_request(),
            };
            let reply = mount.update(path, request).await;
            assert_eq!(reply.status, status, "{path}: {reply:?}");
            assert!(reply.error().contains(words), "{path}: {reply:?}");
        }
        nothing_is_there(&mount).await;
    }
    // It may also answer at first and fail then.
    service.be(Mood::Lies);
    for path in ["root/generate/kms", "intermediate/generate/kms"] {
        let reply = mount.update(path, root_request()).await;
        assert_eq!(reply.status, 500, "{reply:?}");
        assert!(reply.error().contains("not by the key"), "{reply:?}");
    }
    nothing_is_there(&mount).await;
    service.be(Mood::Well);
    root(&mount).await;
}

#[tokio::test]
async fn what_the_service_fails_at_is_said_and_passes() {
    let service = service("ec", 256);
    let mount = mount(&service).await;
    let root = root(&mount).await;
    let certs = mount.list("certs").await.keys().len();
    for (mood, status, words) in [
        (Mood::Throttles, 503, "try again later"),
        (Mood::Hangs, 503, "no answer within"),
        (Mood::Lies, 500, "nothing was issued"),
        (
            Mood::Refuses,
            500,
            "principal arn:aws:iam::123456789012:role/ca); allow kms:Sign",
        ),
    ] {
        service.be(mood);
        let reply = leaf(&mount).await;
        assert_eq!(reply.status, status, "{reply:?}");
        let error = reply.error();
        assert!(error.contains(words) && error.contains(ARN), "{error}");
        assert_eq!(mount.list("certs").await.keys().len(), certs);
    }
    service.be(Mood::Well);
    let issued = ok(leaf(&mount).await);
    let text = issued.data["certificate"].as_str().unwrap();
    let certificate = Certificate::from_pem(text.as_bytes()).unwrap();
    certificate.verify_signed_by(root.public_key()).unwrap();
}

#[tokio::test]
async fn a_revocation_stands_and_its_crl_follows_when_the_service_is_back() {
    let service = service("ec", 256);
    let mount = mount(&service).await;
    let root = root(&mount).await;
    // An issuer of the mount that needs no service.
    let local =
        json!({ "common_name": "Local", "key_type": "ec", "ttl": "8760h", "issuer_name": "local" });
    ok(mount.update("issuers/generate/root/internal", local).await);
    let serial = ok(leaf(&mount).await).data["serial_number"].clone();
    let other = json!({ "common_name": "leaf" });
    let other =
        ok(mount.update("issuer/local/issue/any", other).await).data["serial_number"].clone();

    service.be(Mood::Throttles);
    let reply = mount
        .update("revoke", json!({ "serial_number": serial }))
        .await;
    assert_eq!(reply.status, 503, "{reply:?}");
    assert!(reply.error().contains("on record"), "{reply:?}");
    // The other issuer's CRL needs no service, so its revocation is done.
    let reply = ok(mount
        .update("revoke", json!({ "serial_number": other }))
        .await);
    assert!(
        reply.warnings[0].contains("ThrottlingException"),
        "{reply:?}"
    );
    let crl = async |path: &str| {
        landfast_pki::Crl::from_der(&mount.read(path).await.raw.unwrap()).unwrap()
    };
    assert_eq!(crl("issuer/local/crl/der").await.entries().count(), 1);
    assert_eq!(crl("crl").await.entries().count(), 0);

    // The minute's work tries the one CRL that is behind, and leaves the other alone.
    let number = crl("issuer/local/crl/der").await.number();
    assert_eq!(mount.periodic().await.status, 503);
    service.be(Mood::Well);
    service.take_calls();
    ok(mount.periodic().await);
    assert_eq!(service.take_calls(), ["Sign", "Sign"]);
    crl("crl").await.verify(&root).unwrap();
    assert_eq!(crl("crl").await.entries().count(), 1);
    assert_eq!(crl("issuer/local/crl/der").await.number(), number);
    ok(mount.periodic().await);
    assert_eq!(service.take_calls(), [""; 0]);
}

#[tokio::test]
async fn whoever_waits_for_a_build_that_the_service_failed_learns_it_at_once() {
    let service = service("ec", 256);
    let mount = mount(&service).await;
    root(&mount).await;
    service.be(Mood::Hangs);
    service.take_calls();
    let rotations = (0..20).map(|_| {
        let shared = Arc::clone(mount.backend());
        tokio::spawn(async move { crate::crl::rebuild(&shared, crate::crl::Scope::All).await })
    });
    for one in rotations.collect::<Vec<_>>() {
        assert!(passes(&one.await.unwrap().unwrap_err()));
    }
    let calls = service.take_calls().len();
    assert!(calls <= 3, "{calls} calls for twenty who waited together");
}

#[tokio::test]
async fn a_root_that_was_answered_is_there_wherever_storage_fails() {
    let service = service("ec", 256);
    for fault in [Fault::Before, Fault::After] {
        for at in 1.. {
            let mount = mount(&service).await;
            mount.storage().fail_at(at, fault);
            let reply = mount.update("root/generate/kms", root_request()).await;
            let struck = mount.storage().struck();
            mount.storage().heal();
            let mount = with(mount.reload().await, &service);
            if reply.status == 200 {
                assert_eq!(mount.list("issuers").await.keys().len(), 1);
            }
            // Whatever was left behind, the request can be repeated, and there is one key.
            ok(mount.update("root/generate/kms", root_request()).await);
            assert_eq!(mount.list("keys").await.keys().len(), 1);
            ok(mount.periodic().await);
            ok(mount.read("crl").await);
            if !struck {
                break;
            }
        }
    }
}

#[tokio::test]
async fn a_key_is_taken_although_the_caller_is_gone() {
    let service = service("ec", 256);
    let request = json!({ "kms_key_id": "alias/ca", "key_name": "hsm" });
    for path in ["keys/generate/kms", "intermediate/generate/kms"] {
        let mount = mount(&service).await;
        mount.storage().hold_at(1);
        tokio::select! {
            reply = mount.update(path, request.clone()) => panic!("{path}: {reply:?}"),
            () = mount.storage().held() => {}
        }
        mount.storage().release();
        mount.idle().await;
        assert_eq!(mount.read("key/hsm").await.status, 200, "{path}");
    }
}

#[tokio::test]
async fn a_key_is_taken_once_renamed_and_deleted() {
    let service = service("ec", 256);
    let mount = mount(&service).await;
    let request = json!({ "kms_key_id": "alias/ca", "key_name": "hsm" });
    let first = ok(mount.update("keys/generate/kms", request).await).data;
    assert_eq!(first["kms_key_id"], ARN);
    let again = json!({ "kms_key_id": "alias/ca" });
    let again = ok(mount.update("keys/generate/kms", again).await);
    assert_eq!((&again.data, again.warnings.len()), (&first, 1));
    ok(mount.update("key/hsm", json!({ "key_name": "ca" })).await);
    let mount = with(mount.reload().await, &service);
    let read = ok(mount.read("key/ca").await).data;
    assert_eq!(
        (&read["kms_key_id"], &read["key_type"]),
        (&json!(ARN), &json!("ec"))
    );
    // A request for an intermediate by the key that is here, and with it a certificate from elsewhere.
    let request = json!({ "common_name": "Intermediate", "key_ref": "ca" });
    let reply = ok(mount
        .update("intermediate/generate/existing", request)
        .await);
    let csr = landfast_pki::Csr::from_pem(reply.data["csr"].as_str().unwrap().as_bytes()).unwrap();
    csr.verify().unwrap();
    assert_eq!(csr.public_key(), &service.public);
    ok(mount.delete("key/ca").await);
    assert_eq!(mount.list("keys").await.status, 404);
}

#[tokio::test]
async fn fields_that_do_not_fit_are_refused_before_anything_is_asked() {
    let service = service("ec", 256);
    let mount = mount(&service).await;
    for (path, request, words) in [
        (
            "root/generate/kms",
            json!({}),
            "must specify \"kms_key_id\"",
        ),
        (
            "keys/generate/kms",
            json!({}),
            "must specify \"kms_key_id\"",
        ),
        (
            "root/generate/kms",
            json!({ "external_key_ref": "a:b" }),
            "no plugin can use",
        ),
        (
            "keys/generate/kms",
            json!({ "external_key_ref": "a:b", "kms_key_id": "alias/ca" }),
            "no plugin can use",
        ),
        (
            "root/generate/kms",
            json!({ "kms_key_id": "alias/ca", "key_type": "ec" }),
            "can be set in this mode",
        ),
        (
            "keys/generate/kms",
            json!({ "kms_key_id": "alias/ca", "key_bits": 256 }),
            "those of the key in AWS KMS",
        ),
        (
            "root/generate/internal",
            json!({ "kms_key_id": "alias/ca" }),
            "cannot specify \"kms_key_id\" on \"internal\"-typed",
        ),
        (
            "keys/generate/kms",
            json!({ "kms_key_id": "not a key" }),
            "white space",
        ),
        (
            "keys/generate/kms",
            json!({ "kms_key_id": ARN, "kms_region": "us-east-1" }),
            "leave kms_region out",
        ),
    ] {
        let mut request = request;
        if path.starts_with("root") {
            request["common_name"] = json!("Root");
        }
        let reply = mount.update(path, request).await;
        assert_eq!(reply.status, 400, "{path}: {reply:?}");
        assert!(reply.error().contains(words), "{path}: {reply:?}");
    }
    assert_eq!(service.take_calls(), [""; 0]);
    nothing_is_there(&mount).await;
}

#[tokio::test]
async fn the_connection_hides_its_secrets_and_reads_nothing_of_the_servers() {
    let service = service("ec", 256);
    let mount = mount(&service).await;
    let own = json!({ "region": "eu-central-1", "access_key": "AKIAEXAMPLE", "secret_key": "hunter2", "session_token": "swordfish",
        "endpoint": "https://kms.example", "max_signatures": 4 });
    let written = ok(mount.update("config/kms", own).await);
    let read = ok(mount.read("config/kms").await);
    assert_eq!(written.data, read.data);
    assert_eq!(
        read.data,
        json!({ "region": "eu-central-1", "access_key": "AKIAEXAMPLE", "endpoint": "https://kms.example", "max_signatures": 4,
            "secret_key_set": true, "session_token_set": true })
    );
    // What is not sent stays, what is empty goes.
    let change = json!({ "region": "eu-west-1", "session_token": "" });
    let changed = ok(mount.update("config/kms", change).await).data;
    assert_eq!(
        (
            &changed["region"],
            &changed["secret_key_set"],
            &changed["session_token_set"]
        ),
        (&json!("eu-west-1"), &json!(true), &json!(false))
    );
    for (request, words) in [
        (
            json!({ "secret_key": "file:///etc/shadow" }),
            "not a reference",
        ),
        (json!({ "access_key": "env://HOME" }), "not a reference"),
        (
            json!({ "web_identity_token_file": "/t" }),
            "names a file of the server",
        ),
        (
            json!({ "shared_creds_filename": "/t" }),
            "names a file of the server",
        ),
        (
            json!({ "shared_creds_profile": "p" }),
            "names a file of the server",
        ),
        (json!({ "region": "Frankfurt" }), "not the name of a Region"),
        (json!({ "max_signatures": 1001 }), "0 to 1000"),
        // Without credentials of its own it is the server's identity that would go to the endpoint.
        (
            json!({ "access_key": "", "secret_key": "" }),
            "server's identity",
        ),
        (json!({ "access_key": "" }), "not both"),
    ] {
        let reply = mount.update("config/kms", request).await;
        assert_eq!(reply.status, 400, "{reply:?}");
        let error = reply.error();
        assert!(
            error.contains(words) && !error.contains("hunter2"),
            "{error}"
        );
    }
    ok(mount.delete("config/kms").await);
    let read = ok(mount.read("config/kms").await).data;
    assert_eq!(
        read,
        json!({ "max_signatures": 16, "secret_key_set": false, "session_token_set": false })
    );
}

#[tokio::test]
async fn sessions_are_shared_until_the_connection_changes() {
    let service = service("ec", 256);
    let mount = mount(&service).await;
    let set = async |region: &str| {
        let own = json!({ "region": region, "access_key": "AKIAEXAMPLE", "secret_key": "hunter2", "endpoint": "http://127.0.0.1:9" });
        ok(mount.update("config/kms", own).await);
        mount.backend().kms_session(None).await.unwrap()
    };
    let first = set("eu-central-1").await;
    let again = mount.backend().kms_session(None).await.unwrap();
    assert!(Arc::ptr_eq(&first, &again));
    let elsewhere = mount
        .backend()
        .kms_session(Some("eu-west-1"))
        .await
        .unwrap();
    assert_eq!(
        (first.region(), elsewhere.region()),
        ("eu-central-1", "eu-west-1")
    );
    let changed = set("eu-north-1").await;
    assert_eq!(changed.region(), "eu-north-1");
    // Another node wrote the entry: the host says so.
    mount.backend().invalidate(KmsConfig::KEY);
    let same = mount.backend().kms_session(None).await.unwrap();
    assert!(Arc::ptr_eq(&changed, &same), "nothing changed");
}

#[tokio::test]
async fn the_servers_identity_is_lent_by_an_option_of_the_mount_only() {
    // Nothing that a mount's paths take lends it.
    let mount = Harness::<Mount>::new().await;
    let told = ok(mount
        .update("config/kms", json!({ "region": "eu-central-1" }))
        .await);
    assert!(told.warnings[0].contains("use_server_identity"), "{told:?}");
    for body in [
        json!({ "kms_key_id": "alias/ca", "common_name": "Root" }),
        json!({ "kms_key_id": "alias/ca", "common_name": "Root", "use_server_identity": true }),
    ] {
        let reply = mount.update("root/generate/kms", body).await;
        assert_eq!(reply.status, 400, "{reply:?}");
        assert!(
            reply.error().contains("is not lent to this mount"),
            "{reply:?}"
        );
    }
    let seal = json!({ "type": "awskms", "kms_key_id": "alias/seal" });
    let reply = mount.update("config/seal", seal).await;
    assert!(
        reply.error().contains("is not lent to this mount"),
        "{reply:?}"
    );

    let lent = Harness::<Mount>::builder().option("use_server_identity", "true");
    let lent: Harness<Mount> = lent.start().await.unwrap();
    let told = ok(lent
        .update("config/kms", json!({ "region": "eu-central-1" }))
        .await);
    assert!(told.warnings.is_empty(), "{told:?}");
    assert!(lent.backend().kms_session(None).await.is_ok());
}

#[tokio::test]
async fn sessions_do_not_pile_up_however_many_regions_are_named() {
    let service = service("ec", 256);
    let mount = mount(&service).await;
    let own = json!({ "region": "eu-central-1", "access_key": "AKIAEXAMPLE", "secret_key": "hunter2",
        "endpoint": "http://127.0.0.1:9" });
    ok(mount.update("config/kms", own).await);
    let backend = mount.backend();
    for number in 0..sessions::KEPT + 3 {
        let region = format!("eu-west-{number}");
        let session = backend.kms_session(Some(&region)).await.unwrap();
        assert_eq!(session.region(), region);
    }
    let connection = backend.kms_connection().await.unwrap();
    assert_eq!(connection.sessions.lock().await.count(), sessions::KEPT);
}
