//! ML-DSA keys, requests and certificates by Python's cryptography, and further opinions on them by openssl and rustls-webpki.

use std::fs;
use std::path::PathBuf;
use std::process::Command;

use ::webpki::{Error, KeyUsage};
use landfast_pki::Certificate;
use tempfile::TempDir;

use super::webpki::webpki_verify_for;
use super::{Python, tools, webpki_verify};

/// What it is told to do; the commands stand at its head.
const PROGRAM: &str = include_str!("ml_dsa.py");

/// A folder of files for it.
pub(crate) struct MlDsa {
    dir: TempDir,
}

impl MlDsa {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("lf-mldsa-")
            .tempdir()
            .expect("a temporary folder");
        Self { dir }
    }

    /// A private key in PKCS#8, as PEM; `size` is 44, 65 or 87.
    pub(crate) fn key(&self, size: u32) -> String {
        self.run(&["key", &size.to_string()])
    }

    /// A request for a DNS name, signed by this key.
    pub(crate) fn csr(&self, key: &str, name: &str) -> String {
        let key = self.file("csr.key", key);
        self.run(&["csr", &key, name])
    }

    /// A self-signed CA certificate of this key.
    pub(crate) fn authority(&self, key: &str, name: &str) -> String {
        let key = self.file("authority.key", key);
        self.run(&["ca", &key, name])
    }

    /// Verifies certificates and CRLs (PEM) and OCSP answers (DER) as signed by `issuer`, requests as signed by themselves; answers with what each
    /// says. Python's cryptography and openssl look at each, rustls-webpki at leaves with each CRL.
    ///
    /// # Panics
    /// When one is not.
    pub(crate) fn check(&self, issuer: &str, things: &[&[u8]]) -> String {
        for thing in things {
            self.openssl_verifies(issuer, thing);
        }
        webpki_verifies(issuer, things);
        let mut arguments = vec!["check".to_owned(), self.file("issuer.pem", issuer)];
        let files = things.iter().enumerate();
        arguments.extend(files.map(|(at, thing)| self.file(&format!("checked-{at}"), thing)));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.run(&arguments)
    }

    /// By the openssl command with a library of 3.5 or later: the machine's, or the one that `make tools` fetched.
    fn openssl_verifies(&self, issuer: &str, thing: &[u8]) {
        let kind = kind(thing);
        let issuer = self.file("openssl-issuer.pem", issuer);
        let thing = self.file("openssl-thing", thing);
        let (arguments, good) = match kind {
            Kind::Certificate => (
                vec!["verify", "-partial_chain", "-CAfile", &issuer, &thing],
                ": OK",
            ),
            Kind::List => (
                vec!["crl", "-noout", "-CAfile", &issuer, "-in", &thing],
                "verify OK",
            ),
            Kind::Request => (vec!["req", "-noout", "-verify", "-in", &thing], "verify OK"),
            Kind::Answer => (
                vec![
                    "ocsp",
                    "-respin",
                    &thing,
                    "-verify_other",
                    &issuer,
                    "-CAfile",
                    &issuer,
                    "-partial_chain",
                ],
                "Response verify OK",
            ),
        };
        let mut openssl = Command::new("openssl");
        let library = tools().join("openssl");
        if library.exists() {
            openssl.env("LD_LIBRARY_PATH", library);
        }
        let output = openssl
            .env("OPENSSL_CONF", "/dev/null")
            .args(&arguments)
            .output()
            .expect("openssl runs");
        let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
        assert!(
            output.status.success() && said.contains(good),
            "openssl {arguments:?} (is it 3.5 or later? `make tools`): {said}"
        );
    }

    fn file(&self, name: &str, content: impl AsRef<[u8]>) -> String {
        let path: PathBuf = self.dir.path().join(name);
        fs::write(&path, content).expect("a file in a fresh folder");
        path.to_str().expect("a temporary path is text").to_owned()
    }

    fn run(&self, arguments: &[&str]) -> String {
        let program = self.file("ml_dsa.py", PROGRAM);
        let (good, said) = Python::run("python", &[&[program.as_str()], arguments].concat());
        assert!(good, "{arguments:?}: {said}");
        said
    }
}

