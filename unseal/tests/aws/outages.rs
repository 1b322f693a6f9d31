//! Faults of the service, and what goes on meanwhile.

use std::time::{Duration, Instant};

use landfast_unseal::Class;

use super::fake_aws::{ACCESS_KEY, FakeAws, Fault, MULTI_REGION_KEY, REGION, arn};
use super::{open, refusal};

#[tokio::test]
async fn passing_faults_are_retried_within_the_limits() {
    let fake = FakeAws::start().await;
    let seal = open(&fake, &[]).await;
    for fault in [
        Fault::Error("ThrottlingException", 400),
        Fault::Error("KMSInternalException", 500),
        Fault::Error("KeyUnavailableException", 400),
        Fault::Error("DependencyTimeoutException", 503),
        Fault::Reset,
        Fault::Hang,
    ] {
        fake.take_operations();
        fake.fail("Encrypt", fault.clone(), 2);
        seal.encrypt(b"x", b"")
            .await
            .unwrap_or_else(|error| panic!("{fault:?}: {error}"));
        assert_eq!(fake.take_operations().len(), 3, "{fault:?}");
    }
}

#[tokio::test]
async fn lasting_faults_end_in_bounded_time_with_their_class() {
    let fake = FakeAws::start().await;
    let seal = open(&fake, &[]).await;
    let blob = seal.encrypt(b"x", b"").await.expect("encrypts");
    for (fault, class, attempts) in [
        (
            Fault::Error("ThrottlingException", 400),
            Class::Throttled,
            4,
        ),
        (Fault::Error("KMSInternalException", 500), Class::Outage, 4),
        (
            Fault::Error("AccessDeniedException", 400),
            Class::Refused,
            1,
        ),
        (Fault::Error("DisabledException", 400), Class::Refused, 1),
        (
            Fault::Error("KMSInvalidStateException", 400),
            Class::Refused,
            1,
        ),
        (Fault::Error("NotFoundException", 400), Class::Refused, 1),
        (
            Fault::Error("InvalidCiphertextException", 400),
            Class::Data,
            1,
        ),
        (Fault::Error("IncorrectKeyException", 400), Class::Data, 1),
        (Fault::Hang, Class::Outage, 4),
        (Fault::Reset, Class::Outage, 4),
        (Fault::Garbage, Class::Outage, 4),
    ] {
        fake.take_operations();
        fake.fail("Decrypt", fault.clone(), usize::MAX);
        let began = Instant::now();
        let error = seal.decrypt(&blob, b"").await.expect_err("fails");
        assert!(
            began.elapsed() < Duration::from_secs(3),
            "{fault:?}: {:?}",
            began.elapsed()
        );
        assert_eq!(error.class(), class, "{fault:?}: {error}");
        assert!(fake.take_operations().len() <= attempts, "{fault:?}");
        fake.heal();
    }
    assert!(seal.decrypt(&blob, b"").await.is_ok(), "recovers by itself");
}

#[tokio::test]
async fn the_start_survives_an_outage_and_a_missing_look_up_permission() {
    let fake = FakeAws::start().await;
    let blob = open(&fake, &[])
        .await
        .encrypt(b"x", b"")
        .await
        .expect("encrypts");
    for fault in [
        Fault::Error("ThrottlingException", 400),
        Fault::Hang,
        Fault::Reset,
    ] {
        fake.fail("DescribeKey", fault, usize::MAX);
        let seal = open(&fake, &[]).await;
        assert_eq!(seal.key_id(), "alias/bao-unseal");
        assert_eq!(
            seal.decrypt(&blob, b"").await.expect("opens").expose(),
            b"x"
        );
        assert!(
            refusal(&fake, &[("start_without_kms", "false")])
                .await
                .class()
                .is_transient()
        );
        fake.heal();
    }
    fake.deny(ACCESS_KEY, "DescribeKey");
    assert!(open(&fake, &[]).await.decrypt(&blob, b"").await.is_ok());
    fake.heal();

    fake.take_operations();
    let blind = open(&fake, &[("key_not_required", "1"), ("kms_key_id", "")]).await;
    assert_eq!(fake.take_operations(), [""; 0]);
    assert!(blind.decrypt(&blob, b"").await.is_ok());
    assert!(
        blind
            .encrypt(b"x", b"")
            .await
            .expect_err("no key")
            .to_string()
            .contains("kms_key_id")
    );
}

#[tokio::test]
async fn an_unreachable_service_does_not_keep_the_server_down() {
    let fake = FakeAws::start().await;
    fake.stop();
    tokio::task::yield_now().await;
    let began = Instant::now();
    let seal = open(&fake, &[]).await;
    assert!(began.elapsed() < Duration::from_secs(3));
    let error = seal.encrypt(b"x", b"").await.expect_err("down");
    assert_eq!(error.class(), Class::Outage);
    assert!(error.to_string().contains("connection failed"), "{error}");
}

#[tokio::test]
async fn another_region_decrypts_while_the_first_is_out() {
    let fake = FakeAws::start().await;
    let fallbacks = format!("eu-west-1={url},us-east-1={url}", url = fake.url());
    let multi = [
        ("kms_key_id", MULTI_REGION_KEY),
        ("fallback_regions", fallbacks.as_str()),
    ];
    let seal = open(&fake, &[&multi[..], &[("strict_key", "true")]].concat()).await;
    let blob = seal.encrypt(b"x", b"").await.expect("encrypts");
    fake.fail_in(
        REGION,
        "Decrypt",
        Fault::Error("KMSInternalException", 500),
        usize::MAX,
    );
    fake.fail_in("eu-west-1", "Decrypt", Fault::Hang, usize::MAX);
    assert_eq!(
        seal.decrypt(&blob, b"")
            .await
            .expect("us-east-1 opens")
            .expose(),
        b"x"
    );
    let last = fake.calls().pop().expect("a call");
    assert_eq!(
        (last.region.as_str(), last.key_id),
        ("us-east-1", Some(arn("us-east-1", MULTI_REGION_KEY)))
    );

    // Encrypt stays at home, so that the key id does not wander, and a refusal is no outage.
    fake.fail_in(
        REGION,
        "Encrypt",
        Fault::Error("KMSInternalException", 500),
        usize::MAX,
    );
    assert_eq!(
        seal.encrypt(b"x", b"").await.expect_err("out").class(),
        Class::Outage
    );
    fake.heal();
    let other = seal.encrypt(b"y", b"").await.expect("encrypts");
    fake.take_operations();
    fake.set_state(MULTI_REGION_KEY, "Disabled");
    assert!(
        seal.decrypt(&other, b"")
            .await
            .expect_err("disabled")
            .to_string()
            .contains("DisabledException")
    );
    assert_eq!(fake.take_operations(), ["Decrypt"]);
    // What was opened a moment ago opens without asking, but only with the same additional data.
    assert_eq!(
        seal.decrypt(&blob, b"").await.expect("remembered").expose(),
        b"x"
    );
    assert!(seal.decrypt(&blob, b"other").await.is_err());
    assert_eq!(fake.take_operations(), [""; 0]);
}
