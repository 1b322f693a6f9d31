//! `landfast register`: how to make a server know this very file.

mod place;

use std::env;
use std::fmt::Write as _;
use std::fs;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use clap::{Args, ValueEnum};
use landfast_base::{hex, sha256};
use serde_json::{Value, json};

use super::Failure;

/// The name under which the engine is registered when it does not stand in
/// for the built-in `pki`.
const OWN_NAME: &str = "landfast";

/// What an operator of Vault should know before a mount is moved: docs/vault.md.
const VAULT_WAY_BACK: &str = "\
# Before such a mount is given back: Vault's own pki does not know the role fields
# not_after_bound, not_before_bound and allowed_ip_sans_cidr, so roles that use
# them get wider there. docs/vault.md has the way back.
";

const EXAMPLES: &str = "\
Examples:
  # everything, to read and to copy from
  landfast register

  # only for Vault, with what to do before and after it
  landfast register --server vault

  # only OpenBao, in place of its built-in pki engine
  landfast register --server openbao --name pki

  # run it: the lines that begin with # are comments
  landfast register --server openbao --name landfast | sh -e

  # OpenBao fetches it out of an image of yours: the stanza for that
  landfast register --server openbao --image registry.example.com/landfast

  # for a script: the SHA-256 that the server must be told
  landfast register --json | jq -r .sha256";

/// Print the commands that register this file as a plugin, with its SHA-256
///
/// A server starts a plugin only out of its plugin_directory, and only while
/// the file has the SHA-256 that was registered. So register the very file
/// that will lie there: a rebuilt or re-stripped one has another sum. The
/// plugin_directory is looked at, if it is there: who else may write it, and
/// what lies under the name. Nothing is changed.
#[derive(Args)]
#[command(after_help = super::help::below(EXAMPLES, &[]))]
pub(super) struct Arguments {
    /// Print for one server only
    #[arg(long, value_enum)]
    server: Option<Server>,

    /// Print for one catalogue name only: landfast, or pki to stand in for
    /// the built-in engine
    #[arg(long, value_parser = [OWN_NAME, "pki"])]
    name: Option<String>,

    /// The server's plugin_directory
    #[arg(long, value_name = "DIR", default_value = "/opt/plugins")]
    plugin_dir: PathBuf,

    /// The image for OpenBao's stanza by image, which must hold this very file;
    /// without a tag or a digest, the version is its tag
    #[arg(long, value_name = "IMAGE", default_value = "registry.example.com/landfast", value_parser = image)]
    image: String,

    /// Where the commands mount the engine
    #[arg(long, value_name = "PATH", default_value = "pki")]
    mount: String,

    /// Print one JSON object: the sum, and per entry the API request, the
    /// commands and the declarative stanza
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Server {
    Openbao,
    Vault,
}

impl Server {
    fn title(self) -> &'static str {
        match self {
            Self::Openbao => "OpenBao",
            Self::Vault => "Vault",
        }
    }

    /// The command line client, and the value of `--server`.
    fn client(self) -> &'static str {
        match self {
            Self::Openbao => "bao",
            Self::Vault => "vault",
        }
    }
}

pub(super) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let binary = env::current_exe()
        .map_err(|error| Failure::Failed(format!("the path of this program: {error}")))?;
    let sha256 = sum(&binary).map_err(|error| Failure::file(&binary, &error))?;
    let file = Plugin {
        command: binary.file_name().map_or_else(
            || OWN_NAME.to_owned(),
            |name| name.to_string_lossy().into_owned(),
        ),
        binary,
        sha256,
        version: concat!("v", env!("CARGO_PKG_VERSION")),
    };
    let servers = [Server::Openbao, Server::Vault]
        .into_iter()
        .filter(|server| arguments.server.is_none_or(|only| only == *server));
    let entries: Vec<Entry<'_>> = servers
        .flat_map(|server| [OWN_NAME, "pki"].map(|name| (server, name)))
        .filter(|(_, name)| arguments.name.as_deref().is_none_or(|only| only == *name))
        .map(|(server, name)| Entry {
            file: &file,
            server,
            name,
            mount: arguments.mount.trim_matches('/'),
            image: &arguments.image,
        })
        .collect();
    let target = arguments.plugin_dir.join(&file.command);
    let warnings = place::warnings(&arguments.plugin_dir, &target, &file.sha256);
    for warning in &warnings {
        eprintln!("warning: {warning}");
    }
    let text = if arguments.json {
        let mut document = document(&file, &entries);
        document["warnings"] = json!(warnings);
        format!("{document:#}\n")
    } else {
        page(&file, &arguments.plugin_dir, &entries)
    };
    // A reader such as `head` may have seen enough before the end.
    match io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(Failure::Failed(format!("stdout: {error}")))
        }
        _ => Ok(()),
    }
}

