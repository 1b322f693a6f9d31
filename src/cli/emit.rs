//! `landfast enroll --emit`: the same command for the machine's start and for
//! the years after it, as systemd, cloud-init or a plain init script want it.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use clap::ValueEnum;

use super::Failure;

const SERVICE: &str = "/etc/systemd/system/landfast-renew.service";
const TIMER: &str = "/etc/systemd/system/landfast-renew.timer";

/// The flags that only renewals have.
const LATER: [&str; 6] = [
    "--window",
    "--jitter",
    "--hook",
    "--hook-timeout",
    "--restart-unit",
    "--textfile",
];

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
    /// The arguments that `enroll` and `renew` share.
    pub(super) arguments: Vec<String>,
    /// Those that only `enroll` takes.
    pub(super) once: Vec<String>,
    /// Those that only `renew` takes.
    pub(super) later: Vec<String>,
    /// The directory of the pair.
    pub(super) directory: &'a Path,
    /// The directory of the metrics, the only other place that is written to.
    pub(super) metrics: Option<&'a Path>,
}

impl Job<'_> {
    pub(super) fn render(&self, kind: Kind) -> String {
        match kind {
            Kind::Systemd => format!("# {SERVICE}\n{}\n# {TIMER}\n{}", self.oneshot(), timer()),
            Kind::SystemdDaemon => format!("# {SERVICE}\n{}", self.daemon()),
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
                ("landfast-renew.timer", 0o644, timer()),
            ],
            Kind::SystemdDaemon => vec![(service, 0o644, self.daemon())],
            Kind::CloudInit => vec![("user-data", 0o644, self.cloud_init())],
            Kind::Init => vec![("landfast-renew", 0o755, self.init())],
        }
    }

    fn oneshot(&self) -> String {
        format!(
            "[Unit]\n\
             Description=Certificate of this hybrid node\n\
             Wants=network-online.target\n\
             After=network-online.target time-sync.target\n\
             \n\
             [Service]\n\
             Type=oneshot\n\
             ExecStart={}\n\
             {}",
            self.systemd_command("renew"),
            self.sandbox()
        )
    }

    fn daemon(&self) -> String {
        format!(
            "[Unit]\n\
             Description=Certificate of this hybrid node\n\
             Wants=network-online.target\n\
             After=network-online.target time-sync.target\n\
             \n\
             [Service]\n\
             Type=notify\n\
             ExecStart={}\n\
             ExecReload=/bin/kill -HUP $MAINPID\n\
             Restart=always\n\
             RestartSec=10\n\
             WatchdogSec=300\n\
             TimeoutStopSec=200\n\
             {}\n\
             [Install]\n\
             WantedBy=multi-user.target\n",
            self.systemd_command("renew --daemon"),
            self.sandbox()
        )
    }

    /// What a program that writes one directory and calls one server can do without.
    fn sandbox(&self) -> String {
        let written = [Some(self.directory), self.metrics].into_iter().flatten();
        let written: Vec<String> = written
            .map(|path| systemd_word(&path.display().to_string()))
            .collect();
        format!(
            "UMask=0077\n\
             NoNewPrivileges=yes\n\
             ProtectSystem=strict\n\
             ProtectHome=yes\n\
             PrivateTmp=yes\n\
             PrivateDevices=yes\n\
             ProtectKernelModules=yes\n\
             ProtectControlGroups=yes\n\
             RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6\n\
             MemoryDenyWriteExecute=yes\n\
             ReadWritePaths={}\n",
            written.join(" ")
        )
    }

    fn systemd_command(&self, command: &str) -> String {
        self.command(command, &self.later, systemd_word)
    }

    fn shell_command(&self, command: &str, own: &[String]) -> String {
        self.command(command, own, shell_word)
    }

    /// A command line with the shared arguments and those of its own.
    fn command(&self, command: &str, own: &[String], quoted: fn(&str) -> String) -> String {
        let program = quoted(&self.program.display().to_string());
        let words = self.arguments.iter().chain(own);
        words.fold(format!("{program} {command}"), |line, word| {
            format!("{line} {}", quoted(word))
        })
    }

    fn cloud_init(&self) -> String {
        let mut out = String::from("#cloud-config\nwrite_files:\n");
        for (path, content) in [(SERVICE, self.oneshot()), (TIMER, timer())] {
            // The service's sandbox wants the directory to be there.
            let _ = write!(
                out,
                "  - path: {path}\n    permissions: '0644'\n    content: |\n{}",
                indented(&content, 6)
            );
        }
        let enroll = self.shell_command("enroll", &self.once);
        let directory = shell_word(&self.directory.display().to_string());
        let _ = write!(
            out,
            "runcmd:\n\
             \x20 - |\n\
             {}\
             \x20 - [systemctl, daemon-reload]\n\
             \x20 - [systemctl, enable, --now, landfast-renew.timer]\n",
            indented(
                &format!(
                    "mkdir -p {directory}\nfor attempt in 1 2 3 4 5; do\n  {enroll} && break\n  sleep 30\ndone\n"
                ),
                4
            )
        );
        out
    }

    fn init(&self) -> String {
        let daemon = self.shell_command("renew --daemon", &self.later);
        format!(
            r#"#!/bin/sh
# /etc/init.d/landfast-renew
### BEGIN INIT INFO
# Provides:          landfast-renew
# Required-Start:    $network $remote_fs $time
# Required-Stop:     $network $remote_fs
# Default-Start:     2 3 4 5
# Default-Stop:      0 1 6
# Short-Description: Certificate of this hybrid node
### END INIT INFO

PIDFILE=${{PIDFILE:-/run/landfast-renew.pid}}
LOGFILE=${{LOGFILE:-/var/log/landfast-renew.log}}

running() {{
    [ -s "$PIDFILE" ] && kill -0 "$(cat "$PIDFILE")" 2>/dev/null
}}

case "$1" in
start)
    running && exit 0
    umask 077
    nohup {daemon} >>"$LOGFILE" 2>&1 </dev/null &
    echo $! >"$PIDFILE"
    ;;
stop)
    running || exit 0
    kill -TERM "$(cat "$PIDFILE")"
    while running; do sleep 1; done
    rm -f "$PIDFILE"
    ;;
