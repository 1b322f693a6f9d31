//! One line per call: who, what, which key, with what outcome. Never content.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use serde::Serialize;

use crate::error::Error;

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
    file: Mutex<Option<File>>,
}

impl Audit {
    pub(super) fn open(path: Option<&Path>) -> Result<Self, Error> {
        let audit = Self {
            path: path.map(Path::to_owned),
            file: Mutex::new(None),
        };
        audit.reopen()?;
        Ok(audit)
    }

    /// Opens the file again, for whoever rotates logs.
    pub(super) fn reopen(&self) -> Result<(), Error> {
        let Some(path) = &self.path else {
            return Ok(());
        };
        let opened = OpenOptions::new().append(true).create(true).open(path);
        let file = opened.map_err(|error| Error::File {
            path: path.clone(),
            reason: error.to_string(),
        })?;
        *self.file.lock().unwrap_or_else(PoisonError::into_inner) = Some(file);
        Ok(())
    }

    /// Writes a line in one piece.
    pub(super) fn write(&self, record: &Record<'_>) -> io::Result<()> {
        let mut line = serde_json::to_vec(record)?;
        line.push(b'\n');
        match self
            .file
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .as_mut()
        {
            Some(file) => file.write_all(&line),
            None => io::stdout().lock().write_all(&line),
        }
    }
}
