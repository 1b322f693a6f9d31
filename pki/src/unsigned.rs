//! What lacks nothing but its signature.

use crate::Error;
use crate::asn1::{self, Writer};
use crate::sign::{SignatureAlgorithm, Signer};

/// A certificate, a request, a revocation list or an answer that lacks nothing but its signature.
///
/// Consumed by [`finish`](Self::finish): one preparation gives one signed thing. A key may be elsewhere, so its signature can be awaited
/// between [`tbs`](Self::tbs) and there.
#[derive(Debug)]
pub struct Unsigned<T> {
    body: T,
    algorithm: SignatureAlgorithm,
}

/// What a signature completes.
pub trait ToBeSigned: Send + Sync {
    /// What it becomes.
    type Signed;

    /// The bytes to sign, in DER.
    fn tbs(&self) -> &[u8];

    /// Joins the signature.
    ///
    /// # Errors
    /// The parts do not make what can be read back.
    fn join(self, algorithm: SignatureAlgorithm, signature: &[u8]) -> Result<Self::Signed, Error>;
}

/// The bytes to sign of what is read, as a `T`, once the signature is there.
#[derive(Debug)]
pub struct Tbs<T> {
    der: Vec<u8>,
    read: fn(Vec<u8>) -> Result<T, Error>,
}

impl<T: ToBeSigned> Unsigned<T> {
    pub(crate) const fn new(body: T, algorithm: SignatureAlgorithm) -> Self {
        Self { body, algorithm }
    }

    /// The bytes to sign, in DER.
    pub fn tbs(&self) -> &[u8] {
        self.body.tbs()
    }

    /// How to sign them.
    pub const fn algorithm(&self) -> SignatureAlgorithm {
        self.algorithm
    }

    /// As it will be, for checks before signing; a certificate has an empty signature until then.
    pub const fn unsigned(&self) -> &T {
        &self.body
    }

    /// Joins the signature. It is verified in a request only, which is worth nothing without that proof of possession; elsewhere a
    /// remote signer's answer should be.
    ///
    /// # Errors
    /// The parts do not make what can be read back, or a request's signature is not that of its key.
    pub fn finish(self, signature: &[u8]) -> Result<T::Signed, Error> {
        self.body.join(self.algorithm, signature)
    }

    /// Signs with a key at hand.
    ///
    /// # Errors
    /// The key cannot sign by the algorithm prepared for; those of [`finish`](Self::finish).
    pub fn sign(self, signer: &dyn Signer) -> Result<T::Signed, Error> {
        let signature = signer.sign(self.algorithm, self.tbs())?;
        self.finish(&signature)
    }
}

impl<T> Unsigned<Tbs<T>> {
    /// Of these bytes; `read` makes of the whole encoding what it becomes.
    pub(crate) const fn encoded(
        der: Vec<u8>,
        algorithm: SignatureAlgorithm,
        read: fn(Vec<u8>) -> Result<T, Error>,
    ) -> Self {
        let body = Tbs { der, read };
        Self { body, algorithm }
    }
}

impl<T> ToBeSigned for Tbs<T> {
    type Signed = T;

    fn tbs(&self) -> &[u8] {
        &self.der
    }

    fn join(self, algorithm: SignatureAlgorithm, signature: &[u8]) -> Result<T, Error> {
        (self.read)(sign_and_wrap(self.der, algorithm, signature).0)
    }
}

/// The SEQUENCE of signed part, algorithm and signature, and where the signed part starts in it. The signed part stays where it is if there is room:
/// it may be megabytes.
pub(crate) fn sign_and_wrap(
    tbs: Vec<u8>,
    algorithm: SignatureAlgorithm,
    signature: &[u8],
) -> (Vec<u8>, usize) {
    let identifier = algorithm.identifier();
    let tail = identifier.len() + asn1::tlv_len(signature.len() + 1);
    let header = asn1::header(asn1::SEQUENCE, tbs.len() + tail);
    let start = header.len();
    let mut der = tbs;
    der.reserve_exact(start + tail);
    der.splice(0..0, header);
    let mut w = Writer::on(der);
    w.raw(identifier);
    w.bit_string(signature);
    (w.finish(), start)
}
