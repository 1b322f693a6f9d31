//! Files that more people of a machine reach than they are meant for.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Says in the log that others than owner and group reach a file that matters: that they may change it, or may read the `secret` in it.
pub fn warn_if_open(path: &Path, secret: Option<&str>) {
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
}
