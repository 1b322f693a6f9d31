//! The crate that a plugin begins with.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

/// A file of the crate: its path, and its text with places for what differs.
const FILES: [(&str, &str); 5] = [
    ("Cargo.toml", include_str!("../template/Cargo.toml.in")),
    (
        ".cargo/config.toml",
        include_str!("../template/config.toml"),
    ),
    (".gitignore", include_str!("../template/gitignore")),
    ("README.md", include_str!("../template/README.md.in")),
    (DEV, include_str!("../template/dev.sh.in")),
];
const DEV: &str = "dev.sh";
const MAIN: &str = "src/main.rs";
/// The longest name: it is in a path on the server, and in the names of files.
const LONGEST: usize = 64;

/// Names that a crate cannot have: words of the language, and crates of its own.
const WORDS: &[&str] = &[
    "abstract",
    "alloc",
    "as",
    "async",
    "await",
    "become",
    "box",
    "break",
    "const",
    "continue",
    "core",
    "crate",
    "do",
    "dyn",
    "else",
    "enum",
    "extern",
    "false",
    "final",
    "fn",
    "for",
    "gen",
    "if",
    "impl",
    "in",
    "let",
    "loop",
    "macro",
    "match",
    "mod",
    "move",
    "mut",
    "override",
    "priv",
    "proc-macro",
    "pub",
    "ref",
    "return",
    "self",
    "static",
    "std",
    "struct",
    "super",
    "test",
    "trait",
    "true",
    "try",
    "type",
    "typeof",
    "unsafe",
    "unsized",
    "use",
    "virtual",
    "where",
    "while",
    "yield",
    "landfast-sdk",
    "schemars",
    "serde",
    "serde-json",
    "tokio",
];

/// Names that servers know already: a plugin by one of them takes the place of theirs, in one catalogue or another.
const TAKEN: &[&str] = &[
    "ad",
    "alicloud",
    "approle",
    "aws",
    "azure",
    "cassandra-database-plugin",
    "cert",
    "cf",
    "consul",
    "cubbyhole",
    "database",
    "gcp",
    "gcpkms",
    "github",
    "identity",
    "jwt",
    "kerberos",
    "keymgmt",
    "kmip",
    "kubernetes",
    "kv",
    "ldap",
    "mysql-database-plugin",
    "ns-system",
    "nomad",
    "oci",
    "oidc",
    "okta",
    "openldap",
    "pki",
    "plugin",
    "postgresql-database-plugin",
    "rabbitmq",
    "radius",
    "saml",
    "ssh",
    "system",
    "terraform",
    "token",
    "totp",
    "transform",
    "transit",
    "userpass",
];

/// What the plugin is.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(crate) enum Kind {
    #[default]
    Secret,
    Auth,
    Database,
}

impl Kind {
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        match text {
            "secret" => Ok(Self::Secret),
            "auth" => Ok(Self::Auth),
            "database" => Ok(Self::Database),
            _ => Err(format!(
                "{text:?} is no kind of plugin: say secret, auth or database"
            )),
        }
    }

    /// As servers call it.
    const fn name(self) -> &'static str {
        match self {
            Self::Secret => "secret",
            Self::Auth => "auth",
            Self::Database => "database",
        }
    }

    const fn source(self) -> &'static str {
        match self {
            Self::Secret => include_str!("../template/secret.rs"),
            Self::Auth => include_str!("../template/auth.rs"),
            Self::Database => include_str!("../template/database.rs"),
        }
    }

    /// How it is mounted.
    const fn mount(self) -> &'static str {
        match self {
            Self::Secret => "bao secrets enable {{name}}",
            Self::Auth => "bao auth enable {{name}}",
            Self::Database => "bao secrets enable database",
        }
    }

    /// How it is used, mounted.
    const fn usage(self) -> &'static str {
        match self {
            Self::Secret => {
                "bao write {{name}}/roles/readers ttl=1h\nbao read {{name}}/creds/readers\nbao lease revoke -sync -prefix {{name}}/creds/readers"
            }
            Self::Auth => {
                "bao write auth/{{name}}/people/ann word=hunter2 token_policies=default token_ttl=1h\nbao write auth/{{name}}/login/ann word=hunter2"
            }
            Self::Database => {
                "bao write database/config/app plugin_name={{name}} allowed_roles=readers address=here\n\
                 bao write database/roles/readers db_name=app default_ttl=1h creation_statements=none\nbao read database/creds/readers"
            }
        }
    }
}

/// A crate to write.
#[derive(Debug, PartialEq)]
pub(crate) struct New {
    name: String,
    kind: Kind,
    folder: PathBuf,
}

