//! One profile's section of a credentials file, and what stands around it.
//!
//! Headers, remarks, continued lines and keys are told apart where AWS's parsers tell
//! them apart; the two families agree on every file that both can read.
//!
//! Source: AWS SDKs and tools reference guide, "Format of the config files"; Python,
//! `configparser`, which botocore uses.

use landfast_base::Secret;

use crate::session::Credentials;

/// By this line a profile is known as ours.
const MARK: &str = "# written by landfast update";
/// What changes.
const KEYS: [&str; 3] = [
    "aws_access_key_id",
    "aws_secret_access_key",
    "aws_session_token",
];
/// What botocore takes before `aws_session_token`: a stale one would win.
const OLD_TOKEN: &str = "aws_security_token";
/// What the ids of temporary credentials begin with.
///
/// Source: IAM user guide, "Understanding unique ID prefixes".
const TEMPORARY: &str = "ASIA";

/// A file, taken apart at the section of one profile.
pub(super) struct Sections<'a> {
    /// Up to the section.
    before: &'a str,
    /// The header's line, if there is one.
    header: Option<&'a str>,
    /// What stays of the section.
    kept: Vec<&'a str>,
    /// From the blank lines and remarks at the section's end on: they belong to what
    /// comes next.
    after: &'a str,
    found: usize,
    marked: bool,
    /// The section holds nothing but temporary credentials, as the `update` of
    /// `aws_signing_helper` leaves them.
    temporary: bool,
}

/// What a line is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Line<'a> {
    Header(&'a str),
    /// Blank, or a remark.
    Nothing,
    /// A key with its value, or what no parser knows.
    Key(&'a str, &'a str),
    /// More of the value before it.
    More,
}

impl<'a> Line<'a> {
    /// Reads a line; `open` says that the one before may go on.
    fn read(line: &'a str, open: bool) -> Self {
        let text = line.trim_start_matches('\u{feff}').trim();
        if text.is_empty() || text.starts_with(['#', ';']) {
            return Self::Nothing;
        }
        if open && line.starts_with([' ', '\t']) {
            return Self::More;
        }
        // Whatever follows the bracket is a remark.
        if let Some((name, _)) = text.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
            return Self::Header(name.trim());
        }
        let (key, value) = text.split_once(['=', ':']).unwrap_or((text, ""));
        Self::Key(key.trim(), value.trim())
    }
}

impl<'a> Sections<'a> {
    /// Finds the section of `profile`.
    pub(super) fn read(text: &'a str, profile: &str) -> Self {
        let mut sections = Self {
            before: text,
            header: None,
            kept: Vec::new(),
            after: "",
            found: 0,
            marked: false,
            temporary: false,
        };
        let (mut inside, mut open) = (false, false);
        // Where the section begins, its content begins, and it ends.
        let (mut from, mut to, mut end) = (0, 0, 0);
        let mut at = 0;
        for line in text.split_inclusive('\n') {
            let start = at;
            at += line.len();
            let read = Line::read(line, open);
            match read {
                Line::Header(name) => {
                    open = false;
                    inside = name == profile;
                    if inside {
                        sections.found += 1;
                        if sections.found == 1 {
                            sections.header = Some(line);
                            (from, to, end) = (start, at, at);
                        }
                    }
                }
                Line::Key(..) => open = true,
                Line::Nothing | Line::More => {}
            }
            // What begins a line is ours to end; a remark of ours belongs to the section.
            let content = matches!(read, Line::Key(..) | Line::More) || line.starts_with(MARK);
            if inside && sections.found == 1 && content {
                end = at;
            }
        }
        if sections.found > 0 {
            sections.before = &text[..from];
            sections.after = &text[end..];
            sections.look_at(&text[to..end]);
        }
        sections
    }

    /// Sorts the section's lines.
    fn look_at(&mut self, content: &'a str) {
        let (mut open, mut dropping) = (false, false);
        let mut others = false;
        let mut seen = [false; KEYS.len()];
        for line in content.split_inclusive('\n') {
            if line.starts_with(MARK) {
                self.marked = true;
                continue;
            }
            match Line::read(line, open) {
                Line::Key(key, value) => {
                    open = true;
                    let ours = KEYS.iter().position(|ours| key.eq_ignore_ascii_case(ours));
                    dropping = ours.is_some() || key.eq_ignore_ascii_case(OLD_TOKEN);
                    others |= !dropping;
                    if let Some(which) = ours {
                        seen[which] = which > 0 || value.starts_with(TEMPORARY);
                    }
                }
                Line::More => {}
                // A remark may stand within a value; there is no header here.
                Line::Nothing | Line::Header(_) => {
                    self.kept.push(line);
                    continue;
                }
            }
            if !dropping {
                self.kept.push(line);
            }
        }
        self.temporary = seen == [true; KEYS.len()] && !others;
    }

    /// How often the profile is there.
    pub(super) const fn found(&self) -> usize {
        self.found
    }

    /// Whether somebody else's credentials are in the profile, or settings that need none.
    pub(super) const fn is_foreign(&self) -> bool {
        self.found > 0 && !self.marked && !self.temporary
    }

