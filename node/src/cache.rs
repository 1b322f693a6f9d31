//! Session credentials on disk, so that not every command calls AWS.
//!
//! The AWS CLI starts its credential process anew for each command and keeps
//! nothing, while Roles Anywhere takes ten calls a second for a whole account.
//! An entry is one file of mode 0600, named by a digest of everything that the
//! credentials depend on: another certificate, role or duration is another
//! entry, so a stale one cannot be mistaken.

use std::fs;
use std::io::{self, Write as _};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use landfast_base::{Secret, hex, sha256};
use serde::{Deserialize, Serialize};

use crate::files::{self, FileError, Opened};
use crate::session::{Credentials, SessionRequest};

/// Credentials with less life than this are asked for anew: SDKs run a credential
/// process at every use once less than 15 minutes are left, and a minute more lets
/// one use of them pass.
///
/// Source: botocore, `RefreshableCredentials`.
const MARGIN: SignedDuration = SignedDuration::from_mins(16);
/// With less life than this, credentials are no help even when there are no others.
const LAST: SignedDuration = SignedDuration::from_mins(1);

/// A directory of cached sessions.
#[derive(Clone, Debug)]
pub struct Cache {
    directory: PathBuf,
}

/// What `credential_process` prints, and what a cache file holds.
///
/// Source: AWS SDKs and tools reference guide, "Process credential provider".
#[derive(Deserialize, Serialize)]
#[serde(rename_all = "PascalCase")]
struct Document<'a> {
    version: u32,
    access_key_id: &'a str,
    secret_access_key: &'a str,
    session_token: &'a str,
    expiration: Timestamp,
    #[serde(default, skip_serializing_if = "str::is_empty")]
    assumed_role_arn: &'a str,
    /// When AWS gave them; in the cache only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    obtained: Option<Timestamp>,
}

/// What a cache file holds.
struct Entry {
    credentials: Credentials,
    obtained: Option<Timestamp>,
}

impl Cache {
    /// A cache in `directory`, which is made when the first entry is stored.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self {
            directory: directory.into(),
        }
    }

    /// The name of the entry for a session of this certificate at this endpoint.
    pub fn key(request: &SessionRequest, leaf: &[u8], endpoint: &str) -> String {
        let text = format!(
            "{}\n{}\n{}\n{:?}\n{:?}\n{endpoint}\n{}",
            request.trust_anchor,
            request.profile,
            request.role,
            request.duration,
            request.session_name,
            hex(&sha256(leaf)),
        );
        hex(&sha256(text.as_bytes()))
    }

    /// Credentials with enough life left, if there are any: more than a quarter of an
    /// hour, or half of their life where that is less.
    ///
    /// A file that others may read, that belongs to somebody else or that cannot
    /// be read is no entry; the caller then asks AWS and overwrites it.
    pub fn load(&self, key: &str, now: Timestamp) -> Option<Credentials> {
        let entry = self.entry(key)?;
        let expiration = entry.credentials.expiration;
        let half = entry
            .obtained
            .map(|obtained| expiration.duration_since(obtained) / 2)
            .filter(|half| half.is_positive());
        let wanted = half.map_or(MARGIN, |half| half.min(MARGIN));
        (expiration.duration_since(now) >= wanted).then_some(entry.credentials)
    }

    /// Credentials that are good for some uses more, for when AWS cannot be asked.
    pub fn last(&self, key: &str, now: Timestamp) -> Option<Credentials> {
        let credentials = self.entry(key)?.credentials;
        (credentials.expiration.duration_since(now) >= LAST).then_some(credentials)
    }

    fn entry(&self, key: &str) -> Option<Entry> {
        let path = self.path(key);
        let opened = match Opened::open_in_place(&path) {
            Ok(opened) => opened,
            Err(error) if error.is_not_found() => return None,
            Err(error) => {
                tracing::warn!(%error, "ignoring a cache file that cannot be opened");
                return None;
            }
        };
        if !opened.is_private() {
            tracing::warn!(path = %path.display(), "ignoring a cache file that is not private");
            return None;
        }
        parse(opened.read().ok()?.expose())
    }

    /// Stores credentials that AWS gave at `obtained` under a key.
    ///
    /// # Errors
    /// [`FileError`] when the directory or the file cannot be written.
    pub fn store(
        &self,
        key: &str,
        credentials: &Credentials,
        obtained: Timestamp,
    ) -> Result<(), FileError> {
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&self.directory)
            .map_err(FileError::at(&self.directory))?;
        let document = rendered(credentials, Some(obtained));
        files::write_atomic(&self.path(key), document.expose(), 0o600)
    }

    fn path(&self, key: &str) -> PathBuf {
        self.directory.join(format!("{key}.json"))
    }
}