impl New {
    /// A crate of this name, in `folder` or in one by its name.
    ///
    /// # Errors
    /// What is wrong with the name.
    pub(crate) fn of(name: &str, kind: Kind, folder: Option<PathBuf>) -> Result<Self, String> {
        let letters =
            |letter: char| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == '-';
        if name.len() > LONGEST {
            return Err(format!("{name:?} is longer than {LONGEST} letters"));
        }
        if !name.chars().all(letters)
            || !name.starts_with(|first: char| first.is_ascii_lowercase())
            || name.ends_with('-')
        {
            let rule = "lowercase letters, digits and hyphens, a letter first and no hyphen last";
            return Err(format!(
                "{name:?} can be no name: {rule}, for example my-engine"
            ));
        }
        if WORDS.contains(&name) {
            return Err(format!(
                "{name:?} is a word of Rust or a crate that the plugin uses: take another name, for example my-{name}"
            ));
        }
        if TAKEN.contains(&name) {
            return Err(format!(
                "{name:?} is a plugin that servers bring: take another name, for example my-{name}"
            ));
        }
        Ok(Self {
            name: name.to_owned(),
            kind,
            folder: folder.unwrap_or_else(|| PathBuf::from(name)),
        })
    }

    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Writes the crate.
    ///
    /// # Errors
    /// The folder holds something, which is left as it is, or cannot be written.
    pub(crate) fn write(&self) -> Result<(), String> {
        let folder = &self.folder;
        let told = |error: io::Error| format!("{}: {error}", folder.display());
        fs::create_dir_all(folder).map_err(told)?;
        if fs::read_dir(folder).map_err(told)?.next().is_some() {
            let folder = folder.display();
            return Err(format!(
                "{folder} is not empty, and nothing is overwritten: remove it, or say another --path"
            ));
        }
        for (path, text) in self.files() {
            write(&folder.join(path), &text)
                .map_err(|error| format!("{}: {error}", folder.join(path).display()))?;
        }
        Ok(())
    }

    /// The files, by their paths.
    fn files(&self) -> impl Iterator<Item = (&'static str, String)> {
        let main = (MAIN, self.kind.source());
        FILES
            .into_iter()
            .chain([main])
            .map(|(path, text)| (path, self.fill_in(text)))
    }

    fn fill_in(&self, text: &str) -> String {
        let mut text = text.to_owned();
        // The first two have places themselves.
        for (place, value) in [
            ("{{mount}}", self.kind.mount()),
            ("{{use}}", self.kind.usage()),
            ("{{name}}", &self.name),
            ("{{type}}", self.kind.name()),
            ("{{version}}", env!("CARGO_PKG_VERSION")),
            ("{{rust}}", env!("CARGO_PKG_RUST_VERSION")),
        ] {
            text = text.replace(place, value);
        }
        text
    }
}

/// Writes a file that is not there yet, and its folder.
fn write(path: &Path, text: &str) -> io::Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut file = fs::File::create_new(path)?;
    io::Write::write_all(&mut file, text.as_bytes())?;
    #[cfg(unix)]
    if path.ends_with(DEV) {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(path, fs::Permissions::from_mode(0o755))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    const KINDS: [Kind; 3] = [Kind::Secret, Kind::Auth, Kind::Database];

    #[test]
    fn bad_names_are_told_with_a_better_one() {
        for (name, text) in [
            ("", "can be no name"),
            ("My", "lowercase letters"),
            ("my_engine", "my-engine"),
            ("7up", "a letter first"),
            ("up-", "no hyphen last"),
            ("../up", "can be no name"),
            ("é", "can be no name"),
            ("async", "my-async"),
            ("tokio", "my-tokio"),
            ("pki", "my-pki"),
            ("approle", "servers bring"),
            (&"a".repeat(LONGEST + 1), "longer than 64"),
        ] {
            let error = New::of(name, Kind::Secret, None).expect_err(name);
            assert!(error.contains(text), "{name}: {error}");
        }
        for name in ["a", "my-engine", "x509", &"a".repeat(LONGEST)] {
            New::of(name, Kind::Secret, None).expect(name);
        }
    }

    #[test]
    fn every_place_is_filled_in() {
        for kind in KINDS {
            let new = New::of("my-engine", kind, None).expect("a name");
            for (path, text) in new.files() {
                // Templates of user names have such braces too.
                let text = text.replace("{{ .", "").replace("{{ random", "");
                assert!(!text.contains("{{"), "{kind:?} {path}: {text}");
            }
        }
    }

    #[test]
    fn a_folder_with_something_in_it_is_left_alone() {
        let folder = tempfile::tempdir().expect("a folder");
        let new =
            New::of("my-engine", Kind::Auth, Some(folder.path().join("new"))).expect("a name");
        new.write().expect("a crate");
        let manifest = folder.path().join("new/Cargo.toml");
        fs::write(&manifest, "mine").expect("a file");
        let error = new.write().expect_err("it is there");
        assert!(
            error.contains("is not empty") && error.contains("--path"),
            "{error}"
        );
        assert_eq!(fs::read_to_string(manifest).expect("a file"), "mine");
        let new = New::of("my-engine", Kind::Auth, Some("/dev/null/new".into())).expect("a name");
        new.write().expect_err("no folder");
    }
}
