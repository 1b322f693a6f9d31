//! Files that appear whole or not at all.

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use landfast_pki::Secret;

use crate::crypto;
use crate::sigv4::hex;

/// No file that this crate reads is longer; a longer one is refused before it
/// fills the memory.
const MAX_BYTES: u64 = 1024 * 1024;

/// A file operation that failed, with the path that it was about.
#[derive(Debug, thiserror::Error)]
#[error("{path}: {cause}")]
pub struct FileError {
    /// The file or directory.
    pub path: PathBuf,
    /// What the system said.
    pub cause: io::Error,
}

impl FileError {
    /// Ties a system error to a path.
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |cause| Self { path, cause }
    }

    /// Whether the file is simply not there.
    pub fn is_not_found(&self) -> bool {
        self.cause.kind() == io::ErrorKind::NotFound
    }
}

/// Writes a file so that a reader, or a crash, sees the old content or the new
/// one: a new file beside it, synced, then renamed over it.
///
/// # Errors
/// [`FileError`]; the old file is untouched then, and the new one removed.
pub fn write_atomic(path: &Path, content: &[u8], mode: u32) -> Result<(), FileError> {
    let directory = parent(path);
    let name = path.file_name().ok_or_else(|| FileError {
        path: path.to_owned(),
        cause: io::Error::from(io::ErrorKind::InvalidInput),
    })?;
    let suffix = crypto::random::<8>().map_err(|error| FileError {
        path: path.to_owned(),
        cause: io::Error::other(error),
    })?;
    let mut temporary = name.to_owned();
    temporary.push(format!(".{}.new", hex(&suffix)));
    let temporary = directory.join(temporary);
    let written = write_new(&temporary, content, mode)
        .and_then(|()| fs::rename(&temporary, path))
        .and_then(|()| sync_directory(directory));
    if written.is_err() {
        // Gone already when the rename went through; nothing else to do if it fails.
        let _ = fs::remove_file(&temporary);
    }
    written.map_err(FileError::at(path))
}

/// Creates a file that must not exist yet, with exactly `mode`, and syncs it.
///
/// # Errors
/// The system's, among them `AlreadyExists`.
pub fn write_new(path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(mode)
        .open(path)?;
    // The umask may have taken bits away at creation.
    file.set_permissions(Permissions::from_mode(mode))?;
    file.write_all(content)?;
    file.sync_all()
}

/// Makes a rename or a new entry durable.
///
/// # Errors
/// The system's.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// Reads a file that may hold a secret.
///
/// # Errors
/// [`FileError`], also for a file of more than 1 MiB.
pub fn read_secret(path: &Path) -> Result<Secret<Vec<u8>>, FileError> {
    let mut content = Vec::new();
    File::open(path)
        .and_then(|file| file.take(MAX_BYTES + 1).read_to_end(&mut content))
        .map_err(FileError::at(path))?;
    let content = Secret::new(content);
    if content.expose().len() as u64 > MAX_BYTES {
        return Err(FileError {
            path: path.to_owned(),
            cause: io::Error::new(io::ErrorKind::FileTooLarge, "more than 1 MiB"),
        });
    }
    Ok(content)
}

/// Whether others than the owner may read or write the file.
///
/// # Errors
/// [`FileError`] when the file can't be looked at.
pub fn is_open_to_others(path: &Path) -> Result<bool, FileError> {
    let metadata = fs::metadata(path).map_err(FileError::at(path))?;
    Ok(metadata.mode() & 0o077 != 0)
}

/// Whether every user may read or write the file.
///
/// # Errors
/// [`FileError`] when the file can't be looked at.
pub fn is_open_to_all(path: &Path) -> Result<bool, FileError> {
    let metadata = fs::metadata(path).map_err(FileError::at(path))?;
    Ok(metadata.mode() & 0o006 != 0)
}

/// Whether others than the owner may write the file, or put files into the
/// directory. In a sticky directory, such as `/tmp`, nobody replaces what is
/// another's.
///
/// # Errors
/// [`FileError`] when it can't be looked at.
pub fn is_writable_by_others(path: &Path) -> Result<bool, FileError> {
    let metadata = fs::metadata(path).map_err(FileError::at(path))?;
    let sticky = metadata.is_dir() && metadata.mode() & 0o1000 != 0;
    Ok(metadata.mode() & 0o022 != 0 && !sticky)
}

/// The owner of a file that belongs neither to this user nor to root, who may
/// then replace it.
///
/// # Errors
/// [`FileError`] when the file can't be looked at.
pub fn foreign_owner(path: &Path) -> Result<Option<u32>, FileError> {
    let owner = fs::metadata(path).map_err(FileError::at(path))?.uid();
    let own = rustix::process::geteuid().as_raw();
    Ok(Some(owner).filter(|owner| *owner != 0 && *owner != own))
}

/// Tells of a secret that every user can read or write.
///
/// # Errors
/// [`FileError`] when the file can't be looked at.
pub fn tell_if_open(path: &Path) -> Result<(), FileError> {
    if is_open_to_all(path)? {
        tracing::warn!(
            path = %path.display(),
            "every user of this machine can read this secret: chmod 600"
        );
    }
    Ok(())
}

/// The directory that a path lies in.
pub fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_replaced_whole_with_its_mode() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("key");
        write_atomic(&path, b"one", 0o600).unwrap();
        write_atomic(&path, b"two", 0o640).unwrap();
        assert_eq!(read_secret(&path).unwrap().expose(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().mode() & 0o777, 0o640);
        assert!(is_open_to_others(&path).unwrap());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_failed_write_leaves_the_old_file_and_no_rest() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("taken");
        fs::create_dir(&path).unwrap();
        let error = write_atomic(&path, b"x", 0o600).unwrap_err();
        assert_eq!(error.path, path);
        assert!(path.is_dir());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    }

    #[test]
    fn a_huge_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("huge");
        File::create(&path).unwrap().set_len(MAX_BYTES + 1).unwrap();
        let error = read_secret(&path).unwrap_err();
        assert!(error.to_string().contains("more than 1 MiB"));
    }
}
