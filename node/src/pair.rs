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

use std::fs;
use std::io;
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use landfast_pki::Secret;

use crate::directory::Directory;
use crate::files::{self, FileError};

const STORE: &str = ".landfast";
const CURRENT: &str = "current";
/// Former pairs that stay, for a reader that has just resolved the link.
const KEEP: usize = 2;

/// The modes of the two files.
const CERTIFICATE_MODE: u32 = 0o644;
const KEY_MODE: u32 = 0o600;

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
    /// [`FileError`]: the store is another user's, is not one of ours, or one
    /// of the two names is a mount of its own.
    pub fn check(&self) -> Result<(), FileError> {
        let directory = match Directory::open(&self.directory) {
            Ok(directory) => directory,
            Err(error) if error.is_not_found() => return Ok(()),
            Err(error) => return Err(error),
        };
        for name in [&self.certificate, &self.key] {
            if directory.is_mount(name) {
                return Err(refused(
                    &self.directory.join(name),
                    "is mounted by itself, so that no other file can take its place: mount its directory instead",
                ));
            }
        }
        match Store::open(&directory) {
            Ok(store) => store.current().map(drop),
            Err(error) if error.is_not_found() => Ok(()),
            Err(error) => Err(error),
        }
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
        let key = |version: &String| store.0.child(version)?.read(&self.key, false);
        let own = key(&current).map_err(FileError::at(store.0.path()))?;
        for version in store.versions()? {
            let same = key(&version).is_ok_and(|other| other.expose() == own.expose());
            if version < current && !same {
                store.remove(&version)?;
            }
        }
        store.0.sync().map_err(FileError::at(store.0.path()))
    }

    /// As [`install`](Self::install); `step` is told after each change to the
    /// disk, and may end the work there as a crash would.
    fn install_watched(
        &self,
        certificate: &str,
        key: &Secret<String>,
        step: &mut dyn FnMut(&'static str) -> io::Result<()>,
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
        let foreign = directory.foreign_owner().map_err(FileError::at(&path))?;
        if let Some(owner) = foreign.filter(|_| directory.is_link(name)) {
            return Err(refused(
                &path,
                &format!("a link in a directory of user {owner} is not followed: remove it"),
            ));
        }
        let follow = foreign.is_none();
        directory.read(name, follow).map_err(FileError::at(&path))
    }

    /// Writes a new version directory; it appears with both files in it or not at all.
    fn add(
        &self,
        store: &Store,
        certificate: &[u8],
        key: &[u8],
        step: &mut dyn FnMut(&'static str) -> io::Result<()>,
    ) -> Result<String, FileError> {
        let last = store
            .versions()?
            .last()
            .and_then(|name| name.parse::<u64>().ok());
        let version = format!("{:016}", last.unwrap_or(0) + 1);
        let unfinished = format!("{version}.new");
        let at = || FileError::at(store.0.path());
        let write = || -> io::Result<()> {
            match store.0.remove_flat(&unfinished) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            store.0.make(&unfinished, 0o755)?;
            let new = store.0.child(&unfinished)?;
            new.write_new(self.key.as_str(), key, KEY_MODE)?;
            new.write_new(self.certificate.as_str(), certificate, CERTIFICATE_MODE)?;
            new.sync()
        };
        write().map_err(FileError::at(&store.0.path().join(&unfinished)))?;
        step("files written").map_err(at())?;
        store
            .0
            .rename(unfinished.as_str(), version.as_str())
            .and_then(|()| store.0.sync())
            .map_err(at())?;
        step("version in place").map_err(at())?;
        Ok(version)
    }

    /// Makes the two names lead through `current`.
    fn link(
        &self,
        directory: &Directory,
        step: &mut dyn FnMut(&'static str) -> io::Result<()>,
    ) -> Result<(), FileError> {
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

/// The open directory of the versions.
struct Store(Directory);

impl Store {
    /// Opens the store, which nobody but this user and root may change.
    fn open(directory: &Directory) -> Result<Self, FileError> {
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

    /// The version that is in place.
    fn current(&self) -> Result<Option<String>, FileError> {
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
    fn versions(&self) -> Result<Vec<String>, FileError> {
        let mut names = self.0.names().map_err(FileError::at(self.0.path()))?;
        names.retain(|name| is_version(name));
        names.sort_unstable();
        Ok(names)
    }

    fn flip(&self, version: &str) -> Result<(), FileError> {
        self.0
            .replace_link(version, CURRENT)
            .and_then(|()| self.0.sync())
            .map_err(FileError::at(self.0.path()))
    }

    fn remove(&self, version: &str) -> Result<(), FileError> {
        self.0
            .remove_flat(version)
            .map_err(FileError::at(&self.0.path().join(version)))
    }

    fn tidy(&self) -> Result<(), FileError> {
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
fn is_version(name: &str) -> bool {
    name.len() == 16 && name.bytes().all(|b| b.is_ascii_digit())
}

fn refused(path: &Path, why: &str) -> FileError {
    FileError {
        path: path.to_owned(),
        cause: io::Error::new(io::ErrorKind::PermissionDenied, why),
    }
}

/// What certificate and key hold, in this order.
pub type Texts = (Secret<Vec<u8>>, Secret<Vec<u8>>);

/// Certificate and key as of one moment. Where a [`Pair`] was installed, they
/// come from one version of it, whatever is renewed between the two reads.
///
/// # Errors
/// [`FileError`] when either can't be read.
pub fn read_both(certificate: &Path, key: &Path) -> Result<Texts, FileError> {
    if let Ok(pair) = Pair::new(certificate, key) {
        // Two further renewals take the version away that was just found: look again.
        for _ in 0..3 {
            let Some(version) = pair.linked() else { break };
            let read = |name: &String| files::read_secret(&version.join(name)).ok();
            if let (Some(certificate), Some(key)) = (read(&pair.certificate), read(&pair.key)) {
                return Ok((certificate, key));
            }
        }
    }
    Ok((files::read_secret(certificate)?, files::read_secret(key)?))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, chown, symlink};
    use std::sync::atomic::{AtomicBool, Ordering};

    use super::*;

    fn pair(directory: &Path) -> Pair {
        Pair::new(&directory.join("server.pem"), &directory.join("server.key")).unwrap()
    }

    fn install(pair: &Pair, content: &str) -> Result<(), FileError> {
        pair.install(content, &Secret::new(content.to_owned()))
    }

    fn read(pair: &Pair) -> Option<(String, String)> {
        let text = |path: PathBuf| fs::read_to_string(path).ok();
        Some((text(pair.certificate_path())?, text(pair.key_path())?))
    }

    #[test]
    fn a_pair_is_installed_with_its_modes_and_replaced() {
        let directory = tempfile::tempdir().unwrap();
        let pair = pair(&directory.path().join("iam/pki"));
        for content in ["one", "two", "three", "four", "five"] {
            install(&pair, content).unwrap();
            assert_eq!(read(&pair).unwrap(), (content.into(), content.into()));
        }
        let mode = |path: PathBuf| fs::metadata(path).unwrap().mode() & 0o777;
        assert_eq!(mode(pair.key_path()), 0o600);
        assert_eq!(mode(pair.certificate_path()), 0o644);
        let store = Store::open(&Directory::open(&pair.directory).unwrap()).unwrap();
        assert_eq!(store.versions().unwrap().len(), 1 + KEEP);
    }

    #[test]
    fn a_bad_renewal_is_rolled_back() {
        let directory = tempfile::tempdir().unwrap();
        let pair = pair(directory.path());
        install(&pair, "good").unwrap();
        assert!(!pair.roll_back().unwrap(), "nothing came before");
        for _ in 0..4 {
            install(&pair, "bad").unwrap();
            assert!(pair.roll_back().unwrap());
            assert_eq!(read(&pair).unwrap().0, "good");
        }
        install(&pair, "better").unwrap();
        assert_eq!(read(&pair).unwrap().0, "better");
    }

    /// A tree of somebody else's, and a pair whose link text leads there.
    fn with_link(text: &Path) -> (tempfile::TempDir, Pair) {
        let directory = tempfile::tempdir().unwrap();
        let pair = pair(directory.path());
        install(&pair, "one").unwrap();
        install(&pair, "two").unwrap();
        let current = directory.path().join(STORE).join(CURRENT);
        fs::remove_file(&current).unwrap();
        symlink(text, &current).unwrap();
        (directory, pair)
    }

    #[test]
    fn a_link_of_another_form_is_not_followed_and_no_foreign_tree_is_removed() {
        let foreign = tempfile::tempdir().unwrap();
        let kept = foreign.path().join("kept");
        fs::write(&kept, "precious").unwrap();
        let name = foreign.path().file_name().unwrap();
        for text in [foreign.path().to_owned(), Path::new("../..").join(name)] {
            let (_directory, pair) = with_link(&text);
            for outcome in [
                pair.check(),
                pair.roll_back().map(drop),
                install(&pair, "three"),
            ] {
                let error = outcome.unwrap_err().to_string();
                assert!(error.contains("no version of this pair"), "{error}");
            }
            assert_eq!(fs::read_to_string(&kept).unwrap(), "precious");
        }
    }

    #[test]
    fn what_only_looks_like_a_version_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let foreign = tempfile::tempdir().unwrap();
        let pair = pair(directory.path());
        install(&pair, "one").unwrap();
        let store = directory.path().join(STORE);
        // A later version by its name, that is a link to elsewhere.
        symlink(foreign.path(), store.join("0000000000000009")).unwrap();
        fs::write(foreign.path().join("server.pem"), "kept").unwrap();
        flip_to(&store, "0000000000000009");
        assert!(pair.roll_back().is_err());
        assert!(foreign.path().join("server.pem").exists());
        // A directory within a version is none of ours.
        let (_directory, pair) = with_link(Path::new("0000000000000002"));
        let deep = pair.directory.join(STORE).join("0000000000000002/deep");
        fs::create_dir(&deep).unwrap();
        fs::write(deep.join("kept"), "kept").unwrap();
        assert!(pair.roll_back().is_err());
        assert!(deep.join("kept").exists());
        assert_eq!(read(&pair).unwrap().0, "one", "the former pair is back");
    }

    fn flip_to(store: &Path, version: &str) {
        fs::remove_file(store.join(CURRENT)).unwrap();
        symlink(version, store.join(CURRENT)).unwrap();
    }

    /// Two users: root renews in a directory of another one.
    #[test]
    fn root_works_in_a_directory_of_another_user_and_is_not_led_out_of_it() {
        crate::testing::needs_root();
        let other = || Some(crate::testing::OTHER);
        let mine = tempfile::tempdir().unwrap();
        let secret = mine.path().join("secret");
        fs::write(&secret, "root's own").unwrap();
        let theirs = || {
            let directory = tempfile::tempdir().unwrap();
            chown(directory.path(), other(), None).unwrap();
            directory
        };

        // An honest one is served, and what root makes stays root's.
        let directory = theirs();
        let honest = pair(directory.path());
        install(&honest, "one").unwrap();
        install(&honest, "two").unwrap();
        assert!(honest.roll_back().unwrap() && honest.is_ours());
        let store = directory.path().join(STORE);
        assert_eq!(fs::metadata(&store).unwrap().uid(), 0);

        // The store is theirs, or a link to ours: neither is used.
        let directory = theirs();
        fs::create_dir(directory.path().join(STORE)).unwrap();
        chown(directory.path().join(STORE), other(), None).unwrap();
        let error = install(&pair(directory.path()), "x").unwrap_err();
        assert!(error.to_string().contains("user 65534"), "{error}");
        let directory = theirs();
        symlink(mine.path(), directory.path().join(STORE)).unwrap();
        for outcome in [
            install(&pair(directory.path()), "x"),
            pair(directory.path()).check(),
            pair(directory.path()).roll_back().map(drop),
        ] {
            let error = outcome.unwrap_err();
            assert!(error.to_string().contains("is a link"), "{error}");
        }

        // A link in place of the certificate would have root's file copied for all to read.
        let directory = theirs();
        let led = pair(directory.path());
        symlink(&secret, led.certificate_path()).unwrap();
        symlink(&secret, led.key_path()).unwrap();
        let error = install(&led, "x").unwrap_err();
        assert!(error.to_string().contains("not followed"), "{error}");
        assert_eq!(fs::read_dir(mine.path()).unwrap().count(), 1);
        assert_eq!(fs::read_to_string(&secret).unwrap(), "root's own");
    }

    #[test]
    fn a_file_that_is_a_mount_is_told_before_anything_is_asked() {
        // Files that every Linux mounts by themselves are rare: /proc is one directory that is.
        let root = Directory::open(Path::new("/")).unwrap();
        assert!(root.is_mount("proc"));
        let directory = tempfile::tempdir().unwrap();
        fs::write(directory.path().join("file"), "").unwrap();
        let plain = Directory::open(directory.path()).unwrap();
        assert!(!plain.is_mount("file") && !plain.is_mount("none"));
    }

    #[test]
    fn a_key_that_was_given_up_is_gone_and_one_that_is_kept_is_not() {
        let directory = tempfile::tempdir().unwrap();
        let pair = pair(directory.path());
        pair.forget_former_keys().unwrap();
        let install = |certificate: &str, key: &str| {
            pair.install(certificate, &Secret::new(key.to_owned()))
                .unwrap();
        };
        install("one", "old");
        install("two", "old");
        install("three", "new");
        assert!(pair.roll_back().unwrap(), "the hook may still refuse");
        install("four", "new");
        install("five", "new");
        pair.forget_former_keys().unwrap();
        let open = Directory::open(directory.path()).unwrap();
        let store = Store::open(&open).unwrap();
        let keys: Vec<String> = store
            .versions()
            .unwrap()
            .iter()
            .map(|version| store.0.path().join(version).join("server.key"))
            .map(|path| fs::read_to_string(path).unwrap())
            .collect();
        assert_eq!(keys, ["new", "new"]);
        assert_eq!(read(&pair).unwrap(), ("five".into(), "new".into()));
    }

    /// Runs an installation that ends after the given number of steps.
    fn crash_after(pair: &Pair, content: &str, steps: usize) -> bool {
        let mut left = steps;
        let outcome = pair.install_watched(content, &Secret::new(content.to_owned()), &mut |_| {
            left = left
                .checked_sub(1)
                .ok_or_else(|| io::Error::other("crash"))?;
            Ok(())
        });
        outcome.is_err()
    }

    #[test]
    fn a_crash_at_any_step_leaves_the_old_pair_or_the_new_one() {
        for by_hand in [false, true] {
            for steps in 0.. {
                let directory = tempfile::tempdir().unwrap();
                let pair = pair(directory.path());
                if by_hand {
                    fs::write(pair.certificate_path(), "old").unwrap();
                    fs::write(pair.key_path(), "old").unwrap();
                } else {
                    install(&pair, "old").unwrap();
                }
                let crashed = crash_after(&pair, "new", steps);
                let (certificate, key) = read(&pair).expect("both files are there");
                assert_eq!(certificate, key, "half a pair after {steps} steps");
                install(&pair, "later").expect("the next installation works");
                assert_eq!(read(&pair).unwrap(), ("later".into(), "later".into()));
                if !crashed {
                    break;
                }
                assert!(steps < 50, "the installation never ends");
            }
        }
    }

    const KILLED: &str = "LANDFAST_TEST_KILLED_PAIR";

    /// The process that the next test kills: it installs a pair and kills
    /// itself, by a signal that nothing catches, after the given step.
    #[test]
    fn an_installation_that_kills_itself() {
        let Ok(order) = std::env::var(KILLED) else {
            return;
        };
        let (step, directory) = order.split_once(' ').unwrap();
        let mut left: usize = step.parse().unwrap();
        let new = Secret::new("new".to_owned());
        let outcome = pair(Path::new(directory)).install_watched("new", &new, &mut |_| {
            if left == 0 {
                let own = rustix::process::getpid();
                rustix::process::kill_process(own, rustix::process::Signal::KILL)?;
            }
            left -= 1;
            Ok(())
        });
        outcome.unwrap();
    }

    #[test]
    fn a_kill_at_any_step_leaves_the_old_pair_or_the_new_one() {
        use std::os::unix::process::ExitStatusExt as _;

        let mut new_seen = false;
        for step in 0.. {
            let directory = tempfile::tempdir().unwrap();
            let pair = pair(directory.path());
            install(&pair, "old").unwrap();
            let status = std::process::Command::new(std::env::current_exe().unwrap())
                .args(["--exact", "pair::tests::an_installation_that_kills_itself"])
                .env(KILLED, format!("{step} {}", directory.path().display()))
                .stdout(std::process::Stdio::null())
                .status()
                .unwrap();
            let (certificate, key) = read(&pair).expect("both files are there");
            assert_eq!(certificate, key, "half a pair after {step} steps");
            assert!(
                certificate == "old" && !new_seen || certificate == "new",
                "{certificate} after {step} steps"
            );
            new_seen |= certificate == "new";
            install(&pair, "later").expect("the next installation works");
            assert_eq!(read(&pair).unwrap(), ("later".into(), "later".into()));
            if status.success() {
                assert!(step >= 4, "only {step} steps");
                break;
            }
            assert_eq!(status.signal(), Some(9), "{status}");
        }
        assert!(new_seen);
    }

    #[test]
    fn programs_that_know_no_versions_see_no_mismatch_while_the_key_stays() {
        let directory = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let pair = pair(directory.path());
        let key = rcgen::KeyPair::generate().unwrap();
        let text = Secret::new(key.serialize_pem());
        let certificate = |serial: u64| {
            let mut parameters = rcgen::CertificateParams::new(vec!["node-1".to_owned()]).unwrap();
            parameters.serial_number = Some(serial.into());
            parameters.self_signed(&key).unwrap().pem()
        };
        pair.install(&certificate(0), &text).unwrap();
        let public = key.public_key_raw().to_vec();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut reads = 0_u64;
                while !done.load(Ordering::Relaxed) {
                    // As any program does: one file by its name, then the other.
                    let certificate = fs::read(pair.certificate_path()).unwrap();
                    let key = fs::read_to_string(pair.key_path()).unwrap();
                    let leaf = landfast_pki::Certificate::from_pem(&certificate).unwrap();
                    let key = rcgen::KeyPair::from_pem(&key).unwrap();
                    assert_eq!(leaf.public_key().key_bits(), public);
                    assert_eq!(key.public_key_raw(), public);
                    reads += 1;
                }
                reads
            });
            for serial in 1..=1000 {
                pair.install(&certificate(serial), &text).unwrap();
            }
            done.store(true, Ordering::Relaxed);
            assert!(reader.join().unwrap() > 0, "the reader got nothing");
        });
    }

    #[test]
    fn our_own_reader_sees_no_mismatch_while_keys_change() {
        use crate::identity::{self, Files};

        let directory = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let pair = pair(directory.path());
        let data = |name: &str| fs::read_to_string(Path::new("tests/data/pki").join(name)).unwrap();
        let pairs = ["rsa-leaf", "ec-leaf"].map(|name| {
            let key = Secret::new(data(&format!("{name}.key")));
            (data(&format!("{name}.crt")), key)
        });
        let put = |at: usize| {
            let (certificate, key) = &pairs[at % 2];
            pair.install(certificate, key).unwrap();
        };
        put(0);
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut reads = 0_u64;
                while !done.load(Ordering::Relaxed) {
                    identity::load(&Files::pair(&pair.certificate_path(), &pair.key_path()))
                        .unwrap();
                    reads += 1;
                }
                reads
            });
            for renewal in 1..=1000 {
                put(renewal);
            }
            done.store(true, Ordering::Relaxed);
            assert!(reader.join().unwrap() > 0, "the reader got nothing");
        });
    }

    #[test]
    fn a_first_installation_that_crashes_leaves_no_certificate_without_its_key() {
        for steps in 0..20 {
            let directory = tempfile::tempdir().unwrap();
            let pair = pair(directory.path());
            crash_after(&pair, "new", steps);
            if pair.certificate_path().exists() {
                assert_eq!(read(&pair).unwrap(), ("new".into(), "new".into()));
            }
        }
    }

    #[test]
    fn a_reader_never_sees_half_of_a_thousand_renewals() {
        // In memory where there is such a place: a thousand renewals sync eight thousand times.
        let directory = tempfile::tempdir_in("/dev/shm")
            .or_else(|_| tempfile::tempdir())
            .unwrap();
        let pair = pair(directory.path());
        install(&pair, "0").unwrap();
        let done = AtomicBool::new(false);
        std::thread::scope(|scope| {
            let reader = scope.spawn(|| {
                let mut reads = 0_u64;
                while !done.load(Ordering::Relaxed) {
                    let (certificate, key) =
                        read_both(&pair.certificate_path(), &pair.key_path()).unwrap();
                    assert_eq!(certificate.expose(), key.expose());
                    reads += 1;
                }
                reads
            });
            for renewal in 1..=1000 {
                install(&pair, &renewal.to_string()).unwrap();
            }
            done.store(true, Ordering::Relaxed);
            assert!(reader.join().unwrap() > 0, "the reader got nothing");
        });
    }

    #[test]
    fn two_names_in_one_directory_make_a_pair() {
        assert!(Pair::new(Path::new("a/x"), Path::new("b/y")).is_err());
        assert!(Pair::new(Path::new("a/x"), Path::new("a/x")).is_err());
        assert!(Pair::new(Path::new("x"), Path::new("y")).is_ok());
    }
}
