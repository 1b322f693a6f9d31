//! What `aws_signing_helper` has and landfast has not, by the names that it has there:
//! who swaps one for the other is told why, and what to do.
//!
//! Source: aws_signing_helper 1.8.0, its flags; pflag, the forms of a switch.

use std::ffi::OsString;

use clap::{Args, Command};

use super::Failure;

/// Flags that are known, and refused.
#[derive(Args, Debug)]
pub(super) struct NotHere {
    #[arg(long, hide = true)]
    cert_selector: Option<String>,

    #[arg(long, hide = true)]
    system_store_name: Option<String>,

    #[arg(long, hide = true)]
    use_latest_expiring_certificate: bool,

    #[arg(long, hide = true)]
    pkcs11_lib: Option<String>,

    #[arg(long, hide = true)]
    pkcs11_pin: Option<String>,

    #[arg(long, hide = true)]
    reuse_pin: bool,

    #[arg(long, hide = true)]
    tpm_key_password: Option<String>,

    #[arg(long, hide = true)]
    no_tpm_key_password: bool,

    #[arg(long, hide = true)]
    pkcs8_password: Option<String>,
}

const STORE: &str = "certificate stores of the system cannot be used: name a file in PEM with --certificate, or keep aws_signing_helper for this machine";
const DEVICE: &str = "keys in PKCS#11 tokens and TPMs cannot be used: name a file in PEM with --private-key, or keep aws_signing_helper for this machine";
const PASSWORD: &str = "every user of a machine can read its arguments: put the passphrase into a file of mode 0600 and name that with --pkcs8-password-file or LANDFAST_PKCS8_PASSWORD_FILE";

impl NotHere {
    /// Names the flag that was given, and the reason why it is not there.
    ///
    /// # Errors
    /// [`Failure::Usage`].
    pub(super) fn refuse(&self) -> Result<(), Failure> {
        let given = [
            ("--cert-selector", self.cert_selector.is_some(), STORE),
            (
                "--system-store-name",
                self.system_store_name.is_some(),
                STORE,
            ),
            (
                "--use-latest-expiring-certificate",
                self.use_latest_expiring_certificate,
                STORE,
            ),
            ("--pkcs11-lib", self.pkcs11_lib.is_some(), DEVICE),
            ("--pkcs11-pin", self.pkcs11_pin.is_some(), DEVICE),
            ("--reuse-pin", self.reuse_pin, DEVICE),
            (
                "--tpm-key-password",
                self.tpm_key_password.is_some(),
                DEVICE,
            ),
            ("--no-tpm-key-password", self.no_tpm_key_password, DEVICE),
            ("--pkcs8-password", self.pkcs8_password.is_some(), PASSWORD),
        ];
        match given.into_iter().find(|(_, given, _)| *given) {
            Some((flag, _, why)) => Err(Failure::Usage(format!("{flag}: {why}"))),
            None => Ok(()),
        }
    }
}

/// Takes `--switch=true` and `--switch=false` for what they mean in Go: the switch, and
/// nothing. `root` says which of the flags of the named commands are switches.
pub(super) fn switches(
    root: &Command,
    arguments: impl IntoIterator<Item = OsString>,
) -> Vec<OsString> {
    let mut command = root;
    let mut plain = Vec::new();
    for (at, argument) in arguments.into_iter().enumerate() {
        let Some(text) = argument.to_str().filter(|_| at > 0) else {
            plain.push(argument);
            continue;
        };
        if let Some(below) = command.find_subcommand(text) {
            command = below;
        }
        let switch = text
            .strip_prefix("--")
            .and_then(|flag| flag.split_once('='))
            .filter(|(name, _)| is_switch(command, name));
        match switch.map(|(name, value)| (name, truth(value))) {
            Some((name, Some(true))) => plain.push(format!("--{name}").into()),
            Some((_, Some(false))) => {}
            _ => plain.push(argument),
        }
    }
    plain
}

fn is_switch(command: &Command, name: &str) -> bool {
    command.get_arguments().any(|flag| {
        flag.get_long() == Some(name) && matches!(flag.get_action(), clap::ArgAction::SetTrue)
    })
}

/// Source: Go, `strconv.ParseBool`.
fn truth(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;
    use crate::cli;

    fn after(arguments: &[&str]) -> Vec<String> {
        let root = cli::Arguments::command();
        let arguments = [&["landfast"], arguments].concat();
        switches(&root, arguments.into_iter().map(OsString::from))
            .into_iter()
            .map(|argument| argument.into_string().unwrap())
            .collect()
    }

    #[test]
    fn switches_are_taken_in_the_forms_of_go() {
        for (given, taken) in [
            (
                &["update", "--once=true", "--debug=1"][..],
                &["update", "--once", "--debug"][..],
            ),
            (&["update", "--once=false", "--with-proxy=F"], &["update"]),
            // What is no switch keeps its value, and what is no truth is for the parser to refuse.
            (&["update", "--profile=true"], &["update", "--profile=true"]),
            (&["update", "--once=maybe"], &["update", "--once=maybe"]),
            (&["serve", "--once=true"], &["serve", "--once=true"]),
            (
                &["trust-anchor", "sync", "--apply=true"],
                &["trust-anchor", "sync", "--apply"],
            ),
        ] {
            assert_eq!(after(given)[1..], *taken, "{given:?}");
        }
    }
}
