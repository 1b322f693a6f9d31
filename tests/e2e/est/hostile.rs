//! Devices that want what is another's, and people that want the server to fall.

use std::time::Duration;

use serde_json::json;

use super::clients::Device;
use super::front::{Front, MOUNTS};
use crate::support::{Release, until};

#[test]
fn nobody_gets_the_name_of_another() {
    let front = Front::new(Release::Current);
    for mount in MOUNTS {
        let one = Device::new(&front, "one.example.com").enrolled(&front, mount);
        let two = Device::new(&front, "two.example.com").enrolled(&front, mount);
        let foreign = one.request("two.example.com");
        // By its own password, by its own certificate: the role of the server refuses.
        for login in [&["--user", &one.basic()][..], &one.shown()[..]] {
            let answer = front.post(mount, "simpleenroll", &foreign, login);
            answer.is(400, "two.example.com not allowed by this role");
        }
        // As a renewal of its own certificate: the names differ.
        front
            .post(mount, "simplereenroll", &foreign, &one.shown())
            .is(400, "the subject of the request");
        let more = one.request_for(
            "/CN=one.example.com",
            Some("subjectAltName=DNS:one.example.com,DNS:two.example.com"),
        );
        front
            .post(mount, "simplereenroll", &more, &one.shown())
            .is(400, "the alternative names of the request");
        let fewer = one.request_for("/CN=one.example.com", None);
        front
            .post(mount, "simplereenroll", &fewer, &one.shown())
            .is(400, "the alternative names of the request");
        // A public certificate of another device without its key.
        let stolen = ["--cert", two.shown()[1], "--key", one.shown()[3]];
        let refused = front
            .try_curl(mount, "simplereenroll", &stolen)
            .expect_err("no such pair");
        assert!(refused.contains("key"), "{refused}");
        // Its certificate in the header that the front server itself sends.
        let pem = std::fs::read_to_string(&two.certificate).expect("it was kept");
        let line: String = pem.lines().filter(|line| !line.contains("-----")).collect();
        let header = format!("Client-Cert: :{line}:");
        front
            .post(mount, "simplereenroll", &foreign, &["-H", &header])
            .is(403, "to be renewed");
        let answer = front.post(mount, "simpleenroll", &foreign, &["-H", &header]);
        answer.is(401, "log in by HTTP Basic");
        let answer = front.post(
            mount,
            "simpleenroll",
            &foreign,
            &[&["-H", &header], &one.shown()[..]].concat(),
        );
        answer.is(400, "two.example.com not allowed by this role");
        // Without a password, by a wrong one, by one without rights.
        front
            .post(mount, "simpleenroll", &foreign, &[])
            .is(401, "log in by HTTP Basic");
        let answer = front.post(
            mount,
            "simpleenroll",
            &foreign,
            &["--user", "one.example.com:no-such-secret"],
        );
        answer.is(401, "the login was refused");
        assert!(answer.head.contains("Basic realm"), "{}", answer.head);
        let nobody = "nobody.example.com:secret-of-nobody";
        front
            .post(mount, "simpleenroll", &foreign, &["--user", nobody])
            .is(403, "do not allow to enrol");
        let answer = front.post(
            mount,
            "simpleenroll",
            &foreign,
            &["--digest", "--user", "one.example.com:x"],
        );
        assert_eq!(answer.status, 401);
    }
    assert!(!front.said().contains("no-such-secret"), "{}", front.said());
}

