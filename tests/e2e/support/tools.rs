//! The Python linters of `.tools/venv`.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use super::server::tools;

/// A Python that has pkilint, cfn-lint and botocore.
pub(crate) struct Python;

impl Python {
    /// Runs one of the environment's commands and answers whether it was
    /// content, with all that it printed.
    ///
    /// # Panics
    ///
    /// When the environment is missing: an unlinted certificate is no success.
    pub(crate) fn run(command: &str, arguments: &[&str]) -> (bool, String) {
        let program = Self::program(command);
        let output = Command::new(&program)
            .args(arguments)
            .stdin(Stdio::null())
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", program.display()));
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        text.push_str(&String::from_utf8_lossy(&output.stderr));
        (output.status.success(), text)
    }

    /// Starts a program of the environment's Python that serves until it is
    /// ended; its standard output is a pipe.
    ///
    /// # Panics
    ///
    /// When it can't be started.
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Child {
        Command::new(Self::program("python"))
            .args(["-c", program])
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("Python can be started")
    }

    /// Where a command of the environment is.
    ///
    /// # Panics
    ///
    /// When it is missing.
    pub(crate) fn program(command: &str) -> PathBuf {
        let program = tools().join("venv/bin").join(command);
        assert!(
            program.exists(),
            "no {command} at {}: run `make tools`",
            program.display()
        );
        program
    }
}
