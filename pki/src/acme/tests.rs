use std::time::Duration;

use super::*;
use crate::ext::{ExtKeyUsage, Extension, GeneralNames};
use crate::issue::AiaUrls;
use crate::testing::{self, Authority};
use crate::{KeySpec, PrivateKey, Subject};

const DAY: u64 = 24 * 3600;

const MOUNT: MountTtl = MountTtl {
    default: Duration::from_secs(30 * DAY),
    max: Duration::from_secs(400 * DAY),
};

struct Bench {
    authority: Authority,
    key: PrivateKey,
}

impl Bench {
    fn new() -> Self {
        Self {
            authority: testing::root("Test Root", "ec", 256),
            key: PrivateKey::generate(KeySpec::parse("ec", 256).unwrap()).unwrap(),
        }
    }

    fn issuer(&self, behavior: LeafNotAfter) -> Issuer {
        Issuer::new(
            self.authority.certificate.clone(),
            &AiaUrls::default(),
            behavior,
        )
    }

    fn csr(&self, subject: Subject, dns: &[&str], extensions: &[Extension]) -> Csr {
        let names = GeneralNames {
            dns: list(dns),
            ..GeneralNames::default()
        };
        Csr::build(
            subject.to_name(),
            &names,
            extensions,
            testing::algorithm(&self.key),
            &self.key,
        )
        .unwrap()
    }

    fn make(
        &self,
        role: Option<&Settings>,
        csr: &Csr,
        dns: &[&str],
        mount: MountTtl,
    ) -> Result<Certificate, String> {
        let dns = list(dns);
        let request = AcmeRequest {
            csr,
            dns: &dns,
            ips: &[],
            mount,
        };
        let rules = profile(role, false, testing::now()).unwrap();
        let issuer = self.issuer(LeafNotAfter::Permit);
        let serial = SerialNumber::random().unwrap();
        let prepared = prepare(&rules, &issuer, &request, testing::now(), serial)
            .map_err(|e| e.to_string())?;
        Ok(prepared.sign(&self.authority.key).unwrap())
    }
}

fn list(items: &[&str]) -> Vec<String> {
    items.iter().map(ToString::to_string).collect()
}

fn named(name: &str) -> Subject {
    Subject {
        common_name: name.to_owned(),
        ..Subject::default()
    }
}

fn days(certificate: &Certificate) -> i64 {
    certificate
        .not_after()
        .duration_since(testing::now())
        .as_secs()
        / DAY.cast_signed()
}

#[test]
fn names_are_the_orders_and_the_rest_of_the_request_is_left_out() {
    let bench = Bench::new();
    let subject = Subject {
        serial_number: "12345".into(),
        user_ids: list(&["root"]),
        ..named("a.test")
    };
    let extra = [Extension::ext_key_usage(&[ExtKeyUsage::ClientAuth.oid()])];
    let csr = bench.csr(subject, &["a.test", "b.test"], &extra);
    // As if somebody had forgotten to hold the request against the order.
    let leaf = bench.make(None, &csr, &["a.test"], MOUNT).unwrap();
    assert_eq!(leaf.dns_names(), ["a.test"]);
    assert_eq!(leaf.subject().to_string(), "CN=a.test");
    assert_eq!(leaf.ext_key_usage(), [ExtKeyUsage::ServerAuth.oid()]);
}

#[test]
fn a_certificate_lasts_ninety_days_at_most() {
    let bench = Bench::new();
    let csr = bench.csr(Subject::default(), &["a.test"], &[]);
    let role = |ttl: u64, max_ttl: u64, not_after: &str| Settings {
        ttl: Duration::from_secs(ttl * DAY),
        max_ttl: Duration::from_secs(max_ttl * DAY),
        not_after: not_after.into(),
        ..Settings::open()
    };
    let long = MountTtl {
        default: Duration::from_secs(200 * DAY),
        ..MOUNT
    };
    for (role, mount, expected) in [
        (None, MOUNT, 30),
        (None, long, 90),
        (Some(role(7, 0, "")), MOUNT, 7),
        (Some(role(200, 0, "")), MOUNT, 90),
        (Some(role(200, 300, "")), MOUNT, 90),
        (Some(role(0, 5, "")), MOUNT, 5),
        (Some(role(0, 0, "2026-12-02T12:00:00Z")), MOUNT, 10),
        (Some(role(0, 0, "2036-12-02T12:00:00Z")), MOUNT, 30),
    ] {
        let leaf = bench.make(role.as_ref(), &csr, &["a.test"], mount).unwrap();
        assert_eq!(days(&leaf), expected, "{role:?}");
    }
}