#[test]
fn certificates_of_others_open_nothing() {
    let front = Front::new(Release::Current);
    let [theirs, ours] = MOUNTS;
    // Of the other mount: its authority is trusted by TLS here, and by the login; but it is not renewed by this one.
    let one = Device::new(&front, "one.example.com").enrolled(&front, theirs);
    front
        .post(
            ours,
            "simplereenroll",
            &one.request(&one.name),
            &one.shown(),
        )
        .is(403, "none of this authority");
    assert_eq!(
        front
            .post(
                theirs,
                "simplereenroll",
                &one.request(&one.name),
                &one.shown()
            )
            .certificates(200)
            .len(),
        1
    );
    // A forged one ends in the handshake.
    let (certificate, key) = front.files.leaf("one.example.com");
    let forged = Device {
        name: one.name,
        key: front.files.file("forged.key", key),
        certificate: front.files.file("forged.crt", certificate),
    };
    let refused = front
        .try_curl(ours, "cacerts", &forged.shown())
        .expect_err("the handshake fails");
    assert!(refused.contains("alert"), "{refused}");
    until("its line", Duration::from_secs(20), || {
        let said = front.said();
        let told = |line: &str| {
            line.contains("\"operation\":\"handshake\"") && line.contains("UnknownIssuer")
        };
        said.lines().any(told).then_some(())
    });
    // An authority that the front server trusts, and the server does not.
    let client = front.server.client();
    for mount in MOUNTS {
        let root = client
            .read(&format!("{theirs}/cert/ca"))
            .ok()
            .text("certificate");
        let body = json!({"certificate": root, "token_policies": "est", "token_ttl": "1m"});
        client.write(&format!("auth/cert/certs/{mount}"), body).ok();
    }
    let two = Device::new(&front, "two.example.com").enrolled(&front, ours);
    let answer = front.post(
        ours,
        "simplereenroll",
        &two.request(&two.name),
        &two.shown(),
    );
    answer.is(403, "does not take this certificate for a login");
}

#[test]
fn what_is_no_request_is_refused_at_once() {
    let front = Front::new(Release::Current);
    let one = Device::new(&front, "one.example.com");
    let request = one.request(&one.name);
    let basic = one.basic();
    let login = ["--user", basic.as_str()];
    let raw = |body: &[u8]| front.post_raw("landfst", "simpleenroll", body, &login);
    raw(b"!!!").is(400, "not base64");
    raw(&request).is(400, "not base64");
    raw(b"").is(400, "empty");
    raw(b"MIIB").is(400, "no PKCS#10");
    raw(b"-----BEGIN CERTIFICATE REQUEST-----\nMIIB\n").is(400, "PEM");
    raw(&vec![b'A'; 65 * 1024]).is(413, "too large");
    raw(&vec![b'A'; 30 * 1024 * 1024]).is(413, "too large");
    let typed = |kind: &str| {
        let header = format!("Content-Type: {kind}");
        front.post(
            "landfst",
            "simpleenroll",
            &request,
            &[&login[..], &["-H", &header]].concat(),
        )
    };
    typed("application/x-www-form-urlencoded").is(415, "application/pkcs10");
    assert_eq!(
        typed("application/pkcs10; charset=utf-8")
            .certificates(200)
            .len(),
        1
    );
    // Broken in each octet: never a certificate for anything that openssl would not have made, and never an end of the server.
    for at in (0..request.len()).step_by(7) {
        let mut broken = request.clone();
        broken[at] ^= 0x41;
        let answer = front.post("landfst", "simpleenroll", &broken, &login);
        assert_eq!(
            answer.status,
            400,
            "octet {at}: {}",
            String::from_utf8_lossy(&answer.body)
        );
    }
    for label in ["other", "landfst%2f..", "..", "landfst/landfst"] {
        let answer = front.curl(label, "cacerts", &["--path-as-is"]);
        assert_eq!(answer.status, 404, "{label}");
    }
    front
        .curl("landfst", "fullcmc", &["-X", "POST"])
        .is(404, "");
    front
        .curl("landfst", "cacerts", &["-X", "PUT"])
        .is(405, "GET only");
    // A name that is a path of the server.
    for name in ["../../sys/seal", "a/b", ".."] {
        let answer = front.post(
            "landfst",
            "simpleenroll",
            &request,
            &["--user", &format!("{name}:x")],
        );
        answer.is(401, "not that of HTTP Basic");
    }
    front.curl("landfst", "cacerts", &[]).is(200, "");
}
