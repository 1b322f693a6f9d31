//! OCSP answers of a key in the service: what they cost, and what a flood of questions takes from others.

use base64::Engine as _;
use landfast_pki::{CertStatus, OcspFailure, OcspRequest, OcspTemplate, SerialNumber};
use tokio::task::JoinSet;

use super::*;
use crate::ocsp::{Refusal, answer};

/// A request in DER about a serial number of at most 100 octets, with hashes by SHA-1.
fn question(ca: &Certificate, serial: &SerialNumber) -> Vec<u8> {
    let tlv = |tag: u8, value: &[u8]| [&[tag, u8::try_from(value.len()).unwrap()], value].concat();
    let mut number = serial.as_bytes().to_vec();
    if number[0] >= 0x80 {
        number.insert(0, 0);
    }
    let id = [
        vec![0x30, 9, 6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0],
        tlv(4, &landfast_base::sha1(ca.subject().der())),
        tlv(4, &landfast_base::sha1(ca.public_key().key_bits())),
        tlv(2, &number),
    ]
    .concat();
    (0..5).fold(id, |inner, _| tlv(0x30, &inner))
}

async fn ask(mount: &Harness<Mount>, question: &[u8]) -> HttpReply {
    let text = base64::engine::general_purpose::STANDARD.encode(question);
    mount.read(&format!("ocsp/{text}")).await
}

async fn issued(mount: &Harness<Mount>) -> SerialNumber {
    let serial = ok(leaf(mount).await).data["serial_number"].clone();
    SerialNumber::parse(serial.as_str().unwrap()).unwrap()
}

/// Whether the answer says so; the algorithm is the one of its CRLs.
fn says(reply: &HttpReply, ca: &Certificate, question: &[u8], status: CertStatus, pss: bool) {
    let der = reply.raw.as_ref().expect("a raw answer");
    let request = OcspRequest::from_der(question).unwrap();
    let now = Timestamp::now();
    let template = OcspTemplate {
        request: &request,
        responder: ca,
        status,
        this_update: now,
        next_update: None,
    };
    let algorithm = SignatureAlgorithm::choose(ca.public_key(), 0, pss)
        .unwrap()
        .algorithm;
    let like = template.prepare(algorithm);
    // The single response up to its times is the same octet for octet.
    let until = like.tbs().len() - 17;
    let start = until - 25;
    let piece = &like.tbs()[start..until];
    assert!(
        der.windows(piece.len()).any(|window| window == piece),
        "{status:?}: {der:02x?}"
    );
    let identifier = algorithm.identifier();
    assert!(
        der.windows(identifier.len())
            .any(|window| window == identifier),
        "{algorithm}"
    );
}

use jiff::Timestamp;

#[tokio::test]
async fn an_answer_costs_one_signature_until_something_changes() {
    for (kind, bits, pss) in [
        ("ec", 256, false),
        ("ec", 384, false),
        ("rsa", 2048, false),
        ("mldsa", 65, false),
    ] {
        let service = service(kind, bits);
        let mount = mount(&service).await;
        let ca = root(&mount).await;
        let serial = issued(&mount).await;
        let question = question(&ca, &serial);
        service.take_calls();
        for _ in 0..5 {
            let reply = ask(&mount, &question).await;
            assert_eq!(reply.status, 200);
            says(&reply, &ca, &question, CertStatus::Good, pss);
        }
        assert_eq!(service.take_calls(), ["Sign"]);
        // Issuing changes no answer.
        ok(leaf(&mount).await);
        assert_eq!(ask(&mount, &question).await.status, 200);
        assert_eq!(service.take_calls(), ["Sign"]);

        for (path, body) in [
            ("config/crl", json!({ "ocsp_expiry": "1h" })),
            ("issuer/default", json!({ "issuer_name": "renamed" })),
            ("revoke", json!({ "serial_number": serial.colon() })),
        ] {
            ok(mount.update(path, body).await);
            service.take_calls();
            assert_eq!(ask(&mount, &question).await.status, 200);
            assert_eq!(ask(&mount, &question).await.status, 200);
            assert_eq!(service.take_calls(), ["Sign"], "{path}");
        }
        let reply = ask(&mount, &question).await;
        let revoked = mount.read(&format!("cert/{}", serial.colon())).await;
        let since = Timestamp::from_second(revoked.data["revocation_time"].as_i64().unwrap());
        says(
            &reply,
            &ca,
            &question,
            CertStatus::Revoked(since.unwrap(), None),
            pss,
        );
        // Another node of the cluster writes: the host says so.
        mount.backend().invalidate("config/crl");
        assert_eq!(ask(&mount, &question).await.status, 200);
        assert_eq!(service.take_calls(), ["Sign"]);
        ok(mount
            .update("config/crl", json!({ "ocsp_disable": true }))
            .await);
        service.take_calls();
        assert_eq!(ask(&mount, &question).await.status, 401);
        assert_eq!(service.take_calls(), [""; 0]);
    }
}

