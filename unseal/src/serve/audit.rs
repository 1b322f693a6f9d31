//! One line per call: who, what, which key, with what outcome. Never content.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use serde::Serialize;

use super::budget::{Budget, Decision, Unwritten};
use crate::error::Error;

/// Lines that strangers can cause at once, and a minute on: 5 MB a day at most. What clients do is always written.
const STRANGERS_AT_ONCE: u32 = 60;
const STRANGERS_PER_MINUTE: u32 = 10;

/// A line.
#[derive(Debug, Serialize)]
pub(super) struct Record<'a> {
    /// RFC 3339, UTC.
    pub(super) time: String,
    /// Also in the answer's `X-Request-Id`.
    pub(super) request_id: &'a str,
    /// The client's configured name, if it is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) client: Option<&'a str>,
    /// The name in its certificate, or `token`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) identity: Option<&'a str>,
    /// Names in the certificate of whoever is not known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(super) showed: Vec<&'a str>,
    pub(super) remote: String,
    pub(super) operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) key: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) version: Option<usize>,
    pub(super) status: u16,
    pub(super) request_bytes: usize,
    pub(super) milliseconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) error: Option<&'a str>,
}

/// The line that stands for those that strangers caused beyond their budget.
#[derive(Debug, Serialize)]
struct Sum {
    time: String,
    operation: &'static str,
    /// Requests of strangers that have no line of their own.
    requests: u64,
    /// From how many addresses, counted to 64.
    addresses: usize,
    since: String,
}

/// Where lines go.
#[derive(Debug)]
pub(super) struct Audit {
    path: Option<PathBuf>,
    file: Mutex<Option<Lines<File>>>,
    strangers: Budget,
}

impl Audit {
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Error> {
        let audit = Self {
            path: path.map(Path::to_owned),
            file: Mutex::new(None),
            strangers: Budget::new(STRANGERS_AT_ONCE, STRANGERS_PER_MINUTE, Instant::now()),
        };
        audit.reopen()?;
        Ok(audit)
    }

    /// Opens the file again, for whoever rotates logs.
    pub(super) fn reopen(&self) -> Result<(), Error> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let lines = Lines::open(path).map_err(|error| Error::File {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(lines);
        Ok(())
    }

    /// Writes a line of a client.
    pub(super) fn write(&self, record: &Record<'_>) -> io::Result<()> {
        self.line(record)
    }

    /// Writes a line of a stranger, or counts it when strangers have used up their budget.
    pub(super) fn stranger(&self, record: &Record<'_>, address: IpAddr) -> io::Result<()> {
        match self.strangers.spend(address, Instant::now()) {
            Decision::Count => Ok(()),
            Decision::Write(unwritten) => {
                self.sum(unwritten)?;
                self.line(record)
            }
        }
    }

    /// Writes how many lines of strangers were left out.
    pub(super) fn settle(&self) -> io::Result<()> {
        self.sum(self.strangers.settle())
    }

    fn sum(&self, unwritten: Option<Unwritten>) -> io::Result<()> {
        let Some(unwritten) = unwritten else {
            return Ok(());
        };
        self.line(&Sum {
            time: jiff::Timestamp::now().to_string(),
            operation: "strangers",
            requests: unwritten.count,
            addresses: unwritten.addresses(),
            since: unwritten.since.to_string(),
        })
    }

    fn line(&self, record: &impl Serialize) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        match file.as_mut() {
            Some(lines) => lines.write(&line),
            None => io::stdout().lock().write_all(&line),
        }
    }
}

/// Whole lines, also after one could be written in part only.
#[derive(Debug)]
struct Lines<W> {
    file: W,
    /// The last line has no end.
    torn: bool,
}

impl Lines<File> {
    fn open(path: &Path) -> io::Result<Self> {
        let file = OpenOptions::new().append(true).create(true).open(path)?;
        Ok(Self {
            file,
            torn: ends_within_a_line(path),
        })
    }
}

impl<W: Write> Lines<W> {
    fn write(&mut self, line: &[u8]) -> io::Result<()> {
        // What a full disk, or the end of a process, left stands on a line of its own.
        if self.torn {
            self.file.write_all(b"\n")?;
            self.torn = false;
        }
        let mut left = line;
        while !left.is_empty() {
            match self.file.write(left) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(size) => left = &left[size..],
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            }
            self.torn = !left.is_empty();
        }
        Ok(())
    }
}

/// Whether a file has content that does not end with a line. Of what is no file, or cannot be read, nothing is known.
fn ends_within_a_line(path: &Path) -> bool {
    let last = || {
        if !std::fs::metadata(path)?.is_file() {
            return Ok(None);
        }
        let mut file = File::open(path)?;
        let mut byte = [0];
        if file.seek(SeekFrom::End(0))? == 0 {
            return Ok(None);
        }
        file.seek(SeekFrom::End(-1))?;
        file.read_exact(&mut byte)?;
        Ok::<_, io::Error>(Some(byte[0]))
    };
    last().ok().flatten().is_some_and(|last| last != b'\n')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk with this much room.
    struct Disk {
        written: Vec<u8>,
        room: usize,
    }

    impl Write for Disk {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let size = bytes.len().min(self.room);
            if size == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.room -= size;
            self.written.extend_from_slice(&bytes[..size]);
            Ok(size)
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn half_a_line_of_a_full_disk_does_not_join_the_next() {
        let disk = Disk {
            written: Vec::new(),
            room: 7,
        };
        let mut lines = Lines {
            file: disk,
            torn: false,
        };
        lines.write(b"one\n").expect("there is room");
        for _ in 0..3 {
            lines
                .write(b"two is longer\n")
                .expect_err("the disk is full");
        }
        lines.file.room = 100;
        lines.write(b"three\n").expect("there is room");
        lines.write(b"four\n").expect("there is room");
        let text = String::from_utf8_lossy(&lines.file.written);
        assert_eq!(text, "one\ntwo\nthree\nfour\n");
    }

    #[test]
    fn half_a_line_of_an_ended_process_does_not_join_the_next() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("audit.log");
        for (before, after) in [
            ("", "new\n"),
            ("whole\n", "whole\nnew\n"),
            ("whole\nha", "whole\nha\nnew\n"),
        ] {
            std::fs::write(&path, before).expect("writes");
            Lines::open(&path)
                .expect("opens")
                .write(b"new\n")
                .expect("writes");
            assert_eq!(std::fs::read_to_string(&path).expect("reads"), after);
        }
    }
}
