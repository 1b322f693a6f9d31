//! Files that appear whole or not at all.

use std::fs::{self, File, Metadata, OpenOptions, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _, fchown};
use std::path::{Path, PathBuf};

use landfast_base::Secret;
use rustix::fs::OFlags;

use crate::directory::Directory;

/// No file that this crate reads is longer; a longer one is refused before it
/// fills the memory.
pub(crate) const MAX_BYTES: u64 = 1024 * 1024;

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
    pub fn at(path: &Path) -> impl FnOnce(io::Error) -> Self + use<> {
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
    let name = path.file_name().ok_or_else(|| FileError {
        path: path.to_owned(),
        cause: io::Error::from(io::ErrorKind::InvalidInput),
    })?;
    Directory::open(parent(path))?
        .replace(name, content, mode)
        .map_err(FileError::at(path))
}

/// Writes a file that may be somebody else's, with `mode`, or with the one that it has:
/// owner and group stay. It is replaced whole where that can be, as by
/// [`write_atomic`], and written in place where it is mounted by itself or its directory
/// takes no other file. A new one gets 0600 without a `mode`.
///
/// # Errors
/// [`FileError`]; the old file is untouched then, unless the writing in place failed.
pub fn rewrite(path: &Path, content: &[u8], mode: Option<u32>) -> Result<(), FileError> {
    let old = match fs::metadata(path) {
        Ok(old) => old,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return write_atomic(path, content, mode.unwrap_or(0o600));
        }
        Err(error) => return Err(FileError::at(path)(error)),
    };
    let mode = mode.unwrap_or_else(|| old.mode() & 0o777);
    if mode & 0o004 != 0 {
        tracing::warn!(path = %path.display(), "every user can read this secret: chmod 600");
    }
    let name = path.file_name().ok_or_else(|| FileError {
        path: path.to_owned(),
        cause: io::Error::from(io::ErrorKind::InvalidInput),
    })?;
    let prepare = |file: &File| {
        let own = file.metadata()?;
        if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
            fchown(file, Some(old.uid()), Some(old.gid()))?;
        }
        // A change of the owner takes bits away.
        file.set_permissions(Permissions::from_mode(mode))
    };
    let replaced = Directory::open(parent(path))?.replace_with(name, content, prepare);
    match replaced {
        Err(error) if old.is_file() && cannot_replace(&error) => {
            tracing::debug!(%error, "the file is written in place");
            write_in_place(path, content, mode, &old)
        }
        settled => settled,
    }
    .map_err(FileError::at(path))
}

/// A file that is mounted by itself, a directory that is read only or another's, an
/// owner that we cannot give a file to.
fn cannot_replace(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ResourceBusy
            | io::ErrorKind::CrossesDevices
            | io::ErrorKind::PermissionDenied
            | io::ErrorKind::ReadOnlyFilesystem
    )
}

