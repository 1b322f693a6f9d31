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
//! A program that opens the two names one after the other may still straddle a
//! replacement. A renewal therefore keeps the key unless told otherwise: then
//! every certificate goes with every key.

use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, symlink};
use std::path::{Path, PathBuf};

use landfast_pki::Secret;

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

    /// Puts the pair before the current one back, for a renewal that a hook
    /// found bad, and removes the bad one: it must never be the former pair of
    /// the next renewal. Says whether there was one to go back to.
    ///
    /// # Errors
    /// [`FileError`]; the pair in place is then one of the two.
    pub fn roll_back(&self) -> Result<bool, FileError> {
        let store = self.directory.join(STORE);
        let current = self.current()?;
        let former = self
            .versions()?
            .into_iter()
            .rfind(|version| Some(version) < current.as_ref());
        let Some(former) = former else {
            return Ok(false);
        };
        flip(&store, &former).map_err(FileError::at(&store))?;
        if let Some(bad) = current.map(|current| store.join(current)) {
            fs::remove_dir_all(&bad).map_err(FileError::at(&bad))?;
        }
        Ok(true)
    }

    /// As [`install`](Self::install); `step` is told after each change to the
    /// disk, and may end the work there as a crash would.
    fn install_watched(
        &self,
        certificate: &str,
        key: &Secret<String>,
        step: &mut dyn FnMut(&'static str) -> io::Result<()>,
    ) -> Result<(), FileError> {
        let store = self.directory.join(STORE);
        let at = || FileError::at(&store);
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o755)
            .create(&self.directory)
            .and_then(|()| {
                fs::DirBuilder::new()
                    .recursive(true)
                    .mode(0o755)
                    .create(&store)
            })
            .map_err(at())?;
        step("store made").map_err(at())?;

        if self.current()?.is_none() && self.is_whole() {
            // A pair that somebody put here by hand: the links must first lead to that one.
            let old_certificate = files::read_secret(&self.certificate_path())?;
            let old_key = files::read_secret(&self.key_path())?;
            let version = self.add(&store, old_certificate.expose(), old_key.expose(), step)?;
            flip(&store, &version).map_err(at())?;
            step("old pair adopted").map_err(at())?;
            self.link(step)?;
        }
        let version = self.add(
            &store,
            certificate.as_bytes(),
            key.expose().as_bytes(),
            step,
        )?;
        flip(&store, &version).map_err(at())?;
        step("flipped").map_err(at())?;
        self.link(step)?;
        self.tidy(&store)
    }

    /// Writes a new version directory; it appears with both files in it or not at all.
    fn add(
        &self,
        store: &Path,
        certificate: &[u8],
        key: &[u8],
        step: &mut dyn FnMut(&'static str) -> io::Result<()>,
    ) -> Result<String, FileError> {
        let last = self
            .versions()?
            .last()
            .and_then(|name| name.parse::<u64>().ok());
        let version = format!("{:016}", last.unwrap_or(0) + 1);
        let unfinished = store.join(format!("{version}.new"));
        let write = || -> io::Result<()> {
            if unfinished.exists() {
                fs::remove_dir_all(&unfinished)?;
            }
            fs::DirBuilder::new().mode(0o755).create(&unfinished)?;
            files::write_new(&unfinished.join(&self.key), key, KEY_MODE)?;
            files::write_new(
                &unfinished.join(&self.certificate),
                certificate,
                CERTIFICATE_MODE,
            )?;
            files::sync_directory(&unfinished)
        };
        write().map_err(FileError::at(&unfinished))?;
        step("files written").map_err(FileError::at(store))?;
        fs::rename(&unfinished, store.join(&version))
            .and_then(|()| files::sync_directory(store))
            .map_err(FileError::at(store))?;
        step("version in place").map_err(FileError::at(store))?;
        Ok(version)
    }

    /// Makes the two names lead through `current`.
    fn link(&self, step: &mut dyn FnMut(&'static str) -> io::Result<()>) -> Result<(), FileError> {
        for name in [&self.key, &self.certificate] {
            let path = self.directory.join(name);
            let target = Path::new(STORE).join(CURRENT).join(name);
            if fs::read_link(&path).is_ok_and(|found| found == target) {
                continue;
            }
            replace_link(&target, &path).map_err(FileError::at(&path))?;
            step("name linked").map_err(FileError::at(&path))?;
        }
        files::sync_directory(&self.directory).map_err(FileError::at(&self.directory))
    }

    fn tidy(&self, store: &Path) -> Result<(), FileError> {
        let current = self.current()?;
        let versions = self.versions()?;
        let old = versions
            .iter()
            .filter(|version| Some(*version) < current.as_ref())
            .rev()
            .skip(KEEP);
        for version in old {
            let path = store.join(version);
            fs::remove_dir_all(&path).map_err(FileError::at(&path))?;
        }
        Ok(())
    }

    fn current(&self) -> Result<Option<String>, FileError> {
        let path = self.directory.join(STORE).join(CURRENT);
        match fs::read_link(&path) {
            Ok(target) => Ok(target.to_str().map(str::to_owned)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(FileError::at(&path)(error)),
        }
    }

    /// The finished versions, oldest first.
    fn versions(&self) -> Result<Vec<String>, FileError> {
        let store = self.directory.join(STORE);
        let names = fs::read_dir(&store).and_then(|entries| {
            entries
                .map(|entry| Ok(entry?.file_name().into_string().unwrap_or_default()))
                .collect::<io::Result<Vec<String>>>()
        });
        let mut names = names.map_err(FileError::at(&store))?;
        names.retain(|name| name.len() == 16 && name.bytes().all(|b| b.is_ascii_digit()));
        names.sort_unstable();
        Ok(names)
    }

    /// The directory of the current version, if both names lead there.
    fn linked(&self) -> Option<PathBuf> {
        let current = Path::new(STORE).join(CURRENT);
        let leads = |name: &String| {
            let link = fs::read_link(self.directory.join(name));
            link.is_ok_and(|target| target == current.join(name))
        };
        (leads(&self.certificate) && leads(&self.key))
            .then(|| fs::canonicalize(self.directory.join(current)).ok())
            .flatten()
    }

    fn is_whole(&self) -> bool {
        self.certificate_path().is_file() && self.key_path().is_file()
    }
}

fn flip(store: &Path, version: &str) -> io::Result<()> {
    replace_link(Path::new(version), &store.join(CURRENT))?;
    files::sync_directory(store)
}

/// Makes `path` a link to `target` in one step, whatever is there.
fn replace_link(target: &Path, path: &Path) -> io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    let new = PathBuf::from(new);
    match fs::remove_file(&new) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    symlink(target, &new)?;
    fs::rename(&new, path)
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
    use std::os::unix::fs::MetadataExt as _;
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
        assert_eq!(pair.versions().unwrap().len(), 1 + KEEP);
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
