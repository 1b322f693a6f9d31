//! What commands write: standard output, and files.

use std::fs;
use std::io::Write as _;
use std::path::Path;

use landfast_node::files;

use super::Failure;

/// Prints to standard output. A reader that has seen enough, such as `head`,
/// is no failure.
pub(super) fn print(text: &str) -> Result<(), Failure> {
    write(text.as_bytes())
}

/// The same for octets.
pub(super) fn write(octets: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(octets).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Failed(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
}

/// Writes a file whole or not at all, and makes its directory.
pub(super) fn file(path: &Path, text: &str, mode: u32) -> Result<(), Failure> {
    let directory = files::parent(path);
    fs::create_dir_all(directory).map_err(|error| Failure::file(directory, &error))?;
    Ok(files::write_atomic(path, text.as_bytes(), mode)?)
}
