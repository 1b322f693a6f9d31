//! Programs that are run after a renewal.

use std::ffi::OsString;
use std::io;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;

/// How long `systemctl` may take.
const SYSTEMCTL_TIMEOUT: Duration = Duration::from_secs(60);
/// Variables of this process that are nobody else's business.
const OURS: [&str; 6] = [
    "BAO_TOKEN",
    "VAULT_TOKEN",
    "NOTIFY_SOCKET",
    "WATCHDOG_PID",
    "WATCHDOG_USEC",
    "LISTEN_FDS",
];

/// A command of the operator, for `/bin/sh -c`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Hook {
    /// The command.
    pub command: String,
    /// How long it may take; it is killed after that.
    pub timeout: Duration,
}

/// Why the hook is run: it finds it in `LANDFAST_EVENT`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// A new pair is in place: `renewed`.
    Renewed,
    /// The former pair is back: `rolled-back`.
    RolledBack,
}

impl Event {
    const fn name(self) -> &'static str {
        match self {
            Self::Renewed => "renewed",
            Self::RolledBack => "rolled-back",
        }
    }
}

/// How a program failed.
#[derive(Debug, thiserror::Error)]
pub enum HookError {
    /// It could not be started.
    #[error("cannot start {program}: {cause}")]
    Start {
        /// The program.
        program: String,
        /// What the system said.
        cause: io::Error,
    },
    /// It ended with another status than 0.
    #[error("ended with {0}")]
    Status(ExitStatus),
    /// It took too long and was killed.
    #[error("did not end within {} s", .0.as_secs())]
    Timeout(Duration),
}

impl Hook {
    /// Runs the hook and waits for it.
    ///
    /// Its output goes to standard error, so that standard output stays ours.
    ///
    /// # Errors
    /// [`HookError`].
    pub async fn run(&self, event: Event, variables: &[(&str, OsString)]) -> Result<(), HookError> {
        let mut command = Command::new("/bin/sh");
        command
            .args(["-c", &self.command])
            .envs(variables.iter().map(|(name, value)| (name, value)))
            .env("LANDFAST_EVENT", event.name());
        finish("/bin/sh", command, self.timeout).await
    }
}

/// Runs `systemctl` as found on the path.
///
/// # Errors
/// [`HookError`].
pub async fn systemctl(arguments: &[&str]) -> Result<(), HookError> {
    let mut command = Command::new("systemctl");
    command.args(arguments);
    finish("systemctl", command, SYSTEMCTL_TIMEOUT).await
}

async fn finish(program: &str, mut command: Command, limit: Duration) -> Result<(), HookError> {
    for name in OURS {
        command.env_remove(name);
    }
    let start = |cause| HookError::Start {
        program: program.to_owned(),
        cause,
    };
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::from(io::stderr()))
        // A group of its own, so that what a shell started is killed with it.
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(start)?;
    let group = child
        .id()
        .and_then(|id| i32::try_from(id).ok())
        .and_then(Pid::from_raw);
    match tokio::time::timeout(limit, child.wait()).await {
        Ok(Ok(status)) if status.success() => Ok(()),
        Ok(Ok(status)) => Err(HookError::Status(status)),
        Ok(Err(cause)) => Err(start(cause)),
        Err(_) => {
            if let Some(group) = group {
                // Gone already if this fails.
                let _ = kill_process_group(group, Signal::KILL);
            }
            let _ = child.wait().await;
            Err(HookError::Timeout(limit))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run(command: &str, timeout: Duration) -> Result<(), HookError> {
        let hook = Hook {
            command: command.to_owned(),
            timeout,
        };
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap()
            .block_on(hook.run(Event::Renewed, &[("LANDFAST_NODE_NAME", "n1".into())]))
    }

    #[test]
    fn a_hook_sees_its_variables_and_decides() {
        let long = Duration::from_secs(30);
        run(
            "test \"$LANDFAST_EVENT/$LANDFAST_NODE_NAME\" = renewed/n1",
            long,
        )
        .unwrap();
        let error = run("exit 7", long).unwrap_err();
        assert!(error.to_string().contains('7'), "{error}");
    }

    #[test]
    fn a_hook_that_hangs_is_killed_with_its_children() {
        let error = run("sleep 600 & wait", Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, HookError::Timeout(_)), "{error}");
    }
}
