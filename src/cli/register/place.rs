//! The place where the plugin is to lie, looked at before a server does.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use landfast_node::files::{self, FileError};

/// What an operator should see to before the plugin is registered: who else could replace what the server will run,
/// what a server refuses, and what is there already. `sha256` is the sum of the file that is to be registered.
pub(super) fn warnings(directory: &Path, target: &Path, sha256: &str) -> Vec<String> {
    let mut found = Vec::new();
    // Not there, or not to be seen from here: the page tells how it comes to be.
    if fs::symlink_metadata(directory).is_err() {
        return found;
    }
    link(
        directory,
        "the server refuses a plugin_directory that is a symbolic link",
        &mut found,
    );
    let mut above: Vec<PathBuf> = vec![directory.to_owned()];
    if let Ok(real) = fs::canonicalize(directory) {
        above.extend(real.ancestors().skip(1).map(Path::to_owned));
    }
    for path in &above {
        replaceable(path, "the directory", "755", &mut found);
    }
    if fs::symlink_metadata(target).is_err() {
        return found;
    }
    link(
        target,
        "the server refuses a plugin that leads out of its directory",
        &mut found,
    );
    replaceable(target, "the file", "755", &mut found);
    match super::sum(target) {
        Ok(there) if there == sha256 => {}
        Ok(there) => found.push(format!(
            "{}: the name is taken by another file (SHA-256 {there}). Mounts that run it find no engine at their next \
             start once it is replaced: put this one beside it under another name, such as {}, and move the mounts \
             (docs/operators.md, Upgrade)",
            target.display(),
            versioned(target),
        )),
        Err(error) if error.kind() == io::ErrorKind::IsADirectory => {
            found.push(format!("{}: the name is taken by a directory", target.display()));
        }
        Err(error) => found.push(format!("{}: the name is taken, and the file cannot be read: {error}", target.display())),
    }
    found
}

/// A name for this version beside the one that is taken.
fn versioned(target: &Path) -> String {
    let name = target.file_name().unwrap_or_default().to_string_lossy();
    format!("{name}-v{}", env!("CARGO_PKG_VERSION"))
}

fn link(path: &Path, why: &str, found: &mut Vec<String>) {
    let is_link = fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    if is_link {
        let real = fs::canonicalize(path).unwrap_or_else(|_| path.to_owned());
        found.push(format!(
            "{}: a symbolic link: {why}. Name {}",
            path.display(),
            real.display()
        ));
    }
}

fn replaceable(path: &Path, what: &str, mode: &str, found: &mut Vec<String>) {
    let judged = files::is_writable_by_others(path)
        .and_then(|writable| Ok::<_, FileError>((writable, files::foreign_owner(path)?)));
    // What this user cannot look at, it cannot judge.
    let Ok((writable, owner)) = judged else {
        return;
    };
    if writable {
        found.push(format!(
            "{}: others than its owner may write {what}, and so replace what the server runs: chmod {mode} {0}",
            path.display()
        ));
    }
    if let Some(owner) = owner {
        found.push(format!(
            "{}: {what} belongs to user {owner}, who may replace what the server runs: let it belong to root",
            path.display()
        ));
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    const SUM: &str = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";

    fn mode(path: &Path, mode: u32) {
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("our own file");
    }

    /// A plugin directory with a good plugin in it, and what is told of it.
    fn told(change: impl FnOnce(&Path)) -> Vec<String> {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let plugins = dir.path().join("plugins");
        fs::create_dir(&plugins).expect("a fresh folder");
        mode(&plugins, 0o755);
        let file = plugins.join("landfast");
        fs::write(&file, b"abc").expect("a fresh folder");
        mode(&file, 0o755);
        change(&plugins);
        warnings(&plugins, &file, SUM)
    }

    #[test]
    fn a_good_place_and_one_that_is_not_there_are_not_talked_of() {
        assert_eq!(told(|_| ()), Vec::<String>::new());
        let nowhere = Path::new("/nonexistent/plugins");
        assert!(warnings(nowhere, &nowhere.join("landfast"), SUM).is_empty());
        // A file that is yet to be put there.
        assert!(
            told(|plugins| fs::remove_file(plugins.join("landfast")).expect("it is there"))
                .is_empty()
        );
    }

    #[test]
    fn who_else_may_write_is_told() {
        let told = told(|plugins| {
            mode(plugins, 0o775);
            mode(&plugins.join("landfast"), 0o757);
        });
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].contains("may write the directory") && told[0].contains("chmod 755"),
            "{told:?}"
        );
        assert!(told[1].contains("may write the file"), "{told:?}");
    }

    #[test]
    fn symbolic_links_are_told_with_what_they_lead_to() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let real = dir.path().join("real");
        fs::create_dir(&real).expect("a fresh folder");
        mode(&real, 0o755);
        let plugins = dir.path().join("plugins");
        symlink(&real, &plugins).expect("a fresh folder");
        fs::write(dir.path().join("elsewhere"), b"abc").expect("a fresh folder");
        mode(&dir.path().join("elsewhere"), 0o755);
        symlink("../elsewhere", real.join("landfast")).expect("a fresh folder");
        let told = warnings(&plugins, &plugins.join("landfast"), SUM);
        assert_eq!(told.len(), 2, "{told:?}");
        assert!(
            told[0].contains("plugin_directory that is a symbolic link"),
            "{told:?}"
        );
        assert!(told[0].ends_with("real"), "{told:?}");
        assert!(
            told[1].contains("leads out of its directory") && told[1].ends_with("elsewhere"),
            "{told:?}"
        );
    }

    #[test]
    fn a_name_that_is_taken_is_told_with_another_one() {
        let other =
            told(|plugins| fs::write(plugins.join("landfast"), b"another").expect("our own file"));
        assert_eq!(other.len(), 1, "{other:?}");
        assert!(
            other[0].contains("the name is taken by another file"),
            "{other:?}"
        );
        assert!(
            other[0].contains(concat!("landfast-v", env!("CARGO_PKG_VERSION"))),
            "{other:?}"
        );
        let folder = told(|plugins| {
            fs::remove_file(plugins.join("landfast")).expect("it is there");
            fs::create_dir(plugins.join("landfast")).expect("a free name");
            mode(&plugins.join("landfast"), 0o755);
        });
        assert!(
            folder
                .iter()
                .any(|text| text.contains("taken by a directory")),
            "{folder:?}"
        );
    }
}
