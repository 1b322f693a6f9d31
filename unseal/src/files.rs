//! Small files that hold a secret.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use landfast_base::Secret;
use tokio::io::AsyncReadExt;

use crate::error::Error;

/// Larger files are not what they were taken for.
const LIMIT: u64 = 64 * 1024;

/// The file's text without surrounding white space.
pub(crate) async fn read_secret(path: &Path) -> Result<Secret<String>, Error> {
    let refuse = |reason: String| Error::File {
        path: path.to_owned(),
        reason,
    };
    let file = tokio::fs::File::open(path)
        .await
        .map_err(|error| refuse(error.to_string()))?;
    let mut text = Secret::new(String::new());
    let length = file.take(LIMIT + 1).read_to_string(text.expose_mut()).await;
    let length = length.map_err(|error| refuse(error.to_string()))?;
    if length as u64 > LIMIT {
        return Err(refuse("is too large for a credential".to_owned()));
    }
    let trimmed = text.expose().trim();
    if trimmed.is_empty() {
        return Err(refuse("is empty".to_owned()));
    }
    Ok(Secret::new(trimmed.to_owned()))
}

/// Says in the log that others than owner and group reach a file that matters: that they may change it, or may read the `secret` in it.
pub(crate) fn warn_if_open(path: &Path, secret: Option<&str>) {
    if let Some(warning) = openness(path, secret) {
        tracing::warn!("{warning}");
    }
}

fn openness(path: &Path, secret: Option<&str>) -> Option<String> {
    let mode = std::fs::metadata(path).ok()?.permissions().mode();
    let (path, next) = (path.display(), format!("chmod o= {}", path.display()));
    match secret {
        Some(secret) if mode & 0o004 != 0 => Some(format!(
            "{path}: every user of this machine may read it, and it holds {secret}: {next}"
        )),
        _ if mode & 0o002 != 0 => Some(format!(
            "{path}: every user of this machine may change it: {next}"
        )),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_others_may_do_is_told_with_what_to_do() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("file");
        std::fs::write(&path, "x").expect("writes");
        let told = |mode, secret| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(&path, mode).expect("set");
            openness(&path, secret).unwrap_or_default()
        };
        for quiet in [0o600, 0o640, 0o660] {
            assert_eq!(told(quiet, Some("a private key")), "");
        }
        assert_eq!(told(0o644, None), "", "nothing secret is in it");
        let read = told(0o644, Some("a private key"));
        assert!(
            read.contains("may read it, and it holds a private key") && read.contains("chmod o= /"),
            "{read}"
        );
        assert!(told(0o602, None).contains("may change it"));
    }

    #[tokio::test]
    async fn surrounding_white_space_is_dropped_and_bad_files_are_named() {
        let directory = tempfile::tempdir().expect("temporary directory");
        let path = directory.path().join("secret");
        assert!(read_secret(&path).await.is_err());
        std::fs::write(&path, " value\n").expect("writes");
        assert_eq!(read_secret(&path).await.expect("reads").expose(), "value");
        for bad in [
            Vec::from(" \n"),
            vec![b'x'; LIMIT as usize + 1],
            vec![0xff, 0xfe],
        ] {
            std::fs::write(&path, bad).expect("writes");
            let error = read_secret(&path).await.expect_err("refused").to_string();
            assert!(error.starts_with(path.to_str().expect("UTF-8")), "{error}");
        }
    }
}
