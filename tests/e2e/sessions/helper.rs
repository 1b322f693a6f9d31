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
