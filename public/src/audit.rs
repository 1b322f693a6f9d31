//! One line per request. Never a secret: bodies and headers of requests are not in it.

use std::fs::File;
use std::io::{self, Write as _};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use landfast_listen::{Budget, Decision, Lines, Unwritten};
use serde::Serialize;

use crate::error::Error;

/// Lines about refusals at once, and a minute on: 25 MB a day at most. What is given out always has its line; the limit of requests is theirs.
const REFUSALS_AT_ONCE: u32 = 120;
const REFUSALS_PER_MINUTE: u32 = 60;

/// Octets that wait to be written, of a disk that does not take them. What is beyond is counted.
const WAITING: usize = 1024 * 1024;

/// Octets of a path in a line.
const PATH: usize = 200;

/// A line.
#[derive(Debug, Serialize)]
pub(crate) struct Record<'a> {
    /// RFC 3339, UTC.
    pub(crate) time: String,
    pub(crate) remote: &'a str,
    pub(crate) operation: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) mount: Option<&'a str>,
    pub(crate) method: &'a str,
    /// As it was sent, cut after 200 octets.
    pub(crate) path: &'a str,
    pub(crate) status: u16,
    /// Where the answer came from: `cache`, `stale` or `server`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) source: Option<&'static str>,
    /// Who the client is, by its certificate or login.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) client: Option<&'a str>,
    pub(crate) request_bytes: usize,
    pub(crate) bytes: usize,
    pub(crate) milliseconds: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) error: Option<&'a str>,
}

/// The line of a connection that came to no request: a certificate that is not taken, no TLS where there has to be some.
#[derive(Debug, Serialize)]
struct Handshake<'a> {
    time: String,
    remote: &'a str,
    operation: &'static str,
    error: &'a str,
}

/// The line that stands for lines that could not be written.
#[derive(Debug, Serialize)]
struct Lost {
    time: String,
    operation: &'static str,
    lines: u64,
}

/// Where lines go: together, every moment, so that a request does not wait for a disk.
#[derive(Debug)]
pub(crate) struct Audit {
    path: Option<PathBuf>,
    file: Mutex<Option<Lines<File>>>,
    waiting: Mutex<Waiting>,
    refusals: Budget,
}

#[derive(Debug, Default)]
struct Waiting {
    lines: Vec<u8>,
    lost: u64,
}

impl Audit {
    pub(crate) fn open(path: Option<&Path>) -> Result<Self, Error> {
        let audit = Self {
            path: path.map(Path::to_owned),
            file: Mutex::new(None),
            waiting: Mutex::default(),
            refusals: Budget::new(REFUSALS_AT_ONCE, REFUSALS_PER_MINUTE, Instant::now()),
        };
        audit.reopen()?;
        Ok(audit)
    }

