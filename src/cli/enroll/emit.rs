//! `landfast enroll --emit`: the same command for the machine's start and for
//! the years after it, as systemd, cloud-init or a plain init script want it.

use std::any::TypeId;
use std::path::{Path, PathBuf};

use clap::parser::ValueSource;
use clap::{Arg, ArgMatches, Args, Command, ValueEnum};

use crate::cli::Failure;
use crate::cli::node::RenewalArguments;

const SERVICE_PATH: &str = "/etc/systemd/system/landfast-renew.service";
const TIMER_PATH: &str = "/etc/systemd/system/landfast-renew.timer";

// What is between two @ is filled in.
const ONESHOT: &str = include_str!("emit/oneshot.service");
const DAEMON: &str = include_str!("emit/daemon.service");
/// What a program that writes one directory and calls one server can do without.
const SANDBOX: &str = include_str!("emit/sandbox");
const TIMER: &str = include_str!("emit/renew.timer");
const CLOUD_INIT: &str = include_str!("emit/cloud-init");
const INIT: &str = include_str!("emit/init");

/// The flags of `enroll` that say nothing of how to renew, or to enrol again.
const HERE: [&str; 4] = ["emit", "emit_to", "program", "rotate_key"];
/// Those that only an enrolment has.
const ONCE: [&str; 3] = ["node_config", "description", "wait"];

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Kind {
    /// A service and a timer that tries every hour
    Systemd,
    /// A service that stays: it hears SIGHUP and feeds systemd's watchdog
    SystemdDaemon,
    /// User data that enrols a machine at its first start
    CloudInit,
    /// A script for /etc/init.d
    Init,
}

/// Reads the path of the program, which is written into a service.
pub(super) fn program(text: &str) -> Result<PathBuf, String> {
    let path = PathBuf::from(text);
    if is_one_line(text) && path.is_absolute() && path.file_name().is_some() {
        Ok(path)
    } else {
        Err("an absolute path, such as /usr/local/bin/landfast: a service has no directory of its own".into())
    }
}

/// Whether a text stays in the line that it is written into.
fn is_one_line(text: &str) -> bool {
    !text.chars().any(char::is_control)
}

/// What the files run.
pub(super) struct Job<'a> {
    /// The program on the node.
    pub(super) program: &'a Path,
    /// Its arguments.
    pub(super) parts: Parts,
    /// The directory of the pair.
    pub(super) directory: &'a Path,
    /// The directory of the metrics, the only other place that is written to.
    pub(super) metrics: Option<&'a Path>,
}

impl Job<'_> {
    pub(super) fn render(&self, kind: Kind) -> String {
        match kind {
            Kind::Systemd => format!(
                "# {SERVICE_PATH}\n{}\n# {TIMER_PATH}\n{}",
                self.oneshot(),
                TIMER
            ),
            Kind::SystemdDaemon => format!("# {SERVICE_PATH}\n{}", self.daemon()),
            Kind::CloudInit => self.cloud_init(),
            Kind::Init => self.init(),
        }
    }

    /// The same as files: name, permissions, content.
    pub(super) fn files(&self, kind: Kind) -> Vec<(&'static str, u32, String)> {
        let service = "landfast-renew.service";
        match kind {
            Kind::Systemd => vec![
                (service, 0o644, self.oneshot()),
                ("landfast-renew.timer", 0o644, TIMER.to_owned()),
            ],
            Kind::SystemdDaemon => vec![(service, 0o644, self.daemon())],
            Kind::CloudInit => vec![("user-data", 0o644, self.cloud_init())],
            Kind::Init => vec![("landfast-renew", 0o755, self.init())],
        }
    }

    fn oneshot(&self) -> String {
        self.unit(ONESHOT, "renew")
    }

    fn daemon(&self) -> String {
        self.unit(DAEMON, "renew --daemon")
    }

    fn unit(&self, template: &str, command: &str) -> String {
        let written = [Some(self.directory), self.metrics].into_iter().flatten();
        let written: Vec<String> = written
            .map(|path| systemd_word(&path.display().to_string()))
            .collect();
        let sandbox = fill(SANDBOX, &[("WRITTEN", &written.join(" "))]);
        let command = self.command(command, &self.parts.later, systemd_word);
        fill(
            template,
            &[("COMMAND", &command), ("SANDBOX", sandbox.trim_end())],
        )
    }

    fn cloud_init(&self) -> String {
        let (service, timer) = (indented(&self.oneshot()), indented(TIMER));
        let places = [
            ("SERVICE_PATH", SERVICE_PATH),
            ("SERVICE", service.trim_end()),
            ("TIMER_PATH", TIMER_PATH),
            ("TIMER", timer.trim_end()),
            // The service's sandbox wants the directory to be there.
            (
                "DIRECTORY",
                &shell_word(&self.directory.display().to_string()),
            ),
            (
                "ENROLL",
                &self.command("enroll", &self.parts.once, shell_word),
            ),
        ];
        fill(CLOUD_INIT, &places)
    }

    fn init(&self) -> String {
        let daemon = self.command("renew --daemon", &self.parts.later, shell_word);
        fill(INIT, &[("COMMAND", &daemon)])
    }

    /// A command line with the shared arguments and those of its own.
    fn command(&self, command: &str, own: &[String], quoted: fn(&str) -> String) -> String {
        let program = quoted(&self.program.display().to_string());
        let words = self.parts.shared.iter().chain(own);
        words.fold(format!("{program} {command}"), |line, word| {
            format!("{line} {}", quoted(word))
        })
    }
}