/// This file, as the catalogue knows it.
struct Plugin {
    binary: PathBuf,
    /// The file's name in the plugin directory.
    command: String,
    sha256: String,
    /// What the plugin answers when the server asks for its version. An entry
    /// of another version is refused.
    version: &'static str,
}

/// One way to register it.
struct Entry<'a> {
    file: &'a Plugin,
    server: Server,
    name: &'static str,
    mount: &'a str,
    image: &'a str,
}

impl Entry<'_> {
    fn register(&self) -> String {
        format!(
            "{} plugin register -sha256={} -command={} -version={} secret {}",
            self.server.client(),
            self.file.sha256,
            quoted(&self.file.command),
            self.file.version,
            self.name
        )
    }

    fn enable(&self) -> String {
        format!(
            "{} secrets enable -path={} -max-lease-ttl=87600h {}",
            self.server.client(),
            quoted(self.mount),
            self.name
        )
    }

    /// Moves a mount of the built-in engine that is there already.
    fn take_over(&self) -> [String; 2] {
        let client = self.server.client();
        let mount = quoted(self.mount);
        [
            format!(
                "{client} secrets tune -plugin-version={} {mount}/",
                self.file.version
            ),
            format!("{client} plugin reload -mounts={mount}/"),
        ]
    }

    fn api(&self) -> Value {
        json!({
            "method": "PUT",
            "path": format!("sys/plugins/catalog/secret/{}", self.name),
            "body": {
                "sha256": self.file.sha256,
                "command": self.file.command,
                "version": self.file.version,
            },
        })
    }

    /// The stanza of the server's configuration. Only OpenBao has one.
    fn stanza(&self) -> Option<String> {
        self.block(&[
            ("command", &self.file.command),
            ("version", self.file.version),
            ("sha256sum", &self.file.sha256),
        ])
    }

    /// The same for a server that fetches the file out of an image.
    ///
    /// Source: OpenBao's documentation, "Declarative plugins". Since 2.7 the reference stands whole in `image`; before, the tag is
    /// `version`, which the server puts behind `image`.
    fn image_stanza(&self) -> Option<String> {
        let image = if is_pinned(self.image) {
            self.image.to_owned()
        } else {
            format!("{}:{}", self.image, self.file.version)
        };
        self.block(&[
            ("image", &image),
            ("version", self.file.version),
            ("binary_name", "landfast"),
            ("sha256sum", &self.file.sha256),
        ])
    }

    fn block(&self, fields: &[(&str, &str)]) -> Option<String> {
        let widest = fields.iter().map(|(field, _)| field.len()).max()?;
        (self.server == Server::Openbao).then(|| {
            let fields = fields
                .iter()
                .map(|(field, value)| format!("  {field:widest$} = {}\n", json!(value)));
            format!(
                "plugin \"secret\" {} {{\n{}}}\n",
                json!(self.name),
                fields.collect::<String>()
            )
        })
    }
}

