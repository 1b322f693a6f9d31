//! Pages of `docs/` whose commands are run as they are written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// Every `sh` block of a page, in its order, as one script. What it starts in
/// the background ends with it.
pub(crate) fn script_of(page: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("docs")
        .join(page);
    let text = fs::read_to_string(path).expect("the page is in the repository");
    let mut script = String::from("trap 'kill $(jobs -p); wait' EXIT\n");
    for block in text.split("```sh\n").skip(1) {
        script.push_str(block.split("```").next().expect("a split has a first part"));
    }
    script
}

/// A shell that runs a script in a folder and stops at the first failure, with
/// the binary under test, and what lies in `folders`, on its path.
pub(crate) fn shell(script: &str, home: &Path, folders: &[&Path]) -> Command {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_landfast"));
    let mut path = binary
        .parent()
        .into_iter()
        .map(Path::to_owned)
        .collect::<Vec<_>>();
    path.extend(folders.iter().map(|folder| (*folder).to_owned()));
    let usual = std::env::var_os("PATH").expect("a PATH");
    path.extend(std::env::split_paths(&usual));
    let mut command = Command::new("bash");
    command
        .args(["-euo", "pipefail", "-c", script])
        .env_clear()
        .env("HOME", home)
        .env("PATH", std::env::join_paths(path).expect("plain paths"))
        .current_dir(home)
        .stdin(Stdio::null());
    command
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    socket.local_addr().expect("a bound socket").port()
}
