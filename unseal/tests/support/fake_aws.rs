//! A stand-in for AWS KMS and the Security Token Service, on one loopback port and for all Regions.
//!
//! It refuses what AWS refuses (wrong key, wrong context, foreign ciphertext, disabled keys, too long plaintexts, wrong digests), records every
//! call, and fails on demand. It does not verify request signatures; it looks only at who signed and for which Region. Ciphertexts have the layout of
//! the stand-in that the vectors were recorded with: key id, nonce, tag, ciphertext.
#![allow(dead_code, unreachable_pub)]

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::signature::{
    self, ECDSA_P256_SHA256_ASN1_SIGNING, ECDSA_P384_SHA384_ASN1_SIGNING,
    ECDSA_P521_SHA512_ASN1_SIGNING, EcdsaKeyPair, EcdsaSigningAlgorithm, KeyPair,
    ML_DSA_44_SIGNING, ML_DSA_65_SIGNING, ML_DSA_87_SIGNING, PqdsaKeyPair, RsaEncoding, RsaKeyPair,
};
use aws_lc_rs::{digest, rand};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use http_body_util::{BodyExt, Full};
use hyper::body::{Bytes, Incoming};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use serde_json::{Value, json};

pub const ACCOUNT: &str = "123456789012";
pub const REGION: &str = "eu-central-1";
pub const UNSEAL_KEY: &str = "56a8845f-5459-443d-a710-41dc72237c19";
pub const OTHER_KEY: &str = "9d6c72e9-59df-413f-af0e-8d2b4fd0f86f";
pub const MULTI_REGION_KEY: &str = "mrk-00112233445566778899aabbccddeeff";
/// Who signs with it may do everything.
pub const ACCESS_KEY: &str = "AKIAEXAMPLEUNSEAL000";
/// Identities with this access key are told that their token expired.
pub const EXPIRED_ACCESS_KEY: &str = "ASIAEXAMPLEEXPIRED00";

const KEYS: &str = include_str!("../data/kms-keys.json");

/// How a call fails.
#[derive(Clone, Debug)]
pub enum Fault {
    /// An error code with its HTTP status.
    Error(&'static str, u16),
    /// The request is taken and never answered.
    Hang,
    /// The connection is closed without an answer.
    Reset,
    /// An answer that is none.
    Garbage,
}

/// A call that arrived.
#[derive(Clone, Debug)]
pub struct Call {
    pub operation: String,
    pub region: String,
    pub access_key: String,
    pub key_id: Option<String>,
    pub context: BTreeMap<String, String>,
    pub parameters: Value,
    pub failed: Option<String>,
}

pub struct FakeAws {
    address: SocketAddr,
    state: Arc<Mutex<State>>,
    server: tokio::task::JoinHandle<()>,
}

#[derive(Default)]
struct State {
    keys: Vec<Key>,
    calls: Vec<Call>,
    faults: Vec<(String, Option<String>, Fault, usize)>,
    denied: Vec<(String, String)>,
    sessions: u32,
    /// Documents for any method, by path: with the `Authorization` that they ask for.
    pages: BTreeMap<String, (Option<String>, String)>,
    /// Life of assumed roles.
    life: Option<Duration>,
}

struct Key {
    regions: Vec<String>,
    id: String,
    aliases: Vec<String>,
    material: Vec<u8>,
    state: &'static str,
    signer: Option<Signer>,
}

enum Signer {
    Ec(EcdsaKeyPair, &'static str, &'static digest::Algorithm),
    Rsa(RsaKeyPair),
    /// The parameter set, and the seed, from which the code of others makes the key that signs representatives.
    MlDsa(u32, PqdsaKeyPair, [u8; 32]),
}

impl FakeAws {
    /// Starts with the keys of the vectors, a multi-Region key with replicas in eu-west-1 and us-east-1, and signing keys `alias/ca-p256`,
    /// `alias/ca-p384`, `alias/ca-p521`, `alias/ca-rsa`, `alias/ca-mldsa-44`, `alias/ca-mldsa-65` and `alias/ca-mldsa-87`.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind(("127.0.0.1", 0))
            .await
            .expect("a free port");
        let address = listener.local_addr().expect("bound");
        let state = Arc::new(Mutex::new(State {
            keys: keys(),
            ..State::default()
        }));
        let shared = state.clone();
        let server = tokio::spawn(async move {
            loop {
                let Ok((stream, _)) = listener.accept().await else {
                    return;
                };
                let shared = shared.clone();
                tokio::spawn(async move {
                    let service =
                        hyper::service::service_fn(move |request| answer(shared.clone(), request));
                    let _ = hyper::server::conn::http1::Builder::new()
                        .serve_connection(TokioIo::new(stream), service)
                        .await;
                });
            }
        });
        Self {
            address,
            state,
            server,
        }
    }

    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Every call of `operation` fails from now on, `times` times.
    pub fn fail(&self, operation: &str, fault: Fault, times: usize) {
        self.lock()
            .faults
            .push((operation.to_owned(), None, fault, times));
    }

