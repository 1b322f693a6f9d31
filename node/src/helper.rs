//! What AWS's own helper shows of a certificate and a key, in its own forms:
//! a look at the certificate, and a signature over a text of its own.
//!
//! Source: aws_signing_helper 1.8.0, `read-certificate-data` and `sign-string`.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use landfast_base::sha256;
use landfast_pki::{Certificate, KeyType, PrivateKey, PublicKey, SignatureAlgorithm};
use landfast_rolesanywhere::sigv4;
use serde::Serialize;

use crate::crypto::{self, Digest, KeyError, SessionKey};

/// What the text that is signed begins with; the digit is its version.
const TEXT: &[u8] = b"AWS Roles Anywhere Credential Helper Signing Test1";
/// What the digest of the public key begins with.
const KEY_PREFIX: &[u8] = b"IAM RA";
/// A certificate as `read-certificate-data` prints it.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct CertificateData {
    /// `RSA`, `EC`, the name of an ML-DSA parameter set, or nothing.
    pub key_type: &'static str,
    /// The certificate in DER, in base64.
    pub certificate_data: String,
    /// The serial number in decimal digits.
    pub serial_number: String,
    /// What a key of this type may sign with.
    pub supported_algorithms: Vec<String>,
}

impl CertificateData {
    /// Looks at a certificate.
    pub fn of(certificate: &Certificate) -> Self {
        let key = certificate.public_key();
        let (key_type, supported_algorithms) = match (key.key_type(), ml_dsa(key)) {
            (_, Some(name)) => (name, vec![name.to_owned()]),
            (KeyType::Rsa, _) => ("RSA", hashed("RSA")),
            (KeyType::Ec, _) => ("EC", hashed("EC")),
            _ => ("", hashed("")),
        };
        Self {
            key_type,
            certificate_data: STANDARD.encode(certificate.der()),
            serial_number: sigv4::decimal(certificate.serial().as_bytes()),
            supported_algorithms,
        }
    }
}

fn hashed(key_type: &str) -> Vec<String> {
    ["SHA256", "SHA384", "SHA512"]
        .iter()
        .map(|hash| format!("{key_type}{hash}"))
        .collect()
}

fn ml_dsa(key: &PublicKey) -> Option<&'static str> {
    Some(SignatureAlgorithm::MlDsa(key.ml_dsa()?).display_name())
}

/// Signs the text that `sign-string` signs: fixed words, and for RSA and EC a
/// digest of the public key. The signature is worth nothing to AWS.
///
/// # Errors
/// [`KeyError`] for a key or a digest that cannot be used.
pub fn sign_string(key: &[u8], digest: Digest) -> Result<Vec<u8>, KeyError> {
    crypto::sign_with(key, digest, &text(key)?)
}

fn text(key: &[u8]) -> Result<Vec<u8>, KeyError> {
    let mut text = TEXT.to_vec();
    let public = match SessionKey::from_der(key) {
        Ok(key) => PublicKey::from_spki_der(&key.public_key()?),
        Err(KeyError::P384) => PrivateKey::from_der(key).map(|key| key.public_key().clone()),
        Err(error) => return Err(error),
    };
    let public = public.map_err(|_| KeyError::Unsupported)?;
    if matches!(public.key_type(), KeyType::Rsa | KeyType::Ec) {
        // The point, or the RSAPublicKey of PKCS#1: what the bit string holds.
        let octets = [KEY_PREFIX, public.key_bits()].concat();
        text.extend(sha256(&octets));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use landfast_pki::pem;
    use serde_json::Value;

    use super::*;
    use landfast_rolesanywhere::signature;
    use landfast_rolesanywhere::sigv4::Algorithm;

    fn read(name: &str) -> Vec<u8> {
        std::fs::read(Path::new("tests/data").join(name)).unwrap()
    }

    fn key(name: &str) -> Vec<u8> {
        let blocks = pem::blocks(&read(name));
        blocks.into_iter().next().unwrap().contents.to_vec()
    }

    #[test]
    fn the_vectors_are_shown_as_the_helper_shows_them() {
        let vectors: Value = serde_json::from_slice(&read("vectors.json")).unwrap();
        let cases = vectors["cases"].as_array().unwrap();
        assert!(!cases.is_empty());
        for case in cases {
            let pem = read(case["leaf"].as_str().unwrap());
            let data = CertificateData::of(&Certificate::from_pem(&pem).unwrap());
            assert_eq!(data.serial_number, case["serial_decimal"].as_str().unwrap());
            let (key_type, first) = match case["algorithm"].as_str().unwrap() {
                "AWS4-X509-RSA-SHA256" => ("RSA", "RSASHA256"),
                "AWS4-X509-ECDSA-SHA256" => ("EC", "ECSHA256"),
                _ => ("ML-DSA-44", "ML-DSA-44"),
            };
            assert_eq!(data.key_type, key_type);
            assert_eq!(data.supported_algorithms[0], first);
            let body: String = String::from_utf8(pem).unwrap();
            let body: String = body.lines().filter(|line| !line.starts_with('-')).collect();
            assert_eq!(data.certificate_data, body);
        }
    }

    #[test]
    fn the_text_ends_with_a_digest_of_the_public_key() {
        for (name, algorithm, length) in [
            ("pki/rsa-leaf", Algorithm::Rsa, TEXT.len() + 32),
            ("pki/ec-leaf", Algorithm::Ecdsa, TEXT.len() + 32),
            ("pki/mldsa44-leaf", Algorithm::MlDsa, TEXT.len()),
        ] {
            let der = key(&format!("{name}.key"));
            let text = text(&der).unwrap();
            assert_eq!(text.len(), length, "{name}");
            let certificate = Certificate::from_pem(&read(&format!("{name}.crt"))).unwrap();
            let signature = sign_string(&der, Digest::Sha256).unwrap();
            let spki = certificate.public_key().spki_der();
            assert!(
                signature::verify(algorithm, spki, &text, &signature),
                "{name}"
            );
        }
    }

    #[test]
    fn a_digest_that_a_curve_does_not_sign_is_refused() {
        let p256 = key("pki/ec-leaf.key");
        for digest in [Digest::Sha384, Digest::Sha512, Digest::Sha1] {
            assert_eq!(sign_string(&p256, digest), Err(KeyError::Digest));
        }
        let rsa = key("pki/rsa-leaf.key");
        assert!(sign_string(&rsa, Digest::Sha512).is_ok());
        assert_eq!(sign_string(&rsa, Digest::Sha1), Err(KeyError::Digest));
        assert_eq!(
            sign_string(b"junk", Digest::Sha256),
            Err(KeyError::Unsupported)
        );
    }
}
