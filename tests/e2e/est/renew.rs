//! Renewal by the old certificate.

use serde_json::json;

use super::clients::Device;
use super::front::{Front, MOUNTS};
use crate::support::{Release, until};

fn renews_on(release: Release) {
    let front = Front::new(release);
    let roots = &front.roots;
    for label in MOUNTS
        .iter()
        .flat_map(|mount| [(*mount).to_owned(), format!("{mount}-unstored")])
    {
        let mut one = Device::new(&front, "one.example.com").enrolled(&front, &label);
        let serial = |device: &Device| {
            let pem = std::fs::read_to_string(&device.certificate).expect("it was kept");
            front.files.serial(&pem)
        };
        let first = serial(&one);
        // The same key, then another one.
        let answer = front.post(
            &label,
            "simplereenroll",
            &one.request(&one.name),
            &one.shown(),
        );
        one.keep(&answer.certificates(200)[0]);
        assert_ne!(serial(&one), first);
        let other = one.key.with_file_name("next.key");
        std::fs::write(&other, front.files.key_on("P-384", true)).expect("a file of ours");
        let next = Device {
            name: one.name.clone(),
            certificate: other.with_extension("crt"),
            key: other,
        };
        let answer = front.post(
            &label,
            "simplereenroll",
            &next.request(&one.name),
            &one.shown(),
        );
        next.keep(&answer.certificates(200)[0]);
        let pem = std::fs::read_to_string(&next.certificate).expect("it was kept");
        assert_eq!(front.files.verify(&pem, "", roots, None), Ok(()));
        one = next;
        // The script, which shows the certificate by other code.
        let answer = front.python(json!({
            "operation": "simplereenroll", "label": label, "name": one.name, "certificate": one.certificate, "key": one.key,
        }));
        assert_eq!(answer["status"], 200, "{answer}");

        // Who renewed stands in the server's log, by name.
        let role = if label.ends_with("unstored") {
            "unstored"
        } else {
            "device"
        };
        let mount = label.trim_end_matches("-unstored");
        let signed = front.audited(&format!("{mount}/sign/{role}"));
        let entry = signed.last().expect("the server's log has it");
        assert_eq!(
            entry["auth"]["metadata"]["common_name"], "one.example.com",
            "{entry}"
        );
    }
    let two = Device::new(&front, "two.example.com").enrolled(&front, "");
    let [_, certificate, _, key] = two.shown();
    let printed = front.strongswan(
        &two.request(&two.name),
        &["--cert", certificate, "--key", key],
    );
    assert_eq!(
        front
            .files
            .verify(&printed.expect("strongSwan renews"), "", roots, None),
        Ok(())
    );
}

#[test]
fn devices_renew_by_their_certificates_with_three_clients() {
    renews_on(Release::Current);
}

#[test]
fn devices_renew_in_front_of_the_release_before() {
    renews_on(Release::Previous);
}

#[test]
fn what_is_revoked_or_over_is_not_renewed() {
    let front = Front::new(Release::Current);
    let client = front.server.client();
    for label in MOUNTS
        .iter()
        .flat_map(|mount| [(*mount).to_owned(), format!("{mount}-unstored")])
    {
        let mount = label.trim_end_matches("-unstored");
        let one = Device::new(&front, "one.example.com").enrolled(&front, &label);
        let pem = std::fs::read_to_string(&one.certificate).expect("it was kept");
        client
            .write(&format!("{mount}/revoke"), json!({"certificate": pem}))
            .ok();
        for operation in ["simplereenroll", "simpleenroll"] {
            let answer = front.post(&label, operation, &one.request(&one.name), &one.shown());
            answer.is(403, "is revoked");
        }
    }
    // Ended a moment ago: TLS refuses it on a new connection.
    let short = json!({"allow_any_name": true, "key_type": "ec", "ttl": "2s", "no_store": true});
    client.write("landfst/roles/short", short).ok();
    let one = Device::new(&front, "one.example.com");
    let csr = front.files.file("short.csr", one.request(&one.name));
    let csr = super::clients::ran(
        std::process::Command::new("openssl")
            .args(["req", "-inform", "DER", "-in"])
            .arg(csr),
    );
    let csr = String::from_utf8(csr).expect("PEM is text");
    let signed = client.write("landfst/sign/short", json!({"csr": csr})).ok();
    one.keep(&signed.text("certificate"));
    let end = signed.data()["expiration"].as_i64().expect("a time");
    until("its end", std::time::Duration::from_secs(20), || {
        let now = std::time::SystemTime::now()
            .duration_since(std::time::UNIX_EPOCH)
            .expect("after 1970");
        (now.as_secs() as i64 > end + 1).then_some(())
    });
    let refused = front.try_curl(
        "landfst",
        "simplereenroll",
        &[&["-X", "POST"], &one.shown()[..]].concat(),
    );
    let refused = refused.expect_err("the handshake fails");
    assert!(refused.contains("alert"), "{refused}");
}
