//! Programs that are run after a renewal.

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;

use crate::files;

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

/// A program of a hook that another user than this one and root may change.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the hook runs {program}, and {why}: whatever is put there would be run as this user (EE-06); keep it in a directory of root, such as /etc/landfast"
)]
pub struct ForeignProgram {
    program: String,
    why: String,
}

impl Hook {
    /// Refuses a hook whose programs another user may change. Those are looked
    /// at that the command names: its first word, wherever `PATH` has it, and
    /// every path in it that can be executed, or that a shell or an interpreter
    /// before it would run. What they run in turn is the operator's business.
    ///
    /// # Errors
    /// [`ForeignProgram`].
    pub fn check(&self) -> Result<(), ForeignProgram> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        for program in programs(&self.command, &path) {
            if let Some(why) = changeable(&program) {
                return Err(ForeignProgram {
                    program: program.display().to_string(),
                    why,
                });
            }
        }
        Ok(())
    }

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

/// The programs that a command names.
fn programs(command: &str, path: &OsStr) -> Vec<PathBuf> {
    const READERS: [&str; 9] = [
        ".", "source", "sh", "bash", "dash", "ash", "python3", "perl", "env",
    ];
    let words = command
        .split(|c: char| c.is_whitespace() || ";&|()<>`".contains(c))
        .map(|word| word.trim_matches(['"', '\'']))
        .filter(|word| !word.is_empty());
    let is_setting = |word: &&str| {
        word.split_once('=')
            .is_some_and(|(name, _)| !name.contains('/'))
    };
    let mut found = Vec::new();
    let mut before = "";
    for (at, word) in words.skip_while(is_setting).enumerate() {
        if word.contains('/') {
            let executable = Path::new(word)
                .metadata()
                .is_ok_and(|file| file.is_file() && (at == 0 || file.mode() & 0o111 != 0));
            let reader = before.rsplit('/').next().unwrap_or(before);
            if executable || (READERS.contains(&reader) && Path::new(word).is_file()) {
                found.push(word.into());
            }
        } else if at == 0 {
            let places = std::env::split_paths(path).map(|place| place.join(word));
            found.extend({ places }.find(|place| place.is_file()));
        }
        before = word;
    }
    found
}

/// Why others may change a program, or put another one in its place.
fn changeable(program: &Path) -> Option<String> {
    let named = std::path::absolute(program).ok();
    let real = program.canonicalize().ok();
    let paths = named.iter().chain(&real).flat_map(|path| path.ancestors());
    for path in paths {
        let Ok(found) = path.metadata() else { continue };
        if files::is_foreign(found.uid()) {
            return Some(format!(
                "{} belongs to user {}",
                path.display(),
                found.uid()
            ));
        }
        // In a sticky directory nobody replaces what is another's.
        let sticky = found.is_dir() && found.mode() & 0o1000 != 0;
        if found.mode() & 0o002 != 0 && !sticky {
            return Some(format!("every user may write {}", path.display()));
        }
    }
    None
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
    fn the_programs_of_a_command_are_found() {
        let found = |command: &str| programs(command, OsStr::new("/nonexistent:/bin"));
        // This file is read, not run, unless something reads it to run it.
        let data = concat!(env!("CARGO_MANIFEST_DIR"), "/Cargo.toml");
        assert_eq!(
            found(&format!("A=1 B=/x ls {data}")),
            [Path::new("/bin/ls")]
        );
        assert_eq!(
            found(&format!("'/bin/ls' -l && /bin/cat {data} | sh {data}")),
            ["/bin/ls", "/bin/cat", data].map(Path::new)
        );
        assert!(found("exit 7").is_empty());
    }

    /// Two users: what another one may change is not run.
    #[test]
    fn a_hook_in_a_directory_of_another_user_is_refused() {
        use std::fs;
        use std::os::unix::fs::{PermissionsExt as _, chown, symlink};

        crate::testing::needs_root();
        let directory = tempfile::tempdir().unwrap();
        let script = directory.path().join("hook.sh");
        fs::write(&script, "#!/bin/sh\n").unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let check = |command: String| {
            let hook = Hook {
                command,
                timeout: Duration::from_secs(1),
            };
            hook.check().map_err(|error| error.to_string())
        };
        let shown = script.display();
        let commands = [
            format!("{shown} now"),
            format!("sh {shown}"),
            format!("true && {shown}"),
        ];
        for command in &commands {
            check(command.clone()).unwrap();
        }
        for path in [directory.path(), &script] {
            chown(path, Some(crate::testing::OTHER), None).unwrap();
            for command in &commands {
                let error = check(command.clone()).unwrap_err();
                assert!(error.contains("belongs to user 65534"), "{error}");
            }
            chown(path, Some(0), None).unwrap();
        }
        fs::set_permissions(&script, fs::Permissions::from_mode(0o757)).unwrap();
        assert!(
            check(commands[0].clone())
                .unwrap_err()
                .contains("every user")
        );
        // Led there by a link from a good place.
        let good = tempfile::tempdir().unwrap();
        let link = good.path().join("link");
        symlink(&script, &link).unwrap();
        assert!(check(link.display().to_string()).is_err());
    }

    #[test]
    fn a_hook_that_hangs_is_killed_with_its_children() {
        let error = run("sleep 600 & wait", Duration::from_millis(50)).unwrap_err();
        assert!(matches!(error, HookError::Timeout(_)), "{error}");
    }
}