    /// As [`FakeAws::fail`], in one Region only.
    pub fn fail_in(&self, region: &str, operation: &str, fault: Fault, times: usize) {
        self.lock()
            .faults
            .push((operation.to_owned(), Some(region.to_owned()), fault, times));
    }

    pub fn heal(&self) {
        self.lock().faults.clear();
        self.lock().denied.clear();
    }

    /// An identity loses a permission.
    pub fn deny(&self, access_key: &str, operation: &str) {
        self.lock()
            .denied
            .push((access_key.to_owned(), operation.to_owned()));
    }

    pub fn set_state(&self, key: &str, state: &'static str) {
        let mut inner = self.lock();
        inner
            .keys
            .iter_mut()
            .find(|k| k.id == key)
            .expect("a key")
            .state = state;
    }

    pub fn move_alias(&self, alias: &str, to: &str) {
        let mut inner = self.lock();
        for key in &mut inner.keys {
            key.aliases.retain(|name| name != alias);
            if key.id == to {
                key.aliases.push(alias.to_owned());
            }
        }
    }

    /// Serves a document, such as those of instance metadata and of container credentials.
    pub fn page(&self, path: &str, authorization: Option<&str>, body: &str) {
        let page = (authorization.map(str::to_owned), body.to_owned());
        self.lock().pages.insert(path.to_owned(), page);
    }

    pub fn role_life(&self, life: Duration) {
        self.lock().life = Some(life);
    }

    pub fn calls(&self) -> Vec<Call> {
        self.lock().calls.clone()
    }

    /// Names of the calls to KMS so far, and forgets them.
    pub fn take_operations(&self) -> Vec<String> {
        let calls = std::mem::take(&mut self.lock().calls);
        calls
            .into_iter()
            .filter(|call| !is_sts(&call.operation))
            .map(|call| call.operation)
            .collect()
    }

    /// Stops answering: connections are refused from now on.
    pub fn stop(&self) {
        self.server.abort();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().expect("no panic under the lock")
    }
}

impl Drop for FakeAws {
    fn drop(&mut self) {
        self.server.abort();
    }
}

pub fn arn(region: &str, id: &str) -> String {
    format!("arn:aws:kms:{region}:{ACCOUNT}:key/{id}")
}

fn is_sts(operation: &str) -> bool {
    operation.starts_with("AssumeRole") || operation == "GetCallerIdentity"
}