#[test]
fn an_end_beyond_that_of_the_issuer_is_cut() {
    let bench = Bench::new();
    let csr = bench.csr(Subject::default(), &["a.test"], &[]);
    let dns = list(&["a.test"]);
    let request = AcmeRequest {
        csr: &csr,
        dns: &dns,
        ips: &[],
        mount: MOUNT,
    };
    let rules = profile(None, false, testing::now()).unwrap();
    for behavior in [
        LeafNotAfter::Err,
        LeafNotAfter::AlwaysErr,
        LeafNotAfter::Truncate,
        LeafNotAfter::Permit,
    ] {
        let issuer = bench.issuer(behavior);
        let prepared = prepare(
            &rules,
            &issuer,
            &request,
            testing::now(),
            SerialNumber::random().unwrap(),
        )
        .unwrap();
        let leaf = prepared.sign(&bench.authority.key).unwrap();
        let cut = leaf.not_after() == bench.authority.certificate.not_after();
        assert_eq!(cut, behavior != LeafNotAfter::Permit, "{behavior:?}");
    }
}

#[test]
fn a_role_gets_the_common_name_that_it_wants() {
    let bench = Bench::new();
    let wants = Settings {
        require_cn: true,
        ..Settings::open()
    };
    let long = format!("{}.test", "a".repeat(62));
    let none = bench.csr(Subject::default(), &["a.test"], &[]);
    for (dns, expected) in [
        (&["b.test", "a.test"][..], "b.test"),
        (&["b.test", "*.a.test"], "*.a.test"),
        (&[long.as_str(), "a.test"], "a.test"),
    ] {
        let leaf = bench.make(Some(&wants), &none, dns, MOUNT).unwrap();
        assert_eq!(leaf.subject().common_name().as_deref(), Some(expected));
    }
    let leaf = bench
        .make(
            Some(&wants),
            &bench.csr(named("A.test"), &[], &[]),
            &["b.test", "a.test"],
            MOUNT,
        )
        .unwrap();
    assert_eq!(leaf.subject().common_name().as_deref(), Some("a.test"));
    // What the role does not admit is refused here too.
    let narrow = Settings {
        allowed_domains: list(&["example.com"]),
        key_type: "any".into(),
        ..Settings::default()
    };
    assert!(
        bench
            .make(Some(&narrow), &none, &["a.test"], MOUNT)
            .is_err()
    );
}

#[test]
fn a_request_fits_an_order_when_it_names_the_same() {
    let bench = Bench::new();
    let fits = |csr: &Csr, dns: &[&str]| {
        check_names(csr, &list(dns), &[]).map_err(|misfit| misfit.to_string())
    };
    let two = bench.csr(named("B.test"), &["A.test"], &[]);
    assert_eq!(fits(&two, &["a.test", "b.test"]), Ok(()));
    assert!(
        fits(&two, &["a.test"])
            .unwrap_err()
            .contains("Order (1) and CSR (2)")
    );
    assert!(
        fits(&two, &["a.test", "c.test"])
            .unwrap_err()
            .ends_with("missing order DNS identifier c.test")
    );
    let ca = bench.csr(
        Subject::default(),
        &["a.test"],
        &[Extension::basic_constraints(true, None)],
    );
    assert!(
        fits(&ca, &["a.test"])
            .unwrap_err()
            .contains("CA set to true")
    );
    let mail = GeneralNames {
        emails: list(&["a@b.test"]),
        ..GeneralNames::default()
    };
    let mail = Csr::build(
        Subject::default().to_name(),
        &mail,
        &[],
        testing::algorithm(&bench.key),
        &bench.key,
    )
    .unwrap();
    assert!(fits(&mail, &[]).unwrap_err().contains("unsupported SAN"));
    let address = bench.csr(named("10.0.0.1"), &[], &[]);
    assert_eq!(
        check_names(&address, &[], &["10.0.0.1".parse().unwrap()]),
        Ok(())
    );
}
