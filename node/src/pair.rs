//! Certificate and key as one thing on disk.
//!
//! The two files that programs open are symbolic links through one link called
//! `current`, which points at a directory that holds both. Replacing that one
//! link replaces the pair:
//!
//! ```text
//! server.pem -> .landfast/current/server.pem
//! server.key -> .landfast/current/server.key
//! .landfast/current -> 0000000000000002
//! .landfast/0000000000000001/{server.pem,server.key}
//! .landfast/0000000000000002/{server.pem,server.key}
//! ```
//!
//! Whoever owns the directory may be another user than the one who renews, root
//! most often. So the store is this user's own, links are taken by their text
//! and only in this form, and nothing is done by a path twice.
//!
//! A program that opens the two names one after the other may still straddle a
//! replacement. A renewal therefore keeps the key unless told otherwise: then
//! every certificate goes with every key.

mod store;
#[cfg(test)]
mod tests;

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use landfast_base::Secret;

use self::store::{CURRENT, NewFile, STORE, Store, is_version};
use crate::directory::Directory;
use crate::files::{self, FileError};

/// The modes of the two files.
const CERTIFICATE_MODE: u32 = 0o644;
const KEY_MODE: u32 = 0o600;

/// Is told after each change to the disk, and may end the work there as a crash would.
type Step<'a> = &'a mut dyn FnMut(&'static str) -> io::Result<()>;

/// Where a pair lies.
#[derive(Clone, Debug)]
pub struct Pair {
    directory: PathBuf,
    certificate: String,
    key: String,
}

/// The two names are not usable as a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("certificate and key must be two plainly named files in one directory")]
pub struct NotAPair;

impl Pair {
    /// A pair of two files in one directory.
    ///
    /// # Errors
    /// [`NotAPair`].
    pub fn new(certificate: &Path, key: &Path) -> Result<Self, NotAPair> {
        let name = |path: &Path| {
            path.file_name()
                .and_then(|name| name.to_str())
                .map(str::to_owned)
                .ok_or(NotAPair)
        };
        let (certificate_name, key_name) = (name(certificate)?, name(key)?);
        let directory = files::parent(certificate);
        if directory != files::parent(key) || certificate_name == key_name {
            return Err(NotAPair);
        }
        Ok(Self {
            directory: directory.to_owned(),
            certificate: certificate_name,
            key: key_name,
        })
    }

    /// The certificate's path.
    pub fn certificate_path(&self) -> PathBuf {
        self.directory.join(&self.certificate)
    }

    /// The key's path.
    pub fn key_path(&self) -> PathBuf {
        self.directory.join(&self.key)
    }

    /// Replaces the pair.
    ///
    /// # Errors
    /// [`FileError`]; the old pair is in place then, or the new one.
    pub fn install(&self, certificate: &str, key: &Secret<String>) -> Result<(), FileError> {
        self.install_watched(certificate, key, &mut |_| Ok(()))
    }

    /// Refuses early what [`install`](Self::install) would refuse, before
    /// anything is asked of a server.
    ///
    /// # Errors
    /// [`FileError`]: the store is another user's, is not one of ours, one
    /// of the two names is a mount of its own, a directory, or a link of another
    /// user's, or nothing can be written there.
    pub fn check(&self) -> Result<(), FileError> {
        let directory = match Directory::open(&self.directory) {
            Ok(directory) => directory,
            Err(error) if error.is_not_found() => return self.check_ancestor(),
            Err(error) => return Err(error),
        };
        may_write(&directory)?;
        for name in [&self.certificate, &self.key] {
            if directory.is_directory(name) {
                return Err(refused(
                    &self.directory.join(name),
                    "is a directory, and a file is to stand there: remove it, or give another name",
                ));
            }
            if directory.is_mount(name) {
                return Err(refused(
                    &self.directory.join(name),
                    "is mounted by itself, so that no other file can take its place: mount its directory instead",
                ));
            }
        }
        let current = match Store::open(&directory) {
            Ok(store) => store.current()?,
            Err(error) if error.is_not_found() => None,
            Err(error) => return Err(error),
        };
        if current.is_none() && self.is_whole() {
            for name in [&self.certificate, &self.key] {
                self.refuse_foreign_link(&directory, name)?;
            }
        }
        Ok(())
    }

    /// The directory is to be made: whatever is there of its path takes a new one.
    fn check_ancestor(&self) -> Result<(), FileError> {
        let above = self.directory.ancestors().skip(1).map(|path| match path {
            path if path.as_os_str().is_empty() => Path::new("."),
            path => path,
        });
        for path in above {
            match Directory::open(path) {
                Err(error) if error.is_not_found() => {}
                Err(error) => return Err(error),
                Ok(directory) => return may_write(&directory),
            }
        }
        Ok(())
    }

    /// Whether the key in place lies in a version that this user or root made.
    /// Its owner may be another one all the same: whoever made it may have
    /// given it to a service.
    pub fn is_ours(&self) -> bool {
        self.linked().is_some_and(|version| {
            let trusted = |path: &Path| matches!(files::foreign_owner(path), Ok(None));
            trusted(&version) && trusted(&self.directory.join(STORE))
        })
    }

    /// Puts the pair before the current one back, for a renewal that a hook
    /// found bad, and removes the bad one: it must never be the former pair of
    /// the next renewal. Says whether there was one to go back to.
    ///
    /// # Errors
    /// [`FileError`]; the pair in place is then one of the two.
    pub fn roll_back(&self) -> Result<bool, FileError> {
        let directory = Directory::open(&self.directory)?;
        let store = Store::open(&directory)?;
        let current = store.current()?;
        let former = store
            .versions()?
            .into_iter()
            .rfind(|version| Some(version) < current.as_ref());
        let Some(former) = former else {
            return Ok(false);
        };
        store.flip(&former)?;
        if let Some(bad) = current {
            store.remove(&bad)?;
        }
        Ok(true)
    }

    /// Removes the former pairs whose key is not the one in place: nobody goes back to a
    /// key that was given up, once whoever uses the new one has taken it.
    ///
    /// # Errors
    /// [`FileError`]; the pair in place is untouched.
    pub fn forget_former_keys(&self) -> Result<(), FileError> {
        let directory = Directory::open(&self.directory)?;
        let store = match Store::open(&directory) {
            Err(error) if error.is_not_found() => return Ok(()),
            opened => opened?,
        };
        let Some(current) = store.current()? else {
            return Ok(());
        };
        let key = |version: &str| store.read(version, &self.key);
        let own = key(&current).map_err(FileError::at(store.path()))?;
        for version in store.versions()? {
            let same = key(&version).is_ok_and(|other| other.expose() == own.expose());
            if version < current && !same {
                store.remove(&version)?;
            }
        }
        store.sync()
    }

    /// As [`install`](Self::install); `step` is told after each change to the
    /// disk, and may end the work there as a crash would.
    fn install_watched(
        &self,
        certificate: &str,
        key: &Secret<String>,
        step: Step<'_>,
    ) -> Result<(), FileError> {
        let at = || FileError::at(&self.directory);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&self.directory)
            .map_err(at())?;
        let directory = Directory::open(&self.directory)?;
        directory.make(STORE, 0o755).map_err(at())?;
        let store = Store::open(&directory)?;
        step("store made").map_err(at())?;

        if store.current()?.is_none() && self.is_whole() {
            // A pair that somebody put here by hand: the links must first lead to that one.
            let old_certificate = self.by_hand(&directory, &self.certificate)?;
            let old_key = self.by_hand(&directory, &self.key)?;
            let version = self.add(&store, old_certificate.expose(), old_key.expose(), step)?;
            store.flip(&version)?;
            step("old pair adopted").map_err(at())?;
            self.link(&directory, step)?;
        }
        let version = self.add(
            &store,
            certificate.as_bytes(),
            key.expose().as_bytes(),
            step,
        )?;
        store.flip(&version)?;
        step("flipped").map_err(at())?;
        self.link(&directory, step)?;
        store.tidy()
    }

    /// A file that was here before us. The certificate's copy is for everybody
    /// to read, so a link of another user's must not choose what is copied.
    fn by_hand(&self, directory: &Directory, name: &str) -> Result<Secret<Vec<u8>>, FileError> {
        let path = self.directory.join(name);
        self.refuse_foreign_link(directory, name)?;
        let foreign = directory.foreign_owner().map_err(FileError::at(&path))?;
        let follow = foreign.is_none();
        directory.read(name, follow).map_err(FileError::at(&path))
    }

    fn refuse_foreign_link(&self, directory: &Directory, name: &str) -> Result<(), FileError> {
        let path = self.directory.join(name);
        let foreign = directory.foreign_owner().map_err(FileError::at(&path))?;
        match foreign.filter(|_| directory.is_link(name)) {
            Some(owner) => Err(refused(
                &path,
                &format!("a link in a directory of user {owner} is not followed: remove it"),
            )),
            None => Ok(()),
        }
    }

    /// Writes a new version; the key first, so that no certificate is ever without one.
    fn add(
        &self,
        store: &Store,
        certificate: &[u8],
        key: &[u8],
        step: Step<'_>,
    ) -> Result<String, FileError> {
        let key = NewFile {
            name: &self.key,
            content: key,
            mode: KEY_MODE,
        };
        let certificate = NewFile {
            name: &self.certificate,
            content: certificate,
            mode: CERTIFICATE_MODE,
        };
        store.add(&[key, certificate], step)
    }

    /// Makes the two names lead through `current`.
    fn link(&self, directory: &Directory, step: Step<'_>) -> Result<(), FileError> {
        for name in [&self.key, &self.certificate] {
            let at = || FileError::at(&self.directory.join(name));
            let target = format!("{STORE}/{CURRENT}/{name}");
            if directory
                .link_text(name)
                .is_ok_and(|found| found.as_ref() == Some(&target))
            {
                continue;
            }
            directory.replace_link(&target, name).map_err(at())?;
            step("name linked").map_err(at())?;
        }
        directory.sync().map_err(FileError::at(&self.directory))
    }

    /// The directory of the current version, if both names lead there.
    fn linked(&self) -> Option<PathBuf> {
        let current = Path::new(STORE).join(CURRENT);
        let leads = |name: &String| {
            let link = fs::read_link(self.directory.join(name));
            link.is_ok_and(|target| target == current.join(name))
        };
        if !(leads(&self.certificate) && leads(&self.key)) {
            return None;
        }
        let version = fs::read_link(self.directory.join(current)).ok()?;
        let version = version.to_str().filter(|version| is_version(version))?;
        fs::canonicalize(self.directory.join(STORE).join(version)).ok()
    }

    fn is_whole(&self) -> bool {
        self.certificate_path().is_file() && self.key_path().is_file()
    }
}

