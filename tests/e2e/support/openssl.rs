//! The openssl command as a second opinion on certificates, chains and CRLs.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

/// A folder of files for openssl, and the calls the tests need.
pub(crate) struct Openssl {
    dir: TempDir,
}

impl Openssl {
    pub(crate) fn new() -> Self {
        let dir = tempfile::Builder::new()
            .prefix("lf-ssl-")
            .tempdir()
            .expect("a temporary folder");
        Self { dir }
    }

    /// Writes a file and says where it is.
    pub(crate) fn file(&self, name: &str, text: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        fs::write(&path, text).expect("a file in a fresh folder");
        path
    }

    /// A key in a file of its own and a CSR for a name, as a node makes them.
    /// `algorithm` is what `openssl req -newkey` takes, such as `ec`.
    pub(crate) fn csr(&self, name: &str) -> String {
        let key = self.dir.path().join("node.key");
        let output = run(Command::new("openssl")
            .args(["req", "-new", "-newkey", "ec"])
            .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-batch"])
            .args(["-subj", &format!("/CN={name}")])
            .args(["-addext", &format!("subjectAltName=DNS:{name}")])
            .arg("-keyout")
            .arg(&key));
        assert!(output.status.success(), "openssl req: {}", said(&output));
        String::from_utf8(output.stdout).expect("a CSR is text")
    }

    /// Whether `leaf` chains to `roots` over `intermediates`.
    ///
    /// # Errors
    ///
    /// What openssl said against it.
    pub(crate) fn verify(
        &self,
        leaf: &str,
        intermediates: &str,
        roots: &str,
        crls: Option<&str>,
    ) -> Result<(), String> {
        let leaf = self.file("leaf.pem", leaf);
        let roots = self.file("roots.pem", roots);
        let mut command = Command::new("openssl");
        command
            .args(["verify", "-x509_strict", "-CAfile"])
            .arg(roots);
        if !intermediates.is_empty() {
            command
                .arg("-untrusted")
                .arg(self.file("intermediates.pem", intermediates));
        }
        if let Some(crls) = crls {
            command
                .args(["-crl_check", "-CRLfile"])
                .arg(self.file("crls.pem", crls));
        }
        let output = run(command.arg(leaf));
        if output.status.success() {
            Ok(())
        } else {
            Err(said(&output))
        }
    }

    /// openssl's rendering of a certificate, CRL or request.
    pub(crate) fn text(&self, command: &str, pem: &str) -> String {
        let file = self.file("shown.pem", pem);
        let output = run(Command::new("openssl")
            .args([command, "-noout", "-text", "-in"])
            .arg(file));
        assert!(
            output.status.success(),
            "openssl {command}: {}",
            said(&output)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    pub(crate) fn path(&self) -> &Path {
        self.dir.path()
    }
}

fn run(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .expect("openssl is installed")
}

fn said(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    text
}
