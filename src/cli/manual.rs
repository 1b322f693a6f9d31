//! `landfast manual`: manual pages and shell completions, for whoever makes a package.
//!
//! Both come from the same definitions as `--help`, so that they cannot say anything else.

use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, Command, CommandFactory as _};
use clap_complete::Shell;
use clap_mangen::Man;

use super::Failure;

/// Write the manual pages and the shell completions
#[derive(Args, Debug)]
#[command(after_help = super::help::below("", &[]))]
pub(super) struct Arguments {
    /// Where they go: into man/ and completions/ below it
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let man = arguments.directory.join("man");
    let completions = arguments.directory.join("completions");
    for directory in [&man, &completions] {
        fs::create_dir_all(directory).map_err(|error| Failure::file(directory, &error))?;
    }
    let mut root = super::Arguments::command().disable_help_subcommand(true);
    for shell in [Shell::Bash, Shell::Zsh, Shell::Fish] {
        clap_complete::generate_to(shell, &mut root, "landfast", &completions)
            .map_err(|error| Failure::file(&completions, &error))?;
    }
    root.build();
    pages(&man, &root)
}

/// Writes the page of a command and of those below it.
fn pages(directory: &Path, command: &Command) -> Result<(), Failure> {
    let name = command
        .get_display_name()
        .unwrap_or_else(|| command.get_name());
    let path = directory.join(format!("{name}.1"));
    let page = page(command).map_err(|error| Failure::file(&path, &error))?;
    fs::write(&path, page).map_err(|error| Failure::file(&path, &error))?;
    command
        .get_subcommands()
        .filter(|sub| !sub.is_hide_set())
        .try_for_each(|sub| pages(directory, sub))
}

fn page(command: &Command) -> io::Result<Vec<u8>> {
    let man = Man::new(command.clone()).source(concat!("landfast ", env!("CARGO_PKG_VERSION")));
    let mut page = Vec::new();
    man.render_title(&mut page)?;
    man.render_name_section(&mut page)?;
    man.render_synopsis_section(&mut page)?;
    man.render_description_section(&mut page)?;
    if command
        .get_arguments()
        .any(|argument| !argument.is_hide_set())
    {
        man.render_options_section(&mut page)?;
    }
    if command.get_subcommands().any(|sub| !sub.is_hide_set()) {
        man.render_subcommands_section(&mut page)?;
    }
    let below = command.get_after_help().map(ToString::to_string);
    sections(&mut page, &below.unwrap_or_default())?;
    Ok(page)
}

/// Examples and exit codes as they are written, each under a heading of its own.
fn sections(page: &mut Vec<u8>, below: &str) -> io::Result<()> {
    let mut open = false;
    for line in below.lines() {
        let heading = match line {
            "Examples:" => Some("EXAMPLES"),
            "Exit codes:" => Some("EXIT STATUS"),
            _ => None,
        };
        match heading {
            Some(heading) => {
                if open {
                    writeln!(page, ".fi")?;
                }
                writeln!(page, ".SH \"{heading}\"\n.nf")?;
                open = true;
            }
            None => writeln!(page, "{}", literal(line.strip_prefix("  ").unwrap_or(line)))?,
        }
    }
    if open {
        writeln!(page, ".fi")?;
    }
    Ok(())
}

/// A line that roff prints as it stands.
///
/// Source: groff(7), "Escape sequences" and "Control characters".
fn literal(line: &str) -> String {
    let text = line
        .replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq");
    if text.starts_with('.') {
        format!("\\&{text}")
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_keep_their_lines() {
        let mut page = Vec::new();
        let below = "Examples:\n  # one\n  landfast x \\\n    --flag 'a'\n\n  .hidden\n\nExit codes:\n  0  done";
        sections(&mut page, below).unwrap();
        assert_eq!(
            String::from_utf8(page).unwrap(),
            ".SH \"EXAMPLES\"\n.nf\n# one\nlandfast x \\e\n  \\-\\-flag \\(aqa\\(aq\n\n\\&.hidden\n\n.fi\n\
             .SH \"EXIT STATUS\"\n.nf\n0  done\n.fi\n"
        );
    }

    #[test]
    fn every_command_has_a_page_with_its_flags_and_exit_codes() {
        let directory = tempfile::tempdir().unwrap();
        let arguments = Arguments {
            directory: directory.path().to_owned(),
        };
        run(&arguments).unwrap();
        let read = |name: &str| fs::read_to_string(directory.path().join(name)).unwrap();
        let enroll = read("man/landfast-enroll.1");
        for part in [
            ".TH landfast-enroll 1",
            "landfast enroll",
            "node\\-name",
            ".SH \"EXIT STATUS\"",
            ".SH \"EXAMPLES\"",
        ] {
            assert!(enroll.contains(part), "{part}: {enroll}");
        }
        assert!(read("man/landfast-crl-sync.1").contains("landfast crl sync"));
        let root = super::super::Arguments::command();
        for sub in root.get_subcommands() {
            let path = directory
                .path()
                .join(format!("man/landfast-{}.1", sub.get_name()));
            assert_eq!(path.is_file(), !sub.is_hide_set(), "{}", path.display());
        }
        for (shell, part) in [
            ("landfast.bash", "landfast__"),
            ("_landfast", "#compdef landfast"),
            ("landfast.fish", "complete -c landfast"),
        ] {
            let script = read(&format!("completions/{shell}"));
            assert!(
                script.contains(part) && script.contains("trust-anchor-arn"),
                "{shell}"
            );
        }
    }
}