fn document(file: &Plugin, entries: &[Entry<'_>]) -> Value {
    let entries: Vec<Value> = entries
        .iter()
        .map(|entry| {
            let mut value = json!({
                "server": entry.server.title().to_lowercase(),
                "name": entry.name,
                "api": entry.api(),
                "register": entry.register(),
                "enable": entry.enable(),
            });
            if entry.name == "pki" {
                value["take_over"] = json!(entry.take_over());
            }
            if let Some(stanza) = entry.stanza() {
                value["stanza"] = json!(stanza);
            }
            if let Some(stanza) = entry.image_stanza() {
                value["image_stanza"] = json!(stanza);
            }
            value
        })
        .collect();
    json!({
        "binary": file.binary,
        "command": file.command,
        "sha256": file.sha256,
        "version": file.version,
        "entries": entries,
    })
}

fn page(file: &Plugin, plugin_dir: &Path, entries: &[Entry<'_>]) -> String {
    let mut page = String::new();
    let dir = plugin_dir.to_string_lossy();
    let target = format!("{}/{}", dir.trim_end_matches('/'), file.command);
    let binary = file.binary.to_string_lossy();
    // To install a file over itself fails.
    let install = if file.binary == Path::new(&target) {
        "# Here it is there already.".to_owned()
    } else {
        // `-D` makes the directory, which is often not there yet.
        format!("install -D -m 0755 {} {}", quoted(&binary), quoted(&target))
    };
    // Writing to a String cannot fail.
    let _ = writeln!(
        page,
        "# landfast {}\n# file    {binary}\n# sha256  {}\n\n\
         # Put the file into the plugin_directory of every server node. Check that the\n\
         # server's user may run it, and that nobody else may write it or the directory.\n\
         {install}",
        file.version, file.sha256,
    );
    for entry in entries {
        let title = entry.server.title();
        let _ = match entry.name {
            "pki" => writeln!(
                page,
                "\n# {title}, in place of the built-in pki: every new mount of type pki is landfast.\n{}\n{}",
                entry.register(),
                entry.enable()
            ),
            _ => writeln!(
                page,
                "\n# {title}, under its own name, beside the built-in pki.\n{}\n{}",
                entry.register(),
                entry.enable()
            ),
        };
        if entry.name == "pki" {
            let [tune, reload] = entry.take_over();
            let _ = writeln!(
                page,
                "# A pki mount that is there already keeps the built-in until it is told:\n\
                 # {tune}\n# {reload}"
            );
            if entry.server == Server::Vault {
                page.push_str(VAULT_WAY_BACK);
            }
        }
        if let Some(stanza) = entry.stanza() {
            let _ = write!(
                page,
                "# Or in the server's configuration, which registers it at every start:\n\
                 #   plugin_directory     = {}\n#   plugin_auto_register = true\n",
                json!(dir)
            );
            for line in stanza.lines() {
                let _ = writeln!(page, "#   {line}");
            }
        }
        if let Some(stanza) = entry.image_stanza() {
            let _ = write!(
                page,
                "# Or out of an image that holds this very file; the server's user must be able to\n\
                 # write the directory then. (OpenBao 2.6 puts the version behind the image by\n\
                 # itself: leave its tag out there.)\n\
                 #   plugin_directory     = {}\n#   plugin_auto_register = true\n\
                 #   plugin_auto_download = true\n",
                json!(dir)
            );
            for line in stanza.lines() {
                let _ = writeln!(page, "#   {line}");
            }
        }
    }
    page
}

/// Reads the reference of an image.
fn image(text: &str) -> Result<String, String> {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-:@".contains(c);
    if !text.is_empty() && !text.ends_with(['/', ':', '@']) && text.chars().all(plain) {
        Ok(text.to_owned())
    } else {
        Err("an image such as registry.example.com/landfast".to_owned())
    }
}

/// Whether an image has a tag or a digest; a port is neither.
fn is_pinned(image: &str) -> bool {
    let last = image.rsplit('/').next().unwrap_or_default();
    last.contains([':', '@'])
}

/// SHA-256 of a file, in hex.
fn sum(path: &Path) -> io::Result<String> {
    Ok(hex(&sha256(&fs::read(path)?)))
}

/// A word as a shell reads it back.
fn quoted(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plugin() -> Plugin {
        Plugin {
            binary: PathBuf::from("/tmp/with blank/landfast"),
            command: "landfast".to_owned(),
            sha256: "ab".repeat(32),
            version: "v1.2.3",
        }
    }

    fn entry<'a>(file: &'a Plugin, server: Server, name: &'static str) -> Entry<'a> {
        Entry {
            file,
            server,
            name,
            mount: "pki",
            image: "registry.example.com/landfast",
        }
    }

    #[test]
    fn a_word_with_blanks_or_quotes_is_quoted() {
        assert_eq!(quoted("/opt/plugins/landfast"), "/opt/plugins/landfast");
        assert_eq!(quoted("a b"), "'a b'");
        assert_eq!(quoted("it's"), r"'it'\''s'");
        assert_eq!(quoted(""), "''");
    }

    #[test]
    fn only_openbao_has_a_stanza() {
        let file = plugin();
        let stanza = entry(&file, Server::Openbao, "pki")
            .stanza()
            .expect("OpenBao reads plugin stanzas");
        assert!(
            stanza.starts_with("plugin \"secret\" \"pki\" {"),
            "{stanza}"
        );
        assert!(stanza.contains(&file.sha256) && stanza.contains("\"v1.2.3\""));
        assert!(entry(&file, Server::Vault, "pki").stanza().is_none());
        assert!(entry(&file, Server::Vault, "pki").image_stanza().is_none());
        assert_eq!(
            entry(&file, Server::Openbao, OWN_NAME).image_stanza(),
            Some(format!(
                "plugin \"secret\" \"landfast\" {{\n  image       = \"registry.example.com/landfast:v1.2.3\"\n  \
                 version     = \"v1.2.3\"\n  binary_name = \"landfast\"\n  sha256sum   = \"{}\"\n}}\n",
                file.sha256
            ))
        );
    }

    #[test]
    fn the_version_is_the_tag_of_an_image_that_has_none() {
        let file = plugin();
        for (given, printed) in [
            ("landfast", "landfast:v1.2.3"),
            ("host:5000/a/landfast", "host:5000/a/landfast:v1.2.3"),
            ("host:5000/landfast:mine", "host:5000/landfast:mine"),
            ("a/landfast@sha256:00", "a/landfast@sha256:00"),
        ] {
            let entry = Entry {
                image: given,
                ..entry(&file, Server::Openbao, "pki")
            };
            let stanza = entry.image_stanza().expect("OpenBao has one");
            assert!(stanza.contains(&format!("= \"{printed}\"\n")), "{stanza}");
            assert_eq!(image(given).as_deref(), Ok(given));
        }
        for bad in ["", "registry.example.com/", "a/landfast:", "a b", "a\"b"] {
            assert!(image(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn commands_carry_the_sum_and_the_version_that_the_plugin_reports() {
        let file = plugin();
        let vault = entry(&file, Server::Vault, OWN_NAME);
        assert_eq!(
            vault.register(),
            format!(
                "vault plugin register -sha256={} -command=landfast -version=v1.2.3 secret landfast",
                file.sha256
            )
        );
        assert_eq!(vault.api()["body"]["sha256"], json!(file.sha256));
        assert_eq!(
            vault.api()["path"],
            json!("sys/plugins/catalog/secret/landfast")
        );
    }

    #[test]
    fn the_page_can_be_run_by_a_shell() {
        let file = plugin();
        let entries = [
            entry(&file, Server::Openbao, "pki"),
            entry(&file, Server::Vault, OWN_NAME),
        ];
        let page = page(&file, Path::new("/opt/plugins/"), &entries);
        for line in page.lines().filter(|line| !line.is_empty()) {
            assert!(
                ["#", "install ", "bao ", "vault "]
                    .iter()
                    .any(|start| line.starts_with(start)),
                "{line}"
            );
        }
        assert!(
            page.contains("install -D -m 0755 '/tmp/with blank/landfast' /opt/plugins/landfast")
        );
        let page = super::page(&file, Path::new("/tmp/with blank"), &entries);
        assert!(!page.contains("install ") && page.contains("it is there already"));
    }

    #[test]
    fn the_sum_of_a_file_is_its_sha256() {
        let dir = tempfile::tempdir().expect("a temporary folder");
        let path = dir.path().join("file");
        std::fs::write(&path, b"abc").expect("a file in a fresh folder");
        // FIPS 180-2 appendix B.1.
        assert_eq!(
            sum(&path).expect("a readable file"),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