fn may_write(directory: &Directory) -> Result<(), FileError> {
    directory.may_write().map_err(|error| {
        refused(
            directory.path(),
            &format!(
                "nothing can be written here ({error}): run this as a user who may, or name another directory by --certificate and --private-key"
            ),
        )
    })
}

fn refused(path: &Path, why: &str) -> FileError {
    FileError {
        path: path.to_owned(),
        cause: io::Error::new(io::ErrorKind::PermissionDenied, why),
    }
}

/// What certificate and key hold, in this order.
pub type Texts = (Secret<Vec<u8>>, Secret<Vec<u8>>);

/// What a file holds.
pub(crate) type Text = Result<Secret<Vec<u8>>, FileError>;

/// Certificate and key as of one moment. Where a [`Pair`] was installed, they
/// come from one version of it, whatever is renewed between the two reads.
///
/// # Errors
/// [`FileError`] when either cannot be read.
pub fn read_both(certificate: &Path, key: &Path) -> Result<Texts, FileError> {
    let (certificate, key) = read_each(certificate, key);
    Ok((certificate?, key?))
}

/// As [`read_both`], where one may be there without the other.
pub(crate) fn read_each(certificate: &Path, key: &Path) -> (Text, Text) {
    if let Ok(pair) = Pair::new(certificate, key) {
        // Two further renewals take the version away that was just found: look again.
        for _ in 0..3 {
            let Some(version) = pair.linked() else { break };
            let read = |name: &String| files::read_secret(&version.join(name));
            if let both @ (Ok(_), Ok(_)) = (read(&pair.certificate), read(&pair.key)) {
                return both;
            }
        }
    }
    (files::read_secret(certificate), files::read_secret(key))
}
