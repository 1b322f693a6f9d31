//! Asymmetric keys that sign in AWS KMS.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_kms::primitives::Blob;
use aws_sdk_kms::types::{KeyUsageType, MessageType, SigningAlgorithmSpec};

use super::Session;
use super::config::KeyReference;
use crate::error::Error;
use crate::keys::key::{Digest, KmsSigner, SigningScheme};

/// A signing key with its public half at hand: that never changes for a key, so it is asked for once.
#[derive(Debug)]
pub struct AwsSigner {
    session: Arc<Session>,
    /// As configured; an alias that moves later does not change the key that was opened.
    arn: String,
    public_key: Vec<u8>,
    schemes: Vec<SigningScheme>,
}

impl AwsSigner {
    /// Fetches the public key (`GetPublicKey`).
    ///
    /// # Errors
    /// The call failed, or the key is none that signs with a scheme of X.509.
    pub async fn open(session: Arc<Session>, key: &KeyReference) -> Result<Self, Error> {
        let answer = session
            .at_home("GetPublicKey", Some(key.as_str()), |client| {
                let request = client.get_public_key().key_id(key.as_str());
                async move { request.send().await }
            })
            .await?;
        if answer
            .key_usage()
            .is_some_and(|usage| *usage != KeyUsageType::SignVerify)
        {
            return Err(Error::Config(format!(
                "{key} is not a signing key: its key usage must be SIGN_VERIFY"
            )));
        }
        let schemes: Vec<_> = answer
            .signing_algorithms()
            .iter()
            .filter_map(scheme)
            .collect();
        if schemes.is_empty() {
            return Err(Error::Config(format!(
                "{key} cannot be used for certificates: its key spec must be RSA, ECC on P-256, P-384 or P-521, or ML_DSA"
            )));
        }
        let public_key = answer
            .public_key
            .ok_or_else(|| Error::Config("GetPublicKey returned no key".to_owned()))?;
        // A stand-in may name the key by its id alone.
        let arn = answer.key_id.unwrap_or_else(|| key.as_str().to_owned());
        Ok(Self::known(session, arn, public_key.into_inner(), schemes))
    }

    /// A key that [`AwsSigner::open`] found once, by its ARN, with what was learnt of it then. Calls nothing.
    pub fn known(
        session: Arc<Session>,
        arn: String,
        public_key: Vec<u8>,
        schemes: Vec<SigningScheme>,
    ) -> Self {
        Self {
            session,
            arn,
            public_key,
            schemes,
        }
    }
}

#[async_trait]
impl KmsSigner for AwsSigner {
    fn key_id(&self) -> &str {
        &self.arn
    }

    fn public_key_der(&self) -> &[u8] {
        &self.public_key
    }

    fn schemes(&self) -> &[SigningScheme] {
        &self.schemes
    }

    async fn sign_digest(&self, scheme: SigningScheme, digest: &[u8]) -> Result<Vec<u8>, Error> {
        if !self.schemes.contains(&scheme) {
            return Err(Error::Config(format!(
                "the key {} does not sign with {scheme:?}",
                self.arn
            )));
        }
        if digest.len() != scheme.input_octets() {
            return Err(Error::Config(format!(
                "the digest for {scheme:?} must be {} bytes long",
                scheme.input_octets()
            )));
        }
        // RAW would be limited to 4096 bytes, less than many a CRL.
        let form = match scheme {
            SigningScheme::MlDsa => MessageType::ExternalMu,
            _ => MessageType::Digest,
        };
        let answer = self
            .session
            .at_home("Sign", Some(&self.arn), |client| {
                let request = client
                    .sign()
                    .key_id(&self.arn)
                    .message_type(form.clone())
                    .message(Blob::new(digest))
                    .signing_algorithm(algorithm(scheme));
                async move { request.send().await }
            })
            .await?;
        let signature = answer
            .signature
            .ok_or_else(|| Error::Config("Sign returned no signature".to_owned()))?;
        Ok(signature.into_inner())
    }
}

fn scheme(algorithm: &SigningAlgorithmSpec) -> Option<SigningScheme> {
    Some(match algorithm {
        SigningAlgorithmSpec::EcdsaSha256 => SigningScheme::Ecdsa(Digest::Sha256),
        SigningAlgorithmSpec::EcdsaSha384 => SigningScheme::Ecdsa(Digest::Sha384),
        SigningAlgorithmSpec::EcdsaSha512 => SigningScheme::Ecdsa(Digest::Sha512),
        SigningAlgorithmSpec::RsassaPkcs1V15Sha256 => SigningScheme::RsaPkcs1(Digest::Sha256),
        SigningAlgorithmSpec::RsassaPkcs1V15Sha384 => SigningScheme::RsaPkcs1(Digest::Sha384),
        SigningAlgorithmSpec::RsassaPkcs1V15Sha512 => SigningScheme::RsaPkcs1(Digest::Sha512),
        SigningAlgorithmSpec::RsassaPssSha256 => SigningScheme::RsaPss(Digest::Sha256),
        SigningAlgorithmSpec::RsassaPssSha384 => SigningScheme::RsaPss(Digest::Sha384),
        SigningAlgorithmSpec::RsassaPssSha512 => SigningScheme::RsaPss(Digest::Sha512),
        SigningAlgorithmSpec::MlDsaShake256 => SigningScheme::MlDsa,
        _ => return None,
    })
}

fn algorithm(scheme: SigningScheme) -> SigningAlgorithmSpec {
    match scheme {
        SigningScheme::Ecdsa(Digest::Sha256) => SigningAlgorithmSpec::EcdsaSha256,
        SigningScheme::Ecdsa(Digest::Sha384) => SigningAlgorithmSpec::EcdsaSha384,
        SigningScheme::Ecdsa(Digest::Sha512) => SigningAlgorithmSpec::EcdsaSha512,
        SigningScheme::RsaPkcs1(Digest::Sha256) => SigningAlgorithmSpec::RsassaPkcs1V15Sha256,
        SigningScheme::RsaPkcs1(Digest::Sha384) => SigningAlgorithmSpec::RsassaPkcs1V15Sha384,
        SigningScheme::RsaPkcs1(Digest::Sha512) => SigningAlgorithmSpec::RsassaPkcs1V15Sha512,
        SigningScheme::RsaPss(Digest::Sha256) => SigningAlgorithmSpec::RsassaPssSha256,
        SigningScheme::RsaPss(Digest::Sha384) => SigningAlgorithmSpec::RsassaPssSha384,
        SigningScheme::RsaPss(Digest::Sha512) => SigningAlgorithmSpec::RsassaPssSha512,
        SigningScheme::MlDsa => SigningAlgorithmSpec::MlDsaShake256,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_and_algorithms_name_each_other() {
        for digest in [Digest::Sha256, Digest::Sha384, Digest::Sha512] {
            for one in [
                SigningScheme::Ecdsa(digest),
                SigningScheme::RsaPkcs1(digest),
                SigningScheme::RsaPss(digest),
            ] {
                assert_eq!(scheme(&algorithm(one)), Some(one));
            }
        }
        let one = SigningScheme::MlDsa;
        assert_eq!(scheme(&algorithm(one)), Some(one));
        assert_eq!(scheme(&SigningAlgorithmSpec::Sm2Dsa), None);
    }
}
