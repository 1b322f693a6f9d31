use std::os::unix::fs::{MetadataExt as _, chown, symlink};
use std::sync::atomic::{AtomicU64, Ordering};

use super::store::KEEP;
use super::*;

fn pair(directory: &Path) -> Pair {
    Pair::new(&directory.join("server.pem"), &directory.join("server.key")).unwrap()
}

fn install(pair: &Pair, content: &str) -> Result<(), FileError> {
    pair.install(content, &Secret::new(content.to_owned()))
}

fn read(pair: &Pair) -> Option<(String, String)> {
    let text = |path: PathBuf| fs::read_to_string(path).ok();
    Some((text(pair.certificate_path())?, text(pair.key_path())?))
}

#[test]
fn a_pair_is_installed_with_its_modes_and_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let pair = pair(&directory.path().join("iam/pki"));
    for content in ["one", "two", "three", "four", "five"] {
        install(&pair, content).unwrap();
        assert_eq!(read(&pair).unwrap(), (content.into(), content.into()));
    }
    let mode = |path: PathBuf| fs::metadata(path).unwrap().mode() & 0o777;
    assert_eq!(mode(pair.key_path()), 0o600);
    assert_eq!(mode(pair.certificate_path()), 0o644);
    let store = Store::open(&Directory::open(&pair.directory).unwrap()).unwrap();
    assert_eq!(store.versions().unwrap().len(), 1 + KEEP);
}

#[test]
fn a_bad_renewal_is_rolled_back() {
    let directory = tempfile::tempdir().unwrap();
    let pair = pair(directory.path());
    install(&pair, "good").unwrap();
    assert!(!pair.roll_back().unwrap(), "nothing came before");
    for _ in 0..4 {
        install(&pair, "bad").unwrap();
        assert!(pair.roll_back().unwrap());
        assert_eq!(read(&pair).unwrap().0, "good");
    }
    install(&pair, "better").unwrap();
    assert_eq!(read(&pair).unwrap().0, "better");
}

/// A tree of somebody else's, and a pair whose link text leads there.
fn with_link(text: &Path) -> (tempfile::TempDir, Pair) {
    let directory = tempfile::tempdir().unwrap();
    let pair = pair(directory.path());
    install(&pair, "one").unwrap();
    install(&pair, "two").unwrap();
    let current = directory.path().join(STORE).join(CURRENT);
    fs::remove_file(&current).unwrap();
    symlink(text, &current).unwrap();
    (directory, pair)
}

#[test]
fn a_link_of_another_form_is_not_followed_and_no_foreign_tree_is_removed() {
    let foreign = tempfile::tempdir().unwrap();
    let kept = foreign.path().join("kept");
    fs::write(&kept, "precious").unwrap();
    let name = foreign.path().file_name().unwrap();
    for text in [foreign.path().to_owned(), Path::new("../..").join(name)] {
        let (_directory, pair) = with_link(&text);
        for outcome in [
            pair.check(),
            pair.roll_back().map(drop),
            install(&pair, "three"),
        ] {
            let error = outcome.unwrap_err().to_string();
            assert!(error.contains("no version of this pair"), "{error}");
        }
        assert_eq!(fs::read_to_string(&kept).unwrap(), "precious");
    }
}

#[test]
fn what_only_looks_like_a_version_is_left_alone() {
    let directory = tempfile::tempdir().unwrap();
    let foreign = tempfile::tempdir().unwrap();
    let pair = pair(directory.path());
    install(&pair, "one").unwrap();
    let store = directory.path().join(STORE);
    // A later version by its name, that is a link to elsewhere.
    symlink(foreign.path(), store.join("0000000000000009")).unwrap();
    fs::write(foreign.path().join("server.pem"), "kept").unwrap();
    flip_to(&store, "0000000000000009");
    assert!(pair.roll_back().is_err());
    assert!(foreign.path().join("server.pem").exists());
    // A directory within a version is none of ours.
    let (_directory, pair) = with_link(Path::new("0000000000000002"));
    let deep = pair.directory.join(STORE).join("0000000000000002/deep");
    fs::create_dir(&deep).unwrap();
    fs::write(deep.join("kept"), "kept").unwrap();
    assert!(pair.roll_back().is_err());
    assert!(deep.join("kept").exists());
    assert_eq!(read(&pair).unwrap().0, "one", "the former pair is back");
}

