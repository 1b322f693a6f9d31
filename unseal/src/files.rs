//! Small files that hold a secret.

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

#[cfg(test)]
mod tests {
    use super::*;

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
