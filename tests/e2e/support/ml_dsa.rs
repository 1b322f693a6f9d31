//! ML-DSA keys, requests and certificates by Python's cryptography: a second opinion, which openssl 3.0 does not have.

use std::fs;
use std::path::PathBuf;

use tempfile::TempDir;

use super::Python;

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

    /// Verifies certificates and CRLs (PEM) and OCSP answers (DER) as signed by `issuer`, requests as signed by themselves; answers with what each says.
    ///
    /// # Panics
    /// When one is not.
    pub(crate) fn check(&self, issuer: &str, things: &[&[u8]]) -> String {
        let mut arguments = vec!["check".to_owned(), self.file("issuer.pem", issuer)];
        let files = things.iter().enumerate();
        arguments.extend(files.map(|(at, thing)| self.file(&format!("checked-{at}"), thing)));
        let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        self.run(&arguments)
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
