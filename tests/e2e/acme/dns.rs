//! A name server: every host has the address of this machine, and TXT records stand in files, a line each.

use std::fs;
use std::net::{SocketAddr, UdpSocket};
use std::path::PathBuf;

use tempfile::TempDir;

/// A name server that answers until the end of the tests.
pub(super) struct Dns {
    address: SocketAddr,
    records: TempDir,
}

impl Dns {
    pub(super) fn start() -> Self {
        let socket = UdpSocket::bind("127.0.0.1:0").expect("a port");
        let records = TempDir::new().expect("a directory");
        let (address, dir) = (
            socket.local_addr().expect("an address"),
            records.path().to_owned(),
        );
        std::thread::spawn(move || {
            let mut buffer = [0; 1500];
            while let Ok((length, peer)) = socket.recv_from(&mut buffer) {
                if let Some(answer) = answer(&buffer[..length], &dir) {
                    let _ = socket.send_to(&answer, peer);
                }
            }
        });
        Self { address, records }
    }

    /// `ADDRESS:PORT`.
    pub(super) fn address(&self) -> String {
        self.address.to_string()
    }

    /// Where the TXT records stand: a file for each name in lower case.
    pub(super) fn records(&self) -> PathBuf {
        self.records.path().to_owned()
    }

    /// Adds a TXT record.
    pub(super) fn publish(&self, name: &str, text: &str) {
        let path = self.records.path().join(name);
        let before = fs::read_to_string(&path).unwrap_or_default();
        fs::write(path, format!("{before}{text}\n")).expect("a record");
    }
}

const A: u16 = 1;
const TXT: u16 = 16;

/// Answers a question (RFC 1035 section 4).
fn answer(question: &[u8], dir: &std::path::Path) -> Option<Vec<u8>> {
    let (mut at, mut labels) = (12, Vec::new());
    loop {
        let length = usize::from(*question.get(at)?);
        if length == 0 {
            break;
        }
        labels.push(String::from_utf8_lossy(question.get(at + 1..at + 1 + length)?).to_lowercase());
        at += 1 + length;
    }
    let end = at + 5;
    let kind = u16::from_be_bytes(question.get(at + 1..at + 3)?.try_into().ok()?);
    let records: Vec<Vec<u8>> = match kind {
        A => vec![vec![127, 0, 0, 1]],
        TXT => fs::read_to_string(dir.join(labels.join(".")))
            .unwrap_or_default()
            .lines()
            .map(|line| [&[u8::try_from(line.len()).unwrap_or(0)], line.as_bytes()].concat())
            .collect(),
        _ => Vec::new(),
    };
    let mut message = question.get(..2)?.to_vec();
    // An answer, with recursion, without an error.
    message.extend([0x81, 0x80, 0, 1]);
    message.extend(u16::try_from(records.len()).ok()?.to_be_bytes());
    message.extend([0; 4]);
    message.extend(question.get(12..end)?);
    for record in records {
        // The name of the question, the type, the class, no time to live.
        message.extend([0xc0, 12]);
        message.extend(kind.to_be_bytes());
        message.extend([0, 1, 0, 0, 0, 0]);
        message.extend(u16::try_from(record.len()).ok()?.to_be_bytes());
        message.extend(record);
    }
    Some(message)
}
