//! The shared credentials file: one profile of it, the others untouched.
//!
//! Consumers that cannot run a credential process read this file. It is always
//! replaced whole, so a reader never sees half of it.
//!
//! Source: AWS SDKs and tools reference guide, "Shared config and credentials
//! files".

use std::fs::{self, File};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::{Path, PathBuf};

use landfast_pki::Secret;

use crate::files::{self, FileError};
use crate::session::Credentials;

/// By this line a profile is known as ours.
const MARK: &str = "# written by landfast update";

/// Why the file is left as it is.
#[derive(Debug, thiserror::Error)]
pub enum SharedFileError {
    /// It can't be read or written.
    #[error(transparent)]
    File(#[from] FileError),
    /// Somebody else's profile has the name.
    #[error(
        "{path}: the profile {profile} was not written by landfast and is left alone; take another name, or force it"
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
    /// The file isn't text.
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
    /// The permissions that the file gets.
    pub mode: u32,
    /// Overwrite a profile that somebody else wrote.
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
        self.replaced(text.expose(), "").map(drop)
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
        let replaced =
            self.replaced(text.expose(), section(&self.profile, credentials).expose())?;
        files::write_atomic(&target, replaced.expose().as_bytes(), self.mode)?;
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

    /// The text with `section` in the place of the profile, or at the end.
    fn replaced(&self, text: &str, section: &str) -> Result<Secret<String>, SharedFileError> {
        let path = || self.path.display().to_string();
        // Exact capacity, so that no copy of a secret is left behind by growth.
        let mut out = String::with_capacity(text.len() + section.len() + 2);
        let (mut inside, mut found, mut marked) = (false, 0, false);
        // Blank lines and remarks at a section's end belong to the next one.
        let mut remarks = Secret::new(String::new());
        for line in text.split_inclusive('\n') {
            if let Some(name) = header(line) {
                inside = name == self.profile;
                out.push_str(remarks.expose());
                remarks = Secret::new(String::new());
                if inside {
                    found += 1;
                    out.push_str(section);
                    continue;
                }
            }
            if inside {
                if line.starts_with(MARK) {
                    marked = true;
                } else if line.trim().is_empty() || line.starts_with(['#', ';']) {
                    remarks = Secret::new(format!("{}{line}", remarks.expose()));
                } else {
                    remarks = Secret::new(String::new());
                }
                continue;
            }
            out.push_str(line);
        }
        out.push_str(remarks.expose());
        if found > 1 {
            return Err(SharedFileError::Twice {
                path: path(),
                profile: self.profile.clone(),
            });
        }
        if found == 1 && !marked && !self.force {
            return Err(SharedFileError::Foreign {
                path: path(),
                profile: self.profile.clone(),
            });
        }
        if found == 0 {
            if !out.is_empty() && !out.ends_with('\n') {
                out.push('\n');
            }
            // A blank line between two profiles.
            if !out.is_empty() && !out.ends_with("\n\n") {
                out.push('\n');
            }
            out.push_str(section);
        }
        Ok(Secret::new(out))
    }
}

fn header(line: &str) -> Option<&str> {
    line.trim()
        .strip_prefix('[')?
        .strip_suffix(']')
        .map(str::trim)
}

fn section(profile: &str, credentials: &Credentials) -> Secret<String> {
    let mut text = String::with_capacity(8 * 1024);
    for part in [
        "[",
        profile,
        "]\n",
        MARK,
        ", good until ",
        &credentials
            .expiration
            .strftime("%Y-%m-%dT%H:%M:%SZ")
            .to_string(),
        "\naws_access_key_id = ",
        &credentials.access_key_id,
        "\naws_secret_access_key = ",
        credentials.secret_access_key.expose(),
        "\naws_session_token = ",
        credentials.session_token.expose(),
        "\n",
    ] {
        text.push_str(part);
    }
    Secret::new(text)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{MetadataExt as _, symlink};

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
            mode: 0o600,
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
        assert!(
            !fs::read_to_string(&file.path)
                .unwrap()
                .contains("AKIATHEIRS")
        );
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
}
