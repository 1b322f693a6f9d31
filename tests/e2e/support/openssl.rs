//! The openssl command as a second opinion on certificates, chains and CRLs.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
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

    /// A CSR for a name, with a key on this curve, signed with this hash.
    pub(crate) fn csr_on(&self, curve: &str, hash: &str, name: &str) -> String {
        let output = run(Command::new("openssl")
            .args(["req", "-new", "-newkey", "ec", "-nodes", "-batch"])
            .args(["-pkeyopt", &format!("ec_paramgen_curve:{curve}")])
            .args([&format!("-{hash}"), "-subj", &format!("/CN={name}")])
            .args(["-addext", &format!("subjectAltName=DNS:{name}")])
            .arg("-keyout")
            .arg(self.dir.path().join("curve.key")));
        assert!(output.status.success(), "openssl req: {}", said(&output));
        String::from_utf8(output.stdout).expect("a CSR is text")
    }

    /// A private key on this curve, in PKCS#8 or in SEC 1.
    pub(crate) fn key_on(&self, curve: &str, pkcs8: bool) -> String {
        let mut command = Command::new("openssl");
        if pkcs8 {
            let curve = format!("ec_paramgen_curve:{curve}");
            command.args(["genpkey", "-algorithm", "EC", "-pkeyopt", &curve]);
        } else {
            command.args(["ecparam", "-genkey", "-noout", "-name", curve]);
        }
        let output = run(&mut command);
        assert!(output.status.success(), "openssl: {}", said(&output));
        String::from_utf8(output.stdout).expect("PEM is text")
    }

    /// A CA made elsewhere with a key on this curve: its certificate and its key.
    pub(crate) fn authority_on(&self, curve: &str, name: &str) -> (String, String) {
        let key = self.key_on(curve, true);
        let file = self.file("authority.key", &key);
        let output = run(Command::new("openssl")
            .args(["req", "-x509", "-new", "-batch", "-sha256", "-days", "30"])
            .args(["-subj", &format!("/CN={name}"), "-key"])
            .arg(file));
        assert!(output.status.success(), "openssl req: {}", said(&output));
        (String::from_utf8(output.stdout).expect("PEM is text"), key)
    }

    /// A CA made elsewhere for ten years with a key of this kind, a curve, `rsa` or `ed`, whose certificate says what it is for.
    pub(crate) fn authority_of(&self, kind: &str, name: &str) -> (String, String) {
        let mut command = Command::new("openssl");
        command.arg("genpkey");
        match kind {
            "rsa" => command.args(["-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"]),
            "ed" => command.args(["-algorithm", "ED25519"]),
            curve => command
                .args(["-algorithm", "EC", "-pkeyopt"])
                .arg(format!("ec_paramgen_curve:{curve}")),
        };
        let output = run(&mut command);
        assert!(output.status.success(), "openssl: {}", said(&output));
        let key = String::from_utf8(output.stdout).expect("PEM is text");
        let file = self.file("authority.key", &key);
        let mut command = Command::new("openssl");
        command
            .args(["req", "-x509", "-new", "-batch", "-days", "3650"])
            .args(["-subj", &format!("/CN={name}"), "-config", "/dev/stdin"])
            .args(["-addext", "basicConstraints=critical,CA:TRUE"])
            .args(["-addext", "keyUsage=critical,keyCertSign,cRLSign"])
            .args(["-addext", "subjectKeyIdentifier=hash"])
            .arg("-key")
            .arg(file);
        let output = fed(&mut command, "[req]\ndistinguished_name=dn\n[dn]\n");
        assert!(output.status.success(), "openssl req: {}", said(&output));
        (String::from_utf8(output.stdout).expect("PEM is text"), key)
    }

    /// A CSR with a subject and extensions of openssl's own notation.
    pub(crate) fn csr_with(&self, subject: &str, extensions: &[&str]) -> String {
        let key = self.dir.path().join("other.key");
        let mut command = Command::new("openssl");
        command
            .args(["req", "-new", "-newkey", "ec"])
            .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-batch"])
            .args(["-subj", subject, "-keyout"])
            .arg(&key);
        for extension in extensions {
            command.args(["-addext", extension]);
        }
        let output = run(&mut command);
        assert!(output.status.success(), "openssl req: {}", said(&output));
        String::from_utf8(output.stdout).expect("a CSR is text")
    }

    /// A CA made elsewhere: its certificate and its key.
    pub(crate) fn authority(&self, name: &str) -> (String, String) {
        self.self_signed(
            name,
            &[
                "basicConstraints=critical,CA:TRUE",
                "keyUsage=critical,keyCertSign,cRLSign",
            ],
        )
    }

    /// A CA whose certificate does not say what its key is for.
    pub(crate) fn silent_authority(&self, name: &str) -> (String, String) {
        self.self_signed(name, &["basicConstraints=critical,CA:TRUE"])
    }

    /// The serial number of a certificate, in hexadecimal.
    pub(crate) fn serial(&self, pem: &str) -> String {
        let file = self.file("serial.pem", pem);
        let output = run(Command::new("openssl")
            .args(["x509", "-noout", "-serial", "-in"])
            .arg(file));
        let text = said(&output).to_lowercase();
        text.trim().trim_start_matches("serial=").to_owned()
    }

    /// A self-signed certificate that is no CA, and its key.
    pub(crate) fn leaf(&self, name: &str) -> (String, String) {
        self.self_signed(name, &["basicConstraints=critical,CA:FALSE"])
    }

    fn self_signed(&self, name: &str, extensions: &[&str]) -> (String, String) {
        let key = self.dir.path().join("self.key");
        let mut command = Command::new("openssl");
        command
            .args(["req", "-new", "-x509", "-newkey", "ec", "-days", "3650"])
            .args(["-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-batch"])
            .args(["-subj", &format!("/CN={name}"), "-keyout"])
            .arg(&key)
            // The default configuration adds extensions of its own.
            .args(["-config", "/dev/stdin"]);
        for extension in extensions {
            command.args(["-addext", extension]);
        }
        let output = fed(&mut command, "[req]\ndistinguished_name=dn\n[dn]\n");
        assert!(output.status.success(), "openssl req: {}", said(&output));
        let key = fs::read_to_string(key).expect("openssl wrote the key");
        (String::from_utf8(output.stdout).expect("PEM is text"), key)
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

    /// An OCSP request in DER, without a nonce unless asked for, about what `arguments` of `openssl ocsp` say of certificates of `issuer`.
    pub(crate) fn ocsp_request(&self, issuer: &str, arguments: &[&str]) -> Vec<u8> {
        let issuer = self.file("ocsp-issuer.pem", issuer);
        let mut command = Command::new("openssl");
        // A hash counts for the certificates after it.
        let (hashes, rest): (Vec<&str>, Vec<&str>) =
            arguments.iter().partition(|word| word.starts_with("-sha"));
        command.arg("ocsp").args(hashes).arg("-issuer").arg(issuer);
        let output = run(command.arg("-no_nonce").args(rest).args(["-reqout", "-"]));
        assert!(output.status.success(), "openssl ocsp: {}", said(&output));
        output.stdout
    }

    /// Checks an OCSP response as a client does that trusts `root` alone, and says what it says about `certificate`, such as `good`.
    ///
    /// # Errors
    ///
    /// What openssl said against it.
    pub(crate) fn ocsp_status(
        &self,
        root: &str,
        certificate: &str,
        response: &[u8],
    ) -> Result<String, String> {
        let root = self.file("ocsp-root.pem", root);
        let output = run(Command::new("openssl")
            .args(["ocsp", "-respin"])
            .arg(self.file("response.der", response))
            .arg("-CAfile")
            .arg(&root)
            .arg("-issuer")
            .arg(&root)
            .arg("-cert")
            .arg(self.file("ocsp-leaf.pem", certificate)));
        let said = said(&output);
        let status = said
            .lines()
            .find_map(|line| line.split_once("ocsp-leaf.pem: "));
        match status {
            Some((_, status)) if said.contains("Response verify OK") => Ok(status.to_owned()),
            _ => Err(said),
        }
    }

    /// openssl's rendering of an OCSP response.
    pub(crate) fn ocsp_text(&self, response: &[u8]) -> String {
        let output = run(Command::new("openssl")
            .args(["ocsp", "-resp_text", "-noverify", "-respin"])
            .arg(self.file("response.der", response)));
        said(&output)
    }

    /// The elements of a PEM text, a line each, as openssl takes them apart.
    pub(crate) fn structure(&self, pem: &str) -> String {
        let file = self.file("shown.pem", pem);
        let output = run(Command::new("openssl").args(["asn1parse", "-in"]).arg(file));
        assert!(
            output.status.success(),
            "openssl asn1parse: {}",
            said(&output)
        );
        String::from_utf8_lossy(&output.stdout).into_owned()
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
}

fn run(command: &mut Command) -> Output {
    command
        .stdin(Stdio::null())
        .output()
        .expect("openssl is installed")
}

fn fed(command: &mut Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("openssl is installed");
    child
        .stdin
        .take()
        .expect("stdin is piped")
        .write_all(input.as_bytes())
        .expect("openssl reads its configuration");
    child.wait_with_output().expect("openssl ends")
}

fn said(output: &Output) -> String {
    let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
    text.push_str(&String::from_utf8_lossy(&output.stderr));
    text
}
