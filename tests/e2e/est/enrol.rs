//! Enrolment with a password, and what is public.

use std::process::Command;
use std::time::Duration;

use serde_json::json;

use super::clients::{Device, ran_with};
use super::front::{Front, MOUNTS};
use crate::support::{Release, until};

/// What holds in front of every server.
fn enrols_on(release: Release) {
    let front = Front::new(release);
    let roots = &front.roots;
    for mount in MOUNTS {
        let answer = front.curl(mount, "cacerts", &[]);
        assert!(
            answer
                .head
                .contains("application/pkcs7-mime; smime-type=certs-only"),
            "{}",
            answer.head
        );
        let [root] = &answer.certificates(200)[..] else {
            panic!("one authority of {mount}")
        };
        assert!(roots.contains(root.trim()), "{root}");

        let one = Device::new(&front, "one.example.com").enrolled(&front, mount);
        let certificate = std::fs::read_to_string(&one.certificate).expect("it was kept");
        assert_eq!(front.files.verify(&certificate, "", root, None), Ok(()));
        let text = front.files.text("x509", &certificate);
        assert!(
            text.contains("DNS:one.example.com") && text.contains("CN = one.example.com"),
            "{text}"
        );

        // The server knows who asked and from where, and nothing of it stays.
        let signed = front.audited(&format!("{mount}/sign/device"));
        let entry = signed.last().expect("the server's log has it");
        assert_eq!(
            entry["auth"]["display_name"], "userpass-one.example.com",
            "{entry}"
        );
        assert_eq!(entry["request"]["remote_address"], "127.0.0.1", "{entry}");
        assert!(!front.audited("auth/token/revoke-self").is_empty());

        // The same by a client of other code, whose base64 has line breaks.
        let answer = front.python(json!({
            "operation": "simpleenroll", "label": mount, "login": one.basic(), "name": one.name,
        }));
        assert_eq!(answer["status"], 200, "{answer}");
        let certificate = answer["certificates"][0].as_str().expect("PEM");
        assert_eq!(front.files.verify(certificate, "", root, None), Ok(()));
    }
    let two = Device::new(&front, "two.example.com");
    let printed = front.strongswan(&two.request(&two.name), &["--userpass", &two.basic()]);
    let certificate = printed.expect("strongSwan enrols");
    assert_eq!(front.files.verify(&certificate, "", roots, None), Ok(()));
    let said = front.said();
    for secret in ["secret-of-", "hvs.", "s.", "hvb."].map(|secret| format!("\"{secret}")) {
        assert!(!said.contains(&secret), "{said}");
    }
    assert!(!said.contains("secret-of"), "{said}");
}

#[test]
fn devices_enrol_by_password_with_three_clients() {
    enrols_on(Release::Current);
}

#[test]
fn devices_enrol_in_front_of_the_release_before() {
    enrols_on(Release::Previous);
}

#[test]
fn wishes_keys_of_the_server_and_other_logins() {
    let front = Front::new(Release::Current);
    for mount in MOUNTS {
        let answer = front.curl(mount, "csrattrs", &[]);
        answer.is(200, "");
        assert!(
            answer.head.contains("application/csrattrs"),
            "{}",
            answer.head
        );
        let der = ran_with(
            Command::new("openssl").args(["base64", "-d", "-A"]),
            &answer.body,
        );
        let text = ran_with(
            Command::new("openssl").args(["asn1parse", "-inform", "DER"]),
            &der,
        );
        let text = String::from_utf8_lossy(&text);
        assert!(
            text.contains("prime256v1") && text.contains("Subject Alternative Name"),
            "{text}"
        );

        // The script holds the key against the certificate.
        let answer = front.python(json!({
            "operation": "serverkeygen", "label": mount, "login": "one.example.com:secret-of-one.example.com", "name": "one.example.com",
        }));
        assert_eq!(answer["status"], 200, "{answer}");
        let certificate = answer["certificates"][0].as_str().expect("PEM");
        let text = front.files.text("x509", certificate);
        assert!(text.contains("DNS:one.example.com"), "{text}");
        let unstored = format!("{mount}-unstored");
        let answer = front.python(json!({
            "operation": "serverkeygen", "label": unstored, "login": "one.example.com:secret-of-one.example.com", "name": "one.example.com",
        }));
        assert_eq!(answer["status"], 403, "{answer}");
    }
    // No wishes are no content.
    front.curl("approle", "csrattrs", &[]).is(204, "");

    let client = front.server.client();
    let role = json!({"token_policies": "est", "token_type": "batch", "token_ttl": "1m"});
    client.write("auth/approle/role/plotter", role).ok();
    let open = json!({"allowed_domains": "plotter.example.com", "allow_bare_domains": true, "key_type": "ec"});
    client.write("landfst/roles/device", open).ok();
    let id = client
        .read("auth/approle/role/plotter/role-id")
        .ok()
        .text("role_id");
    let secret = client
        .write("auth/approle/role/plotter/secret-id", json!({}))
        .ok()
        .text("secret_id");
    let plotter = Device::new(&front, "plotter.example.com");
    let request = plotter.request(&plotter.name);
    let answer = front.post(
        "approle",
        "simpleenroll",
        &request,
        &["--user", &format!("{id}:{secret}")],
    );
    assert_eq!(answer.certificates(200).len(), 1);
    let answer = front.post(
        "approle",
        "simpleenroll",
        &request,
        &["--user", &format!("{id}:{id}")],
    );
    answer.is(401, "the login was refused");
    assert!(!front.said().contains(&secret), "{}", front.said());
}

#[test]
fn a_server_that_is_sealed_is_waited_for() {
    let mut front = Front::new(Release::Current);
    let one = Device::new(&front, "one.example.com").enrolled(&front, "landfst");
    let request = one.request(&one.name);
    let known = front.curl("landfst", "cacerts", &[]);
    known.is(200, "");
    front.server.crash_and_start();
    let ask = |front: &Front| {
        front.post(
            "landfst",
            "simpleenroll",
            &request,
            &["--user", &one.basic()],
        )
    };
    let renew = |front: &Front| front.post("landfst", "simplereenroll", &request, &one.shown());
    for answer in [
        ask(&front),
        renew(&front),
        front.curl("builtin", "cacerts", &[]),
    ] {
        answer.is(503, "try again later");
        assert!(
            answer.head.to_lowercase().contains("retry-after: "),
            "{}",
            answer.head
        );
    }
    // What a label gave out before it gives out as long as the authority is valid.
    let still = front.curl("landfst", "cacerts", &[]);
    still.is(200, "");
    assert_eq!(still.body, known.body);
    front.server.unseal();
    assert_eq!(ask(&front).certificates(200).len(), 1);
    assert_eq!(renew(&front).certificates(200).len(), 1);
    let roots = until("the other label", Duration::from_secs(20), || {
        let answer = front.curl("builtin", "cacerts", &[]);
        (answer.status == 200).then(|| answer.certificates(200))
    });
    assert_eq!(roots.len(), 1);
}