/// The document that `credential_process` consumers read.
pub fn render(credentials: &Credentials) -> Secret<Vec<u8>> {
    rendered(credentials, None)
}

fn rendered(credentials: &Credentials, obtained: Option<Timestamp>) -> Secret<Vec<u8>> {
    let document = Document {
        version: 1,
        access_key_id: &credentials.access_key_id,
        secret_access_key: credentials.secret_access_key.expose(),
        session_token: credentials.session_token.expose(),
        expiration: credentials.expiration,
        obtained,
        assumed_role_arn: "",
    };
    // One allocation, so that no copy of the secret stays behind unwiped.
    let mut out = Vec::with_capacity(8 * 1024);
    serde_json::to_writer(&mut out, &document).expect("texts and a time are JSON");
    out.push(b'\n');
    Secret::new(out)
}

/// Prints the document to standard output.
///
/// # Errors
/// The system's.
pub fn print(credentials: &Credentials) -> io::Result<()> {
    let mut out = io::stdout().lock();
    out.write_all(render(credentials).expose())?;
    out.flush()
}

/// The cache directory for the current user: `$XDG_CACHE_HOME/landfast`, or
/// `~/.cache/landfast`.
pub fn default_directory(xdg_cache_home: Option<&Path>, home: Option<&Path>) -> Option<PathBuf> {
    match xdg_cache_home {
        Some(path) if path.is_absolute() => Some(path.join("landfast")),
        _ => home.map(|home| home.join(".cache").join("landfast")),
    }
}

