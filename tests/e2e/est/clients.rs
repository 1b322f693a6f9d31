//! Three clients of EST that share no code: curl with openssl, strongSwan, and a script over Python's TLS.

use std::io::Write as _;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::front::Front;
use crate::support::Python;

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) head: String,
    pub(super) body: Vec<u8>,
}

/// A device: its key, and its certificate once it has one.
pub(super) struct Device {
    pub(super) name: String,
    pub(super) key: PathBuf,
    pub(super) certificate: PathBuf,
}

/// Runs a command, which has to be content; its standard output.
#[track_caller]
pub(super) fn ran(command: &mut Command) -> Vec<u8> {
    let output = command.stdin(Stdio::null()).output();
    let output = output.unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output.stdout
}

impl Device {
    /// A device with a new key. Its certificate is to be.
    pub(super) fn new<S>(front: &Front<S>, name: &str) -> Self {
        let key = front
            .files
            .file(&format!("{name}.key"), front.files.key_on("P-256", true));
        let certificate = key.with_extension("crt");
        Self {
            name: name.to_owned(),
            key,
            certificate,
        }
    }

    /// A request for its key, in DER; for another name if there is one.
    pub(super) fn request(&self, name: &str) -> Vec<u8> {
        self.request_for(
            &format!("/CN={name}"),
            Some(&format!("subjectAltName=DNS:{name}")),
        )
    }

    pub(super) fn request_for(&self, subject: &str, extension: Option<&str>) -> Vec<u8> {
        let mut command = Command::new("openssl");
        command
            .args([
                "req", "-new", "-batch", "-outform", "DER", "-subj", subject, "-key",
            ])
            .arg(&self.key);
        if let Some(extension) = extension {
            command.args(["-addext", extension]);
        }
        ran(&mut command)
    }

    pub(super) fn basic(&self) -> String {
        format!("{0}:secret-of-{0}", self.name)
    }

    /// Enrols by password, as a device does once.
    #[track_caller]
    pub(super) fn enrolled<S>(self, front: &Front<S>, label: &str) -> Self {
        let request = self.request(&self.name);
        let answer = front.post(label, "simpleenroll", &request, &["--user", &self.basic()]);
        self.keep(&answer.certificates(200)[0]);
        self
    }

    pub(super) fn keep(&self, pem: &str) {
        std::fs::write(&self.certificate, pem).expect("a file of ours");
    }

    /// What curl needs to show its certificate.
    pub(super) fn shown(&self) -> [&str; 4] {
        [
            "--cert",
            self.certificate.to_str().expect("a path of ours"),
            "--key",
            self.key.to_str().expect("a path of ours"),
        ]
    }
}

impl Answer {
    /// The certificates in it, as openssl reads them.
    #[track_caller]
    pub(super) fn certificates(&self, status: u16) -> Vec<String> {
        self.is(status, "");
        let der = ran_with(
            Command::new("openssl").args(["base64", "-d", "-A"]),
            &self.body,
        );
        let text = ran_with(
            Command::new("openssl").args(["pkcs7", "-inform", "DER", "-print_certs"]),
            &der,
        );
        let text = String::from_utf8(text).expect("PEM is text");
        let end = "-----END CERTIFICATE-----\n";
        text.split_inclusive(end)
            .filter_map(|block| Some(block[block.find("-----BEGIN")?..].to_owned()))
            .collect()
    }

    #[track_caller]
    pub(super) fn is(&self, status: u16, text: &str) {
        let body = String::from_utf8_lossy(&self.body);
        assert!(
            self.status == status && body.contains(text),
            "{} {body}, not {status} {text}",
            self.status
        );
    }
}

/// Runs a command on this input.
#[track_caller]
pub(super) fn ran_with(command: &mut Command, input: &[u8]) -> Vec<u8> {
    let (status, output, errors) = fed(command, input);
    assert!(status, "{command:?}: {errors}");
    output
}

fn fed(command: &mut Command, input: &[u8]) -> (bool, Vec<u8>, String) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let mut stdin = child.stdin.take().expect("it was piped");
    let input = input.to_vec();
    // A reader that has seen enough closes its end.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("the child was started");
    writer.join().expect("the writer does not panic");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    (output.status.success(), output.stdout, errors)
}

