//! Who can reach a node's certificate and key besides their owner: the rule EE-06.

use landfast_rolesanywhere::rules::Finding;

use std::collections::BTreeSet;
use std::path::Path;

use crate::files;

/// EE-06: the file of a private key is its owner's alone, and the owner is
/// this user or root. A file that cannot be looked at has no findings.
pub fn key_file(path: &Path) -> Vec<Finding> {
    let open = files::is_open_to_others(path).unwrap_or(false);
    let owner = files::foreign_owner(path).unwrap_or(None);
    key_access(path, open, owner)
}

/// EE-06: what could be put in the place of a pair by others than its owner.
/// What cannot be looked at has no findings.
pub fn pair_files(certificate: &Path, key: &Path) -> Vec<Finding> {
    let mut found = key_file(key);
    found.extend(certificate_file(certificate));
    found.extend(directories(certificate, key));
    found
}

/// EE-06: the certificate's file is written by its owner only, who is this
/// user or root.
pub fn certificate_file(path: &Path) -> Vec<Finding> {
    let mut found = Vec::new();
    if files::is_writable_by_others(path).unwrap_or(false) {
        found.push(Finding::warning(
            "EE-06",
            format!(
                "{}: others than the owner may write the certificate",
                path.display()
            ),
            "chmod 644",
        ));
    }
    if let Ok(Some(owner)) = files::foreign_owner(path) {
        found.push(Finding::warning(
            "EE-06",
            format!(
                "{}: the certificate belongs to user {owner}, who may replace it",
                path.display()
            ),
            "chown it to the user who runs this, or to root",
        ));
    }
    found
}

/// EE-06: nobody but this user and root can put other files into the
/// directories of a pair, or other directories in their place: those of the
/// names, those that links lead to, and all above them.
pub fn directories(certificate: &Path, key: &Path) -> Vec<Finding> {
    let mut all = BTreeSet::new();
    for path in [certificate, key] {
        let named = std::path::absolute(path).ok();
        for path in [named, path.canonicalize().ok()].into_iter().flatten() {
            all.extend(path.ancestors().skip(1).map(Path::to_owned));
        }
    }
    all.iter().flat_map(|path| directory(path)).collect()
}

fn directory(path: &Path) -> Vec<Finding> {
    let mut found = Vec::new();
    let shown = path.display();
    if files::is_writable_by_others(path).unwrap_or(false) {
        found.push(Finding::warning(
            "EE-06",
            format!(
                "{shown}: others than the owner may write to this directory, and so replace certificate and key"
            ),
            "chmod 755",
        ));
    }
    if let Ok(Some(owner)) = files::foreign_owner(path) {
        found.push(Finding::warning(
            "EE-06",
            format!(
                "{shown}: this directory belongs to user {owner}, who may replace certificate and key"
            ),
            "chown it to the user who runs this, or to root, or keep the pair elsewhere, such as in /etc/iam/pki",
        ));
    }
    found
}

fn key_access(path: &Path, open: bool, foreign_owner: Option<u32>) -> Vec<Finding> {
    let path = path.display();
    let mut found = Vec::new();
    if open {
        found.push(Finding::warning(
            "EE-06",
            format!("{path}: others than the owner may read or write the private key"),
            "chmod 600; if somebody may have read it, renew with --rotate-key",
        ));
    }
    if let Some(owner) = foreign_owner {
        found.push(Finding::warning(
            "EE-06",
            format!("{path}: the private key belongs to user {owner}, who may read and replace it"),
            "chown it to the user who runs this, or to root",
        ));
    }
    found
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use landfast_rolesanywhere::rules::Severity;

    use super::*;

    #[test]
    fn a_key_that_others_can_reach_is_told() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let mode = |mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(file.path(), mode).unwrap();
            key_file(file.path())
        };
        assert_eq!(mode(0o600), []);
        for open in [0o640, 0o604, 0o620] {
            let found = mode(open);
            assert_eq!(found.len(), 1, "{open:o}");
            assert!(found[0].remedy.contains("chmod 600"), "{found:?}");
        }
        let found = key_access(file.path(), false, Some(1234));
        assert_eq!(found.len(), 1);
        assert!(found[0].problem.contains("user 1234"), "{found:?}");
        assert_eq!(found[0].severity, Severity::Warning);
    }

    #[test]
    fn a_place_where_others_can_put_a_pair_is_told() {
        let directory = tempfile::tempdir().unwrap();
        let (certificate, key) = (
            directory.path().join("server.pem"),
            directory.path().join("server.key"),
        );
        std::fs::write(&certificate, "").unwrap();
        let set = |path: &Path, mode| {
            let mode = std::fs::Permissions::from_mode(mode);
            std::fs::set_permissions(path, mode).unwrap();
        };
        let told = |directory_mode, certificate_mode| {
            set(directory.path(), directory_mode);
            set(&certificate, certificate_mode);
            let found = pair_files(&certificate, &key);
            assert!(found.iter().all(|one| one.rule == "EE-06"), "{found:?}");
            assert!(found.iter().all(|one| one.severity == Severity::Warning));
            found.len()
        };
        assert_eq!(told(0o755, 0o644), 0);
        assert_eq!(told(0o777, 0o644), 1);
        assert_eq!(told(0o775, 0o644), 1);
        assert_eq!(told(0o1777, 0o644), 0, "sticky");
        assert_eq!(told(0o755, 0o666), 1);
        assert_eq!(told(0o777, 0o666), 2);
    }

    /// Two users: whoever owns a directory above the pair can replace the pair.
    #[test]
    fn a_foreign_owner_is_told_up_to_the_root() {
        use std::os::unix::fs::chown;

        crate::testing::needs_root();
        let top = tempfile::tempdir().unwrap();
        let directory = top.path().join("a/b");
        std::fs::create_dir_all(&directory).unwrap();
        let (certificate, key) = (directory.join("server.pem"), directory.join("server.key"));
        for path in [&certificate, &key] {
            std::fs::write(path, "").unwrap();
            std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
        }
        assert_eq!(pair_files(&certificate, &key), []);
        for path in [top.path(), &directory, &certificate, &key] {
            chown(path, Some(crate::testing::OTHER), None).unwrap();
            let found = pair_files(&certificate, &key);
            assert_eq!(found.len(), 1, "{path:?}: {found:?}");
            assert_eq!(found[0].rule, "EE-06");
            assert!(found[0].problem.contains("65534"), "{found:?}");
            chown(path, Some(0), None).unwrap();
        }
    }
}
