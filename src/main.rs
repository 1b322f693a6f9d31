//! landfast: a secrets engine or a seal when a server starts it, commands when a
//! person does.

mod cli;
mod roles_anywhere;

use std::process::ExitCode;
use std::sync::Arc;

use landfast_sdk::{Options, PluginKind, kms, launched_as, serve};
use landfast_unseal::Environment;
use landfast_unseal::kms_plugin::KmsPlugin;

/// As `.cargo/config.toml` has it built: with few arenas, which keep nothing that is free.
#[global_allocator]
static ALLOCATOR: tikv_jemallocator::Jemalloc = tikv_jemallocator::Jemalloc;

fn main() -> ExitCode {
    // A host sets a cookie in the environment of the plugins it starts. What a plugin starts inherits it, such as a
    // credential process that is this binary again: a command's name says that no host is at the other end.
    let command = std::env::args_os()
        .nth(1)
        .is_some_and(|first| !first.to_string_lossy().starts_with('-'));
    match launched_as().filter(|_| !command) {
        Some(PluginKind::Kms) => {
            let plugin =
                KmsPlugin::new(Environment::of_process()).roles_anywhere(roles_anywhere::open);
            let options = Options::default().also(PluginKind::Secret);
            kms::serve(options, Arc::new(plugin))
        }
        // Of the kinds that are not served it tells which ones are.
        Some(_) => {
            landfast_plugin::lend_roles_anywhere(roles_anywhere::open);
            let version = concat!("v", env!("CARGO_PKG_VERSION"));
            let options = Options::default().version(version).also(PluginKind::Kms);
            serve::<landfast_plugin::Mount>(options)
        }
        None => cli::run(),
    }
}
