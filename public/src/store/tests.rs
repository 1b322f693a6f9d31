use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use tempfile::TempDir;

use super::*;
use crate::config::ServerFile;
use crate::upstream::Upstream;

const MOST: u64 = 100_000;

fn mount(server: &str, namespace: Option<&str>, path: &str, prefix: &str) -> Mount {
    let server = ServerFile {
        address: format!("http://{server}"),
        other_nodes: Vec::new(),
        ca: None,
        namespace: None,
    };
    Mount {
        prefix: prefix.into(),
        path: path.to_owned(),
        namespace: namespace.map(str::to_owned),
        upstream: Arc::new(Upstream::new(&server).expect("an address")),
    }
}

fn ours() -> Mount {
    mount("a.test:8200", Some("team"), "pki", "/one")
}

fn folder() -> TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    fs::set_permissions(folder.path(), Permissions::from_mode(0o700)).expect("ours");
    folder
}

fn open(folder: &TempDir) -> Store {
    Store::open(folder.path(), MOST).expect("it can be used")
}

fn entry(what: &str, content: &str) -> Entry {
    Entry {
        what: what.to_owned(),
        mark: content.as_bytes().to_vec(),
        content: Bytes::copy_from_slice(content.as_bytes()),
    }
}

fn names(folder: &TempDir) -> Vec<String> {
    let all = fs::read_dir(folder.path()).expect("a folder");
    let mut names: Vec<String> = all
        .map(|entry| {
            entry
                .expect("an entry")
                .file_name()
                .to_string_lossy()
                .into_owned()
        })
        .collect();
    names.sort();
    names
}

fn loaded(folder: &TempDir, mount: &Mount) -> Vec<String> {
    let found = open(folder).load(mount);
    let mut found: Vec<String> = found
        .iter()
        .map(|(what, content)| format!("{what}={}", String::from_utf8_lossy(content)))
        .collect();
    found.sort();
    found
}

