//! Small certificate authorities for the tests of the path table.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use landfast_pki::crl::Crl;
use landfast_pki::ext::{self, Extension, GeneralNames, KeyUsage};
use landfast_pki::name::Subject;
use landfast_pki::{
    Certificate, KeyEncoding, KeySpec, PrivateKey, SerialNumber, SignatureAlgorithm, Template,
};
use landfast_plugin::{FixedClock, Mount};
use landfast_sdk::testing::{Fault, FaultyStorage, FixedSystem, Harness, HttpReply, MemoryStorage};
use serde_json::json;

/// A certificate with its key.
pub(crate) struct Pair {
    pub(crate) certificate: Certificate,
    pub(crate) key: PrivateKey,
}

impl Pair {
    /// Certificate and key as one PEM text.
    pub(crate) fn bundle(&self) -> String {
        format!("{}{}", self.certificate.pem(), self.key_pem())
    }

    pub(crate) fn key_pem(&self) -> String {
        self.key
            .to_pem(KeyEncoding::Traditional)
            .unwrap()
            .expose()
            .clone()
    }

    pub(crate) fn serial(&self) -> String {
        self.certificate.serial().colon()
    }

    /// Stores the certificate as issuing it would.
    pub(crate) async fn store(&self, mount: &Harness<Mount>) {
        use landfast_sdk::logical::Storage;
        let key = format!("certs/{}", self.certificate.serial().dash());
        mount
            .storage()
            .put(&key, self.certificate.der().to_vec())
            .await
            .unwrap();
    }
}

pub(crate) fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

pub(crate) fn key(kind: &str) -> PrivateKey {
    PrivateKey::generate(KeySpec::parse(kind, 0).unwrap()).unwrap()
}

/// A self-signed CA with a P-256 key.
pub(crate) fn root(name: &str) -> Pair {
    root_with(name, key("ec"))
}

pub(crate) fn root_with(name: &str, key: PrivateKey) -> Pair {
    let template = template(
        name,
        &key,
        &key,
        ca_usage(),
        true,
        SignedDuration::from_hours(24 * 365),
    );
    let subject = template.subject.clone();
    let certificate = template
        .prepare(&subject, algorithm(&key))
        .unwrap()
        .sign(&key)
        .unwrap();
    Pair { certificate, key }
}

/// As [`root`], with a certificate that does not say by which identifier its key is known.
pub(crate) fn root_without_key_id(name: &str) -> Pair {
    let key = key("ec");
    let life = SignedDuration::from_hours(24 * 365);
    let mut template = template(name, &key, &key, ca_usage(), true, life);
    template
        .extensions
        .retain(|one| ![ext::id::SUBJECT_KEY_ID, ext::id::AUTHORITY_KEY_ID].contains(&one.oid));
    let subject = template.subject.clone();
    let certificate = template
        .prepare(&subject, algorithm(&key))
        .unwrap()
        .sign(&key)
        .unwrap();
    Pair { certificate, key }
}

/// A CA signed by `parent`.
pub(crate) fn intermediate(name: &str, parent: &Pair) -> Pair {
    let key = key("ec");
    signed(
        name,
        key,
        parent,
        ca_usage(),
        true,
        SignedDuration::from_hours(24 * 30),
    )
}

/// A leaf signed by `parent`, valid for a day.
pub(crate) fn leaf(name: &str, parent: &Pair) -> Pair {
    leaf_for(name, parent, SignedDuration::from_hours(24))
}

pub(crate) fn leaf_for(name: &str, parent: &Pair, life: SignedDuration) -> Pair {
    signed(
        name,
        key("ec"),
        parent,
        KeyUsage::DIGITAL_SIGNATURE,
        false,
        life,
    )
}

pub(crate) fn signed(
    name: &str,
    key: PrivateKey,
    parent: &Pair,
    usage: KeyUsage,
    ca: bool,
    life: SignedDuration,
) -> Pair {
    let certificate = template(name, &key, &parent.key, usage, ca, life)
        .prepare(parent.certificate.subject(), algorithm(&parent.key))
        .unwrap()
        .sign(&parent.key)
        .unwrap();
    Pair { certificate, key }
}

pub(crate) fn ca_usage() -> KeyUsage {
    KeyUsage::CERT_SIGN | KeyUsage::CRL_SIGN
}

fn template(
    name: &str,
    key: &PrivateKey,
    signer: &PrivateKey,
    usage: KeyUsage,
    ca: bool,
    life: SignedDuration,
) -> Template {
    let mut extensions = vec![Extension::key_usage(usage)];
    if ca {
        extensions.push(Extension::basic_constraints(true, None));
    }
    extensions.push(Extension::subject_key_id(&key.public_key().ski()));
    extensions.push(Extension::authority_key_id(&signer.public_key().ski()));
    let names = GeneralNames {
        dns: vec![name.to_owned()],
        ..GeneralNames::default()
    };
    extensions.push(Extension::subject_alt_name(&names, false));
    Template {
        serial: SerialNumber::random().unwrap(),
        subject: Subject::common_name(name).to_name(),
        not_before: now() - SignedDuration::from_hours(48),
        not_after: now() + life,
        public_key: key.public_key().clone(),
        extensions,
    }
}

