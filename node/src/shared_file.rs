//! The shared credentials file: the three keys of one profile of it, and nothing else.
//!
//! Consumers that cannot run a credential process read this file. It is replaced
//! whole, so a reader never sees half of it; only where it is mounted by itself, and
//! so cannot be replaced, is it written in place. Other keys of the profile, the rest
//! of the file, its owner and its permissions stay as they are.
//!
//! Source: AWS SDKs and tools reference guide, "Shared config and credentials files".

mod section;

use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use landfast_base::Secret;

use self::section::Sections;
use crate::files::{self, FileError};
use crate::session::Credentials;

/// Why the file is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum SharedFileError {
    /// It cannot be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Somebody else's profile has the name.
    #[error(
        "{path}: the profile {profile} was not written by landfast or aws_signing_helper and is left alone; take another name by --profile, or take it over by --force, which changes its three credential keys and keeps the others"
    )]
    Foreign {
        /// The file.
        path: String,
        /// The profile.
        profile: String,
    },
    /// The profile is there twice.
    #[error("{path}: the profile {profile} is there twice; remove one")]
    Twice {
        /// The file.
        path: String,
        /// The profile.
        profile: String,
    },
    /// The file is not text.
    #[error("{0}: not a credentials file: not text")]
    NotText(String),
}

/// One profile in one file.
#[derive(Clone, Debug)]
pub struct SharedFile {
    /// The file.
    pub path: PathBuf,
    /// The profile's name.
    pub profile: String,
    /// The permissions that the file gets; without it those that it has, and 0600 if
    /// it is new.
    pub mode: Option<u32>,
    /// Take over a profile that somebody else wrote.
    pub force: bool,
}

/// Whether a text can name a profile without changing the file's structure.
pub fn is_profile_name(name: &str) -> bool {
    !name.is_empty()
        && name.len() <= 128
        && name
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_.@/+".contains(&b))
}

impl SharedFile {
    /// Refuses early what [`write`](Self::write) would refuse.
    ///
    /// # Errors
    /// [`SharedFileError`].
    pub fn check(&self) -> Result<(), SharedFileError> {
        let text = self.read(&self.target())?;
        self.take(&Sections::read(text.expose(), &self.profile))
    }

    /// Puts the credentials into the profile.
    ///
    /// # Errors
    /// [`SharedFileError`]; the file is as before then.
    pub fn write(&self, credentials: &Credentials) -> Result<(), SharedFileError> {
        let target = self.target();
        let directory = files::parent(&target).to_owned();
        // As the AWS command line makes ~/.aws: for its owner.
        fs::DirBuilder::new()
            .recursive(true)
            .mode(0o700)
            .create(&directory)
            .map_err(FileError::at(&directory))?;
        // Two writers with a profile each must not undo one another.
        let lock = File::open(&directory).map_err(FileError::at(&directory))?;
        lock.lock().map_err(FileError::at(&directory))?;
        let text = self.read(&target)?;
        let sections = Sections::read(text.expose(), &self.profile);
        self.take(&sections)?;
        let text = sections.with(&self.profile, credentials);
        files::rewrite(&target, text.expose().as_bytes(), self.mode)?;
        Ok(())
    }

    /// The file behind a symbolic link, which is to stay one.
    fn target(&self) -> PathBuf {
        fs::canonicalize(&self.path).unwrap_or_else(|_| self.path.clone())
    }

    fn read(&self, path: &Path) -> Result<Secret<String>, SharedFileError> {
        match files::read_secret(path) {
            Ok(content) => std::str::from_utf8(content.expose())
                .map(|text| Secret::new(text.to_owned()))
                .map_err(|_| SharedFileError::NotText(path.display().to_string())),
            Err(error) if error.is_not_found() => Ok(Secret::new(String::new())),
            Err(error) => Err(error.into()),
        }
    }