#[test]
fn what_is_written_is_read_again_and_what_is_gone_is_taken_away() {
    let folder = folder();
    let store = open(&folder);
    store.save(&ours(), vec![entry("index", "i"), entry("crl-1", "c\nc")]);
    assert_eq!(loaded(&folder, &ours()), ["crl-1=c\nc", "index=i"]);
    let file = folder.path().join(&names(&folder)[0]);
    let inode = |path: &Path| fs::metadata(path).expect("a file").ino();
    let mode = fs::metadata(&file).expect("a file").mode();
    assert_eq!(mode & 0o777, 0o600);
    let before = inode(&file);
    store.save(&ours(), vec![entry("crl-1", "c\nc")]);
    assert_eq!((inode(&file), names(&folder).len()), (before, 1));
    store.save(&ours(), vec![entry("crl-1", "d")]);
    assert_eq!(loaded(&folder, &ours()), ["crl-1=d"]);
    store.save(&ours(), Vec::new());
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
fn nothing_is_read_of_another_mount() {
    let others = [
        mount("b.test:8200", Some("team"), "pki", "/one"),
        mount("a.test:8200", None, "pki", "/one"),
        mount("a.test:8200", Some("team"), "pki2", "/one"),
        mount("a.test:8200", Some("team"), "pki", "/two"),
    ];
    let folder = folder();
    open(&folder).save(&ours(), vec![entry("default", "x")]);
    let file = folder.path().join(&names(&folder)[0]);
    for other in &others {
        assert_eq!(loaded(&folder, other), [""; 0]);
        // Nor under the name of the other's file.
        let theirs = format!("{}default", Head::prefix(other));
        fs::copy(&file, folder.path().join(theirs)).expect("copied");
        assert_eq!(loaded(&folder, other), [""; 0]);
    }
    // Nor as something else of the same mount.
    let other = format!("{}index", Head::prefix(&ours()));
    fs::copy(&file, folder.path().join(other)).expect("copied");
    assert_eq!(loaded(&folder, &ours()), ["default=x"]);
    open(&folder).keep_only([ours()].iter());
    assert_eq!(names(&folder).len(), 2);
}

#[test]
fn a_file_that_is_not_as_it_was_written_is_ignored() {
    let folder = folder();
    open(&folder).save(&ours(), vec![entry("default", "content")]);
    let file = folder.path().join(&names(&folder)[0]);
    let good = fs::read(&file).expect("a file");
    let mut changed = good.clone();
    *changed.last_mut().expect("content") ^= 1;
    let long = vec![b'x'; usize::try_from(MOST).expect("small") + 1];
    for bad in [
        &[][..],
        b"\n",
        b"{}\ncontent",
        &good[..good.len() - 1],
        &changed,
        &[&good[..], b"x"].concat(),
        &long,
        &long[..20_000],
        String::from_utf8_lossy(&good)
            .replace(" 1\"", " 2\"")
            .as_bytes(),
    ] {
        fs::write(&file, bad).expect("written");
        assert_eq!(loaded(&folder, &ours()), [""; 0]);
    }
    fs::write(&file, &good).expect("written");
    assert_eq!(loaded(&folder, &ours()).len(), 1);
    fs::set_permissions(&file, Permissions::from_mode(0o620)).expect("ours");
    assert_eq!(loaded(&folder, &ours()), [""; 0], "others may write it");
    let elsewhere = folder.path().join("elsewhere");
    fs::write(&elsewhere, &good).expect("written");
    fs::remove_file(&file).expect("ours");
    std::os::unix::fs::symlink(&elsewhere, &file).expect("a link");
    assert_eq!(loaded(&folder, &ours()), [""; 0], "a link leads anywhere");
    fs::remove_file(&file).expect("ours");
    rustix::fs::mknodat(
        rustix::fs::CWD,
        &file,
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .expect("a pipe");
    assert_eq!(loaded(&folder, &ours()), [""; 0], "a pipe holds nobody up");
}

#[test]
fn what_is_written_has_an_end() {
    let folder = folder();
    let store = open(&folder);
    let large = "x".repeat(60_000);
    store.save(
        &ours(),
        vec![entry("a", &large), entry("b", &large), entry("c", "small")],
    );
    let whats = |folder: &TempDir| {
        let all = names(folder);
        let whats = all.iter().filter_map(|name| name.split_once('.'));
        whats.map(|(_, what)| what.to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(whats(&folder), ["a", "c"], "the first ones go first");
    // What a process before left counts too.
    let store = open(&folder);
    let other = mount("b.test", None, "pki", "/two");
    store.save(&other, vec![entry("a", &large)]);
    assert_eq!(names(&folder).len(), 2);
    store.keep_only([&other].into_iter());
    store.save(&other, vec![entry("a", &large)]);
    assert_eq!(whats(&folder), ["a"]);
    // Names that are none of ours are never made.
    store.save(
        &other,
        vec![entry("../a", "x"), entry("a/b", "x"), entry("", "x")],
    );
    assert_eq!(names(&folder), [""; 0]);
}

#[test]
fn a_directory_that_others_write_into_is_refused() {
    let parent = folder();
    let dir = parent.path().join("made");
    Store::open(&dir, MOST).expect("it is made");
    let mode = fs::metadata(&dir).expect("made").mode();
    assert_eq!(mode & 0o777, 0o700);
    for (mode, wanted) in [(0o770, "others than its owner"), (0o702, "chmod go-w")] {
        fs::set_permissions(&dir, Permissions::from_mode(mode)).expect("ours");
        let error = Store::open(&dir, MOST).expect_err("refused").to_string();
        assert!(error.contains(wanted), "{error}");
    }
    for dir in [parent.path().join("no/such"), "/dev/null".into()] {
        Store::open(&dir, MOST).expect_err("no directory");
    }
    let foreign = parent.path().join("notes.txt");
    let unfinished = format!("{}index{UNFINISHED}", Head::prefix(&ours()));
    for path in [&foreign, &parent.path().join(unfinished)] {
        fs::write(path, "x").expect("written");
    }
    let store = Store::open(parent.path(), MOST).expect("it can be used");
    store.keep_only([].into_iter());
    assert_eq!(names(&parent), ["made", "notes.txt"]);
}
