//! `landfast version`: for scripts that ask `aws_signing_helper` so.

use clap::Args;

use super::{Failure, output};

/// Print the version alone, as aws_signing_helper does
#[derive(Args, Debug)]
pub(super) struct Arguments {}

pub(super) fn run() -> Result<(), Failure> {
    output::print(concat!(env!("CARGO_PKG_VERSION"), "\n"))
}
