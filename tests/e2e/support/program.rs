//! Which server the tests run on: OpenBao, or a Vault or a server of one's own.

use std::path::Path;
use std::process::Command;

/// What differs between the two servers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Program {
    OpenBao,
    Vault,
}

impl Program {
    /// Asks the binary itself: a file of one's own may have any name.
    ///
    /// # Panics
    ///
    /// When it is neither.
    pub(crate) fn of(binary: &Path) -> Self {
        let output = Command::new(binary)
            .arg("version")
            .output()
            .unwrap_or_else(|error| panic!("{}: {error}", binary.display()));
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        Self::from_version(&said)
            .unwrap_or_else(|| panic!("{} is neither OpenBao nor Vault: {said}", binary.display()))
    }

    /// Reads what `version` prints: `OpenBao v2.7.2 (…)`, `Vault v1.14.7 (…), built …`.
    fn from_version(said: &str) -> Option<Self> {
        match said.split_whitespace().next()? {
            "OpenBao" => Some(Self::OpenBao),
            "Vault" => Some(Self::Vault),
            _ => None,
        }
    }

    /// The command's name in what `landfast register` prints.
    pub(crate) fn command(self) -> &'static str {
        match self {
            Self::OpenBao => "bao",
            Self::Vault => "vault",
        }
    }

    /// The value of `landfast register --server`.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::OpenBao => "openbao",
            Self::Vault => "vault",
        }
    }

    /// How the versions of its own engines end: `v2.7.2+builtin.bao`.
    pub(crate) fn built_in(self) -> &'static str {
        match self {
            Self::OpenBao => "+builtin.bao",
            Self::Vault => "+builtin.vault",
        }
    }
}

#[test]
fn both_servers_say_who_they_are() {
    for (said, program) in [
        (
            "OpenBao v2.7.2 (0a1b2c3d), built 2026-10-26T22:01:02Z",
            Some(Program::OpenBao),
        ),
        (
            "Vault v1.14.7 (0a1b2c3d), built 2023-11-03T17:33:31Z",
            Some(Program::Vault),
        ),
        ("bash: no such file", None),
    ] {
        assert_eq!(Program::from_version(said), program, "{said}");
    }
}