    /// Opens the file again, for whoever rotates logs.
    pub(crate) fn reopen(&self) -> Result<(), Error> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let lines = Lines::open(path).map_err(|error| Error::file(path, error))?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(lines);
        Ok(())
    }

    /// Notes a request that was answered.
    pub(crate) fn write(&self, record: &Record<'_>) {
        self.line(record);
    }

    /// Notes a request that was refused, or counts it when refusals have used up their budget.
    pub(crate) fn refused(&self, record: &Record<'_>, address: IpAddr) {
        self.bounded(record, address);
    }

    /// The same of a connection that could not be opened.
    pub(crate) fn unopened(&self, remote: SocketAddr, error: &str) {
        let record = Handshake {
            time: jiff::Timestamp::now().to_string(),
            remote: &remote.to_string(),
            operation: "handshake",
            error,
        };
        self.bounded(&record, remote.ip());
    }

    fn bounded(&self, record: &impl Serialize, address: IpAddr) {
        if let Decision::Write(unwritten) = self.refusals.spend(address, Instant::now()) {
            self.sum(unwritten);
            self.line(record);
        }
    }

    /// Notes how many refusals were left out.
    pub(crate) fn settle(&self) {
        self.sum(self.refusals.settle());
    }

    /// Writes what was noted. It may wait for a disk.
    ///
    /// # Errors
    /// The system's; what was noted is lost then, and counted.
    pub(crate) fn flush(&self) -> io::Result<()> {
        let mut file = self.file.lock().unwrap_or_else(PoisonError::into_inner);
        let (mut lines, lost) = {
            let mut waiting = self.waiting();
            (
                std::mem::take(&mut waiting.lines),
                std::mem::take(&mut waiting.lost),
            )
        };
        if lines.is_empty() && lost == 0 {
            return Ok(());
        }
        if lost > 0 {
            let line = Lost {
                time: jiff::Timestamp::now().to_string(),
                operation: "lost-lines",
                lines: lost,
            };
            append(&mut lines, &line);
        }
        let written = match file.as_mut() {
            Some(file) => file.write(&lines),
            None => io::stdout().lock().write_all(&lines),
        };
        if written.is_err() {
            let count = lines.iter().filter(|byte| **byte == b'\n').count();
            let count = u64::try_from(count).unwrap_or(u64::MAX);
            // The line about the lost ones is one of them.
            let count = if lost > 0 { count - 1 + lost } else { count };
            self.waiting().lost += count;
        }
        written
    }

    fn sum(&self, unwritten: Option<Unwritten>) {
        if let Some(unwritten) = unwritten {
            self.line(&unwritten.sum("refusals"));
        }
    }

    fn line(&self, record: &impl Serialize) {
        let mut waiting = self.waiting();
        if waiting.lines.len() >= WAITING {
            waiting.lost += 1;
            return;
        }
        append(&mut waiting.lines, record);
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn append(lines: &mut Vec<u8>, record: &impl Serialize) {
    let before = lines.len();
    // Text and numbers into memory: nothing of it can fail, and half a line is none.
    match serde_json::to_writer(&mut *lines, record) {
        Ok(()) => lines.push(b'\n'),
        Err(_) => lines.truncate(before),
    }
}

/// As much of a path as a line has room for.
pub(crate) fn shown(path: &str) -> &str {
    &path[..path.floor_char_boundary(path.len().min(PATH))]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(status: u16, path: &str) -> Record<'_> {
        Record {
            time: String::new(),
            remote: "192.0.2.1:1",
            operation: "crl",
            mount: Some("/pki"),
            method: "GET",
            path: shown(path),
            status,
            source: Some("cache"),
            client: None,
            request_bytes: 0,
            bytes: 7,
            milliseconds: 0,
            error: None,
        }
    }

    fn written(path: &Path) -> Vec<serde_json::Value> {
        let text = std::fs::read_to_string(path).expect("a file");
        text.lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect()
    }

    #[test]
    fn refusals_are_a_few_lines_and_a_sum_and_what_is_given_out_has_its_line() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        let audit = Audit::open(Some(&path)).expect("opens");
        let address = "192.0.2.1".parse().expect("an address");
        for _ in 0..1000 {
            audit.refused(&record(404, "/\n\u{7f}"), address);
            audit.write(&record(200, &"é".repeat(1000)));
        }
        audit.settle();
        audit.flush().expect("written");
        let lines = written(&path);
        let count = |status: u16| lines.iter().filter(|line| line["status"] == status).count();
        assert_eq!(count(200), 1000);
        assert!((120..=180).contains(&count(404)), "{}", count(404));
        let left_out: u64 = lines
            .iter()
            .filter(|line| line["operation"] == "refusals")
            .filter_map(|line| line["requests"].as_u64())
            .sum();
        assert_eq!(left_out, 1000 - count(404) as u64);
        assert!(
            lines
                .iter()
                .all(|line| line["path"].as_str().is_none_or(|path| path.len() <= PATH))
        );
    }

    #[test]
    fn what_waits_has_an_end_and_what_is_lost_is_told() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("audit.log");
        let audit = Audit::open(Some(&path)).expect("opens");
        for _ in 0..20_000 {
            audit.write(&record(200, "/crl"));
        }
        let waiting = audit.waiting().lines.len();
        assert!(waiting < WAITING + 1024, "{waiting}");
        // No disk takes anything.
        *audit.file.lock().expect("no panic") = Lines::open(Path::new("/dev/full")).ok();
        audit.flush().expect_err("full");
        audit.flush().expect_err("still full");
        audit.reopen().expect("opens");
        audit.write(&record(200, "/crl"));
        audit.flush().expect("written");
        let lines = written(&path);
        assert_eq!(lines.len(), 2);
        assert_eq!(lines[1]["lines"], 20_000);
    }
}
