//! What can go wrong with keys and encodings.

/// A failure of this crate.
///
/// The text is fit for the caller: where the built-in engine has a text of its own, it is that one. No text repeats
/// a value that could be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A key type that is not one of `rsa`, `ec`, `ed25519`, `mldsa`.
    #[error("unknown key type {0}")]
    UnknownKeyType(String),
    /// An RSA size below 2048.
    #[error("RSA keys < 2048 bits are unsafe and not supported: got {0}")]
    RsaTooSmall(i64),
    /// A size that the key type does not have.
    #[error("unsupported bit length for {kind} key: {bits}")]
    KeyBits {
        /// `RSA`, `EC` or `ML-DSA`.
        kind: &'static str,
        /// The size asked for.
        bits: i64,
    },
    /// A `signature_bits` value that names no hash.
    #[error("unsupported hash signature algorithm: {0}")]
    SignatureBits(u32),
    /// A signature algorithm that the key cannot make.
    #[error("unable to use issuer of type {key} to sign with {algorithm} key type")]
    AlgorithmMismatch {
        /// The key's type in the spelling of the texts: `RSA`, `ECDSA`, `Ed25519`, `ML-DSA`.
        key: &'static str,
        /// The algorithm's name, such as `ECDSA-SHA256`.
        algorithm: &'static str,
    },
    /// A signature or public key algorithm outside of what this crate implements.
    #[error("unsupported {what} algorithm {oid}")]
    UnsupportedAlgorithm {
        /// `signature` or `public key`.
        what: &'static str,
        /// Its object identifier.
        oid: String,
    },
    /// The signature does not fit the message and the key.
    #[error("signature is not valid")]
    BadSignature,
    /// A certification request whose signature does not fit its own key: no proof of possession.
    #[error("request signature invalid")]
    RequestSignature,
    /// A certification request signed by an algorithm that cannot be verified here.
    #[error("the request is signed by an unsupported algorithm: {0}")]
    RequestAlgorithm(String),
    /// A certificate or CRL names another issuer than the one it was checked against.
    #[error("issuer name does not match the subject of the issuing certificate")]
    IssuerMismatch,
    /// The signer may not sign certificates or CRLs, by its own certificate.
    #[error("parent certificate cannot sign this kind of data")]
    IssuerNotAllowed,
    /// Something in DER could not be read.
    #[error("{what} could not be parsed: {why}")]
    Malformed {
        /// What was being read, such as `certificate`.
        what: &'static str,
        /// A short reason, without input bytes.
        why: String,
    },
    /// Text without any PEM block, or with a broken one.
    #[error("invalid PEM data")]
    Pem,
    /// A PEM block of another kind than the one wanted.
    #[error("expected a {expected} PEM block")]
    PemLabel {
        /// The label wanted, such as `CERTIFICATE`.
        expected: &'static str,
    },
    /// A private key that could not be read, or is not consistent, or of a kind not supported.
    #[error("private key could not be parsed: {0}")]
    PrivateKey(&'static str),
    /// A certificate that programs in Go cannot read, in their words.
    #[error("{0}")]
    NotForGo(String),
    /// A private key that is encrypted.
    #[error(
        "the private key is encrypted; decrypt it before it comes here, for instance by openssl pkey -in FILE"
    )]
    EncryptedKey,
    /// Text that is not a serial number.
    #[error("serial number could not be parsed")]
    Serial,
    /// A value that cannot be put in the wanted ASN.1 type.
    #[error("{0}")]
    Encoding(&'static str),
    /// The cryptography library refused, for instance for lack of randomness.
    #[error("cryptographic operation failed")]
    Crypto,
}

impl From<landfast_base::NoRandomness> for Error {
    fn from(_: landfast_base::NoRandomness) -> Self {
        Self::Crypto
    }
}

impl Error {
    /// A parse failure of `what`, with the reader's reason.
    pub(crate) fn malformed(what: &'static str, why: impl std::fmt::Display) -> Self {
        Self::Malformed {
            what,
            why: why.to_string(),
        }
    }
}