/// Fills in a template. What is filled in is not looked into.
fn fill(template: &str, values: &[(&str, &str)]) -> String {
    let parts = template.split('@').enumerate();
    parts
        .map(
            |(at, part)| match values.iter().find(|(name, _)| *name == part) {
                Some((_, value)) if at % 2 == 1 => value,
                _ => part,
            },
        )
        .collect()
}

/// The arguments of one call, by who takes them.
#[derive(Debug, Default)]
pub(super) struct Parts {
    /// Both `enroll` and `renew`.
    pub(super) shared: Vec<String>,
    /// Only `enroll`.
    pub(super) once: Vec<String>,
    /// Only `renew`.
    pub(super) later: Vec<String>,
}

/// The flags that the command line has, in its order.
fn given<'a>(command: &'a Command, matches: &ArgMatches) -> Vec<&'a Arg> {
    let mut flags: Vec<(usize, &Arg)> = command
        .get_arguments()
        .filter(|flag| is_given(flag, matches))
        .filter_map(|flag| Some((matches.index_of(flag.get_id().as_str())?, flag)))
        .collect();
    flags.sort_by_key(|(at, _)| *at);
    flags.into_iter().map(|(_, flag)| flag).collect()
}

fn is_given(flag: &Arg, matches: &ArgMatches) -> bool {
    matches.value_source(flag.get_id().as_str()) == Some(ValueSource::CommandLine)
}

fn renewal() -> Command {
    RenewalArguments::augment_args(Command::new("renewal"))
}

/// Whether one of the given flags is about renewals.
pub(super) fn is_about_renewal(matches: &ArgMatches) -> bool {
    renewal()
        .get_arguments()
        .any(|flag| is_given(flag, matches))
}

/// Sorts the flags of this call of `command`.
///
/// # Errors
/// A value that means something else on the node, or nothing at all.
pub(super) fn split(command: &Command, matches: &ArgMatches) -> Result<Parts, Failure> {
    let renewal = renewal();
    let later = |flag: &Arg| {
        renewal
            .get_arguments()
            .any(|one| one.get_id() == flag.get_id())
    };
    let mut words = Vec::new();
    for flag in given(command, matches) {
        let id = flag.get_id().as_str();
        let name = format!("--{}", flag.get_long().unwrap_or(id));
        let value = flag.get_action().takes_values().then(|| {
            let value = matches
                .get_raw(id)
                .and_then(|mut values| values.next()?.to_str());
            value.filter(|value| is_one_line(value)).map(str::to_owned)
        });
        if value == Some(None) {
            return Err(Failure::Usage(format!(
                "{name}: a line break or another control character has no place in a service"
            )));
        }
        words.push((flag, name, value.flatten()));
    }
    let mut parts = Parts::default();
    for (flag, name, value) in words {
        let id = flag.get_id().as_str();
        let list = match id {
            id if HERE.contains(&id) => continue,
            id if ONCE.contains(&id) => &mut parts.once,
            _ if later(flag) => &mut parts.later,
            _ => &mut parts.shared,
        };
        let is_file = flag.get_value_parser().type_id() == TypeId::of::<PathBuf>();
        if is_file
            && !value
                .as_ref()
                .is_some_and(|path| Path::new(path).is_absolute())
        {
            return Err(Failure::Usage(format!(
                "{name}: the files of a service need absolute paths"
            )));
        }
        list.push(name);
        list.extend(value);
    }
    Ok(parts)
}

/// A word of an `ExecStart` line.
///
/// Source: systemd.service(5), "Command lines", and systemd.syntax(7).
fn systemd_word(word: &str) -> String {
    let escaped = word.replace('%', "%%").replace('$', "$$");
    if is_plain(word) {
        return escaped;
    }
    let escaped = escaped.replace('\\', "\\\\").replace('"', "\\\"");
    format!("\"{escaped}\"")
}

fn shell_word(word: &str) -> String {
    if is_plain(word) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', "'\\''"))
    }
}

fn is_plain(word: &str) -> bool {
    !word.is_empty()
        && word
            .bytes()
            .all(|b| b.is_ascii_alphanumeric() || b"-_./:=@,+".contains(&b))
}