impl<S> Front<S> {
    fn url(&self, label: &str, operation: &str) -> String {
        let label = if label.is_empty() {
            String::new()
        } else {
            format!("/{label}")
        };
        format!(
            "https://127.0.0.1:{}/.well-known/est{label}/{operation}",
            self.port
        )
    }

    /// curl, with a body of these octets in base64.
    pub(super) fn post(&self, label: &str, operation: &str, der: &[u8], more: &[&str]) -> Answer {
        let text = ran_with(Command::new("openssl").arg("base64"), der);
        self.post_raw(label, operation, &text, more)
    }

    /// The same with these very octets.
    pub(super) fn post_raw(
        &self,
        label: &str,
        operation: &str,
        body: &[u8],
        more: &[&str],
    ) -> Answer {
        let file = self.files.file("body", body);
        let file = format!("@{}", file.display());
        let kind = ["-H", "Content-Type: application/pkcs10"];
        let kind: &[&str] = if more.iter().any(|word| word.contains("Content-Type")) {
            &[]
        } else {
            &kind
        };
        self.curl(
            label,
            operation,
            &[&["--data-binary", &file], kind, more].concat(),
        )
    }

    pub(super) fn curl(&self, label: &str, operation: &str, more: &[&str]) -> Answer {
        let answer = self.try_curl(label, operation, more);
        answer.unwrap_or_else(|why| panic!("{operation}: {why}"))
    }

    /// The same, with a connection that ends as a value.
    pub(super) fn try_curl(
        &self,
        label: &str,
        operation: &str,
        more: &[&str],
    ) -> Result<Answer, String> {
        let (head, body) = (self.files.file("head", ""), self.files.file("answer", ""));
        let output = Command::new("curl")
            .args([
                "-sS",
                "--max-time",
                "120",
                "--noproxy",
                "*",
                "-w",
                "%{http_code}",
                "--cacert",
            ])
            .arg(self.roots_file())
            .arg("-D")
            .arg(&head)
            .arg("-o")
            .arg(&body)
            .args(more)
            .arg(self.url(label, operation))
            .output()
            .expect("curl runs");
        if !output.status.success() {
            return Err(String::from_utf8_lossy(&output.stderr).into_owned());
        }
        let status = String::from_utf8_lossy(&output.stdout);
        Ok(Answer {
            status: status.trim().parse().expect("a status"),
            head: std::fs::read_to_string(head).expect("curl wrote it"),
            body: std::fs::read(body).expect("curl wrote it"),
        })
    }

    /// The script over Python's TLS.
    pub(super) fn python(&self, mut asked: Value) -> Value {
        asked["ca"] = json!(self.roots_file());
        asked["port"] = json!(self.port);
        let mut command = Command::new(Python::program("python"));
        command.arg("-c").arg(include_str!("client.py"));
        let answer = ran_with(&mut command, asked.to_string().as_bytes());
        serde_json::from_slice(&answer).expect("the script prints JSON")
    }

    /// strongSwan's EST client: `--est` enrols, and renews where it is given a certificate.
    ///
    /// # Errors
    /// What it said.
    pub(super) fn strongswan(&self, request: &[u8], more: &[&str]) -> Result<String, String> {
        let mut command = Command::new("pki");
        command.args([
            "--est",
            "--url",
            &format!("https://127.0.0.1:{}", self.port),
        ]);
        for root in self.root_files() {
            command.arg("--cacert").arg(root);
        }
        command
            .args(["--in"])
            .arg(self.files.file("strongswan.csr", request));
        command.args(["--outform", "pem"]).args(more);
        let (status, output, errors) = fed(&mut command, b"");
        let output = String::from_utf8_lossy(&output).into_owned();
        if status {
            Ok(output)
        } else {
            Err(output + &errors)
        }
    }

    /// The authorities, a file each.
    pub(super) fn root_files(&self) -> Vec<PathBuf> {
        let blocks = self
            .roots
            .split_inclusive("-----END CERTIFICATE-----\n")
            .filter(|block| block.contains("BEGIN"));
        blocks
            .enumerate()
            .map(|(index, pem)| self.files.file(&format!("root-{index}.pem"), pem))
            .collect()
    }
}
