//! Commands of landfast that run as long as their test.

use std::io::{BufRead as _, BufReader, Read as _};
use std::process::{Child, Command, Stdio};

use serde_json::Value;

use super::terminate;

/// A command of landfast that runs until the test ends, and the JSON line by
/// which it said that it is ready.
pub(crate) struct Running {
    pub(crate) child: Child,
    pub(crate) ready: Value,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary under test runs");
        let mut line = String::new();
        let out = child.stdout.take().expect("a pipe");
        BufReader::new(out)
            .read_line(&mut line)
            .expect("a pipe can be read");
        if line.is_empty() {
            let mut said = String::new();
            let _ = child
                .stderr
                .take()
                .expect("a pipe")
                .read_to_string(&mut said);
            panic!("it ended at once: {said}");
        }
        Self {
            child,
            ready: serde_json::from_str(&line).expect("the line is JSON"),
        }
    }

    pub(crate) fn text(&self, name: &str) -> &str {
        self.ready[name].as_str().expect("a text")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        terminate(&mut self.child);
    }
}