fn flip_to(store: &Path, version: &str) {
    fs::remove_file(store.join(CURRENT)).unwrap();
    symlink(version, store.join(CURRENT)).unwrap();
}

/// Two users: root renews in a directory of another one.
#[test]
fn root_works_in_a_directory_of_another_user_and_is_not_led_out_of_it() {
    crate::testing::needs_root();
    let other = || Some(crate::testing::OTHER);
    let mine = tempfile::tempdir().unwrap();
    let secret = mine.path().join("secret");
    fs::write(&secret, "root's own").unwrap();
    let theirs = || {
        let directory = tempfile::tempdir().unwrap();
        chown(directory.path(), other(), None).unwrap();
        directory
    };

    // An honest one is served, and what root makes stays root's.
    let directory = theirs();
    let honest = pair(directory.path());
    install(&honest, "one").unwrap();
    install(&honest, "two").unwrap();
    assert!(honest.roll_back().unwrap() && honest.is_ours());
    let store = directory.path().join(STORE);
    assert_eq!(fs::metadata(&store).unwrap().uid(), 0);

    // The store is theirs, or a link to ours: neither is used.
    let directory = theirs();
    fs::create_dir(directory.path().join(STORE)).unwrap();
    chown(directory.path().join(STORE), other(), None).unwrap();
    let error = install(&pair(directory.path()), "x").unwrap_err();
    assert!(error.to_string().contains("user 65534"), "{error}");
    let directory = theirs();
    symlink(mine.path(), directory.path().join(STORE)).unwrap();
    for outcome in [
        install(&pair(directory.path()), "x"),
        pair(directory.path()).check(),
        pair(directory.path()).roll_back().map(drop),
    ] {
        let error = outcome.unwrap_err();
        assert!(error.to_string().contains("is a link"), "{error}");
    }

    // A link in place of the certificate would have root's file copied for all to read.
    let directory = theirs();
    let led = pair(directory.path());
    symlink(&secret, led.certificate_path()).unwrap();
    symlink(&secret, led.key_path()).unwrap();
    for outcome in [led.check(), install(&led, "x")] {
        let error = outcome.unwrap_err();
        assert!(error.to_string().contains("not followed"), "{error}");
    }
    assert_eq!(fs::read_dir(mine.path()).unwrap().count(), 1);
    assert_eq!(fs::read_to_string(&secret).unwrap(), "root's own");
}

#[test]
fn a_directory_in_the_place_of_a_file_is_told_before_anything_is_asked() {
    let directory = tempfile::tempdir().unwrap();
    let pair = pair(&directory.path().join("iam/pki"));
    pair.check().unwrap();
    fs::create_dir_all(pair.certificate_path()).unwrap();
    let error = pair.check().unwrap_err().to_string();
    assert!(
        error.contains("server.pem") && error.contains("is a directory"),
        "{error}"
    );
    install(&pair, "x").unwrap_err();
    fs::remove_dir(pair.certificate_path()).unwrap();
    pair.check().unwrap();
    install(&pair, "x").unwrap();
}

#[test]
fn a_file_that_is_a_mount_is_told_before_anything_is_asked() {
    // Files that every Linux mounts by themselves are rare: /proc is one directory that is.
    let root = Directory::open(Path::new("/")).unwrap();
    assert!(root.is_mount("proc"));
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("file"), "").unwrap();
    let plain = Directory::open(directory.path()).unwrap();
    assert!(!plain.is_mount("file") && !plain.is_mount("none"));
}

#[test]
fn a_key_that_was_given_up_is_gone_and_one_that_is_kept_is_not() {
    let directory = tempfile::tempdir().unwrap();
    let pair = pair(directory.path());
    pair.forget_former_keys().unwrap();
    let install = |certificate: &str, key: &str| {
        pair.install(certificate, &Secret::new(key.to_owned()))
            .unwrap();
    };
    install("one", "old");
    install("two", "old");
    install("three", "new");
    assert!(pair.roll_back().unwrap(), "the hook may still refuse");
    install("four", "new");
    install("five", "new");
    pair.forget_former_keys().unwrap();
    let open = Directory::open(directory.path()).unwrap();
    let store = Store::open(&open).unwrap();
    let keys: Vec<String> = store
        .versions()
        .unwrap()
        .iter()
        .map(|version| store.path().join(version).join("server.key"))
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    assert_eq!(keys, ["new", "new"]);
    assert_eq!(read(&pair).unwrap(), ("five".into(), "new".into()));
}

