//! TLS that asks nobody but the kernel for randomness.
//!
//! AWS-LC has a generator of its own, which it feeds from CPU timing jitter unless it is built without: that costs the first use in each process
//! some 30 ms of CPU, and a library has no say in how AWS-LC is built. So what a handshake needs of randomness is taken from the kernel
//! here, all the rest is AWS-LC's: the key of the certificate (Ed25519 signs without), the keys of the exchange, what goes out in the hellos.

use std::fmt;

use aws_lc_rs::agreement::{self, Algorithm, PrivateKey, UnparsedPublicKey};
use rustls::crypto::{
    ActiveKeyExchange, CryptoProvider, GetRandomFailed, SecureRandom, SharedSecret,
    SupportedKxGroup, aws_lc_rs as aws_lc,
};
use rustls::{Error, NamedGroup, PeerMisbehaved};
use rustls_pki_types::PrivatePkcs8KeyDer;
use zeroize::Zeroizing;

use crate::kernel;

/// A private key of X25519, of P-256 or of Ed25519.
type Octets = Zeroizing<[u8; 32]>;

/// The algorithms of AWS-LC, with the kernel's randomness.
pub(super) fn provider() -> CryptoProvider {
    CryptoProvider {
        kx_groups: vec![&X25519, &P256],
        secure_random: &Kernel,
        ..aws_lc::default_provider()
    }
}

/// An Ed25519 key, as PKCS#8.
pub(super) fn ed25519() -> Result<PrivatePkcs8KeyDer<'static>, GetRandomFailed> {
    /// What stands before the key itself: RFC 8410 section 7.
    const BEFORE: [u8; 16] = [
        0x30, 0x2e, 0x02, 0x01, 0x00, 0x30, 0x05, 0x06, 0x03, 0x2b, 0x65, 0x70, 0x04, 0x22, 0x04,
        0x20,
    ];
    let der = [&BEFORE[..], &octets()?[..]].concat();
    Ok(der.into())
}

fn octets() -> Result<Octets, GetRandomFailed> {
    let mut octets = Octets::default();
    kernel::fill(&mut *octets).map_err(|_| GetRandomFailed)?;
    Ok(octets)
}

#[derive(Debug)]
struct Kernel;

impl SecureRandom for Kernel {
    fn fill(&self, buffer: &mut [u8]) -> Result<(), GetRandomFailed> {
        kernel::fill(buffer).map_err(|_| GetRandomFailed)
    }
}

/// A group for the exchange of keys. Every host has one of them: Go offers both, and P-256 alone where it keeps to FIPS 140.
struct Group {
    name: NamedGroup,
    algorithm: &'static Algorithm,
    /// How a public key begins that is written as TLS wants it, and its length: AWS-LC takes other forms too.
    form: (&'static [u8], usize),
}

static X25519: Group = Group {
    name: NamedGroup::X25519,
    algorithm: &agreement::X25519,
    form: (&[], 32),
};
static P256: Group = Group {
    name: NamedGroup::secp256r1,
    algorithm: &agreement::ECDH_P256,
    form: (&[4], 65),
};

impl fmt::Debug for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.name.fmt(f)
    }
}

impl SupportedKxGroup for Group {
    fn start(&self) -> Result<Box<dyn ActiveKeyExchange>, Error> {
        let made = || PrivateKey::from_private_key(self.algorithm, &*octets().ok()?).ok();
        // One of 2^32 is no private key of P-256, for which FIPS 186-5 section A.2.2 says: take the next one.
        let key = made().or_else(made).ok_or(GetRandomFailed)?;
        let public = key.compute_public_key().map_err(|_| GetRandomFailed)?;
        let (name, algorithm, form) = (self.name, self.algorithm, self.form);
        Ok(Box::new(Exchange {
            group: Self {
                name,
                algorithm,
                form,
            },
            key,
            public,
        }))
    }

    fn name(&self) -> NamedGroup {
        self.name
    }
}

/// An exchange that waits for the other side's key.
struct Exchange {
    group: Group,
    key: PrivateKey,
    public: agreement::PublicKey,
}

impl ActiveKeyExchange for Exchange {
    fn complete(self: Box<Self>, peer: &[u8]) -> Result<SharedSecret, Error> {
        let wrong = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);
        let (begin, length) = self.group.form;
        if !peer.starts_with(begin) || peer.len() != length {
            return Err(wrong);
        }
        let peer = UnparsedPublicKey::new(self.group.algorithm, peer);
        agreement::agree(&self.key, peer, wrong, |secret| {
            Ok(SharedSecret::from(secret))
        })
    }

    fn pub_key(&self) -> &[u8] {
        self.public.as_ref()
    }

    fn group(&self) -> NamedGroup {
        self.group.name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_ends_agree_with_each_other_and_with_the_library() {
        let theirs = aws_lc::default_provider().kx_groups;
        for ours in provider().kx_groups {
            let library = theirs.iter().find(|group| group.name() == ours.name());
            for other in [ours, *library.expect("the library has it")] {
                let (one, two) = (ours.start().unwrap(), other.start().unwrap());
                let (first, second) = (one.pub_key().to_vec(), two.pub_key().to_vec());
                assert_ne!(first, second);
                let secrets = (
                    one.complete(&second).unwrap(),
                    two.complete(&first).unwrap(),
                );
                assert_eq!(secrets.0.secret_bytes(), secrets.1.secret_bytes());
            }
        }
    }

    #[test]
    fn what_is_no_key_of_the_group_is_refused() {
        for group in provider().kx_groups {
            let other = group.start().unwrap();
            let mut keys = vec![
                vec![],
                vec![0; 32],
                vec![4; 65],
                other.pub_key()[1..].to_vec(),
            ];
            // The compressed form of a point.
            keys.push([&[2], &other.pub_key()[..32]].concat());
            for key in keys {
                let error = group.start().unwrap().complete(&key).map(drop);
                let wrong = Error::PeerMisbehaved(PeerMisbehaved::InvalidKeyShare);
                assert_eq!(error, Err(wrong), "{group:?} {key:?}");
            }
        }
    }
}
