//! The commands that AWS's helper has for a look at certificate and key.

use super::*;

/// The two commands by which AWS's helper shows a certificate and tries a key,
/// judged by a library that others wrote.
#[test]
fn what_the_helper_shows_is_shown_alike() {
    let call = |arguments: &[&str]| run(Command::new(BINARY).env_clear().args(arguments));
    let judge = "
import sys, json, hashlib
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
certificate = x509.load_pem_x509_certificate(open(sys.argv[1], 'rb').read())
shown, signature = json.loads(sys.argv[2]), bytes.fromhex(json.loads(sys.argv[3]))
import base64
assert base64.b64decode(shown['certificateData']) == certificate.public_bytes(Encoding.DER)
assert shown['serialNumber'] == str(certificate.serial_number)
key, hash = certificate.public_key(), getattr(hashes, sys.argv[4])()
if isinstance(key, ec.EllipticCurvePublicKey):
    kind, public = 'EC', key.public_bytes(Encoding.X962, PublicFormat.UncompressedPoint)
else:
    kind, public = 'RSA', key.public_bytes(Encoding.DER, PublicFormat.PKCS1)
assert shown['keyType'] == kind
assert shown['supportedAlgorithms'] == [kind + 'SHA256', kind + 'SHA384', kind + 'SHA512']
text = b'AWS Roles Anywhere Credential Helper Signing Test1' + hashlib.sha256(b'IAM RA' + public).digest()
if kind == 'EC':
    key.verify(signature, text, ec.ECDSA(hash))
else:
    key.verify(signature, text, padding.PKCS1v15(), hash)
print('right')
";
    let dir = tempfile::tempdir().expect("a folder");
    let path = |name: &str| dir.path().join(name).display().to_string();
    p384_pair(&path("p384.key"), &path("p384.pem"));
    let rsa = (data("pki/rsa-leaf.crt"), data("pki/rsa-leaf.key"));
    let ec = (data("pki/ec-leaf.crt"), data("pki/ec-leaf.key"));
    let p384 = (path("p384.pem"), path("p384.key"));
    for ((certificate, key), digest) in [
        (&rsa, "SHA256"),
        (&rsa, "SHA384"),
        (&rsa, "SHA512"),
        (&ec, "SHA256"),
        (&p384, "SHA384"),
    ] {
        let shown = text(&call(&[
            "read-certificate-data",
            "--certificate",
            certificate,
        ]));
        let sign = ["sign-string", "--private-key", key, "--digest", digest];
        let signature = text(&call(&sign));
        let judged = Python::run(
            "python",
            &["-c", judge, certificate, &shown, &signature, digest],
        );
        assert_eq!(judged, (true, "right\n".to_owned()), "{key} {digest}");
    }

    // The three forms are one signature; RSA's is the same each time.
    let sign = |format: &str| {
        let arguments = ["sign-string", "--private-key", &rsa.1, "--format", format];
        let output = call(&arguments);
        assert!(output.status.success(), "{}", said(&output));
        output.stdout
    };
    let hex = String::from_utf8(sign("text")).expect("hex");
    assert_eq!(sign("json"), format!("\"{hex}\"").into_bytes());
    let octets: String = sign("bin").iter().map(|b| format!("{b:02x}")).collect();
    assert_eq!(octets, hex);

    for (arguments, code, part) in [
        (
            &["sign-string", "--private-key", &ec.1, "--digest", "SHA512"][..],
            1,
            "P-256 signs with SHA256",
        ),
        (
            &["sign-string", "--private-key", &ec.0],
            1,
            "no private key",
        ),
        (&["sign-string", "--digest", "MD5"], 2, "--digest"),
        (
            &["read-certificate-data", "--certificate", &ec.1],
            1,
            "certificate",
        ),
    ] {
        let output = call(arguments);
        assert_eq!(output.status.code(), Some(code), "{arguments:?}");
        assert!(output.stdout.is_empty(), "{arguments:?}");
        assert!(said(&output).contains(part), "{}", said(&output));
    }
}

/// What the helper takes and landfast does not is named with the reason, and Go's forms
/// of a switch are taken.
#[test]
fn flags_of_the_helper_are_taken_or_refused_with_a_reason() {
    let node = Node::new(&[]);
    let ask = |more: &[&str]| run(node.session("credential-process").args(more));
    text(&ask(&[
        "--no-cache=true",
        "--with-proxy=false",
        "--debug=F",
    ]));
    for (flags, part) in [
        (
            &["--cert-selector", "Key=x509Subject"][..],
            "--cert-selector: certificate stores",
        ),
        (
            &["--system-store-name", "MY"],
            "--system-store-name: certificate stores",
        ),
        (
            &["--use-latest-expiring-certificate=true"],
            "certificate stores",
        ),
        (&["--pkcs11-lib", "/x.so"], "--pkcs11-lib: keys in PKCS#11"),
        (&["--reuse-pin"], "--reuse-pin: keys in PKCS#11"),
        (
            &["--tpm-key-password", "hunter2"],
            "--tpm-key-password: keys in PKCS#11",
        ),
        (&["--no-tpm-key-password"], "keys in PKCS#11"),
        (&["--pkcs8-password", "hunter2"], "--pkcs8-password-file"),
    ] {
        let output = ask(flags);
        assert_eq!(
            output.status.code(),
            Some(2),
            "{flags:?}: {}",
            said(&output)
        );
        assert!(said(&output).contains(part), "{flags:?}: {}", said(&output));
        assert!(!said(&output).contains("hunter2"), "{}", said(&output));
    }
    let version = text(&run(Command::new(BINARY).arg("version")));
    assert_eq!(version.trim(), env!("CARGO_PKG_VERSION"));
}

/// A session is an hour long unless somebody says otherwise, whatever the profile
/// allows: a role that allows no more would refuse the rest.
#[test]
fn a_session_is_an_hour_long_unless_told() {
    let node = Node::new(&["--duration", "43200"]);
    let life = |more: &[&str]| {
        let output = run(node
            .session("credential-process")
            .arg("--no-cache")
            .args(more));
        let document: Value = serde_json::from_str(&text(&output)).expect("JSON");
        let end: jiff::Timestamp = document["Expiration"]
            .as_str()
            .expect("a text")
            .parse()
            .expect("a time");
        end.duration_since(jiff::Timestamp::now()).as_secs()
    };
    let usual = life(&[]);
    assert!((3000..=3600).contains(&usual), "{usual}");
    let long = life(&["--session-duration", "43200"]);
    assert!((42_000..=43_200).contains(&long), "{long}");
}

/// A certificate's file that holds the key as well, as helper users have it.
#[test]
fn the_key_may_lie_in_the_certificates_file() {
    let node = Node::new(&[]);
    let read = |name: &str| fs::read_to_string(data(name)).expect("the test data");
    let both = node.path("both.pem");
    let content = read("pki/rsa-leaf.crt") + &read("pki/rsa-leaf.key");
    fs::write(&both, content).expect("a fresh folder");
    fs::set_permissions(&both, fs::Permissions::from_mode(0o600)).expect("our own file");
    let mut command = Command::new(BINARY);
    command
        .env_clear()
        .args(["credential-process", "--no-cache", "--certificate"])
        .arg(&both)
        .args(["--role-session-name", NODE])
        .args(["--endpoint", node.lab.text("endpoint")])
        .args(["--trust-anchor-arn", node.lab.text("trustAnchorArn")])
        .args(["--profile-arn", node.lab.text("profileArn")])
        .args(["--role-arn", node.lab.text("roleArn")]);
    assert!(text(&run(&mut command)).contains("ASIALAB"));
}
