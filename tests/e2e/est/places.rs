//! In front of a standby, and of mounts and logins in a namespace.

use std::time::Duration;

use serde_json::json;

use super::clients::Device;
use super::front::{Front, MOUNTS};
use crate::support::{Client, until};

/// Enrolment, renewal and what is refused, many times over: a node that is behind another one has moments in which it knows less.
fn enrols_renews_and_refuses<S>(front: &Front<S>, client: &Client, place: &str) {
    const TIMES: usize = 8;
    for label in MOUNTS
        .iter()
        .flat_map(|mount| [(*mount).to_owned(), format!("{mount}-unstored")])
    {
        let mount = label.trim_end_matches("-unstored");
        let [root] = &front.curl(&label, "cacerts", &[]).certificates(200)[..] else {
            panic!("one authority of {label}")
        };
        let two = Device::new(front, "two.example.com");
        for _ in 0..TIMES {
            let one = Device::new(front, "one.example.com").enrolled(front, &label);
            let pem = std::fs::read_to_string(&one.certificate).expect("it was kept");
            assert_eq!(front.files.verify(&pem, "", root, None), Ok(()));
            let renewed = front.post(
                &label,
                "simplereenroll",
                &one.request(&one.name),
                &one.shown(),
            );
            let renewed = &renewed.certificates(200)[0];
            assert_eq!(front.files.verify(renewed, "", root, None), Ok(()));
            // Nobody gets the name of another.
            let foreign = two.request(&two.name);
            let answer = front.post(&label, "simpleenroll", &foreign, &one.shown());
            answer.is(400, "two.example.com not allowed by this role");
        }
        // Once for each label: the servers lock out who is wrong five times.
        let wrong = ["--user", "one.example.com:wrong"];
        front
            .post(&label, "simpleenroll", &two.request(&two.name), &wrong)
            .is(401, "the login was refused");
        let one = Device::new(front, "one.example.com").enrolled(front, &label);
        let pem = std::fs::read_to_string(&one.certificate).expect("it was kept");
        client
            .write(
                &format!("{place}{mount}/revoke"),
                json!({"certificate": pem}),
            )
            .ok();
        let answer = front.post(
            &label,
            "simplereenroll",
            &one.request(&one.name),
            &one.shown(),
        );
        answer.is(403, "is revoked");
    }
}

#[test]
fn devices_enrol_and_renew_where_the_first_address_is_a_standby() {
    let front = Front::before_a_standby(true);
    let active = front.server.client(0);
    enrols_renews_and_refuses(&front, &active, "");
}

#[test]
fn a_standby_alone_takes_passwords_and_its_front_says_what_certificates_want() {
    let front = Front::before_a_standby(false);
    for label in MOUNTS {
        for _ in 0..20 {
            Device::new(&front, "one.example.com").enrolled(&front, label);
        }
        let one = Device::new(&front, "one.example.com").enrolled(&front, label);
        // The server passes a login on without the certificate: the device is not told that it is wrong.
        let answer = front.post(
            label,
            "simplereenroll",
            &one.request(&one.name),
            &one.shown(),
        );
        answer.is(503, "try again later");
        until("the reason", Duration::from_secs(20), || {
            front
                .said()
                .contains("see server.other_nodes")
                .then_some(())
        });
    }
}

#[test]
fn a_cluster_that_lost_its_active_node_goes_on() {
    let mut front = Front::before_a_standby(true);
    let one = Device::new(&front, "one.example.com").enrolled(&front, "landfst");
    // Two nodes elect nobody when one is gone, so it steps down and comes back.
    front
        .server
        .client(0)
        .write("sys/step-down", json!({}))
        .ok();
    let renewed = until("a renewal", Duration::from_secs(60), || {
        let request = one.request(&one.name);
        let answer = front.post("landfst", "simplereenroll", &request, &one.shown());
        assert!(matches!(answer.status, 200 | 503), "{}", answer.status);
        (answer.status == 200).then(|| answer.certificates(200))
    });
    assert_eq!(renewed.len(), 1);
    // What is public outlives a node.
    let active = front.server.active();
    let known = front.curl("landfst", "cacerts", &[]);
    front.server.kill(1 - active);
    let still = front.curl("landfst", "cacerts", &[]);
    still.is(200, "");
    assert_eq!(still.body, known.body);
}

#[test]
fn devices_enrol_and_renew_in_a_namespace() {
    let front = Front::in_a_namespace();
    let client = front.server.client();
    enrols_renews_and_refuses(&front, &client, "team/inner/");
    for mount in MOUNTS {
        let signed = front.audited(&format!("{mount}/sign/device"));
        let entry = signed.last().expect("the server's log has it");
        assert_eq!(
            entry["request"]["namespace"]["path"], "team/inner/",
            "{entry}"
        );
    }
}
