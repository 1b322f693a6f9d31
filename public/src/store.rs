//! What was got of the secrets server, on disk: after a restart while the server is away, what is still valid is given out.
//!
//! Everything here is public. What it is not is trustworthy by itself: a certificate of a CA is believed because the mount has it. So the directory is refused
//! where others may write into it, each file says of which mount it is and has a digest of its content, and whoever loads it reads it as it reads an answer of the server.

use std::collections::{HashMap, HashSet};
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use hyper::body::Bytes;
use landfast_base::{hex, sha256};
use rustix::fs::OFlags;
use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::mounts::Mount;

/// Files at the most, of all mounts together.
const FILES: usize = 16_384;

/// Octets of the first line of a file.
const HEAD: usize = 8 * 1024;

/// The form of the files. Those of another form are ignored.
const FORM: &str = "landfast public 1";

/// How the names of files that are being written end.
const UNFINISHED: &str = ".new";

/// A directory of such files. One process has it for itself.
#[derive(Debug)]
pub(crate) struct Store {
    dir: PathBuf,
    most: u64,
    known: Mutex<Known>,
}

/// What there is, as this process knows it.
#[derive(Debug, Default)]
struct Known {
    /// By the names of files: what tells the content from any other, and the octets of the file.
    files: HashMap<String, (Vec<u8>, u64)>,
    /// Of which mounts not everything could be written the last time, which was told.
    told: HashSet<String>,
}

/// Something to be kept.
pub(crate) struct Entry {
    /// What it is, such as `crl-ID`: letters, digits, `-`, `_` and `.` only.
    pub(crate) what: String,
    /// What tells the content from any other.
    pub(crate) mark: Vec<u8>,
    pub(crate) content: Bytes,
}

/// The first line of a file.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Head {
    form: String,
    server: String,
    namespace: String,
    mount: String,
    /// The beginning of its paths here.
    path: String,
    what: String,
    /// Of the content.
    sha256: String,
}

impl Head {
    fn new(mount: &Mount, what: &str, content: &[u8]) -> Self {
        let namespace = mount.namespace.as_deref();
        Self {
            form: FORM.to_owned(),
            server: mount.upstream.address().to_owned(),
            namespace: mount.upstream.namespace(namespace).unwrap_or_default(),
            mount: mount.path.clone(),
            path: mount.prefix.to_string(),
            what: what.to_owned(),
            sha256: hex(&sha256(content)),
        }
    }

    /// The beginning of the names of all files of a mount.
    fn prefix(mount: &Mount) -> String {
        let head = Self::new(mount, "", &[]);
        let place = [&head.server, &head.namespace, &head.mount, &head.path];
        // Each part with its length: no two places are written the same.
        let place: String = place
            .iter()
            .map(|part| format!("{}:{part}", part.len()))
            .collect();
        format!("{}.", hex(&sha256(place.as_bytes())[..16]))
    }
}

