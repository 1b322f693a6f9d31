//! Help: the first page, with the commands by the job that they are for, and what stands below the flags of a command.

use clap::Command;

use super::failure::EXIT_CODES;

/// Columns of a terminal that everybody has. What stands below a command's flags is never wider: clap breaks longer
/// lines, and a broken example is a wrong one.
pub(super) const WIDTH: usize = 80;

/// Columns of a command's name on the first page.
const NAMES: usize = 24;

/// What people come for, and the commands for it.
const JOBS: [(&str, &[&str]); 7] = [
    ("A server: plugin and seal", &["register", "unseal"]),
    ("What strangers may have of a server", &["public"]),
    (
        "What AWS holds for the CA",
        &["trust-anchor", "crl", "generate"],
    ),
    ("A node's certificate", &["enroll", "renew"]),
    (
        "AWS credentials for a certificate",
        &["credential-process", "update", "serve"],
    ),
    ("Finding out, and trying out", &["doctor", "lab"]),
    (
        "For scripts of aws_signing_helper",
        &["read-certificate-data", "sign-string", "version"],
    ),
];

/// The help below a command's flags: its examples, then the exit codes that it
/// has beside 0, 1 and 2, which every command has. No line is longer than
/// [`WIDTH`].
pub(super) fn below(examples: &str, more: &[usize]) -> String {
    let mut text = examples.to_owned();
    if !text.is_empty() {
        text.push_str("\n\n");
    }
    text.push_str("Exit codes:");
    for code in [0, 1, 2].iter().chain(more) {
        text.push_str(&format!("\n  {code}  {}", EXIT_CODES[*code]));
    }
    text
}

/// The command line with its commands by job on the first page.
pub(super) fn by_job(command: Command) -> Command {
    let style = *command.get_styles().get_header();
    let mut list = String::new();
    for (job, names) in JOBS {
        list.push_str(&format!("{style}{job}:{style:#}\n"));
        for name in names {
            let about = command.find_subcommand(name).and_then(Command::get_about);
            let about = about.map(ToString::to_string).unwrap_or_default();
            list.push_str(&entry(name, &about));
        }
        list.push('\n');
    }
    command.help_template(format!(
        "{{about-with-newline}}\n{{usage-heading}} {{usage}}\n\n{list}\
         `landfast COMMAND --help` has the flags of a command, and examples.\n\n\
         {style}Options:{style:#}\n{{options}}{{after-help}}"
    ))
}

/// A command's name with its sentence beside it.
fn entry(name: &str, about: &str) -> String {
    let mut lines = vec![format!("  {name:<0$}", NAMES - 2)];
    for word in about.split_whitespace() {
        let line = lines
            .last_mut()
            .expect("there is a first line, and none is taken away");
        if line.len() + 1 + word.len() > WIDTH && line.len() > NAMES {
            lines.push(format!("{:NAMES$}{word}", ""));
        } else {
            if line.len() > NAMES {
                line.push(' ');
            }
            line.push_str(word);
        }
    }
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli::Arguments;

    /// Every command and its subcommands, with the words that call it.
    fn pages(command: Command, path: &str, found: &mut Vec<(String, Command)>) {
        for sub in command.get_subcommands() {
            let path = format!("{path} {}", sub.get_name());
            pages(sub.clone(), &path, found);
        }
        found.push((path.to_owned(), command));
    }

    fn all() -> Vec<(String, Command)> {
        let mut command = by_job(Arguments::command());
        command.build();
        let mut found = Vec::new();
        pages(command, "landfast", &mut found);
        found
    }

    #[test]
    fn every_command_belongs_to_one_job() {
        let mut listed: Vec<&str> = JOBS
            .iter()
            .flat_map(|(_, names)| names.iter().copied())
            .collect();
        let command = Arguments::command();
        let shown = command.get_subcommands().filter(|sub| !sub.is_hide_set());
        let mut known: Vec<&str> = shown.map(Command::get_name).collect();
        listed.sort_unstable();
        known.sort_unstable();
        assert_eq!(listed, known);
    }

    #[test]
    fn no_line_of_the_first_page_is_too_long() {
        let page = by_job(Arguments::command())
            .term_width(WIDTH)
            .render_long_help()
            .to_string();
        assert!(page.contains("  register"), "{page}");
        for line in page.lines() {
            assert!(line.chars().count() <= WIDTH, "{line}");
        }
    }

    #[test]
    fn what_stands_below_the_flags_is_printed_as_it_is_written() {
        for (path, command) in all() {
            let below = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            for line in below.lines() {
                assert!(line.chars().count() <= WIDTH, "{path}: {line}");
            }
            let page = command
                .clone()
                .term_width(WIDTH)
                .render_long_help()
                .to_string();
            assert!(page.contains(&below), "{path}: {page}");
            if path == "landfast credential-process" {
                assert!(
                    page.contains(crate::cli::credential_process::PROFILE),
                    "{page}"
                );
            }
            command.debug_assert();
        }
    }

    /// The words of a command line in an example, up to a pipe or the like; `None` where it is no command of ours.
    fn words(line: &str) -> Option<Vec<String>> {
        let (mut words, mut word, mut quote) = (Vec::new(), String::new(), None);
        for c in line.trim().chars().chain([' ']) {
            match (quote, c) {
                (Some(open), c) if c == open => quote = None,
                (None, '\'' | '"') => quote = Some(c),
                (None, ' ') => {
                    if ["|", ">", "&&", "&", "#"].contains(&word.as_str()) {
                        break;
                    }
                    if !word.is_empty() {
                        words.push(std::mem::take(&mut word));
                    }
                }
                (_, c) => word.push(c),
            }
        }
        (words.first().map(String::as_str) == Some("landfast")).then_some(words)
    }

    /// A value in the place of one that an example leaves open.
    fn value(flag: &str, word: &str) -> String {
        let kind = match flag {
            "--trust-anchor-arn" => {
                "rolesanywhere:us-west-2:111122223333:trust-anchor/11111111-2222-4333-8444-555555555555"
            }
            "--profile-arn" => {
                "rolesanywhere:us-west-2:111122223333:profile/11111111-2222-4333-8444-555555555555"
            }
            "--role-arn" => "iam::111122223333:role/hybrid-node",
            _ => return word.to_owned(),
        };
        if word == "ARN" {
            format!("arn:aws:{kind}")
        } else {
            word.to_owned()
        }
    }

    #[test]
    fn every_example_is_a_command_that_is_understood() {
        let mut tried = 0;
        for (path, command) in all() {
            let mut text = command
                .get_after_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            if path == "landfast credential-process" {
                text.push_str(
                    &crate::cli::credential_process::PROFILE.replace("credential_process = ", ""),
                );
            }
            for line in text.replace("\\\n", " ").lines() {
                let Some(words) = words(line) else { continue };
                let mut called = vec![words[0].clone()];
                for pair in words.windows(2) {
                    called.push(value(&pair[0], &pair[1]));
                }
                if let Err(error) = Arguments::command().try_get_matches_from(&called) {
                    panic!("{path}: {line}\n{error}");
                }
                tried += 1;
            }
        }
        assert!(tried > 20, "{tried} examples");
    }
}