/// A text in a block of `write_files`.
fn indented(text: &str) -> String {
    text.lines().fold(String::new(), |out, line| {
        if line.is_empty() {
            out + "\n"
        } else {
            format!("{out}      {line}\n")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::enroll::Arguments;

    fn parts(arguments: &[&str]) -> Result<Parts, Failure> {
        let command = Arguments::augment_args(Command::new("enroll"));
        let words = [&["enroll"], arguments].concat();
        let matches = command.clone().try_get_matches_from(words).unwrap();
        split(&command, &matches)
    }

    fn job(arguments: &[&str]) -> Job<'static> {
        Job {
            program: Path::new("/usr/local/bin/landfast"),
            parts: parts(arguments).unwrap(),
            directory: Path::new("/etc/iam/pki"),
            metrics: Some(Path::new("/var/lib/metrics")),
        }
    }

    #[test]
    fn only_what_renewals_need_is_passed_on() {
        let job = job(&[
            "--address",
            "https://v:8200",
            "--auth=approle",
            "--emit=init",
            "--emit-to",
            "units",
        ]);
        assert_eq!(
            job.parts.shared,
            ["--address", "https://v:8200", "--auth", "approle"]
        );
        let unit = job.render(Kind::Systemd);
        let files = job.files(Kind::Systemd);
        for (name, _, content) in &files {
            assert!(
                unit.contains(&format!("# /etc/systemd/system/{name}\n{content}")),
                "{name}: {unit}"
            );
        }
        assert_eq!(files.len(), 2);
        assert!(
            unit.contains(
                "ExecStart=/usr/local/bin/landfast renew --address https://v:8200 --auth approle\n"
            ),
            "{unit}"
        );
        assert!(
            unit.contains("ReadWritePaths=/etc/iam/pki /var/lib/metrics\n"),
            "{unit}"
        );
    }

    #[test]
    fn files_must_be_absolute() {
        let error = parts(&["--token-file", "token"]).unwrap_err();
        assert!(error.to_string().contains("--token-file"), "{error}");
    }

    #[test]
    fn nothing_breaks_out_of_its_line() {
        let error = parts(&["--hook", "true\nUser=root"]).unwrap_err();
        assert!(error.to_string().contains("--hook"), "{error}");
        assert!(!error.to_string().contains("User"), "{error}");
        assert!(program("/usr/bin/landfast").is_ok());
        for bad in [
            "landfast",
            "./landfast",
            "/bin/x\nUser=root",
            "/bin/\r",
            "/",
            "",
        ] {
            assert!(program(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn odd_words_survive_quoting() {
        assert_eq!(systemd_word("a b%c\"d$e"), "\"a b%%c\\\"d$$e\"");
        assert_eq!(systemd_word("50%"), "\"50%%\"");
        assert_eq!(shell_word("it's"), "'it'\\''s'");
        let output = std::process::Command::new("sh")
            .args(["-c", &format!("printf %s {}", shell_word("a 'b' $c"))])
            .output()
            .unwrap();
        assert_eq!(output.stdout, b"a 'b' $c");
    }

    #[test]
    fn the_script_is_a_shell_script() {
        let script = job(&["--address", "https://v:8200"]).render(Kind::Init);
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("script");
        std::fs::write(&path, script).unwrap();
        let check = |more: &[&str]| {
            let mut command = std::process::Command::new("sh");
            command.args(more).arg(&path).arg("status");
            command.env("PIDFILE", directory.path().join("pid"));
            command.status().unwrap().code()
        };
        assert_eq!(check(&["-n"]), Some(0));
        assert_eq!(check(&[]), Some(3), "not running");
    }

    #[test]
    fn only_the_enrolment_writes_node_config() {
        let job = job(&[
            "--address",
            "https://v:8200",
            "--node-config=/etc/eks/node.yaml",
            "--description",
            "/etc/eks/hybrid.json",
        ]);
        assert!(!job.render(Kind::Systemd).contains("--node-config"));
        let data = job.render(Kind::CloudInit);
        let (units, start) = data.split_once("runcmd:").unwrap();
        assert!(!units.contains("--node-config"), "{units}");
        assert!(
            start.contains("--node-config /etc/eks/node.yaml --description /etc/eks/hybrid.json"),
            "{start}"
        );
    }

    #[test]
    fn only_renewals_have_hooks_and_hours() {
        let job = job(&[
            "--address",
            "https://v:8200",
            "--hook=systemctl reload nginx",
            "--window",
            "02:00-05:00",
        ]);
        for kind in [Kind::Systemd, Kind::SystemdDaemon] {
            let unit = job.render(kind);
            let flags = "--hook \"systemctl reload nginx\" --window 02:00-05:00\n";
            assert!(unit.contains(flags), "{unit}");
        }
        let start = job.render(Kind::CloudInit);
        let start = start.split_once("runcmd:").unwrap().1;
        assert!(!start.contains("--hook"), "{start}");
    }

    #[test]
    fn cloud_init_carries_the_units_as_they_are() {
        let job = job(&["--address", "https://v:8200"]);
        let data = job.render(Kind::CloudInit);
        assert!(data.starts_with("#cloud-config\n"));
        for line in job.oneshot().lines().filter(|line| !line.is_empty()) {
            assert!(data.contains(&format!("      {line}\n")), "{line}");
        }
        assert!(!data.contains('\t'));
    }
}