/// Runs an installation that ends after the given number of steps.
fn crash_after(pair: &Pair, content: &str, steps: usize) -> bool {
    let mut left = steps;
    let outcome = pair.install_watched(content, &Secret::new(content.to_owned()), &mut |_| {
        left = left
            .checked_sub(1)
            .ok_or_else(|| io::Error::other("crash"))?;
        Ok(())
    });
    outcome.is_err()
}

#[test]
fn a_crash_at_any_step_leaves_the_old_pair_or_the_new_one() {
    for by_hand in [false, true] {
        for steps in 0.. {
            let directory = tempfile::tempdir().unwrap();
            let pair = pair(directory.path());
            if by_hand {
                fs::write(pair.certificate_path(), "old").unwrap();
                fs::write(pair.key_path(), "old").unwrap();
            } else {
                install(&pair, "old").unwrap();
            }
            let crashed = crash_after(&pair, "new", steps);
            let (certificate, key) = read(&pair).expect("both files are there");
            assert_eq!(certificate, key, "half a pair after {steps} steps");
            install(&pair, "later").expect("the next installation works");
            assert_eq!(read(&pair).unwrap(), ("later".into(), "later".into()));
            if !crashed {
                break;
            }
            assert!(steps < 50, "the installation never ends");
        }
    }
}

const KILLED: &str = "LANDFAST_TEST_KILLED_PAIR";

/// The process that the next test kills: it installs a pair and kills
/// itself, by a signal that nothing catches, after the given step.
#[test]
fn an_installation_that_kills_itself() {
    let Ok(order) = std::env::var(KILLED) else {
        return;
    };
    let (step, directory) = order.split_once(' ').unwrap();
    let mut left: usize = step.parse().unwrap();
    let new = Secret::new("new".to_owned());
    let outcome = pair(Path::new(directory)).install_watched("new", &new, &mut |_| {
        if left == 0 {
            let own = rustix::process::getpid();
            rustix::process::kill_process(own, rustix::process::Signal::KILL)?;
        }
        left -= 1;
        Ok(())
    });
    outcome.unwrap();
}

#[test]
fn a_kill_at_any_step_leaves_the_old_pair_or_the_new_one() {
    use std::os::unix::process::ExitStatusExt as _;

    let mut new_seen = false;
    for step in 0.. {
        let directory = tempfile::tempdir().unwrap();
        let pair = pair(directory.path());
        install(&pair, "old").unwrap();
        let status = std::process::Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "pair::tests::an_installation_that_kills_itself"])
            .env(KILLED, format!("{step} {}", directory.path().display()))
            .stdout(std::process::Stdio::null())
            .status()
            .unwrap();
        let (certificate, key) = read(&pair).expect("both files are there");
        assert_eq!(certificate, key, "half a pair after {step} steps");
        assert!(
            certificate == "old" && !new_seen || certificate == "new",
            "{certificate} after {step} steps"
        );
        new_seen |= certificate == "new";
        install(&pair, "later").expect("the next installation works");
        assert_eq!(read(&pair).unwrap(), ("later".into(), "later".into()));
        if status.success() {
            assert!(step >= 4, "only {step} steps");
            break;
        }
        assert_eq!(status.signal(), Some(9), "{status}");
    }
    assert!(new_seen);
}

