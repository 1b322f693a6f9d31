//! Digests, comparison in constant time and randomness. The only file of this crate that names aws-lc-rs.

use aws_lc_rs::{constant_time, digest, hmac, rand};

/// The system's random generator failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the system's random generator failed")]
pub struct NoRandomness;

/// SHA-1 (FIPS 180-4), for names that others compute with it too: key identifiers, fingerprints. It protects nothing.
pub fn sha1(data: &[u8]) -> [u8; 20] {
    let digest = digest::digest(&digest::SHA1_FOR_LEGACY_USE_ONLY, data);
    digest.as_ref().try_into().expect("SHA-1 gives 20 octets")
}

/// SHA-256 (FIPS 180-4).
pub fn sha256(data: &[u8]) -> [u8; 32] {
    let digest = digest::digest(&digest::SHA256, data);
    digest.as_ref().try_into().expect("SHA-256 gives 32 octets")
}

/// HMAC (RFC 2104) with SHA-256.
pub fn hmac_sha256(key: &[u8], message: &[u8]) -> [u8; 32] {
    let tag = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), message);
    tag.as_ref()
        .try_into()
        .expect("HMAC with SHA-256 gives 32 octets")
}

/// Compares without telling by its duration where the two differ. Their lengths are no secret.
pub fn equal(one: &[u8], other: &[u8]) -> bool {
    constant_time::verify_slices_are_equal(one, other).is_ok()
}

/// Fills a buffer with random octets.
///
/// # Errors
/// [`NoRandomness`].
pub fn fill(buffer: &mut [u8]) -> Result<(), NoRandomness> {
    rand::fill(buffer).map_err(|_| NoRandomness)
}

/// Random octets, as many as the type says.
///
/// # Errors
/// [`NoRandomness`].
pub fn random<const N: usize>() -> Result<[u8; N], NoRandomness> {
    let mut octets = [0; N];
    fill(&mut octets)?;
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hex;

    /// The examples of FIPS 180 and RFC 4231 section 4.3.
    #[test]
    fn digests_are_those_of_the_standards() {
        assert_eq!(
            hex(&sha1(b"abc")),
            "a9993e364706816aba3e25717850c26c9cd0d89d"
        );
        assert_eq!(
            hex(&sha256(b"abc")),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
        assert_eq!(
            hex(&hmac_sha256(b"Jefe", b"what do ya want for nothing?")),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn random_octets_do_not_repeat() {
        assert_ne!(random::<16>(), random::<16>());
    }
}