fn keys() -> Vec<Key> {
    let recorded: Value = serde_json::from_str(KEYS).expect("vector file");
    let mut keys: Vec<Key> = recorded.as_array().expect("keys")[..2]
        .iter()
        .map(|key| Key {
            regions: vec![REGION.to_owned()],
            id: key["id"].as_str().expect("id").to_owned(),
            aliases: vec![key["alias"][0].as_str().expect("alias").to_owned()],
            material: STANDARD
                .decode(key["material"].as_str().expect("material"))
                .expect("base64"),
            state: "Enabled",
            signer: None,
        })
        .collect();
    keys.push(Key {
        regions: [REGION, "eu-west-1", "us-east-1"]
            .map(str::to_owned)
            .to_vec(),
        id: MULTI_REGION_KEY.to_owned(),
        aliases: vec!["alias/everywhere".to_owned()],
        material: vec![0x5a; 32],
        state: "Enabled",
        signer: None,
    });
    let pem = recorded[3]["pem"].as_str().expect("pem");
    let der: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
    let rsa = RsaKeyPair::from_pkcs8(&STANDARD.decode(der).expect("base64")).expect("RSA key");
    for (number, (alias, signer)) in [
        (
            "alias/ca-p256",
            ec(
                &ECDSA_P256_SHA256_ASN1_SIGNING,
                "ECC_NIST_P256",
                &digest::SHA256,
            ),
        ),
        (
            "alias/ca-p384",
            ec(
                &ECDSA_P384_SHA384_ASN1_SIGNING,
                "ECC_NIST_P384",
                &digest::SHA384,
            ),
        ),
        (
            "alias/ca-p521",
            ec(
                &ECDSA_P521_SHA512_ASN1_SIGNING,
                "ECC_NIST_P521",
                &digest::SHA512,
            ),
        ),
        ("alias/ca-rsa", Signer::Rsa(rsa)),
        ("alias/ca-mldsa-44", ml_dsa(44)),
        ("alias/ca-mldsa-65", ml_dsa(65)),
        ("alias/ca-mldsa-87", ml_dsa(87)),
    ]
    .into_iter()
    .enumerate()
    {
        keys.push(Key {
            regions: vec![REGION.to_owned()],
            id: format!("00000000-0000-4000-8000-00000000000{number}"),
            aliases: vec![alias.to_owned()],
            material: Vec::new(),
            state: "Enabled",
            signer: Some(signer),
        });
    }
    keys
}

fn ec(
    algorithm: &'static EcdsaSigningAlgorithm,
    spec: &'static str,
    hash: &'static digest::Algorithm,
) -> Signer {
    let pair = EcdsaKeyPair::generate(algorithm).expect("generates");
    Signer::Ec(pair, spec, hash)
}

fn ml_dsa(set: u32) -> Signer {
    let mut seed = [0; 32];
    rand::fill(&mut seed).expect("random");
    let algorithm = match set {
        44 => &ML_DSA_44_SIGNING,
        65 => &ML_DSA_65_SIGNING,
        _ => &ML_DSA_87_SIGNING,
    };
    let pair = PqdsaKeyPair::from_seed(algorithm, &seed).expect("a key");
    Signer::MlDsa(set, pair, seed)
}

/// A signature over a representative, by code that is not the product's.
fn sign_representative(set: u32, seed: [u8; 32], mu: &[u8; 64]) -> Vec<u8> {
    fn by<P: ml_dsa::MlDsaParams>(seed: [u8; 32], mu: &[u8; 64]) -> Vec<u8> {
        let key = ml_dsa::ExpandedSigningKey::<P>::from_seed(&seed.into());
        key.sign_mu_deterministic(mu.into()).encode().to_vec()
    }
    match set {
        44 => by::<ml_dsa::MlDsa44>(seed, mu),
        65 => by::<ml_dsa::MlDsa65>(seed, mu),
        _ => by::<ml_dsa::MlDsa87>(seed, mu),
    }
}

struct Refusal(String, u16, String);

fn refuse<T>(code: &str, message: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(code.to_owned(), 400, message.into()))
}

