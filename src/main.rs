//! landfast: a secrets engine when a server starts it, commands when a person
//! does.

mod cli;

use std::process::ExitCode;

use landfast_sdk::{Options, PluginKind, launched_as, serve};

fn main() -> ExitCode {
    // A host sets a cookie in the environment of the plugins it starts.
    match launched_as() {
        Some(PluginKind::Secret) => {
            let version = concat!("v", env!("CARGO_PKG_VERSION"));
            serve::<landfast_plugin::Mount>(Options::default().version(version))
        }
        _ => cli::run(),
    }
}
