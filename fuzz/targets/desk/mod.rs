//! The unseal server's desk in front of the key that made the ciphertexts of the seeds.

use std::fs::OpenOptions;
use std::io::Write;
use std::os::unix::fs::OpenOptionsExt;
use std::sync::LazyLock;

use landfast_unseal::keys::local::LocalKey;
use landfast_unseal::serve::Desk;

const KEY: &str = "landfast-local-key-v1:BwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwc=\n";

pub(crate) static DESK: LazyLock<Desk> = LazyLock::new(|| {
    let path = std::env::temp_dir().join(format!("landfast-fuzz-{}.key", std::process::id()));
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path);
    file.expect("a temporary file").write_all(KEY.as_bytes()).expect("a file of ours");
    let key = LocalKey::load(&path).expect("the key of the seeds");
    std::fs::remove_file(path).expect("a file of ours");
    Desk::new(key)
});
