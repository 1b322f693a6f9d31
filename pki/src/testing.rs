//! What the tests of this crate share: small certificate authorities and other people's readers.

use std::io::Write;
use std::process::{Command, Stdio};

use jiff::{Timestamp, ToSpan};

use crate::ext::{Extension, GeneralNames, KeyUsage};
use crate::key::{KeySpec, PrivateKey, PublicKey};
use crate::name::Subject;
use crate::sign::{SignatureAlgorithm, Signer};
use crate::{Certificate, SerialNumber, Template};

/// A certificate with its key.
pub(crate) struct Authority {
    pub(crate) certificate: Certificate,
    pub(crate) key: PrivateKey,
}

pub(crate) fn now() -> Timestamp {
    "2026-11-22T12:00:00Z".parse().unwrap()
}

pub(crate) fn algorithm(key: &PrivateKey) -> SignatureAlgorithm {
    SignatureAlgorithm::choose(key.public_key(), 0, false)
        .unwrap()
        .algorithm
}

pub(crate) fn template(name: &str, key: &PublicKey, extensions: Vec<Extension>) -> Template {
    Template {
        serial: SerialNumber::random().unwrap(),
        subject: Subject::common_name(name).to_name(),
        not_before: now(),
        not_after: now().checked_add(24.hours()).unwrap(),
        public_key: key.clone(),
        extensions,
    }
}

pub(crate) fn root(name: &str, kind: &str, bits: u32) -> Authority {
    let key = PrivateKey::generate(KeySpec::parse(kind, bits).unwrap()).unwrap();
    let ski = key.public_key().ski();
    let extensions = vec![
        Extension::key_usage(KeyUsage::CERT_SIGN | KeyUsage::CRL_SIGN),
        Extension::basic_constraints(true, None),
        Extension::subject_key_id(&ski),
        Extension::authority_key_id(&ski),
    ];
    let template = template(name, key.public_key(), extensions);
    let subject = template.subject.clone();
    let certificate = template
        .prepare(&subject, algorithm(&key))
        .unwrap()
        .sign(&key)
        .unwrap();
    Authority { certificate, key }
}

/// A CA certificate for a key, signed by another one.
pub(crate) fn subordinate(issuer: &Authority, name: &str, key: &PublicKey) -> Certificate {
    let extensions = vec![
        Extension::key_usage(KeyUsage::CERT_SIGN | KeyUsage::CRL_SIGN),
        Extension::basic_constraints(true, None),
        Extension::subject_key_id(&key.ski()),
        Extension::authority_key_id(issuer.certificate.ski().unwrap()),
    ];
    let prepared = template(name, key, extensions);
    prepared
        .prepare(issuer.certificate.subject(), algorithm(&issuer.key))
        .unwrap()
        .sign(&issuer.key)
        .unwrap()
}

pub(crate) fn leaf(issuer: &Authority, name: &str, key: &PublicKey) -> Certificate {
    let names = GeneralNames {
        dns: vec![name.to_owned()],
        ..GeneralNames::default()
    };
    let extensions = vec![
        Extension::key_usage(KeyUsage::DIGITAL_SIGNATURE | KeyUsage::KEY_AGREEMENT),
        Extension::ext_key_usage(&[
            crate::ExtKeyUsage::ServerAuth.oid(),
            crate::ExtKeyUsage::ClientAuth.oid(),
        ]),
        Extension::subject_key_id(&key.ski()),
        Extension::authority_key_id(issuer.certificate.ski().unwrap()),
        Extension::subject_alt_name(&names, false),
    ];
    let prepared = template(name, key, extensions);
    prepared
        .prepare(issuer.certificate.subject(), algorithm(&issuer.key))
        .unwrap()
        .sign(&issuer.key)
        .unwrap()
}

/// Runs the `openssl` command, which these tests need, and gives its standard output.
pub(crate) fn openssl(arguments: &[&str], input: &[u8]) -> Vec<u8> {
    let (status, output, errors) = openssl_status(arguments, input);
    assert!(status, "openssl {arguments:?}: {errors}");
    output
}

/// Like [`openssl`], but failure is an answer too.
pub(crate) fn openssl_status(arguments: &[&str], input: &[u8]) -> (bool, Vec<u8>, String) {
    let mut child = Command::new("openssl")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("these tests need the openssl command");
    let mut stdin = child.stdin.take().expect("it was piped");
    let input = input.to_vec();
    let writer = std::thread::spawn(move || {
        // A reader that has seen enough closes its end: no failure of ours.
        let _ = stdin.write_all(&input);
    });
    let output = child.wait_with_output().expect("the child was started");
    writer.join().expect("the writer does not panic");
    (
        output.status.success(),
        output.stdout,
        String::from_utf8_lossy(&output.stderr).into_owned(),
    )
}

/// A file that openssl can be pointed at, removed when dropped.
pub(crate) fn file(content: &[u8]) -> tempfile::NamedTempFile {
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(content).unwrap();
    file
}

mod hostile;
mod openbao;
mod readers;