impl Store {
    /// Opens a directory, or makes it where its parent is there. Files that were never finished are taken away. No more than `most` octets are written into it.
    ///
    /// # Errors
    /// It cannot be used, or others than this user may write into it.
    pub(crate) fn open(dir: &Path, most: u64) -> Result<Self, Error> {
        match DirBuilder::new().mode(0o700).create(dir) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Error::file(dir, error)),
        }
        let data = std::fs::metadata(dir).map_err(|error| Error::file(dir, error))?;
        if !data.is_dir() {
            return Err(Error::file(dir, "is no directory"));
        }
        if let Some(why) = distrust(&data) {
            return Err(Error::file(dir, why));
        }
        let store = Self {
            dir: dir.to_owned(),
            most,
            known: Mutex::default(),
        };
        let probe = store.dir.join(format!("probe{UNFINISHED}"));
        let probed = std::fs::write(&probe, b"").and_then(|()| std::fs::remove_file(&probe));
        probed.map_err(|error| Error::file(dir, format!("cannot be written into: {error}")))?;
        store.look()?;
        Ok(store)
    }

    /// Whether it is this one.
    pub(crate) fn is(&self, dir: &Path, most: u64) -> bool {
        self.dir == dir && self.most == most
    }

    /// Learns what is there.
    fn look(&self) -> Result<(), Error> {
        let entries = std::fs::read_dir(&self.dir);
        let entries = entries.map_err(|error| Error::file(&self.dir, error))?;
        let mut foreign = 0_usize;
        let mut known = self.known();
        for entry in entries.flatten().take(4 * FILES) {
            let name = entry.file_name().to_string_lossy().into_owned();
            if name.ends_with(UNFINISHED) && is_ours(name.trim_end_matches(UNFINISHED)) {
                self.remove(&name);
            } else if is_ours(&name) {
                let octets = entry.metadata().map_or(0, |data| data.len());
                known.files.insert(name, (Vec::new(), octets));
            } else {
                foreign += 1;
            }
        }
        if foreign > 0 {
            let dir = self.dir.display();
            tracing::warn!(
                "{dir}: {foreign} files are none of this program and are left alone; give it a directory of its own"
            );
        }
        Ok(())
    }

    /// What is there of a mount and can be read, with what it is. What is of no use is told in the log; [`Self::save`] takes it away.
    pub(crate) fn load(&self, mount: &Mount) -> HashMap<String, Bytes> {
        let prefix = Head::prefix(mount);
        let mut names: Vec<String> = self.known().files.keys().cloned().collect();
        names.retain(|name| name.starts_with(&prefix));
        let mut found = HashMap::new();
        for name in names {
            let what = &name[prefix.len()..];
            match self.read(mount, &name, what) {
                Ok(content) => {
                    found.insert(what.to_owned(), content);
                }
                Err(why) => self.ignored(mount, what, &why),
            }
        }
        found
    }

    /// Says that a file of a mount is of no use.
    pub(crate) fn ignored(&self, mount: &Mount, what: &str, why: &str) {
        let file = self.dir.join(format!("{}{what}", Head::prefix(mount)));
        tracing::warn!("{}: ignored: {why}", file.display());
    }

    fn read(&self, mount: &Mount, name: &str, what: &str) -> Result<Bytes, String> {
        let flags = OFlags::NOFOLLOW.union(OFlags::NONBLOCK);
        let file = OpenOptions::new()
            .read(true)
            .custom_flags(flags.bits().cast_signed())
            .open(self.dir.join(name))
            .map_err(|error| error.to_string())?;
        let data = file.metadata().map_err(|error| error.to_string())?;
        if !data.is_file() {
            return Err("it is no plain file".to_owned());
        }
        if let Some(why) = distrust(&data) {
            return Err(why);
        }
        if data.len() > self.most {
            return Err("it is larger than limits.cache_bytes".to_owned());
        }
        let mut octets = Vec::with_capacity(usize::try_from(data.len()).unwrap_or(0));
        let read = file.take(self.most).read_to_end(&mut octets);
        read.map_err(|error| error.to_string())?;
        let end = octets.iter().take(HEAD).position(|octet| *octet == b'\n');
        let end = end.ok_or("it has no first line")?;
        let head: Head = serde_json::from_slice(&octets[..end])
            .map_err(|_| "its first line is none of this program")?;
        let content = Bytes::from(octets).slice(end + 1..);
        let wanted = Head::new(mount, what, &content);
        if head == wanted {
            Ok(content)
        } else if head.sha256 != wanted.sha256 {
            Err("its content is not what was written".to_owned())
        } else {
            Err("it is of another mount, or of another form".to_owned())
        }
    }

    /// Keeps these entries of a mount, in their order, and takes away all others. What did not change is not written again.
    pub(crate) fn save(&self, mount: &Mount, entries: Vec<Entry>) {
        let prefix = Head::prefix(mount);
        let mut known = self.known();
        let wanted: HashSet<String> = entries
            .iter()
            .map(|entry| format!("{prefix}{}", entry.what))
            .collect();
        let gone = |name: &String| name.starts_with(&prefix) && !wanted.contains(name);
        self.forget(&mut known, gone);
        let mut trouble = None;
        for entry in entries {
            let name = format!("{prefix}{}", entry.what);
            let before = known.files.get(&name);
            if before.is_some_and(|(mark, _)| *mark == entry.mark) || !is_ours(&name) {
                continue;
            }
            let head = Head::new(mount, &entry.what, &entry.content);
            let Ok(mut head) = serde_json::to_vec(&head) else {
                continue;
            };
            head.push(b'\n');
            let octets = u64::try_from(head.len() + entry.content.len()).unwrap_or(u64::MAX);
            let others = known.files.iter().filter(|(other, _)| **other != name);
            let (count, sum) = others.fold((1, octets), |(count, sum), (_, (_, octets))| {
                (count + 1, sum.saturating_add(*octets))
            });
            if count > FILES || sum > self.most || head.len() > HEAD {
                trouble = Some("there is no room for more: see limits.cache_bytes".to_owned());
                continue;
            }
            match self.write(&name, &head, &entry.content) {
                Ok(()) => {
                    known.files.insert(name, (entry.mark, octets));
                }
                Err(error) => trouble = Some(error.to_string()),
            }
        }
        // Once, and again after it went well meanwhile.
        match trouble {
            Some(why) => {
                if known.told.insert(prefix) {
                    let dir = self.dir.display();
                    tracing::error!("{dir}: not everything is kept for a restart: {why}");
                }
            }
            None => drop(known.told.remove(&prefix)),
        }
    }

    /// Says of something that was loaded and found good that its file has it.
    pub(crate) fn has(&self, mount: &Mount, what: &str, mark: &[u8]) {
        let name = format!("{}{what}", Head::prefix(mount));
        if let Some((known, _)) = self.known().files.get_mut(&name) {
            *known = mark.to_vec();
        }
    }

    /// Takes away the files of all mounts but these.
    pub(crate) fn keep_only<'a>(&self, mounts: impl Iterator<Item = &'a Mount>) {
        let prefixes: Vec<String> = mounts.map(Head::prefix).collect();
        let gone = |name: &String| !prefixes.iter().any(|prefix| name.starts_with(prefix));
        self.forget(&mut self.known(), gone);
    }

    fn forget(&self, known: &mut Known, gone: impl Fn(&String) -> bool) {
        known.files.retain(|name, _| {
            let gone = gone(name);
            if gone {
                self.remove(name);
            }
            !gone
        });
    }

    fn remove(&self, name: &str) {
        if let Err(error) = std::fs::remove_file(self.dir.join(name)) {
            tracing::debug!(%error, name, "a file that is of no use could not be taken away");
        }
    }

    /// Either the whole of it is there afterwards, or what was there before.
    fn write(&self, name: &str, head: &[u8], content: &[u8]) -> io::Result<()> {
        let fresh = self.dir.join(format!("{name}{UNFINISHED}"));
        let written = || {
            let _ = std::fs::remove_file(&fresh);
            let mut file: File = OpenOptions::new()
                .write(true)
                .create_new(true)
                .mode(0o600)
                .open(&fresh)?;
            file.write_all(head)?;
            file.write_all(content)?;
            // Else a machine that loses its power has an empty file in the place of the old one.
            file.sync_all()?;
            std::fs::rename(&fresh, self.dir.join(name))
        };
        written().inspect_err(|_| drop(std::fs::remove_file(&fresh)))
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a name is one that this program gives: the digest of a place, and what it is.
fn is_ours(name: &str) -> bool {
    let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    name.len() <= 200
        && name.split_once('.').is_some_and(|(place, what)| {
            place.len() == 32
                && place.chars().all(|c| c.is_ascii_hexdigit())
                && !what.is_empty()
                && what.chars().all(sign)
                && !what.ends_with(UNFINISHED)
        })
}

/// Why what is there may be somebody else's: then a CA of theirs may be in it.
fn distrust(data: &std::fs::Metadata) -> Option<String> {
    let own = rustix::process::geteuid().as_raw();
    if data.uid() != own && data.uid() != 0 {
        let owner = data.uid();
        return Some(format!(
            "belongs to user {owner}, who may put another CA into it; chown it to the user who runs this"
        ));
    }
    (data.mode() & 0o022 != 0).then(|| {
        "others than its owner may write into it, and put another CA there: chmod go-w".to_owned()
    })
}

#[cfg(test)]
mod tests;
