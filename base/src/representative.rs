//! What a remote ML-DSA key signs in place of the message: its representative of 64 octets. The only file that names shake.
//!
//! The binding of AWS-LC has no SHAKE. What goes in is public: the key's public half and the message.

use shake::Shake256;
use shake::digest::{ExtendableOutput as _, Update as _};

/// The octets of a message representative, and of a hashed public key (FIPS 204 section 4).
const OCTETS: usize = 64;

/// The representative (mu) of `message` under a raw ML-DSA public key, with an empty context: steps 6 of algorithm 7 and 10 of algorithm 2 of
/// FIPS 204.
pub fn ml_dsa_representative(public: &[u8], message: &[u8]) -> [u8; OCTETS] {
    let hashed_key = shake256(&[public]);
    // The pure form, and the length of the context.
    shake256(&[&hashed_key, &[0, 0], message])
}

fn shake256(parts: &[&[u8]]) -> [u8; OCTETS] {
    let mut state = Shake256::default();
    for part in parts {
        state.update(part);
    }
    let mut output = [0; OCTETS];
    state.finalize_xof_into(&mut output);
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    /// FIPS 202: SHAKE256 of nothing.
    #[test]
    fn the_function_is_shake256() {
        let output = shake256(&[]);
        assert_eq!(
            output[..8],
            [0x46, 0xb9, 0xdd, 0x2b, 0x0b, 0xa8, 0x8d, 0x13]
        );
        assert_eq!(shake256(&[b"a", b"", b"bc"]), shake256(&[b"abc"]));
    }
}
