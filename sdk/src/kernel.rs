//! Randomness of the kernel, for what a start needs: AWS-LC's own generator is dear to begin with, see [`crate::mtls`].

/// Fills a buffer.
///
/// # Errors
/// The kernel gives none: an old one without the call, in a sandbox that hides the device.
pub(crate) fn fill(buffer: &mut [u8]) -> Result<(), getrandom::Error> {
    getrandom::fill(buffer)
}

/// Octets.
///
/// # Errors
/// Those of [`fill`].
pub(crate) fn random<const N: usize>() -> Result<[u8; N], getrandom::Error> {
    let mut octets = [0; N];
    fill(&mut octets)?;
    Ok(octets)
}
