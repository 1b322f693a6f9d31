//! Pages whose commands are run as they are written.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use super::server::tools;

/// A page of the repository, by its path there.
pub(crate) struct Page {
    path: &'static str,
    blocks: Vec<Block>,
}

/// A fenced block of a page.
pub(crate) struct Block {
    /// The heading that it stands under, without its marks.
    pub(crate) heading: String,
    /// The line of its fence, counted from 1.
    pub(crate) line: usize,
    /// What stands behind the fence: the language, and for commands that are not run, the reason.
    pub(crate) info: String,
    pub(crate) text: String,
}

impl Page {
    pub(crate) fn read(path: &'static str) -> Self {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(path))
            .unwrap_or_else(|error| panic!("{path}: {error}"));
        let (mut blocks, mut open, mut heading) = (Vec::new(), None::<Block>, String::new());
        for (at, line) in text.lines().enumerate() {
            match (&mut open, line.strip_prefix("```")) {
                (Some(_), Some("")) => blocks.extend(open.take()),
                (Some(block), _) => {
                    block.text.push_str(line);
                    block.text.push('\n');
                }
                (None, Some(info)) => {
                    open = Some(Block {
                        heading: heading.clone(),
                        line: at + 1,
                        info: info.to_owned(),
                        text: String::new(),
                    });
                }
                (None, None) if line.starts_with('#') => {
                    heading = line.trim_start_matches('#').trim().to_owned();
                }
                _ => {}
            }
        }
        assert!(open.is_none(), "{path}: a block has no end");
        Self { path, blocks }
    }

    pub(crate) fn blocks(&self) -> &[Block] {
        &self.blocks
    }

    /// Every `sh` block, in its order, as one script.
    pub(crate) fn script(&self) -> String {
        self.select(|_| true)
    }

    /// The first few `sh` blocks.
    pub(crate) fn first(&self, count: usize) -> String {
        let blocks = self.blocks.iter().filter(|block| block.info == "sh");
        let last = blocks.map(|block| block.line).nth(count - 1);
        let last = last.unwrap_or_else(|| panic!("{}: fewer than {count} blocks", self.path));
        self.select(|block| block.line <= last)
    }

    /// The `sh` blocks under these headings only.
    pub(crate) fn sections(&self, headings: &[&str]) -> String {
        for heading in headings {
            assert!(
                self.blocks.iter().any(|block| block.heading == *heading),
                "{}: no commands under {heading:?}",
                self.path
            );
        }
        self.select(|block| headings.contains(&block.heading.as_str()))
    }

    /// Says on standard error which block it is at, for whoever looks for a fault.
    fn select(&self, wanted: impl Fn(&Block) -> bool) -> String {
        let blocks = self
            .blocks
            .iter()
            .filter(|block| block.info == "sh" && wanted(block));
        let script: String = blocks
            .map(|block| format!("echo '== {}:{}' >&2\n{}", self.path, block.line, block.text))
            .collect();
        assert!(!script.is_empty(), "{}: no commands", self.path);
        script
    }
}

/// A script with some of its texts replaced, such as a port that is taken here.
///
/// # Panics
///
/// When a text is not there: then the page has changed, and the test with it.
pub(crate) fn replaced(script: &str, pairs: &[(&str, &str)]) -> String {
    pairs.iter().fold(script.to_owned(), |script, (old, new)| {
        assert!(script.contains(old), "{old:?} is not in\n{script}");
        script.replace(old, new)
    })
}

/// A shell that runs a script in a folder and stops at the first failure, with
/// the binary under test, and what lies in `folders`, on its path. What the
/// script starts in the background ends with it.
pub(crate) fn shell(script: &str, home: &Path, folders: &[&Path]) -> Command {
    let binary = PathBuf::from(env!("CARGO_BIN_EXE_landfast"));
    let mut path: Vec<PathBuf> = folders.iter().map(|folder| (*folder).to_owned()).collect();
    path.extend(binary.parent().map(Path::to_owned));
    let usual = std::env::var_os("PATH").expect("a PATH");
    path.extend(std::env::split_paths(&usual));
    let script = format!("trap 'kill $(jobs -p) 2>/dev/null || true; wait || true' EXIT\n{script}");
    // A page waits for what it has started, which may never come.
    let mut command = Command::new("timeout");
    command
        .args([
            "--kill-after=5",
            "300",
            "bash",
            "-euo",
            "pipefail",
            "-c",
            &script,
        ])
        .env_clear()
        .env("HOME", home)
        .env("PATH", std::env::join_paths(path).expect("plain paths"))
        .env("AWS_EC2_METADATA_DISABLED", "true")
        .current_dir(home)
        .stdin(Stdio::null());
    command
}

/// A folder with the `aws` command in it, and with the server's command under the name that pages call it by.
pub(crate) fn commands(folder: &Path, server: &Path, name: &str) -> PathBuf {
    let bin = folder.join("bin");
    fs::create_dir(&bin).expect("a fresh folder");
    let aws = tools().join("venv/bin/aws");
    assert!(
        aws.exists(),
        "no aws at {}: run `make tools`",
        aws.display()
    );
    for (target, name) in [(aws.as_path(), "aws"), (server, name)] {
        std::os::unix::fs::symlink(target, bin.join(name)).expect("a fresh folder");
    }
    bin
}

/// What a page printed, and what it said on standard error.
///
/// # Panics
///
/// When one of its commands failed.
pub(crate) fn ran(command: &mut Command) -> (String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("bash runs");
    let printed = String::from_utf8_lossy(&stdout).into_owned();
    let said = String::from_utf8_lossy(&stderr).into_owned();
    assert!(status.success(), "{printed}\n{said}");
    (printed, said)
}

/// A port that nobody listens on.
pub(crate) fn free_port() -> u16 {
    let socket = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port");
    socket.local_addr().expect("a bound socket").port()
}
