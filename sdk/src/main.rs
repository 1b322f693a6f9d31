//! `landfast-sdk new NAME` begins a plugin: a crate of its own that builds, is tested and runs on a development server.

mod new;

use std::io::{self, Write as _};
use std::path::PathBuf;
use std::process::ExitCode;

use new::{Kind, New};

const HELP: &str = "\
Begins plugins for HashiCorp Vault and OpenBao.

Usage: landfast-sdk new NAME [--kind KIND] [--path FOLDER]

  NAME             name of the crate, of the binary and of the plugin in the server's catalogue: lowercase letters, digits and hyphens
  --kind secret    a secrets engine: roles, and users with leases; this is the default
  --kind auth      an auth method: people who log in
  --kind database  a plugin of the server's database engine: users of a database
  --path FOLDER    where to write it: a folder that is new or empty; by default NAME
  --help, --version

It writes a crate that is complete: it builds, its tests pass without a server, and its dev.sh starts a development server with it.

  landfast-sdk new tickets --kind auth
  cd tickets
  cargo test
  ./dev.sh
";

/// What the command line asks for.
#[derive(Debug, PartialEq)]
enum Asked {
    Help,
    Version,
    New(New),
}

fn main() -> ExitCode {
    let asked = asked(std::env::args_os().skip(1).map(|arg| {
        arg.into_string()
            .map_err(|arg| format!("{} is no text", arg.display()))
    }));
    let done = match asked {
        Ok(Asked::Help) => say(HELP),
        Ok(Asked::Version) => say(concat!("landfast-sdk ", env!("CARGO_PKG_VERSION"), "\n")),
        Ok(Asked::New(new)) => {
            return match new.write() {
                Ok(()) => {
                    let folder = new.folder().display().to_string();
                    let next = format!(
                        "{folder} is written. Next: cd {folder} && cargo test && ./dev.sh\n"
                    );
                    finish(say(&next))
                }
                Err(error) => fail(&error, 1),
            };
        }
        Err(error) => {
            let error = format!("{error}\nlandfast-sdk --help says what there is");
            return fail(&error, 2);
        }
    };
    finish(done)
}

fn finish(done: io::Result<()>) -> ExitCode {
    // Whoever reads no more has what was wanted.
    match done {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => fail(&error.to_string(), 1),
        _ => ExitCode::SUCCESS,
    }
}

fn say(text: &str) -> io::Result<()> {
    io::stdout().write_all(text.as_bytes())
}

fn fail(error: &str, code: u8) -> ExitCode {
    eprintln!("landfast-sdk: {error}");
    ExitCode::from(code)
}

/// Reads the command line.
fn asked(args: impl Iterator<Item = Result<String, String>>) -> Result<Asked, String> {
    let args = args.collect::<Result<Vec<_>, _>>()?;
    let mut args = args.iter().map(String::as_str);
    match args.next() {
        None | Some("help" | "--help" | "-h") => return Ok(Asked::Help),
        Some("--version" | "-V") => return Ok(Asked::Version),
        Some("new") => {}
        Some(other) => return Err(format!("there is no command {other:?}, only `new`")),
    }
    let (mut name, mut kind, mut path) = (None, None, None);
    while let Some(arg) = args.next() {
        let (flag, mut value) = match arg.split_once('=') {
            Some((flag, value)) if flag.starts_with("--") => (flag, Some(value)),
            _ => (arg, None),
        };
        let mut value = |what: &str| {
            let value = value.take().or_else(|| args.next());
            value.ok_or_else(|| format!("{flag} wants {what}"))
        };
        match flag {
            "--help" | "-h" => return Ok(Asked::Help),
            "--kind" => kind = Some(Kind::parse(value("a kind")?)?),
            "--path" => path = Some(PathBuf::from(value("a folder")?)),
            _ if flag.starts_with('-') => return Err(format!("there is no option {flag}")),
            _ if name.is_none() => name = Some(flag),
            _ => return Err(format!("{flag:?} is one word too many after the name")),
        }
    }
    let name = name.ok_or("new wants a name for the plugin")?;
    New::of(name, kind.unwrap_or_default(), path).map(Asked::New)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn asked_by(line: &str) -> Result<Asked, String> {
        asked(line.split_whitespace().map(|arg| Ok(arg.to_owned())))
    }

    #[test]
    fn a_name_is_enough_and_everything_can_be_said() {
        let plain = New::of("tickets", Kind::Secret, None);
        assert_eq!(asked_by("new tickets"), plain.map(Asked::New));
        let all = New::of("tickets", Kind::Auth, Some("/tmp/t".into())).map(Asked::New);
        assert_eq!(asked_by("new --kind auth tickets --path /tmp/t"), all);
        assert_eq!(asked_by("new --kind=auth --path=/tmp/t tickets"), all);
        for line in ["", "--help", "help", "new --help", "new tickets -h"] {
            assert_eq!(asked_by(line), Ok(Asked::Help), "{line}");
        }
        assert_eq!(asked_by("--version"), Ok(Asked::Version));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (line, text) in [
            ("old", "\"old\""),
            ("new", "a name"),
            ("new a b", "\"b\""),
            ("new a --kind", "--kind wants"),
            ("new a --kind kms", "secret, auth or database"),
            ("new a --force", "--force"),
        ] {
            let error = asked_by(line).expect_err(line);
            assert!(error.contains(text), "{line}: {error}");
        }
    }
}
