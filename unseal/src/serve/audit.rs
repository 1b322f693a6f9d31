//! One line per call: who, what, which key, with what outcome. Never content.

use std::fs::File;
use std::io::{self, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::time::Instant;

use landfast_listen::{Budget, Decision, Lines, Unwritten};
use serde::Serialize;

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
        self.line(&unwritten.sum("strangers"))
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