async fn answer(
    state: Arc<Mutex<State>>,
    request: Request<Incoming>,
) -> Result<Response<Full<Bytes>>, Infallible> {
    let header = |name: &str| {
        request
            .headers()
            .get(name)
            .and_then(|v| v.to_str().ok())
            .unwrap_or_default()
            .to_owned()
    };
    let target = header("x-amz-target");
    let page = state
        .lock()
        .expect("no panic under the lock")
        .pages
        .get(request.uri().path())
        .cloned();
    if let Some((authorization, body)) = page {
        let status = if authorization.is_none_or(|wanted| wanted == header("authorization")) {
            200
        } else {
            401
        };
        let response = Response::builder()
            .status(status)
            .header("x-aws-ec2-metadata-token-ttl-seconds", "600");
        return Ok(response
            .body(Full::new(Bytes::from(body)))
            .expect("a response"));
    }
    let credential = header("authorization");
    let scope: Vec<String> = credential
        .split("Credential=")
        .nth(1)
        .unwrap_or_default()
        .split([',', ' '])
        .next()
        .unwrap_or_default()
        .split('/')
        .map(str::to_owned)
        .collect();
    let access_key = scope.first().cloned().unwrap_or_default();
    let region = scope.get(2).cloned().unwrap_or_default();
    let body = request
        .into_body()
        .collect()
        .await
        .map(|body| body.to_bytes())
        .unwrap_or_default();
    let (operation, parameters) = match target.strip_prefix("TrentService.") {
        Some(operation) => (
            operation.to_owned(),
            serde_json::from_slice(&body).unwrap_or_default(),
        ),
        None => {
            let form = form(&body);
            (form["Action"].as_str().unwrap_or_default().to_owned(), form)
        }
    };
    let context = parameters["EncryptionContext"]
        .as_object()
        .into_iter()
        .flatten();
    let call = Call {
        region: region.clone(),
        access_key: access_key.clone(),
        key_id: parameters["KeyId"].as_str().map(str::to_owned),
        context: context
            .map(|(k, v)| (k.clone(), v.as_str().unwrap_or_default().to_owned()))
            .collect(),
        parameters: parameters.clone(),
        operation: operation.clone(),
        failed: None,
    };
    let fault = {
        let mut state = state.lock().expect("no panic under the lock");
        state.calls.push(call);
        let hit = state.faults.iter_mut().find(|(op, at, _, times)| {
            *times > 0
                && (op == "*" || *op == operation)
                && at.as_ref().is_none_or(|at| *at == region)
        });
        hit.map(|(_, _, fault, times)| {
            *times -= 1;
            fault.clone()
        })
    };
    let outcome = match fault {
        Some(Fault::Hang) => {
            std::future::pending::<()>().await;
            unreachable!("pending")
        }
        // Closing without an answer: hyper has no other way than a task that ends.
        Some(Fault::Reset) => panic!("reset on demand"),
        Some(Fault::Garbage) => return Ok(reply(200, "<html>not an answer</html>".to_owned())),
        Some(Fault::Error(code, status)) => {
            Err(Refusal(code.to_owned(), status, "injected".to_owned()))
        }
        None => {
            let mut state = state.lock().expect("no panic under the lock");
            if access_key == EXPIRED_ACCESS_KEY && !is_sts(&operation) {
                refuse(
                    "ExpiredTokenException",
                    "The security token included in the request is expired",
                )
            } else if state
                .denied
                .contains(&(access_key.clone(), operation.clone()))
            {
                refuse(
                    "AccessDeniedException",
                    format!("{access_key} is not authorized to perform: kms:{operation}"),
                )
            } else if is_sts(&operation) {
                return Ok(sts(&mut state, &operation, &parameters, &access_key));
            } else {
                kms(&state, &operation, &parameters, &region)
            }
        }
    };
    Ok(match outcome {
        Ok(value) => reply(200, value.to_string()),
        Err(Refusal(code, status, message)) => {
            let mut state = state.lock().expect("no panic under the lock");
            if let Some(call) = state
                .calls
                .iter_mut()
                .rev()
                .find(|call| call.operation == operation)
            {
                call.failed = Some(code.clone());
            }
            if is_sts(&operation) {
                let text = format!(
                    "<ErrorResponse><Error><Code>{code}</Code><Message>{message}</Message></Error></ErrorResponse>"
                );
                return Ok(reply(status, text));
            }
            reply(
                status,
                json!({"__type": code, "message": message}).to_string(),
            )
        }
    })
}

fn reply(status: u16, body: String) -> Response<Full<Bytes>> {
    let response = Response::builder()
        .status(status)
        .header("content-type", "application/x-amz-json-1.1");
    response
        .body(Full::new(Bytes::from(body)))
        .expect("a response")
}