fn parse(content: &[u8]) -> Option<Entry> {
    let document: Document<'_> = serde_json::from_slice(content).ok()?;
    (document.version == 1).then(|| Entry {
        credentials: Credentials {
            access_key_id: document.access_key_id.to_owned(),
            secret_access_key: Secret::new(document.secret_access_key.to_owned()),
            session_token: Secret::new(document.session_token.to_owned()),
            expiration: document.expiration,
            assumed_role_arn: document.assumed_role_arn.to_owned(),
            clock_behind: None,
        },
        obtained: document.obtained,
    })
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use landfast_base::arn::Arn;

    use super::*;

    fn credentials(expiration: &str) -> Credentials {
        Credentials {
            access_key_id: "ASIAEXAMPLE".into(),
            secret_access_key: Secret::new("secret/+".into()),
            session_token: Secret::new("token".into()),
            expiration: expiration.parse().unwrap(),
            assumed_role_arn: String::new(),
            clock_behind: None,
        }
    }

    fn request() -> SessionRequest {
        let arn = |resource: &str| Arn {
            partition: "aws".into(),
            service: "rolesanywhere".into(),
            region: "us-west-2".into(),
            account: "111122223333".into(),
            resource: resource.into(),
        };
        SessionRequest {
            trust_anchor: arn("trust-anchor/a"),
            profile: arn("profile/p"),
            role: arn("role/r"),
            duration: None,
            session_name: None,
        }
    }

    #[test]
    fn fresh_credentials_come_back_and_old_ones_do_not() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path().join("made/on/demand"));
        let key = Cache::key(&request(), b"leaf", "endpoint");
        let obtained = |text: &str| {
            let expiring = credentials("2026-09-01T12:00:00Z");
            let obtained = text.parse().unwrap();
            cache.store(&key, &expiring, obtained).unwrap();
        };
        let at = |text: &str| cache.load(&key, text.parse().unwrap());
        obtained("2026-09-01T11:00:00Z");
        let loaded = at("2026-09-01T11:44:00Z").unwrap();
        assert_eq!(loaded.secret_access_key.expose(), "secret/+");
        // An SDK would run the process anew at every use from 11:45 on.
        assert!(at("2026-09-01T11:44:01Z").is_none());
        // Of the shortest session, half.
        obtained("2026-09-01T11:45:00Z");
        assert!(at("2026-09-01T11:52:30Z").is_some());
        assert!(at("2026-09-01T11:52:31Z").is_none());
        // When AWS is away, nearly all of it.
        let last = |text: &str| cache.last(&key, text.parse().unwrap());
        assert!(last("2026-09-01T11:59:00Z").is_some());
        assert!(last("2026-09-01T11:59:01Z").is_none());
        let early = "2026-09-01T00:00:00Z".parse().unwrap();
        assert!(cache.load("other", early).is_none());
    }

    #[test]
    fn an_entry_without_its_beginning_is_good_until_the_margin() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path());
        let document = render(&credentials("2026-09-01T12:00:00Z"));
        files::write_atomic(&cache.path("k"), document.expose(), 0o600).unwrap();
        let at = |text: &str| cache.load("k", text.parse().unwrap()).is_some();
        assert!(at("2026-09-01T11:44:00Z"));
        assert!(!at("2026-09-01T11:44:01Z"));
    }

    #[test]
    fn every_input_makes_another_key() {
        let base = Cache::key(&request(), b"leaf", "endpoint");
        let mut longer = request();
        longer.duration = Some(3600);
        let mut named = request();
        named.session_name = Some("node".into());
        for other in [
            Cache::key(&longer, b"leaf", "endpoint"),
            Cache::key(&named, b"leaf", "endpoint"),
            Cache::key(&request(), b"other", "endpoint"),
            Cache::key(&request(), b"leaf", "fips"),
        ] {
            assert_ne!(base, other);
        }
    }

    #[test]
    fn a_file_open_to_others_is_not_trusted() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path());
        cache
            .store(
                "k",
                &credentials("2026-09-01T12:00:00Z"),
                Timestamp::UNIX_EPOCH,
            )
            .unwrap();
        let path = directory.path().join("k.json");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        assert!(
            cache
                .load("k", "2026-09-01T00:00:00Z".parse().unwrap())
                .is_none()
        );
    }

    #[test]
    fn only_a_file_in_its_place_is_an_entry() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path());
        let fresh = credentials("2026-09-01T12:00:00Z");
        let early = Timestamp::UNIX_EPOCH;
        cache.store("whole", &fresh, early).unwrap();
        assert!(cache.load("whole", early).is_some());
        std::os::unix::fs::symlink(cache.path("whole"), cache.path("link")).unwrap();
        fs::create_dir(cache.path("directory")).unwrap();
        // A pipe that nobody writes to would be waited for.
        let (kind, mode) = (rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR);
        rustix::fs::mknodat(rustix::fs::CWD, cache.path("pipe"), kind, mode, 0).unwrap();
        for key in ["link", "directory", "pipe"] {
            assert!(cache.load(key, early).is_none(), "{key}");
        }
    }

    #[test]
    fn junk_is_no_entry() {
        let directory = tempfile::tempdir().unwrap();
        let cache = Cache::new(directory.path());
        for junk in ["", "{", "{\"Version\":2}"] {
            files::write_atomic(&directory.path().join("k.json"), junk.as_bytes(), 0o600).unwrap();
            assert!(cache.load("k", Timestamp::UNIX_EPOCH).is_none());
        }
    }

    #[test]
    fn the_document_is_what_consumers_expect() {
        let text = render(&credentials("2026-09-01T12:00:00Z"));
        let value: serde_json::Value = serde_json::from_slice(text.expose()).unwrap();
        assert_eq!(
            value,
            serde_json::json!({"Version": 1, "AccessKeyId": "ASIAEXAMPLE",
                "SecretAccessKey": "secret/+", "SessionToken": "token",
                "Expiration": "2026-09-01T12:00:00Z"})
        );
    }

    #[test]
    fn the_cache_lies_below_the_users_cache_directory() {
        let home = Path::new("/h");
        assert_eq!(
            default_directory(None, Some(home)),
            Some("/h/.cache/landfast".into())
        );
        assert_eq!(
            default_directory(Some(Path::new("/c")), Some(home)),
            Some("/c/landfast".into())
        );
        assert_eq!(default_directory(Some(Path::new("c")), None), None);
    }
}