/// Writes over the old content, then cuts off what is left of it: never is there nothing. No link is
/// followed, for the directory may be another user's, who would choose what is written over.
fn write_in_place(path: &Path, content: &[u8], mode: u32, old: &fs::Metadata) -> io::Result<()> {
    let mut file = OpenOptions::new()
        .write(true)
        .custom_flags(OFlags::NOFOLLOW.bits().cast_signed())
        .open(path)?;
    let found = file.metadata()?;
    if (found.dev(), found.ino()) != (old.dev(), old.ino()) {
        return Err(io::Error::other("another file was put in its place"));
    }
    if old.mode() & 0o777 != mode {
        file.set_permissions(Permissions::from_mode(mode))?;
    }
    file.write_all(content)?;
    file.set_len(content.len() as u64)?;
    file.sync_all()
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

/// A file that was opened once: what is said of its owner and its mode is said
/// of the very file that is read, whatever its path leads to meanwhile.
#[derive(Debug)]
pub struct Opened {
    path: PathBuf,
    file: File,
    metadata: Metadata,
}

impl Opened {
    /// Opens a file to read.
    ///
    /// # Errors
    /// [`FileError`].
    pub fn open(path: &Path) -> Result<Self, FileError> {
        Self::open_with(path, OFlags::empty())
    }

    /// Opens a file to read that must lie there itself: a link in its place is not followed, and what is no file is not waited for.
    ///
    /// # Errors
    /// [`FileError`], also for a link.
    pub fn open_in_place(path: &Path) -> Result<Self, FileError> {
        Self::open_with(path, OFlags::NOFOLLOW | OFlags::NONBLOCK)
    }

    fn open_with(path: &Path, flags: OFlags) -> Result<Self, FileError> {
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(path)
            .map_err(FileError::at(path))?;
        let metadata = file.metadata().map_err(FileError::at(path))?;
        Ok(Self {
            path: path.to_owned(),
            file,
            metadata,
        })
    }

    /// The owner, if that is neither this user nor root.
    pub fn foreign_owner(&self) -> Option<u32> {
        Some(self.metadata.uid()).filter(|owner| is_foreign(*owner))
    }

    /// Whether others than the owner may read or write it.
    pub fn is_open_to_others(&self) -> bool {
        self.metadata.mode() & 0o077 != 0
    }

    /// Whether it is a plain file of the user who runs this, and of nobody else's to read or write.
    pub fn is_private(&self) -> bool {
        self.metadata.is_file()
            && self.metadata.uid() == rustix::process::geteuid().as_raw()
            && !self.is_open_to_others()
    }

    /// Refuses a secret of another user, who knows it and may put another one
    /// in its place.
    ///
    /// # Errors
    /// [`FileError`] that names the owner.
    pub fn refuse_foreign(self) -> Result<Self, FileError> {
        let Some(owner) = self.foreign_owner() else {
            return Ok(self);
        };
        Err(FileError {
            path: self.path,
            cause: io::Error::new(
                io::ErrorKind::PermissionDenied,
                format!(
                    "belongs to user {owner}, who may put another secret in its place; chown it to the user who runs this, or to root"
                ),
            ),
        })
    }

    /// Tells of a secret that every user can read or write.
    pub fn tell_if_open(&self) {
        if self.metadata.mode() & 0o006 != 0 {
            tracing::warn!(
                path = %self.path.display(),
                "every user of this machine can read this secret: chmod 600"
            );
        }
    }

    /// The content.
    ///
    /// # Errors
    /// [`FileError`], also for a file of more than 1 MiB.
    pub fn read(self) -> Result<Secret<Vec<u8>>, FileError> {
        let mut content = Vec::new();
        self.file
            .take(MAX_BYTES + 1)
            .read_to_end(&mut content)
            .map_err(FileError::at(&self.path))?;
        let content = Secret::new(content);
        if content.expose().len() as u64 > MAX_BYTES {
            return Err(FileError {
                path: self.path,
                cause: too_large(),
            });
        }
        Ok(content)
    }
}

/// Reads a file that may hold a secret.
///
/// # Errors
/// [`FileError`], also for a file of more than 1 MiB.
pub fn read_secret(path: &Path) -> Result<Secret<Vec<u8>>, FileError> {
    Opened::open(path)?.read()
}

/// Reads a secret by which we log in: one of another user is refused, one that
/// every user can read is told.
///
/// # Errors
/// [`FileError`].
pub fn read_private(path: &Path) -> Result<Secret<Vec<u8>>, FileError> {
    let opened = Opened::open(path)?.refuse_foreign()?;
    opened.tell_if_open();
    opened.read()
}

pub(crate) fn too_large() -> io::Error {
    io::Error::new(io::ErrorKind::FileTooLarge, "more than 1 MiB")
}

/// Whether a user is neither the one who runs this nor root.
pub fn is_foreign(owner: u32) -> bool {
    owner != 0 && owner != rustix::process::geteuid().as_raw()
}

/// Whether others than the owner may read or write the file.
///
/// # Errors
/// [`FileError`] when the file cannot be looked at.
pub fn is_open_to_others(path: &Path) -> Result<bool, FileError> {
    let metadata = fs::metadata(path).map_err(FileError::at(path))?;
    Ok(metadata.mode() & 0o077 != 0)
}

/// Whether others than the owner may write the file, or put files into the
/// directory. In a sticky directory, such as `/tmp`, nobody replaces what is
/// another's.
///
/// # Errors
/// [`FileError`] when it cannot be looked at.
pub fn is_writable_by_others(path: &Path) -> Result<bool, FileError> {
    let metadata = fs::metadata(path).map_err(FileError::at(path))?;
    let sticky = metadata.is_dir() && metadata.mode() & 0o1000 != 0;
    Ok(metadata.mode() & 0o022 != 0 && !sticky)
}

/// The owner of a file that belongs neither to this user nor to root, who may
/// then replace it.
///
/// # Errors
/// [`FileError`] when the file cannot be looked at.
pub fn foreign_owner(path: &Path) -> Result<Option<u32>, FileError> {
    let owner = fs::metadata(path).map_err(FileError::at(path))?.uid();
    Ok(Some(owner).filter(|owner| is_foreign(*owner)))
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

    /// Two users: a secret of another one is not taken, however it is reached.
    #[test]
    fn a_secret_of_another_user_is_refused() {
        use std::os::unix::fs::{chown, symlink};

        crate::testing::needs_root();
        let directory = tempfile::tempdir().unwrap();
        let (token, link) = (
            directory.path().join("token"),
            directory.path().join("link"),
        );
        fs::write(&token, "s.foreign").unwrap();
        symlink(&token, &link).unwrap();
        assert_eq!(read_private(&token).unwrap().expose(), b"s.foreign");
        chown(&token, Some(crate::testing::OTHER), None).unwrap();
        for path in [&token, &link] {
            let error = read_private(path).unwrap_err();
            let text = error.to_string();
            assert!(text.contains("belongs to user 65534"), "{text}");
            assert!(!text.contains("s.foreign"), "{text}");
        }
        assert!(read_secret(&token).is_ok(), "what is no login is only read");
    }

    #[test]
    fn what_cannot_be_replaced_is_written_in_place() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shared");
        for content in ["a long one", "short", "another long one"] {
            fs::write(&path, "something before").unwrap();
            let old = fs::metadata(&path).unwrap();
            write_in_place(&path, content.as_bytes(), 0o640, &old).unwrap();
            assert_eq!(fs::read_to_string(&path).unwrap(), content);
            let new = fs::metadata(&path).unwrap();
            assert_eq!((new.ino(), new.mode() & 0o777), (old.ino(), 0o640));
        }
        // What came in its place meanwhile is another's choice.
        let (other, link) = (
            directory.path().join("other"),
            directory.path().join("link"),
        );
        fs::write(&other, "other").unwrap();
        std::os::unix::fs::symlink(&other, &link).unwrap();
        for (target, seen) in [(&link, &other), (&other, &path)] {
            let old = fs::metadata(seen).unwrap();
            write_in_place(target, b"new", 0o600, &old).unwrap_err();
        }
        assert_eq!(fs::read_to_string(&other).unwrap(), "other");
        for (kind, cannot) in [
            (io::ErrorKind::ResourceBusy, true),
            (io::ErrorKind::ReadOnlyFilesystem, true),
            (io::ErrorKind::PermissionDenied, true),
            (io::ErrorKind::StorageFull, false),
        ] {
            assert_eq!(cannot_replace(&kind.into()), cannot, "{kind}");
        }
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