fn form(body: &[u8]) -> Value {
    let text = String::from_utf8_lossy(body).into_owned();
    let pairs = text
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .map(|(name, value)| {
            let mut bytes = Vec::new();
            let mut rest = value.bytes();
            while let Some(byte) = rest.next() {
                bytes.push(match byte {
                    b'+' => b' ',
                    b'%' => {
                        let hex = [rest.next().unwrap_or(b'0'), rest.next().unwrap_or(b'0')];
                        u8::from_str_radix(&String::from_utf8_lossy(&hex), 16).unwrap_or(b'?')
                    }
                    other => other,
                });
            }
            (
                name.to_owned(),
                Value::String(String::from_utf8_lossy(&bytes).into_owned()),
            )
        });
    Value::Object(pairs.collect())
}

fn sts(
    state: &mut State,
    operation: &str,
    parameters: &Value,
    access_key: &str,
) -> Response<Full<Bytes>> {
    if operation == "GetCallerIdentity" {
        let arn = format!("arn:aws:sts::{ACCOUNT}:assumed-role/test/{access_key}");
        return reply(
            200,
            format!(
                "<GetCallerIdentityResponse><GetCallerIdentityResult><Arn>{arn}</Arn><UserId>U</UserId><Account>{ACCOUNT}</Account>\
                 </GetCallerIdentityResult></GetCallerIdentityResponse>"
            ),
        );
    }
    state.sessions += 1;
    let expires = jiff::Timestamp::now() + state.life.unwrap_or(Duration::from_secs(3600));
    let number = state.sessions;
    let role = parameters["RoleArn"].as_str().unwrap_or_default();
    reply(
        200,
        format!(
            "<{operation}Response><{operation}Result><Credentials><AccessKeyId>ASIASESSION{number:09}</AccessKeyId>\
             <SecretAccessKey>secret</SecretAccessKey><SessionToken>token-{number}</SessionToken>\
             <Expiration>{expires:.0}</Expiration></Credentials><AssumedRoleUser><Arn>{role}</Arn>\
             <AssumedRoleId>R:s</AssumedRoleId></AssumedRoleUser></{operation}Result></{operation}Response>"
        ),
    )
}

