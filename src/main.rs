//! landfast: a secrets engine when a server starts it, commands when a person
//! does.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    cli::run()
}