    /// The whole text, with these credentials in the profile.
    pub(super) fn with(&self, profile: &str, credentials: &Credentials) -> Secret<String> {
        let good_until = credentials.expiration.strftime("%Y-%m-%dT%H:%M:%SZ");
        let mark = format!("{MARK}, good until {good_until}\n");
        let [id, secret, token] = KEYS;
        let values = [
            (id, &*credentials.access_key_id),
            (secret, credentials.secret_access_key.expose()),
            (token, credentials.session_token.expose()),
        ];
        let kept: usize = self.kept.iter().map(|line| line.len()).sum();
        let given: usize = values.iter().map(|(_, value)| value.len() + 32).sum();
        // Exact enough that no copy of a secret is left behind by growth.
        let room = self.before.len() + self.after.len() + kept + given + 2 * profile.len() + 256;
        let mut text = String::with_capacity(room);
        text.push_str(self.before);
        match self.header {
            Some(header) => text.push_str(header),
            None => {
                end_line(&mut text);
                // A blank line between two profiles.
                if !text.is_empty() && !text.ends_with("\n\n") {
                    text.push('\n');
                }
                for part in ["[", profile, "]\n"] {
                    text.push_str(part);
                }
            }
        }
        for line in &self.kept {
            end_line(&mut text);
            text.push_str(line);
        }
        end_line(&mut text);
        text.push_str(&mark);
        for (key, value) in values {
            for part in [key, " = ", value, "\n"] {
                text.push_str(part);
            }
        }
        text.push_str(self.after);
        Secret::new(text)
    }
}

fn end_line(text: &mut String) {
    if !text.is_empty() && !text.ends_with('\n') {
        text.push('\n');
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const OURS: &str = "# written by landfast update, good until 2026-09-01T12:00:00Z\n\
        aws_access_key_id = ASIANEW\naws_secret_access_key = secret\naws_session_token = token\n";

    fn with(text: &str) -> String {
        let credentials = Credentials {
            access_key_id: "ASIANEW".into(),
            secret_access_key: Secret::new("secret".into()),
            session_token: Secret::new("token".into()),
            expiration: "2026-09-01T12:00:00Z".parse().unwrap(),
            assumed_role_arn: String::new(),
            clock_behind: None,
        };
        let sections = Sections::read(text, "default");
        sections.with("default", &credentials).expose().clone()
    }

    #[test]
    fn only_the_three_keys_change() {
        for (before, after) in [
            (
                "[default]\nregion = eu-west-1\naws_access_key_id = AKIA\noutput = json\n",
                "[default]\nregion = eu-west-1\noutput = json\n",
            ),
            // Spelling, separators, remarks, and a remark after the header.
            (
                "[default] # remark\nAWS_ACCESS_KEY_ID: A\n# mine\ns3 =\n  max = 1\naws_secret_access_key=s\n",
                "[default] # remark\n# mine\ns3 =\n  max = 1\n",
            ),
            // A value goes with its further lines; the token of old would win in botocore.
            (
                "[default];x\naws_session_token = a\n  b\n# in it\n\tc\naws_security_token = old\nregion = r\n",
                "[default];x\n# in it\nregion = r\n",
            ),
            // What is indented below the header is no part of ours.
            ("[default]\n  region = r\n", "[default]\n  region = r\n"),
            ("[default]\r\nregion = r\r\n", "[default]\r\nregion = r\r\n"),
            (
                "\u{feff}[default]\nregion = r",
                "\u{feff}[default]\nregion = r\n",
            ),
            ("[default]", "[default]\n"),
        ] {
            let once = with(before);
            assert_eq!(once, format!("{after}{OURS}"), "{before:?}");
            assert_eq!(with(&once), once, "again: {before:?}");
        }
    }

    #[test]
    fn what_stands_around_stays() {
        let (before, after) = (
            "# top\n[a] # one\naws_access_key_id = A\n\n",
            "\n# about b\n[ b ]\n# a word\nx = y\n  [default]\n",
        );
        let text = with(&format!("{before}[default]\nregion = r\n{after}"));
        assert_eq!(
            text,
            format!("{before}[default]\nregion = r\n{OURS}{after}")
        );
        // The indented one goes on the value of x.
        assert_eq!(Sections::read(&text, "default").found(), 1);
    }

    #[test]
    fn headers_are_those_of_the_parsers_of_aws() {
        let found = |text: &str| Sections::read(text, "default").found();
        for header in [
            "[default]",
            "[default] # x",
            "[default];x",
            "[ default ]\t",
            "  [default]",
        ] {
            assert_eq!(found(&format!("{header}\n")), 1, "{header}");
        }
        for other in [
            "# [default]",
            "[default",
            "x [default]",
            "[profile default]",
            "[defaults]",
        ] {
            assert_eq!(found(&format!("{other}\n")), 0, "{other}");
        }
        assert_eq!(found("[default]\n[a]\n[default] # again\n"), 2);
    }

    #[test]
    fn a_section_of_the_helper_is_known_by_what_it_holds() {
        let keys = |id: &str| {
            format!(
                "[default]\naws_access_key_id = {id}\naws_secret_access_key = s\naws_session_token = t\n"
            )
        };
        let foreign = |text: &str| Sections::read(text, "default").is_foreign();
        assert!(!foreign(&keys("ASIAHELPER")));
        assert!(!foreign(&(keys("ASIAHELPER") + "\n[other]\nregion = r\n")));
        // A key for good, a setting that was made by hand, and a profile without a session.
        assert!(foreign(&keys("AKIAHELPER")));
        assert!(foreign(&(keys("ASIAHELPER") + "region = r\n")));
        assert!(foreign(
            "[default]\naws_access_key_id = ASIA\naws_secret_access_key = s\n"
        ));
        assert!(foreign("[default]\nregion = r\n"));
        assert!(!foreign("[other]\nregion = r\n"));
        assert!(!foreign(&with("[default]\nregion = r\n")));
    }
}