fn kms(state: &State, operation: &str, parameters: &Value, region: &str) -> Result<Value, Refusal> {
    let bytes = |name: &str| {
        STANDARD
            .decode(parameters[name].as_str().unwrap_or_default())
            .unwrap_or_default()
    };
    let find = |id: &str| {
        let named = id.rsplit(':').next().unwrap_or(id);
        let in_region = !id.starts_with("arn:") || id.split(':').nth(3) == Some(region);
        let name = named.strip_prefix("key/").unwrap_or(named);
        let found = state.keys.iter().find(|key| {
            key.regions.iter().any(|at| at == region)
                && (key.id == name || key.aliases.iter().any(|alias| alias == name))
        });
        match found.filter(|_| in_region) {
            Some(key) => Ok(key),
            None => refuse("NotFoundException", format!("Key '{id}' does not exist")),
        }
    };
    let usable = |key: &Key| match key.state {
        "Enabled" => Ok(()),
        "Disabled" => refuse(
            "DisabledException",
            format!("{} is disabled.", arn(region, &key.id)),
        ),
        other => refuse(
            "KMSInvalidStateException",
            format!("{} is {other}.", arn(region, &key.id)),
        ),
    };
    let context: Vec<u8> = parameters["EncryptionContext"]
        .as_object()
        .into_iter()
        .flatten()
        .flat_map(|(name, value)| {
            [
                name.clone().into_bytes(),
                value.as_str().unwrap_or_default().as_bytes().to_vec(),
            ]
        })
        .flatten()
        .collect();
    let key_id = parameters["KeyId"].as_str().unwrap_or_default();
    match operation {
        "DescribeKey" => {
            let key = find(key_id)?;
            let (usage, spec) = match &key.signer {
                None => ("ENCRYPT_DECRYPT", "SYMMETRIC_DEFAULT"),
                Some(Signer::Ec(_, spec, _)) => ("SIGN_VERIFY", *spec),
                Some(Signer::Rsa(_)) => ("SIGN_VERIFY", "RSA_2048"),
                Some(Signer::MlDsa(44, ..)) => ("SIGN_VERIFY", "ML_DSA_44"),
                Some(Signer::MlDsa(65, ..)) => ("SIGN_VERIFY", "ML_DSA_65"),
                Some(Signer::MlDsa(..)) => ("SIGN_VERIFY", "ML_DSA_87"),
            };
            Ok(json!({"KeyMetadata": {
                "Arn": arn(region, &key.id), "KeyId": key.id, "KeyState": key.state, "KeyUsage": usage, "KeySpec": spec,
                "MultiRegion": key.id.starts_with("mrk-"), "Enabled": key.state == "Enabled",
            }}))
        }
        "Encrypt" | "GenerateDataKey" => {
            let key = find(key_id)?;
            usable(key)?;
            let mut fresh = [0; 32];
            rand::fill(&mut fresh).expect("random");
            let generated = operation == "GenerateDataKey";
            if generated && parameters["KeySpec"] != "AES_256" {
                return refuse(
                    "ValidationException",
                    "this stand-in makes AES_256 keys only",
                );
            }
            let plaintext = if generated {
                fresh.to_vec()
            } else {
                bytes("Plaintext")
            };
            if key.signer.is_some() {
                return refuse("InvalidKeyUsageException", "not an encryption key");
            }
            if plaintext.is_empty() || plaintext.len() > 4096 {
                return refuse(
                    "ValidationException",
                    "Plaintext must have between 1 and 4096 bytes",
                );
            }
            let mut nonce = [0; 12];
            rand::fill(&mut nonce).expect("random");
            let mut sealed = plaintext;
            cipher(key)
                .seal_in_place_append_tag(
                    Nonce::assume_unique_for_key(nonce),
                    Aad::from(context),
                    &mut sealed,
                )
                .expect("seals");
            let (ciphertext, tag) = sealed.split_at(sealed.len() - 16);
            let blob = [key.id.as_bytes(), &nonce, tag, ciphertext].concat();
            let mut answer =
                json!({"KeyId": arn(region, &key.id), "CiphertextBlob": STANDARD.encode(blob)});
            if generated {
                answer["Plaintext"] = json!(STANDARD.encode(fresh));
            } else {
                answer["EncryptionAlgorithm"] = json!("SYMMETRIC_DEFAULT");
            }
            Ok(answer)
        }
        "Decrypt" => {
            let blob = bytes("CiphertextBlob");
            let owner = state.keys.iter().find(|key| {
                blob.len() > 64
                    && blob.starts_with(key.id.as_bytes())
                    && key.regions.iter().any(|at| at == region)
            });
            let Some(owner) = owner else {
                return refuse("InvalidCiphertextException", "");
            };
            if !key_id.is_empty() && find(key_id)?.id != owner.id {
                return refuse(
                    "IncorrectKeyException",
                    "The key ID in the request does not identify a CMK that can perform this operation.",
                );
            }
            usable(owner)?;
            let body = &blob[owner.id.len()..];
            let nonce = Nonce::try_assume_unique_for_key(&body[..12]).expect("12 bytes");
            let mut sealed = [&body[28..], &body[12..28]].concat();
            match cipher(owner).open_in_place(nonce, Aad::from(context), &mut sealed) {
                Ok(plaintext) => Ok(
                    json!({"KeyId": arn(region, &owner.id), "Plaintext": STANDARD.encode(plaintext)}),
                ),
                Err(_) => refuse("InvalidCiphertextException", ""),
            }
        }
        "GetPublicKey" => {
            let key = find(key_id)?;
            usable(key)?;
            let (der, algorithms) = match &key.signer {
                None => return refuse("UnsupportedOperationException", "not an asymmetric key"),
                Some(Signer::Ec(pair, _, hash)) => (
                    AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(pair.public_key())
                        .expect("exports")
                        .as_ref()
                        .to_vec(),
                    vec![format!("ECDSA_SHA_{}", hash.output_len() * 8)],
                ),
                Some(Signer::Rsa(pair)) => (
                    AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(pair.public_key())
                        .expect("exports")
                        .as_ref()
                        .to_vec(),
                    ["PKCS1_V1_5", "PSS"]
                        .iter()
                        .flat_map(|padding| {
                            [256, 384, 512].map(|bits| format!("RSASSA_{padding}_SHA_{bits}"))
                        })
                        .collect(),
                ),
                Some(Signer::MlDsa(_, pair, _)) => (
                    AsDer::<aws_lc_rs::encoding::PublicKeyX509Der<'_>>::as_der(pair.public_key())
                        .expect("exports")
                        .as_ref()
                        .to_vec(),
                    vec!["ML_DSA_SHAKE_256".to_owned()],
                ),
            };
            Ok(
                json!({"KeyId": arn(region, &key.id), "PublicKey": STANDARD.encode(der), "KeyUsage": "SIGN_VERIFY",
                      "SigningAlgorithms": algorithms}),
            )
        }
        "Sign" => {
            let key = find(key_id)?;
            usable(key)?;
            let message = bytes("Message");
            let wanted = parameters["SigningAlgorithm"].as_str().unwrap_or_default();
            if let Some(Signer::MlDsa(set, _, seed)) = &key.signer {
                if (wanted, &parameters["MessageType"])
                    != ("ML_DSA_SHAKE_256", &json!("EXTERNAL_MU"))
                {
                    return refuse(
                        "ValidationException",
                        "this stand-in signs representatives only",
                    );
                }
                let Ok(mu) = message.as_slice().try_into() else {
                    return refuse("ValidationException", "EXTERNAL_MU has 64 bytes");
                };
                let signature = sign_representative(*set, *seed, mu);
                return Ok(
                    json!({"KeyId": arn(region, &key.id), "Signature": STANDARD.encode(signature), "SigningAlgorithm": wanted}),
                );
            }
            if parameters["MessageType"] != "DIGEST" {
                return refuse("ValidationException", "this stand-in signs digests only");
            }
            let hash = match wanted.rsplit('_').next() {
                Some("256") => &digest::SHA256,
                Some("384") => &digest::SHA384,
                Some("512") => &digest::SHA512,
                _ => return refuse("ValidationException", "no such algorithm"),
            };
            if message.len() != hash.output_len() {
                return refuse(
                    "ValidationException",
                    "Digest is invalid length for algorithm",
                );
            }
            let message = digest::Digest::import_less_safe(&message, hash).expect("length checked");
            let signature = match &key.signer {
                Some(Signer::Ec(pair, _, own)) if wanted.starts_with("ECDSA") && *own == hash => {
                    pair.sign_digest(&message).expect("signs").as_ref().to_vec()
                }
                Some(Signer::Rsa(pair)) if wanted.starts_with("RSASSA") => {
                    let mut signature = vec![0; pair.public_modulus_len()];
                    pair.sign_digest(rsa_encoding(wanted), &message, &mut signature)
                        .expect("signs");
                    signature
                }
                _ => {
                    return refuse(
                        "InvalidKeyUsageException",
                        format!("{wanted} is not for this key"),
                    );
                }
            };
            Ok(
                json!({"KeyId": arn(region, &key.id), "Signature": STANDARD.encode(signature), "SigningAlgorithm": wanted}),
            )
        }
        other => refuse("UnknownOperationException", other),
    }
}

fn rsa_encoding(name: &str) -> &'static dyn RsaEncoding {
    match name {
        "RSASSA_PKCS1_V1_5_SHA_256" => &signature::RSA_PKCS1_SHA256,
        "RSASSA_PKCS1_V1_5_SHA_384" => &signature::RSA_PKCS1_SHA384,
        "RSASSA_PKCS1_V1_5_SHA_512" => &signature::RSA_PKCS1_SHA512,
        "RSASSA_PSS_SHA_256" => &signature::RSA_PSS_SHA256,
        "RSASSA_PSS_SHA_384" => &signature::RSA_PSS_SHA384,
        _ => &signature::RSA_PSS_SHA512,
    }
}

fn cipher(key: &Key) -> LessSafeKey {
    LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key.material).expect("32 bytes"))
}
