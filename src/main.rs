//! landfast: a secrets engine or a seal when a server starts it, commands when a
//! person does.

mod cli;

use std::process::ExitCode;
use std::sync::Arc;

use landfast_sdk::{Options, PluginKind, kms, launched_as, serve};
use landfast_unseal::Environment;
use landfast_unseal::kms_plugin::KmsPlugin;

fn main() -> ExitCode {
    // A host sets a cookie in the environment of the plugins it starts.
    match launched_as() {
        Some(PluginKind::Secret) => {
            let version = concat!("v", env!("CARGO_PKG_VERSION"));
            serve::<landfast_plugin::Mount>(Options::default().version(version))
        }
        Some(PluginKind::Kms) => {
            let plugin = KmsPlugin::new(Environment::of_process());
            kms::serve(Options::default(), Arc::new(plugin))
        }
        _ => cli::run(),
    }
}
