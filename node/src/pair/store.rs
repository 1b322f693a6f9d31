//! The directory of the versions of a pair, and the link that says which one is in place.

use std::io;
use std::path::Path;

use landfast_base::Secret;

use super::{Step, refused};
use crate::directory::Directory;
use crate::files::FileError;

/// The name of the store beside the two files.
pub(super) const STORE: &str = ".landfast";
/// The link in it that names the version in place.
pub(super) const CURRENT: &str = "current";
/// Former pairs that stay, for a reader that has just resolved the link.
pub(super) const KEEP: usize = 2;

/// A file of a new version.
pub(super) struct NewFile<'a> {
    pub(super) name: &'a str,
    pub(super) content: &'a [u8],
    pub(super) mode: u32,
}

/// The open directory of the versions.
pub(super) struct Store(Directory);

impl Store {
    /// Opens the store, which nobody but this user and root may change.
    pub(super) fn open(directory: &Directory) -> Result<Self, FileError> {
        let path = directory.path().join(STORE);
        let at = || FileError::at(&path);
        let store = match directory.child(STORE) {
            Ok(store) => store,
            Err(_) if directory.is_link(STORE) => {
                return Err(refused(
                    &path,
                    "is a link, which is not followed: remove it",
                ));
            }
            Err(error) => return Err(at()(error)),
        };
        if let Some(owner) = store.foreign_owner().map_err(at())? {
            return Err(refused(
                &path,
                &format!(
                    "belongs to user {owner}, who may change what is in it: run this as that user, or remove it"
                ),
            ));
        }
        if store.is_writable_by_others().map_err(at())? {
            return Err(refused(
                &path,
                "others than the owner may write to it: chmod 755, then look at what is in it",
            ));
        }
        Ok(Self(store))
    }

    /// Where it lies.
    pub(super) fn path(&self) -> &Path {
        self.0.path()
    }

    /// The version that is in place.
    pub(super) fn current(&self) -> Result<Option<String>, FileError> {
        let path = self.0.path().join(CURRENT);
        match self.0.link_text(CURRENT).map_err(FileError::at(&path))? {
            Some(text) if !is_version(&text) => Err(refused(
                &path,
                "leads to no version of this pair, so somebody else made it: remove it, then enrol anew",
            )),
            text => Ok(text),
        }
    }

    /// The finished versions, oldest first.
    pub(super) fn versions(&self) -> Result<Vec<String>, FileError> {
        let mut names = self.0.names().map_err(FileError::at(self.0.path()))?;
        names.retain(|name| is_version(name));
        names.sort_unstable();
        Ok(names)
    }

    /// Reads a file of a version; a link in its place is not followed.
    pub(super) fn read(&self, version: &str, name: &str) -> io::Result<Secret<Vec<u8>>> {
        self.0.child(version)?.read(name, false)
    }

    /// Writes a new version, the files in their order; it appears with all of them in it or not at all.
    pub(super) fn add(&self, files: &[NewFile<'_>], step: Step<'_>) -> Result<String, FileError> {
        let last = self
            .versions()?
            .last()
            .and_then(|name| name.parse::<u64>().ok());
        let version = format!("{:016}", last.unwrap_or(0) + 1);
        let unfinished = format!("{version}.new");
        let at = || FileError::at(self.0.path());
        let write = || -> io::Result<()> {
            match self.0.remove_flat(&unfinished) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            self.0.make(&unfinished, 0o755)?;
            let new = self.0.child(&unfinished)?;
            for file in files {
                new.write_new(file.name, file.content, file.mode)?;
            }
            new.sync()
        };
        write().map_err(FileError::at(&self.0.path().join(&unfinished)))?;
        step("files written").map_err(at())?;
        self.0
            .rename(unfinished.as_str(), version.as_str())
            .and_then(|()| self.0.sync())
            .map_err(at())?;
        step("version in place").map_err(at())?;
        Ok(version)
    }

    /// Puts a version in place.
    pub(super) fn flip(&self, version: &str) -> Result<(), FileError> {
        self.0
            .replace_link(version, CURRENT)
            .and_then(|()| self.0.sync())
            .map_err(FileError::at(self.0.path()))
    }

    /// Removes a version.
    pub(super) fn remove(&self, version: &str) -> Result<(), FileError> {
        self.0
            .remove_flat(version)
            .map_err(FileError::at(&self.0.path().join(version)))
    }

    /// Writes what was changed in it through to the disk.
    pub(super) fn sync(&self) -> Result<(), FileError> {
        self.0.sync().map_err(FileError::at(self.0.path()))
    }

    /// Removes the former versions but the latest few.
    pub(super) fn tidy(&self) -> Result<(), FileError> {
        let current = self.current()?;
        let versions = self.versions()?;
        let old = versions
            .iter()
            .filter(|version| Some(*version) < current.as_ref())
            .rev()
            .skip(KEEP);
        for version in old {
            self.remove(version)?;
        }
        Ok(())
    }
}

/// Whether a text is the name of a version, and so leads nowhere else.
pub(super) fn is_version(name: &str) -> bool {
    name.len() == 16 && name.bytes().all(|b| b.is_ascii_digit())
}