/// Renews a thousand times while somebody reads again and again. A read is overtaken by as many renewals as former pairs stay; by more it
/// would be only where a reader stops for longer than renewals are apart, which are hours outside of a test.
fn renew_beside(read: impl Fn() + Sync, renew: impl Fn(u64)) {
    const RENEWALS: u64 = 1000;
    let (done, begun, reads) = (AtomicU64::new(0), AtomicU64::new(0), AtomicU64::new(0));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            while done.load(Ordering::SeqCst) < RENEWALS {
                begun.store(done.load(Ordering::SeqCst), Ordering::SeqCst);
                read();
                reads.fetch_add(1, Ordering::SeqCst);
            }
        });
        for renewal in 1..=RENEWALS {
            while renewal > begun.load(Ordering::SeqCst) + KEEP as u64 && !reader.is_finished() {
                std::thread::yield_now();
            }
            renew(renewal);
            done.store(renewal, Ordering::SeqCst);
        }
        reader.join().expect("the reader finds what it looks for");
    });
    let reads = reads.into_inner();
    assert!(reads >= RENEWALS / KEEP as u64 / 2, "{reads} reads only");
}

#[test]
fn programs_that_know_no_versions_see_no_mismatch_while_the_key_stays() {
    let directory = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    let pair = pair(directory.path());
    let key = rcgen::KeyPair::generate().unwrap();
    let text = Secret::new(key.serialize_pem());
    let certificate = |serial: u64| {
        let mut parameters = rcgen::CertificateParams::new(vec!["node-1".to_owned()]).unwrap();
        parameters.serial_number = Some(serial.into());
        parameters.self_signed(&key).unwrap().pem()
    };
    pair.install(&certificate(0), &text).unwrap();
    let public = key.public_key_raw().to_vec();
    let read = || {
        // As any program does: one file by its name, then the other.
        let certificate = fs::read(pair.certificate_path()).unwrap();
        let key = fs::read_to_string(pair.key_path()).unwrap();
        let leaf = landfast_pki::Certificate::from_pem(&certificate).unwrap();
        let key = rcgen::KeyPair::from_pem(&key).unwrap();
        assert_eq!(leaf.public_key().key_bits(), public);
        assert_eq!(key.public_key_raw(), public);
    };
    renew_beside(read, |serial| {
        pair.install(&certificate(serial), &text).unwrap();
    });
}

#[test]
fn our_own_reader_sees_no_mismatch_while_keys_change() {
    use crate::identity::{self, Files};

    let directory = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    let pair = pair(directory.path());
    let data = |name: &str| fs::read_to_string(Path::new("tests/data/pki").join(name)).unwrap();
    let pairs = ["rsa-leaf", "ec-leaf"].map(|name| {
        let key = Secret::new(data(&format!("{name}.key")));
        (data(&format!("{name}.crt")), key)
    });
    let put = |at: usize| {
        let (certificate, key) = &pairs[at % 2];
        pair.install(certificate, key).unwrap();
    };
    put(0);
    let read = || {
        identity::load(&Files::pair(&pair.certificate_path(), &pair.key_path())).unwrap();
    };
    renew_beside(read, |renewal| {
        put(usize::try_from(renewal).unwrap());
    });
}

#[test]
fn a_first_installation_that_crashes_leaves_no_certificate_without_its_key() {
    for steps in 0..20 {
        let directory = tempfile::tempdir().unwrap();
        let pair = pair(directory.path());
        crash_after(&pair, "new", steps);
        if pair.certificate_path().exists() {
            assert_eq!(read(&pair).unwrap(), ("new".into(), "new".into()));
        }
    }
}

#[test]
fn a_reader_never_sees_half_of_a_thousand_renewals() {
    // In memory where there is such a place: a thousand renewals sync eight thousand times.
    let directory = tempfile::tempdir_in("/dev/shm")
        .or_else(|_| tempfile::tempdir())
        .unwrap();
    let pair = pair(directory.path());
    install(&pair, "0").unwrap();
    let read = || {
        let (certificate, key) = read_both(&pair.certificate_path(), &pair.key_path()).unwrap();
        assert_eq!(certificate.expose(), key.expose());
    };
    renew_beside(read, |renewal| {
        install(&pair, &renewal.to_string()).unwrap();
    });
}

#[test]
fn two_names_in_one_directory_make_a_pair() {
    assert!(Pair::new(Path::new("a/x"), Path::new("b/y")).is_err());
    assert!(Pair::new(Path::new("a/x"), Path::new("a/x")).is_err());
    assert!(Pair::new(Path::new("x"), Path::new("y")).is_ok());
}