reload)
    running && kill -HUP "$(cat "$PIDFILE")"
    ;;
restart)
    "$0" stop && "$0" start
    ;;
status)
    running || exit 3
    ;;
*)
    echo "usage: $0 start|stop|reload|restart|status" >&2
    exit 2
    ;;
esac
"#
        )
    }
}

fn timer() -> String {
    "[Unit]\n\
     Description=Renew the certificate of this hybrid node when it is due\n\
     \n\
     [Timer]\n\
     OnBootSec=2min\n\
     OnUnitActiveSec=1h\n\
     RandomizedDelaySec=10min\n\
     \n\
     [Install]\n\
     WantedBy=timers.target\n"
        .to_owned()
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

/// Whether one of the arguments is about renewals.
pub(super) fn is_about_renewal(mut arguments: impl Iterator<Item = String>) -> bool {
    arguments.any(|argument| {
        let flag = argument.split('=').next().unwrap_or_default();
        LATER.contains(&flag)
    })
}

/// Sorts the arguments of this very call. They have been parsed, so every flag
/// has its value.
///
/// # Errors
/// An argument that means something else on the node, or nothing at all.
pub(super) fn split(arguments: impl Iterator<Item = String>) -> Result<Parts, Failure> {
    const ONCE: [&str; 2] = ["--node-config", "--description"];
    const FILES: [&str; 12] = [
        ONCE[0],
        ONCE[1],
        LATER[5],
        "--ca-cert",
        "--token-file",
        "--role-id-file",
        "--secret-id-file",
        "--jwt-file",
        "--client-cert",
        "--client-key",
        "--certificate",
        "--private-key",
    ];
    let arguments: Vec<String> = arguments.collect();
    if let Some(at) = arguments.iter().position(|word| !is_one_line(word)) {
        let flag = |word: &String| word.split('=').next().map(str::to_owned);
        let flag = arguments[..=at]
            .iter()
            .rfind(|word| word.starts_with("--"))
            .and_then(flag)
            .unwrap_or_default();
        return Err(Failure::Usage(format!(
            "{flag}: a line break or another control character has no place in a service"
        )));
    }
    let mut parts = Parts::default();
    let mut arguments = arguments.into_iter();
    while let Some(argument) = arguments.next() {
        let (flag, value) = match argument.split_once('=') {
            Some((flag, value)) => (flag.to_owned(), Some(value.to_owned())),
            None => (argument, None),
        };
        match flag.as_str() {
            "--rotate-key" => continue,
            "--allow-plain-http" => {
                parts.shared.push(flag);
                continue;
            }
            "--emit" | "--emit-to" | "--program" => {
                if value.is_none() {
                    arguments.next();
                }
                continue;
            }
            _ => {}
        }
        let value = match value {
            Some(value) => value,
            None => arguments.next().unwrap_or_default(),
        };
        if FILES.contains(&flag.as_str()) && !Path::new(&value).is_absolute() {
            return Err(Failure::Usage(format!(
                "{flag}: the files of a service need absolute paths"
            )));
        }
        let list = if ONCE.contains(&flag.as_str()) {
            &mut parts.once
        } else if LATER.contains(&flag.as_str()) {
            &mut parts.later
        } else {
            &mut parts.shared
        };
        list.extend([flag, value]);
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

fn indented(text: &str, by: usize) -> String {
    text.lines().fold(String::new(), |out, line| {
        if line.is_empty() {
            out + "\n"
        } else {
            format!("{out}{:by$}{line}\n", "")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(arguments: &[&str]) -> Job<'static> {
        let arguments = arguments.iter().map(|word| (*word).to_owned());
        let parts = split(arguments).unwrap();
        Job {
            program: Path::new("/usr/local/bin/landfast"),
            arguments: parts.shared,
            once: parts.once,
            later: parts.later,
            directory: Path::new("/etc/iam/pki"),
            metrics: Some(Path::new("/var/lib/metrics")),
        }
    }

    #[test]
    fn only_what_renewals_need_is_passed_on() {
        let job = job(&[
            "--emit",
            "systemd",
            "--address",
            "https://v:8200",
            "--auth=approle",
            "--emit=init",
            "--emit-to",
            "units",
        ]);
        assert_eq!(
            job.arguments,
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
        let arguments = ["--token-file".to_owned(), "token".to_owned()];
        let error = split(arguments.into_iter()).unwrap_err();
        assert!(error.to_string().contains("--token-file"), "{error}");
    }

    #[test]
    fn nothing_breaks_out_of_its_line() {
        let arguments = ["--hook".to_owned(), "true\nUser=root".to_owned()];
        let error = split(arguments.into_iter()).unwrap_err();
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