fn algorithm(key: &PrivateKey) -> SignatureAlgorithm {
    SignatureAlgorithm::choose(key.public_key(), 0, false)
        .unwrap()
        .algorithm
}

/// A mount whose clock stands at [`now`].
pub(crate) async fn mount() -> Harness<Mount> {
    at(started(Harness::<Mount>::builder()).await, now())
}

pub(crate) async fn started(builder: landfast_sdk::testing::HarnessBuilder) -> Harness<Mount> {
    let ten_years = Duration::from_secs(10 * 365 * 24 * 3600);
    let system = FixedSystem::new().lease_ttls(Duration::from_secs(768 * 3600), ten_years);
    builder.mount("pki").system(system).start().await.unwrap()
}

/// The mount with its clock set. Only the first setting counts, so a later time needs [`later`].
pub(crate) fn at(mount: Harness<Mount>, time: Timestamp) -> Harness<Mount> {
    mount.backend().use_clock(Arc::new(FixedClock(time)));
    mount
}

/// The same mount after a restart at another time.
pub(crate) async fn later(mount: Harness<Mount>, time: Timestamp) -> Harness<Mount> {
    at(mount.reload().await, time)
}

/// Imports certificate and key, and answers with the issuer's id.
pub(crate) async fn adopt(mount: &Harness<Mount>, pair: &Pair) -> String {
    let reply = mount
        .update(
            "issuers/import/bundle",
            json!({ "pem_bundle": pair.bundle() }),
        )
        .await;
    assert_eq!(reply.status, 200, "{reply:?}");
    let imported = &reply.data["imported_issuers"];
    imported[0]
        .as_str()
        .unwrap_or_else(|| panic!("nothing imported: {reply:?}"))
        .to_owned()
}

pub(crate) fn ok(reply: HttpReply) -> HttpReply {
    assert!((200..300).contains(&reply.status), "{reply:?}");
    reply
}

#[track_caller]
pub(crate) fn refused(reply: &HttpReply, status: u16, text: &str) {
    assert_eq!((reply.status, reply.error()), (status, text));
}

/// The CRL at a path.
pub(crate) async fn crl(mount: &Harness<Mount>, path: &str) -> Crl {
    let reply = mount.read(path).await;
    assert_eq!(
        (reply.status, reply.content_type.as_str()),
        (200, "application/pkix-crl"),
        "{reply:?}"
    );
    Crl::from_der(&reply.raw.unwrap()).unwrap()
}

/// The serial numbers on a CRL.
pub(crate) fn listed(crl: &Crl) -> BTreeSet<String> {
    crl.entries().map(|entry| entry.serial.colon()).collect()
}

/// One serial number, as [`listed`] has them.
pub(crate) fn one(serial: &str) -> BTreeSet<String> {
    BTreeSet::from([serial.to_owned()])
}

const FAULTS: [Fault; 2] = [Fault::Before, Fault::After];

/// A mount on storage with or without transactions.
pub(crate) async fn on(transactions: bool) -> Harness<Mount> {
    let memory = if transactions {
        MemoryStorage::new()
    } else {
        MemoryStorage::new().without_transactions()
    };
    at(
        started(Harness::<Mount>::builder().storage(FaultyStorage::over(memory))).await,
        now(),
    )
}

/// Does `request` with the fault at every write that it makes, one run each, until a run has none left to hit. After each run the
/// mount is loaded anew on healed storage and handed to `check` with the answer.
pub(crate) async fn at_every_write<S, R, C>(
    prepare: impl Fn(bool) -> S,
    request: impl Fn(Harness<Mount>) -> R,
    check: impl Fn(Harness<Mount>, HttpReply) -> C,
) where
    S: Future<Output = Harness<Mount>>,
    R: Future<Output = (Harness<Mount>, HttpReply)>,
    C: Future<Output = ()>,
{
    for transactions in [true, false] {
        for fault in FAULTS {
            let mut hits = 0;
            loop {
                let mount = prepare(transactions).await;
                mount.storage().fail_at(hits + 1, fault);
                let (mount, reply) = request(mount).await;
                let struck = mount.storage().struck();
                mount.storage().heal();
                check(at(mount.reload().await, now()), reply).await;
                if !struck {
                    break;
                }
                hits += 1;
            }
            assert!(hits > 0, "the request wrote nothing");
        }
    }
}