#[tokio::test]
async fn a_key_that_signs_its_crls_with_pss_signs_answers_so() {
    let service = service("rsa", 2048);
    let mount = mount(&service).await;
    let ca = pss_root(&mount).await;
    let question = question(&ca, &SerialNumber::from_bytes(&[5]));
    let reply = ask(&mount, &question).await;
    let pss = SignatureAlgorithm::RsaPss(landfast_pki::Hash::Sha384).identifier();
    let der = reply.raw.expect("a raw answer");
    assert!(der.windows(pss.len()).any(|window| window == pss));
}

#[tokio::test]
async fn a_service_that_is_away_means_try_later_in_bounded_time() {
    let service = service("ec", 256);
    let mount = mount(&service).await;
    let ca = root(&mount).await;
    let question = question(&ca, &issued(&mount).await);
    for (mood, status, failure) in [
        (Mood::Throttles, 503, OcspFailure::TryLater),
        (Mood::Hangs, 503, OcspFailure::TryLater),
        (Mood::Refuses, 500, OcspFailure::InternalError),
        (Mood::Lies, 500, OcspFailure::InternalError),
    ] {
        service.be(mood);
        let start = std::time::Instant::now();
        let reply = ask(&mount, &question).await;
        assert_eq!(
            (reply.status, reply.raw.as_deref()),
            (status, Some(&failure.der()[..])),
            "{mood:?}"
        );
        assert!(start.elapsed() < Duration::from_secs(5));
    }
    service.be(Mood::Well);
    assert_eq!(ask(&mount, &question).await.status, 200);
    // What is kept is given although the service is away.
    service.be(Mood::Hangs);
    assert_eq!(ask(&mount, &question).await.status, 200);
}

#[tokio::test]
async fn a_flood_of_questions_leaves_most_signatures_for_issuing() {
    let service = service("ec", 256);
    let mount = mount(&service).await;
    let ca = root(&mount).await;
    let known = issued(&mount).await;
    service.take_calls();
    service.be(Mood::Slow);
    let mut flood = JoinSet::new();
    for _ in 0..300 {
        let backend = Arc::clone(mount.backend());
        let question = question(&ca, &SerialNumber::random().unwrap());
        flood.spawn(async move {
            answer(&backend, &question)
                .await
                .map_err(|refusal| match refusal {
                    Refusal::Error(error) => passes(&error),
                    Refusal::Failure(_) => false,
                })
        });
    }
    tokio::task::yield_now().await;
    // One after the other, amid the flood.
    for _ in 0..5 {
        let start = std::time::Instant::now();
        ok(leaf(&mount).await);
        let reply = ask(&mount, &question(&ca, &known)).await;
        assert_eq!(
            reply.status, 200,
            "a certificate that is on record has a queue of its own"
        );
        assert!(
            start.elapsed() < Duration::from_secs(1),
            "{:?}",
            start.elapsed()
        );
    }
    let answers = flood.join_all().await;
    let answered = answers.iter().filter(|answer| answer.is_ok()).count();
    assert!(
        answers.iter().all(|answer| !matches!(answer, Err(false))),
        "all others may try later"
    );
    // A sixteenth of 16 at a time, 30 ms each, for as long as a question waits; the rest cost nothing.
    assert!((1..=70).contains(&answered), "{answered}");
    let signatures = service.take_calls().len();
    assert!(
        signatures <= answered + 5 + 1 + 5,
        "{signatures} for {answered}"
    );
}

#[tokio::test]
async fn clients_that_ask_the_same_at_once_share_a_signature() {
    let service = service("ec", 256);
    let mount = mount(&service).await;
    let ca = root(&mount).await;
    let question = question(&ca, &issued(&mount).await);
    service.take_calls();
    service.be(Mood::Slow);
    let mut clients = JoinSet::new();
    for _ in 0..60 {
        let (backend, question) = (Arc::clone(mount.backend()), question.clone());
        clients.spawn(async move { answer(&backend, &question).await.is_ok() });
    }
    assert!(
        clients
            .join_all()
            .await
            .into_iter()
            .all(|answered| answered)
    );
    // No more than may sign at a time.
    let signatures = service.take_calls().len();
    assert!((1..=4).contains(&signatures), "{signatures}");
}

#[tokio::test]
async fn who_hangs_up_gets_no_more_signatures_than_who_waits() {
    let service = service("ec", 256);
    let mount = mount(&service).await;
    let ca = root(&mount).await;
    let question = question(&ca, &issued(&mount).await);
    service.take_calls();
    service.be(Mood::Slow);
    for _ in 0..3 {
        tokio::select! {
            reply = ask(&mount, &question) => assert_eq!(reply.status, 200),
            () = tokio::task::yield_now() => {}
        }
        mount.idle().await;
    }
    assert_eq!(service.take_calls(), ["Sign"]);
}
