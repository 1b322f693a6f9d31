//! The system outside: a folder with a file for each account, in which its password stands.

use std::fs;
use std::io::{self, Read as _};
use std::path::PathBuf;

use landfast_sdk::logical::{Error, Result};

use crate::Config;

pub(crate) struct Outside {
    folder: PathBuf,
    length: usize,
}

/// A folder with such a file is a system at which the plugin dies, after it has made an account.
pub(crate) const TRAP: &str = ".die";

impl Outside {
    pub(crate) fn of(config: &Config) -> Self {
        Self {
            folder: PathBuf::from(&config.folder),
            length: config.length.into(),
        }
    }

    pub(crate) fn is_there(&self) -> bool {
        self.folder.is_dir()
    }

    /// Makes an account, or gives it another password.
    pub(crate) fn set(&self, name: &str, password: &str) -> Result<()> {
        fs::write(self.folder.join(name), password).map_err(failed)?;
        if fs::remove_file(self.folder.join(TRAP)).is_ok() {
            std::process::abort();
        }
        Ok(())
    }

    /// Twice is as once.
    pub(crate) fn remove(&self, name: &str) -> Result<()> {
        match fs::remove_file(self.folder.join(name)) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(error)),
            _ => Ok(()),
        }
    }

    pub(crate) fn password(&self) -> Result<String> {
        random(self.length)
    }
}

/// Letters that nobody can foresee.
pub(crate) fn random(letters: usize) -> Result<String> {
    let mut octets = vec![0; letters.div_ceil(2)];
    let mut source = fs::File::open("/dev/urandom").map_err(failed)?;
    source.read_exact(&mut octets).map_err(failed)?;
    let mut text: String = octets.iter().map(|octet| format!("{octet:02x}")).collect();
    text.truncate(letters);
    Ok(text)
}

fn failed(error: io::Error) -> Error {
    Error::internal("the accounts cannot be reached", error)
}
