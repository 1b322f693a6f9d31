//! A directory that is opened once: what is done in it is done in that very
//! one, wherever its path leads meanwhile.
//!
//! A user who owns a directory above may replace any part of a path between
//! two calls. Names below an open directory, without following links, cannot
//! be led elsewhere.

use std::ffi::OsStr;
use std::fs::{File, Permissions};
use std::io::{self, Read as _, Write as _};
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use landfast_base::{Secret, hex, random};
use rustix::fs::{Access, AtFlags, Dir, FileType, Mode, OFlags, StatxFlags};
use rustix::io::Errno;
use rustix::path::Arg;

use crate::files::{self, FileError, MAX_BYTES};

/// An open directory.
#[derive(Debug)]
pub(crate) struct Directory {
    handle: OwnedFd,
    /// For messages only.
    path: PathBuf,
}

impl Directory {
    /// Opens a directory by its path, links in it included.
    pub(crate) fn open(path: &Path) -> Result<Self, FileError> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let handle = rustix::fs::open(path, flags, Mode::empty()).map_err(|error| FileError {
            path: path.to_owned(),
            cause: error.into(),
        })?;
        Ok(Self {
            handle,
            path: path.to_owned(),
        })
    }

    /// The directory `name` in this one; a link of that name is refused.
    pub(crate) fn child(&self, name: &str) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let handle = rustix::fs::openat(&self.handle, name, flags, Mode::empty())?;
        Ok(Self {
            handle,
            path: self.path.join(name),
        })
    }

    /// Makes the directory `name`, if nothing has the name.
    pub(crate) fn make(&self, name: &str, mode: u32) -> io::Result<()> {
        match rustix::fs::mkdirat(&self.handle, name, Mode::from_raw_mode(mode)) {
            Ok(()) | Err(Errno::EXIST) => Ok(()),
            Err(error) => Err(error.into()),
        }
    }

    /// The path that it was opened by.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The owner, if that is neither this user nor root.
    pub(crate) fn foreign_owner(&self) -> io::Result<Option<u32>> {
        let owner = rustix::fs::fstat(&self.handle)?.st_uid;
        Ok(Some(owner).filter(|owner| files::is_foreign(*owner)))
    }

    /// Whether others than the owner may put files into it.
    pub(crate) fn is_writable_by_others(&self) -> io::Result<bool> {
        Ok(rustix::fs::fstat(&self.handle)?.st_mode & 0o022 != 0)
    }

    /// Whether this user may put files into it; the system's reason if not.
    pub(crate) fn may_write(&self) -> io::Result<()> {
        let wanted = Access::WRITE_OK | Access::EXEC_OK;
        Ok(rustix::fs::accessat(
            &self.handle,
            ".",
            wanted,
            AtFlags::empty(),
        )?)
    }

    /// Every name in it.
    pub(crate) fn names(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in Dir::read_from(&self.handle)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            if name != "." && name != ".." {
                names.push(name);
            }
        }
        Ok(names)
    }

    /// The text of the link `name`; none when nothing has the name.
    pub(crate) fn link_text(&self, name: &str) -> io::Result<Option<String>> {
        match rustix::fs::readlinkat(&self.handle, name, Vec::new()) {
            Ok(text) => Ok(Some(text.to_string_lossy().into_owned())),
            Err(Errno::NOENT) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether `name` is a link.
    pub(crate) fn is_link(&self, name: &str) -> bool {
        rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Symlink)
    }

    /// Whether `name` is a directory itself.
    pub(crate) fn is_directory(&self, name: &str) -> bool {
        rustix::fs::statat(&self.handle, name, AtFlags::SYMLINK_NOFOLLOW)
            .is_ok_and(|stat| FileType::from_raw_mode(stat.st_mode) == FileType::Directory)
    }

    /// Whether a file system, or a single file, is mounted on `name`: then
    /// nothing can be renamed over it.
    pub(crate) fn is_mount(&self, name: &str) -> bool {
        let id = |name: &str, flags| {
            let flags = flags | AtFlags::SYMLINK_NOFOLLOW;
            let found = rustix::fs::statx(&self.handle, name, flags, StatxFlags::MNT_ID).ok()?;
            let known = found.stx_mask & StatxFlags::MNT_ID.bits() != 0;
            known.then_some(found.stx_mnt_id)
        };
        let own = id("", AtFlags::EMPTY_PATH);
        let other = id(name, AtFlags::empty());
        matches!((own, other), (Some(own), Some(other)) if own != other)
    }

    /// Reads the file `name`, which may be led to by a link where `follow` says so.
    pub(crate) fn read(&self, name: &str, follow: bool) -> io::Result<Secret<Vec<u8>>> {
        // A pipe that somebody put there must not hold the command up.
        let mut flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
        if !follow {
            flags |= OFlags::NOFOLLOW;
        }
        let file = File::from(rustix::fs::openat(
            &self.handle,
            name,
            flags,
            Mode::empty(),
        )?);
        if !file.metadata()?.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "not a file"));
        }
        let mut content = Vec::new();
        file.take(MAX_BYTES + 1).read_to_end(&mut content)?;
        let content = Secret::new(content);
        if content.expose().len() as u64 > MAX_BYTES {
            return Err(files::too_large());
        }
        Ok(content)
    }

    /// Creates the file `name`, which must not exist yet, with exactly `mode`,
    /// and syncs it.
    pub(crate) fn write_new(&self, name: impl Arg, content: &[u8], mode: u32) -> io::Result<()> {
        // The umask may have taken bits away at creation.
        let exactly = |file: &File| file.set_permissions(Permissions::from_mode(mode));
        self.create(name, content, mode, exactly)
    }

    /// The same with an owner and a mode that `prepare` sees to while it is empty.
    fn create(
        &self,
        name: impl Arg,
        content: &[u8],
        mode: u32,
        prepare: impl FnOnce(&File) -> io::Result<()>,
    ) -> io::Result<()> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mode = Mode::from_raw_mode(mode);
        let mut file = File::from(rustix::fs::openat(&self.handle, name, flags, mode)?);
        prepare(&file)?;
        file.write_all(content)?;
        file.sync_all()
    }

    /// Replaces the file `name` in one step: a new file beside it, synced, then
    /// renamed over it. The old one is untouched when that fails.
    pub(crate) fn replace(&self, name: &OsStr, content: &[u8], mode: u32) -> io::Result<()> {
        // The umask may have taken bits away at creation.
        let exactly = |file: &File| file.set_permissions(Permissions::from_mode(mode));
        self.replace_with(name, content, exactly)
    }

    /// The same with an owner and a mode that `prepare` sees to while the new file is empty
    /// and private.
    pub(crate) fn replace_with(
        &self,
        name: &OsStr,
        content: &[u8],
        prepare: impl FnOnce(&File) -> io::Result<()>,
    ) -> io::Result<()> {
        let suffix = random::<8>().map_err(io::Error::other)?;
        let mut new = name.to_owned();
        new.push(format!(".{}.new", hex(&suffix)));
        let written = self
            .create(new.as_os_str(), content, 0o600, prepare)
            .and_then(|()| self.rename(new.as_os_str(), name))
            .and_then(|()| self.sync());
        if written.is_err() {
            // Gone already when the rename went through; nothing else to do if it fails.
            let _ = self.remove(new.as_os_str());
        }
        written
    }

    /// Makes `name` a link with this text in one step, whatever is there.
    pub(crate) fn replace_link(&self, text: &str, name: &str) -> io::Result<()> {
        let new = format!("{name}.new");
        match self.remove(new.as_str()) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        rustix::fs::symlinkat(text, &self.handle, &new)?;
        self.rename(new.as_str(), name)
    }

    /// Renames within the directory.
    pub(crate) fn rename(&self, from: impl Arg, to: impl Arg) -> io::Result<()> {
        Ok(rustix::fs::renameat(&self.handle, from, &self.handle, to)?)
    }

    /// Removes a file or a link; never what a link leads to.
    pub(crate) fn remove(&self, name: impl Arg) -> io::Result<()> {
        Ok(rustix::fs::unlinkat(&self.handle, name, AtFlags::empty())?)
    }

    /// Removes a directory of files. One that holds directories, or is a link,
    /// is not ours and stays.
    pub(crate) fn remove_flat(&self, name: &str) -> io::Result<()> {
        let child = self.child(name)?;
        for file in child.names()? {
            child.remove(file.as_str())?;
        }
        Ok(rustix::fs::unlinkat(
            &self.handle,
            name,
            AtFlags::REMOVEDIR,
        )?)
    }

    /// Makes a rename or a new entry durable.
    pub(crate) fn sync(&self) -> io::Result<()> {
        Ok(rustix::fs::fsync(self.handle.as_fd())?)
    }
}
