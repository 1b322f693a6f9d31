//! What a remote ML-DSA key signs in place of the message: its representative of 64 octets. The only file that names shake.
//!
//! The binding of AWS-LC has no SHAKE. What goes in is public: the key's public half and the message.

use shake::Shake256;
use shake::digest::{ExtendableOutput as _, Update as _};

/// The octets of a message representative, and of a hashed public key (FIPS 204 section 4).
const OCTETS: usize = 64;

/// The representative of `message` under the public key, with an empty context: steps 6 of algorithm 7 and 10 of algorithm 2 of FIPS 204.
pub(super) fn representative(public: &[u8], message: &[u8]) -> Vec<u8> {
    let hashed_key = shake256(&[public]);
    // The pure form, and the length of the context.
    shake256(&[&hashed_key, &[0, 0], message])
}

fn shake256(parts: &[&[u8]]) -> Vec<u8> {
    let mut state = Shake256::default();
    for part in parts {
        state.update(part);
    }
    let mut output = vec![0; OCTETS];
    state.finalize_xof_into(&mut output);
    output
}

#[cfg(test)]
mod tests {
    use ml_dsa::{ExpandedSigningKey, MlDsa44, MlDsa65, MlDsa87, MlDsaParams};

    use super::*;
    use crate::key::MlDsa;
    use crate::{KeyEncoding, PrivateKey, SignatureAlgorithm, digest_for};

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

    /// A signature over the representative, by code of others, is one over the message.
    #[test]
    fn a_signature_over_the_representative_is_one_over_the_message() {
        fn signature<P: MlDsaParams>(seed: &[u8], mu: &[u8]) -> Vec<u8> {
            let key = ExpandedSigningKey::<P>::from_seed(seed.try_into().unwrap());
            let signature = key.sign_mu_deterministic(mu.try_into().unwrap());
            signature.encode().to_vec()
        }
        for set in MlDsa::ALL {
            let key =
                PrivateKey::generate(crate::KeySpec::parse("mldsa", set.bits()).unwrap()).unwrap();
            let der = key.to_der(KeyEncoding::Pkcs8).unwrap();
            let seed = &der.expose()[der.expose().len() - 32..];
            let algorithm = SignatureAlgorithm::MlDsa(set);
            for message in [&b""[..], b"message", &[7; 100_000]] {
                let mu = digest_for(algorithm, key.public_key(), message).unwrap();
                let signature = match set {
                    MlDsa::MlDsa44 => signature::<MlDsa44>(seed, &mu),
                    MlDsa::MlDsa65 => signature::<MlDsa65>(seed, &mu),
                    MlDsa::MlDsa87 => signature::<MlDsa87>(seed, &mu),
                };
                assert_eq!(
                    key.public_key().verify(algorithm, message, &signature),
                    Ok(())
                );
            }
            let other = MlDsa::ALL.into_iter().find(|other| *other != set).unwrap();
            assert_eq!(
                digest_for(SignatureAlgorithm::MlDsa(other), key.public_key(), b""),
                None
            );
        }
    }
}