    /// Whether the profile is ours to write.
    fn take(&self, sections: &Sections<'_>) -> Result<(), SharedFileError> {
        let path = || self.path.display().to_string();
        if sections.found() > 1 {
            return Err(SharedFileError::Twice {
                path: path(),
                profile: self.profile.clone(),
            });
        }
        if sections.is_foreign() && !self.force {
            return Err(SharedFileError::Foreign {
                path: path(),
                profile: self.profile.clone(),
            });
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};

    use super::*;

    fn credentials(id: &str) -> Credentials {
        Credentials {
            access_key_id: id.into(),
            secret_access_key: Secret::new("secret/+".into()),
            session_token: Secret::new("token==".into()),
            expiration: "2026-09-01T12:00:00Z".parse().unwrap(),
            assumed_role_arn: String::new(),
            clock_behind: None,
        }
    }

    fn file(directory: &Path, profile: &str) -> SharedFile {
        SharedFile {
            path: directory.join(".aws/credentials"),
            profile: profile.into(),
            mode: None,
            force: false,
        }
    }

    #[test]
    fn a_profile_is_written_and_written_again() {
        let directory = tempfile::tempdir().unwrap();
        let file = file(directory.path(), "default");
        file.write(&credentials("ONE")).unwrap();
        file.write(&credentials("TWO")).unwrap();
        let text = fs::read_to_string(&file.path).unwrap();
        assert_eq!(
            text,
            "[default]\n# written by landfast update, good until 2026-09-01T12:00:00Z\n\
             aws_access_key_id = TWO\naws_secret_access_key = secret/+\naws_session_token = token==\n"
        );
        assert_eq!(fs::metadata(&file.path).unwrap().mode() & 0o777, 0o600);
    }

    #[test]
    fn other_profiles_are_left_as_they_are() {
        let directory = tempfile::tempdir().unwrap();
        let file = file(directory.path(), "node");
        file.write(&credentials("ONE")).unwrap();
        let ours = fs::read_to_string(&file.path).unwrap();
        let (before, after) = (
            "[a]\naws_access_key_id = A\n\n",
            "\n# about b\n[ b ]\n# a word\naws_access_key_id = B",
        );
        fs::write(&file.path, format!("{before}{ours}{after}")).unwrap();
        file.write(&credentials("TWO")).unwrap();
        let text = fs::read_to_string(&file.path).unwrap();
        assert_eq!(
            text,
            format!("{before}{}{after}", ours.replace("ONE", "TWO"))
        );
    }

    #[test]
    fn a_new_profile_stands_apart_and_new_directories_are_the_owners() {
        let directory = tempfile::tempdir().unwrap();
        let file = SharedFile {
            path: directory.path().join("a/b/credentials"),
            ..file(directory.path(), "node")
        };
        file.write(&credentials("ONE")).unwrap();
        for made in ["a", "a/b"] {
            let mode = fs::metadata(directory.path().join(made)).unwrap().mode();
            assert_eq!(mode & 0o777, 0o700, "{made}");
        }
        for before in [
            "[a]\nregion = x",
            "[a]\nregion = x\n",
            "[a]\nregion = x\n\n",
        ] {
            fs::write(&file.path, before).unwrap();
            file.write(&credentials("ONE")).unwrap();
            let text = fs::read_to_string(&file.path).unwrap();
            let apart = "[a]\nregion = x\n\n[node]\n# written by landfast";
            assert!(text.starts_with(apart), "{text}");
        }
    }

    #[test]
    fn a_foreign_profile_is_refused_unless_forced() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = file(directory.path(), "default");
        let theirs = "[default]\naws_access_key_id = AKIATHEIRS\n";
        fs::create_dir(directory.path().join(".aws")).unwrap();
        fs::write(&file.path, theirs).unwrap();
        assert!(matches!(file.check(), Err(SharedFileError::Foreign { .. })));
        assert!(matches!(
            file.write(&credentials("ONE")),
            Err(SharedFileError::Foreign { .. })
        ));
        assert_eq!(fs::read_to_string(&file.path).unwrap(), theirs);
        file.force = true;
        file.write(&credentials("ONE")).unwrap();
        let text = fs::read_to_string(&file.path).unwrap();
        assert!(!text.contains("AKIATHEIRS"), "{text}");
        fs::write(&file.path, format!("{theirs}{theirs}")).unwrap();
        assert!(matches!(file.check(), Err(SharedFileError::Twice { .. })));
    }

    #[test]
    fn a_symbolic_link_stays_one() {
        let directory = tempfile::tempdir().unwrap();
        let file = file(directory.path(), "default");
        fs::create_dir(directory.path().join(".aws")).unwrap();
        let real = directory.path().join("real");
        fs::write(&real, "").unwrap();
        symlink(&real, &file.path).unwrap();
        file.write(&credentials("ONE")).unwrap();
        assert!(fs::symlink_metadata(&file.path).unwrap().is_symlink());
        assert!(fs::read_to_string(&real).unwrap().contains("ONE"));
    }

    #[test]
    fn names_that_would_change_the_structure_are_told() {
        assert!(is_profile_name("hybrid-1"));
        for bad in ["", "a]b", "a\nb", "a b"] {
            assert!(!is_profile_name(bad), "{bad}");
        }
    }

    #[test]
    fn owner_and_mode_stay() {
        let directory = tempfile::tempdir().unwrap();
        let mut file = file(directory.path(), "default");
        fs::create_dir(directory.path().join(".aws")).unwrap();
        fs::write(&file.path, "").unwrap();
        fs::set_permissions(&file.path, fs::Permissions::from_mode(0o640)).unwrap();
        let of = || {
            let metadata = fs::metadata(&file.path).unwrap();
            (metadata.uid(), metadata.gid(), metadata.mode() & 0o777)
        };
        let (uid, gid, mode) = of();
        // Only root can give a file away; others see that it stays theirs.
        let (uid, gid) = match rustix::process::geteuid().is_root() {
            true => {
                std::os::unix::fs::chown(&file.path, Some(4711), Some(4712)).unwrap();
                (4711, 4712)
            }
            false => (uid, gid),
        };
        file.write(&credentials("ONE")).unwrap();
        assert_eq!(of(), (uid, gid, mode));
        file.mode = Some(0o600);
        file.write(&credentials("TWO")).unwrap();
        let metadata = fs::metadata(&file.path).unwrap();
        assert_eq!((metadata.uid(), metadata.mode() & 0o777), (uid, 0o600));
    }
}
