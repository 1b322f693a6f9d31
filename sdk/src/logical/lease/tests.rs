use super::*;
use crate::testing::FixedSystem;

const MOUNT: MountTimes = MountTimes {
    default: hours(2),
    max: hours(10),
};

const fn hours(hours: u64) -> Duration {
    Duration::from_secs(hours * 3600)
}

fn role(ttl: u64, max_ttl: u64) -> LeaseTimes {
    LeaseTimes {
        ttl: hours(ttl),
        max_ttl: hours(max_ttl),
        ..LeaseTimes::default()
    }
}

/// Hours granted of a lease of an age, and the limit, and how many warnings.
fn granted(role: LeaseTimes, asked: u64, age: u64) -> Option<(u64, u64, usize)> {
    let issued = UNIX_EPOCH + hours(500_000);
    let now = issued + hours(age);
    let granted = calculate_ttl(&role, MOUNT, hours(asked), issued, now).ok()?;
    let in_hours = |time: Duration| time.as_secs() / 3600;
    Some((
        in_hours(granted.ttl),
        in_hours(granted.max_ttl),
        granted.warnings.len(),
    ))
}

#[test]
fn the_nearest_that_says_a_time_is_heard_and_the_least_limit_holds() {
    assert_eq!(granted(role(0, 0), 0, 0), Some((2, 10, 0)));
    assert_eq!(granted(role(3, 0), 0, 0), Some((3, 10, 0)));
    assert_eq!(granted(role(3, 0), 4, 0), Some((4, 10, 0)));
    assert_eq!(granted(role(3, 5), 9, 0), Some((5, 5, 1)));
    assert_eq!(granted(role(0, 1), 0, 0), Some((1, 1, 1)));
    assert_eq!(granted(role(20, 30), 0, 0), Some((10, 10, 1)));
    let explicit = LeaseTimes {
        explicit_max_ttl: hours(4),
        ..role(6, 8)
    };
    assert_eq!(granted(explicit, 0, 0), Some((4, 4, 1)));
}

#[test]
fn the_limit_counts_from_the_issue() {
    assert_eq!(granted(role(3, 5), 0, 2), Some((3, 5, 0)));
    assert_eq!(granted(role(3, 5), 0, 4), Some((1, 5, 1)));
    assert_eq!(granted(role(3, 5), 0, 5), Some((0, 5, 1)));
    assert_eq!(granted(role(3, 5), 0, 6), None);
    assert_eq!(granted(role(0, 0), 0, 11), None);
}

#[test]
fn a_period_has_no_end_unless_it_is_said() {
    let periodic = LeaseTimes {
        period: hours(3),
        ..role(1, 0)
    };
    assert_eq!(granted(periodic, 7, 400), Some((3, 10, 0)));
    let long = LeaseTimes {
        period: hours(30),
        ..periodic
    };
    assert_eq!(granted(long, 0, 400), Some((10, 10, 1)));
    let ends = LeaseTimes {
        explicit_max_ttl: hours(8),
        ..periodic
    };
    assert_eq!(granted(ends, 0, 4), Some((3, 8, 0)));
    assert_eq!(granted(ends, 0, 6), Some((2, 8, 1)));
    assert_eq!(granted(ends, 0, 9), None);
}

#[test]
fn parts_of_a_second_are_left_out_and_a_clock_that_went_back_is_no_age() {
    let role = LeaseTimes {
        ttl: Duration::from_millis(2900),
        ..LeaseTimes::default()
    };
    let issued = UNIX_EPOCH + hours(1);
    let granted = calculate_ttl(&role, MOUNT, Duration::ZERO, issued, UNIX_EPOCH).unwrap();
    assert_eq!(granted.ttl, Duration::from_secs(2));
    let nothing = MountTimes {
        max: Duration::ZERO,
        ..MOUNT
    };
    let none = LeaseTimes::default();
    assert!(calculate_ttl(&none, nothing, Duration::ZERO, issued, issued).is_err());
}

#[tokio::test]
async fn a_renewal_is_what_the_client_asks_for_within_the_limit() {
    let system = FixedSystem::new().lease_ttls(hours(2), hours(10));
    let now = system.now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let lease = LeaseContext {
        increment: hours(4),
        issued_at: i64::try_from(now - 3600).ok(),
        ..LeaseContext::default()
    };
    let granted = role(1, 3).renew(&system, &lease).await.unwrap();
    assert_eq!(
        (granted.ttl, granted.max_ttl, granted.warnings),
        (
            hours(2),
            hours(3),
            vec![
                "the TTL of 4h0m0s is longer than what is left of the limit, and was cut to 2h0m0s"
                    .to_owned()
            ]
        )
    );
    let lease = LeaseContext::default();
    let granted = role(0, 0).renew(&system, &lease).await.unwrap();
    assert_eq!((granted.ttl, granted.max_ttl), (hours(2), hours(10)));
}

#[test]
fn a_lease_comes_back_with_its_kind_and_goes_on_as_it_was() {
    let lease = Lease::of("user", &serde_json::json!({ "name": "ann" })).unwrap();
    assert!(lease.renewable && !lease.clone().not_renewable().renewable);
    let context = LeaseContext {
        renewable: true,
        internal: lease.internal.clone(),
        ..LeaseContext::default()
    };
    assert_eq!(context.kind(), "user");
    assert_eq!(context.renewed().internal, lease.internal);
    assert_eq!(LeaseContext::default().kind(), "");
    assert!(Lease::of("user", &1).is_err());
}