/// What there is to verify.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Certificate,
    Request,
    List,
    Answer,
}

fn kind(thing: &[u8]) -> Kind {
    let text = String::from_utf8_lossy(thing);
    let starts = |label: &str| {
        text.trim_start()
            .starts_with(&format!("-----BEGIN {label}-----"))
    };
    if starts("CERTIFICATE") {
        Kind::Certificate
    } else if starts("CERTIFICATE REQUEST") {
        Kind::Request
    } else if starts("X509 CRL") {
        Kind::List
    } else {
        Kind::Answer
    }
}

/// Leaves below the issuer, alone and with each of its complete CRLs: rustls-webpki reads a CRL only for a certificate, and takes no delta CRLs.
fn webpki_verifies(issuer: &str, things: &[&[u8]]) {
    let text = |thing: &&[u8]| String::from_utf8_lossy(thing).into_owned();
    let of = |wanted: Kind| things.iter().filter(move |thing| kind(thing) == wanted);
    let leaf = |pem: &String| {
        let read = Certificate::from_pem(pem.as_bytes()).expect("a certificate");
        !read.is_ca()
    };
    let leaves: Vec<_> = of(Kind::Certificate).map(text).filter(leaf).collect();
    for leaf in &leaves {
        let verify = |list: Option<&str>| {
            // ACME's certificates are for servers alone.
            match webpki_verify(leaf, "", issuer, list) {
                Err(Error::RequiredEkuNotFoundContext(_)) => {
                    webpki_verify_for(KeyUsage::server_auth(), leaf, "", issuer, list)
                }
                other => other,
            }
        };
        verify(None).unwrap_or_else(|error| panic!("{error:?}: {leaf}"));
        for list in of(Kind::List).map(text) {
            match verify(Some(&list)) {
                Ok(()) | Err(Error::CertRevoked | Error::UnsupportedDeltaCrl) => {}
                Err(error) => panic!("{error:?}: {leaf}{list}"),
            }
        }
    }
}

/// An OCSP request (RFC 6960 section 4.1.1) about a certificate of the issuer, by SHA-1 as clients do it. openssl 3.0 cannot hash such a key.
pub(crate) fn ocsp_request(issuer: &str, certificate: &str) -> Vec<u8> {
    let [issuer, certificate] = [issuer, certificate]
        .map(|pem| landfast_pki::Certificate::from_pem(pem.as_bytes()).expect("a certificate"));
    let digest = |octets: &[u8]| {
        let digest =
            aws_lc_rs::digest::digest(&aws_lc_rs::digest::SHA1_FOR_LEGACY_USE_ONLY, octets);
        tlv(4, digest.as_ref())
    };
    let id = [
        tlv(0x30, &[6, 5, 0x2b, 0x0e, 3, 2, 0x1a, 5, 0]),
        digest(issuer.subject().der()),
        digest(issuer.public_key().key_bits()),
        tlv(2, certificate.serial().as_bytes()),
    ];
    // CertID, Request, the list of them, TBSRequest, OCSPRequest.
    (0..5).fold(id.concat(), |inner, _| tlv(0x30, &inner))
}

/// Tag, length and value in DER.
pub(crate) fn tlv(tag: u8, value: &[u8]) -> Vec<u8> {
    let length = match value.len() {
        short @ 0..128 => vec![short as u8],
        middle @ 128..256 => vec![0x81, middle as u8],
        long @ 256..65_536 => vec![0x82, (long >> 8) as u8, long as u8],
        longest => vec![
            0x83,
            (longest >> 16) as u8,
            (longest >> 8) as u8,
            longest as u8,
        ],
    };
    [&[tag], &length[..], value].concat()
}
