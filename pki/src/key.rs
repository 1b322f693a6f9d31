//! Key pairs, public keys and their encodings.

mod ml_dsa;
mod parts;
mod shown;

use std::fmt;

use der::{Reader, SliceReader};

use crate::asn1::{self, Writer};
use crate::crypto::{self, KeyPair};
use crate::sign::{SignatureAlgorithm, Signer};
use crate::{Error, Oid, Secret, pem};

pub use ml_dsa::MlDsa;
pub use parts::Parts;

/// The kinds of keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyType {
    /// RSA.
    Rsa,
    /// ECDSA on a NIST curve.
    Ec,
    /// Ed25519.
    Ed25519,
    /// ML-DSA.
    MlDsa,
    /// Met in foreign certificates only: readable, but neither verified nor signed with.
    Other,
}

impl KeyType {
    /// The name in the API: `rsa`, `ec`, `ed25519`, `mldsa`.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rsa => "rsa",
            Self::Ec => "ec",
            Self::Ed25519 => "ed25519",
            Self::MlDsa => "mldsa",
            Self::Other => "unknown",
        }
    }

    /// Reads the API's name.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(name: &str) -> Result<Self, Error> {
        match name {
            "rsa" => Ok(Self::Rsa),
            "ec" => Ok(Self::Ec),
            "ed25519" => Ok(Self::Ed25519),
            "mldsa" => Ok(Self::MlDsa),
            other => Err(Error::UnknownKeyType(other.to_owned())),
        }
    }
}

impl fmt::Display for KeyType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The NIST curves of prime fields: those of FIPS 186-5, and P-224, which it keeps for keys that there are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Curve {
    /// P-224.
    P224,
    /// P-256.
    P256,
    /// P-384.
    P384,
    /// P-521.
    P521,
}

impl Curve {
    /// The curve of this many bits.
    ///
    /// # Errors
    /// There is none.
    pub const fn from_bits(bits: i64) -> Result<Self, Error> {
        match bits {
            224 => Ok(Self::P224),
            256 => Ok(Self::P256),
            384 => Ok(Self::P384),
            521 => Ok(Self::P521),
            _ => Err(Error::KeyBits { kind: "EC", bits }),
        }
    }

    /// The size of the field in bits.
    pub const fn bits(self) -> u32 {
        match self {
            Self::P224 => 224,
            Self::P256 => 256,
            Self::P384 => 384,
            Self::P521 => 521,
        }
    }

    /// The named-curve identifier of RFC 5480.
    pub const fn oid(self) -> Oid {
        match self {
            Self::P224 => Oid::new_unwrap("1.3.132.0.33"),
            Self::P256 => Oid::new_unwrap("1.2.840.10045.3.1.7"),
            Self::P384 => Oid::new_unwrap("1.3.132.0.34"),
            Self::P521 => Oid::new_unwrap("1.3.132.0.35"),
        }
    }

    /// The length of a scalar or coordinate in octets.
    pub const fn octets(self) -> usize {
        self.bits().div_ceil(8) as usize
    }

    fn from_oid(oid: &Oid) -> Option<Self> {
        [Self::P224, Self::P256, Self::P384, Self::P521]
            .into_iter()
            .find(|curve| curve.oid() == *oid)
    }
}

impl fmt::Display for Curve {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "P-{}", self.bits())
    }
}

/// Which key to generate, checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct KeySpec {
    /// The kind, never [`KeyType::Other`] when made by [`parse`](Self::parse).
    pub kind: KeyType,
    /// The size in bits; 0 for Ed25519, the number of the parameter set for ML-DSA.
    pub bits: u32,
}

impl KeySpec {
    /// From the API's `key_type` and `key_bits`, which may be any number; 0 bits are the default, 2048 for RSA, 256 for EC and 44 for ML-DSA.
    ///
    /// Sizes given for Ed25519 are ignored, as the built-in engine does.
    ///
    /// # Errors
    /// The kind or size is unknown or not offered, in the built-in engine's words.
    pub fn parse(kind: &str, bits: impl Into<i64>) -> Result<Self, Error> {
        let (kind, bits) = (KeyType::parse(kind)?, bits.into());
        let bits = match (kind, bits) {
            (KeyType::Rsa, 0) => 2048,
            (KeyType::Rsa, 2048) => 2048,
            (KeyType::Rsa, 3072) => 3072,
            (KeyType::Rsa, 4096) => 4096,
            (KeyType::Rsa, 8192) => 8192,
            (KeyType::Rsa, _) if bits < 2048 => return Err(Error::RsaTooSmall(bits)),
            (KeyType::Rsa, _) => return Err(Error::KeyBits { kind: "RSA", bits }),
            (KeyType::Ec, 0) => 256,
            (KeyType::Ec, _) => Curve::from_bits(bits)?.bits(),
            (KeyType::MlDsa, 0) => MlDsa::MlDsa44.bits(),
            (KeyType::MlDsa, _) => MlDsa::from_bits(bits)?.bits(),
            (KeyType::Ed25519 | KeyType::Other, _) => 0,
        };
        Ok(Self { kind, bits })
    }
}

/// How a private key is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyEncoding {
    /// PKCS#1 for RSA, SEC 1 for EC, PKCS#8 for Ed25519 and ML-DSA, which have no form of their own.
    Traditional,
    /// PKCS#8, version 1.
    Pkcs8,
}

/// A private key with its public half.
pub struct PrivateKey {
    pair: KeyPair,
    public: PublicKey,
}

impl PrivateKey {
    /// A new key. RSA takes from 60 ms (2048 bits) to several seconds (8192 bits) of processor time.
    ///
    /// # Errors
    /// The size is not offered, or the library failed.
    pub fn generate(spec: KeySpec) -> Result<Self, Error> {
        KeyPair::generate(spec).map(Self::new)
    }

    /// From DER in PKCS#8, PKCS#1 or SEC 1.
    ///
    /// # Errors
    /// None of the three, or a key that is inconsistent or of a kind not offered.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        const UNREADABLE: Error = Error::PrivateKey("neither PKCS#8, PKCS#1 nor SEC 1");
        let body = asn1::decode(der, |r| asn1::value(r, asn1::SEQUENCE)).map_err(|_| UNREADABLE)?;
        let mut reader = SliceReader::new(body).map_err(|_| UNREADABLE)?;
        asn1::number(&mut reader).map_err(|_| UNREADABLE)?;
        match asn1::peek(&reader) {
            Some(asn1::SEQUENCE) => Self::from_pkcs8(&mut reader),
            Some(asn1::INTEGER) => KeyPair::from_pkcs1(der).map(Self::new),
            Some(asn1::OCTET_STRING) => Self::from_sec1(der, None),
            _ => Err(UNREADABLE),
        }
    }

    /// From text with one private key in PEM; certificates, parameters and comments around it are skipped.
    ///
    /// # Errors
    /// No block, an encrypted one, or as for [`from_der`](Self::from_der).
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        let blocks = pem::blocks(text);
        if blocks.is_empty() {
            return Err(Error::Pem);
        }
        let key = blocks
            .iter()
            .find(|block| block.label.ends_with("PRIVATE KEY"));
        let key = key.ok_or(Error::PemLabel {
            expected: "PRIVATE KEY",
        })?;
        if key.is_encrypted() {
            return Err(Error::EncryptedKey);
        }
        Self::from_der(&key.contents)
    }

    /// The public half.
    pub const fn public_key(&self) -> &PublicKey {
        &self.public
    }

    /// The label of its PEM block in this encoding.
    pub const fn pem_label(&self, encoding: KeyEncoding) -> &'static str {
        match (encoding, self.public.kind) {
            (KeyEncoding::Traditional, KeyType::Rsa) => "RSA PRIVATE KEY",
            (KeyEncoding::Traditional, KeyType::Ec) => "EC PRIVATE KEY",
            _ => "PRIVATE KEY",
        }
    }

    /// DER of the key.
    ///
    /// # Errors
    /// The library would not export the key.
    pub fn to_der(&self, encoding: KeyEncoding) -> Result<Secret<Vec<u8>>, Error> {
        let private = self.pair.private_bits()?;
        let private = private.expose();
        // Room for everything at once: a buffer that grows would leave copies behind.
        let mut w = Writer::with_capacity(private.len() + self.public.key_bits().len() + 128);
        match (encoding, &self.pair) {
            (KeyEncoding::Traditional, KeyPair::Rsa(_)) => w.raw(private),
            (KeyEncoding::Traditional, KeyPair::Ec(..) | KeyPair::P224(_)) => {
                sec1(&mut w, private, self.public.key_bits(), self.pair.curve());
            }
            (KeyEncoding::Pkcs8, _)
            | (KeyEncoding::Traditional, KeyPair::Ed25519(_) | KeyPair::MlDsa(..)) => {
                w.sequence(|w| {
                    w.number(0);
                    w.raw(self.public.algorithm_identifier());
                    w.nested(asn1::OCTET_STRING, |w| match &self.pair {
                        KeyPair::Rsa(_) => w.raw(private),
                        KeyPair::Ec(..) | KeyPair::P224(_) => {
                            sec1(w, private, self.public.key_bits(), None)
                        }
                        KeyPair::Ed25519(_) => w.octet_string(private),
                        KeyPair::MlDsa(..) => ml_dsa::write_private(w, private),
                    });
                });
            }
        }
        Ok(Secret::new(w.finish()))
    }

    /// PEM of the key, with a final newline.
    ///
    /// # Errors
    /// As for [`to_der`](Self::to_der).
    pub fn to_pem(&self, encoding: KeyEncoding) -> Result<Secret<String>, Error> {
        let der = self.to_der(encoding)?;
        Ok(Secret::new(pem::encode(
            self.pem_label(encoding),
            der.expose(),
        )))
    }

    fn new(pair: KeyPair) -> Self {
        let public = PublicKey::of_pair(&pair);
        Self { pair, public }
    }

    fn from_pkcs8(reader: &mut SliceReader<'_>) -> Result<Self, Error> {
        const BROKEN: Error = Error::PrivateKey("broken PKCS#8");
        let algorithm = asn1::value(reader, asn1::SEQUENCE).map_err(|_| BROKEN)?;
        let mut parameters = SliceReader::new(algorithm).map_err(|_| BROKEN)?;
        let oid = asn1::oid(&mut parameters).map_err(|_| BROKEN)?;
        let private = asn1::value(reader, asn1::OCTET_STRING).map_err(|_| BROKEN)?;
        match oid {
            RSA_ENCRYPTION => KeyPair::from_pkcs1(private).map(Self::new),
            EC_PUBLIC_KEY => {
                let curve = asn1::oid(&mut parameters).map_err(|_| BROKEN)?;
                let curve = Curve::from_oid(&curve).ok_or(UNKNOWN_CURVE)?;
                Self::from_sec1(private, Some(curve))
            }
            ED25519 => {
                let seed = asn1::decode(private, |r| asn1::value(r, asn1::OCTET_STRING));
                KeyPair::from_ed25519_seed(seed.map_err(|_| BROKEN)?).map(Self::new)
            }
            oid => {
                let set = MlDsa::from_oid(&oid).ok_or(Error::PrivateKey(
                    "its algorithm is none of rsa, ec, ed25519, mldsa",
                ))?;
                // RFC 9881 section 2.
                if !parameters.is_finished() {
                    return Err(Error::PrivateKey("an ML-DSA key has no parameters"));
                }
                ml_dsa::read_private(set, private).map(Self::new)
            }
        }
    }

    /// Reads an ECPrivateKey. `curve` is what a surrounding PKCS#8 says; a named curve inside must agree.
    ///
    /// The public key inside is not believed but computed.
    fn from_sec1(der: &[u8], curve: Option<Curve>) -> Result<Self, Error> {
        const BROKEN: Error = Error::PrivateKey("broken SEC 1");
        let body = asn1::decode(der, |r| asn1::value(r, asn1::SEQUENCE)).map_err(|_| BROKEN)?;
        let read = || -> der::Result<(u64, &[u8], Option<Oid>)> {
            let mut r = SliceReader::new(body)?;
            let version = asn1::number(&mut r)?;
            let scalar = asn1::value(&mut r, asn1::OCTET_STRING)?;
            let inside = asn1::optional(&mut r, asn1::context_constructed(0))?;
            let inside = inside
                .map(|named| asn1::decode(named, asn1::oid))
                .transpose()?;
            Ok((version, scalar, inside))
        };
        let (version, scalar, inside) = read().map_err(|_| BROKEN)?;
        let inside = inside
            .map(|oid| Curve::from_oid(&oid).ok_or(UNKNOWN_CURVE))
            .transpose()?;
        let curve = match (curve, inside) {
            (Some(outer), Some(inner)) if outer != inner => return Err(BROKEN),
            (outer, inner) => outer
                .or(inner)
                .ok_or(Error::PrivateKey("the curve is not named"))?,
        };
        // Scalars may come shorter or with zeros in front: the library wants exactly the field's length.
        let zeros = scalar.iter().take_while(|octet| **octet == 0).count();
        let digits = &scalar[zeros..];
        if version != 1 || digits.len() > curve.octets() {
            return Err(BROKEN);
        }
        let mut padded = zeroize::Zeroizing::new(vec![0; curve.octets()]);
        padded[curve.octets() - digits.len()..].copy_from_slice(digits);
        KeyPair::from_scalar(curve, &padded).map(Self::new)
    }
}

impl Signer for PrivateKey {
    fn public_key(&self) -> &PublicKey {
        &self.public
    }

    fn sign(&self, algorithm: SignatureAlgorithm, message: &[u8]) -> Result<Vec<u8>, Error> {
        self.pair.sign(algorithm, message)
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PrivateKey({} {})", self.public.kind, self.public.bits)
    }
}

/// A public key with its encoding.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct PublicKey {
    spki: Vec<u8>,
    /// Where the AlgorithmIdentifier ends in `spki`.
    algorithm_end: usize,
    /// Where it begins.
    algorithm_start: usize,
    /// Where the bit string's octets begin; they go to the end.
    bits_start: usize,
    kind: KeyType,
    curve: Option<Curve>,
    ml_dsa: Option<MlDsa>,
    bits: u32,
}

impl PublicKey {
    /// From a SubjectPublicKeyInfo (RFC 5280 section 4.1.2.7). The kind comes from its algorithm and nowhere else.
    ///
    /// A key of an algorithm that is not implemented is read as [`KeyType::Other`].
    ///
    /// # Errors
    /// Broken DER, or a value that is no key of its algorithm: a point that is not on the curve, a compressed point,
    /// an even RSA modulus, an ML-DSA key of another length than its set has or with parameters.
    pub fn from_spki_der(der: &[u8]) -> Result<Self, Error> {
        let key = Self::read(der)?;
        match key.curve {
            Some(curve) if !crypto::on_curve(curve, key.key_bits()) => Err(Error::malformed(
                "public key",
                "the point is not on the curve",
            )),
            _ => Ok(key),
        }
    }

    /// From PEM with the label `PUBLIC KEY`.
    ///
    /// # Errors
    /// No such block, or as for [`from_spki_der`](Self::from_spki_der).
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        Self::from_spki_der(&pem::one(text, &["PUBLIC KEY"])?)
    }

    /// The encoded SubjectPublicKeyInfo.
    pub fn spki_der(&self) -> &[u8] {
        &self.spki
    }

    /// PEM with the label `PUBLIC KEY` and a final newline.
    pub fn to_pem(&self) -> String {
        pem::encode("PUBLIC KEY", &self.spki)
    }

    /// The kind of key.
    pub const fn key_type(&self) -> KeyType {
        self.kind
    }

    /// The curve of an EC key.
    pub const fn curve(&self) -> Option<Curve> {
        self.curve
    }

    /// The parameter set of an ML-DSA key.
    pub const fn ml_dsa(&self) -> Option<MlDsa> {
        self.ml_dsa
    }

    /// The size: of the modulus, of the field, 256 for Ed25519, the number of the parameter set for ML-DSA, 0 for [`KeyType::Other`].
    pub const fn bits(&self) -> u32 {
        self.bits
    }

    /// The octets inside the bit string.
    pub fn key_bits(&self) -> &[u8] {
        &self.spki[self.bits_start..]
    }

    /// The subject key identifier: SHA-1 of the octets inside the bit string (RFC 5280 section 4.2.1.2, method 1).
    pub fn ski(&self) -> [u8; 20] {
        landfast_base::sha1(self.key_bits())
    }

    /// Checks a signature over `message`.
    ///
    /// # Errors
    /// [`Error::BadSignature`] if it is not this key's over this message by this algorithm.
    pub fn verify(
        &self,
        algorithm: SignatureAlgorithm,
        message: &[u8],
        signature: &[u8],
    ) -> Result<(), Error> {
        let fits = match algorithm {
            SignatureAlgorithm::RsaPkcs1(_) | SignatureAlgorithm::RsaPss(_) => {
                self.kind == KeyType::Rsa
            }
            SignatureAlgorithm::Ecdsa(_) => self.kind == KeyType::Ec,
            SignatureAlgorithm::Ed25519 => self.kind == KeyType::Ed25519,
            SignatureAlgorithm::MlDsa(set) => self.ml_dsa == Some(set),
        };
        if !fits {
            return Err(Error::BadSignature);
        }
        crypto::verify(algorithm, self.curve, self.key_bits(), message, signature)
    }

    /// Whether the encoding is the one that all readers take: the parameters that the algorithm asks for and no others, and an
    /// RSA exponent that fits in 31 bits.
    pub(crate) fn is_portable(&self) -> bool {
        let identifier = |write: &dyn Fn(&mut Writer)| asn1::encode(|w| w.sequence(|w| write(w)));
        let canonical = match (self.kind, self.curve) {
            (KeyType::Rsa, _) => identifier(&|w| {
                w.oid(&RSA_ENCRYPTION);
                w.raw(&[asn1::NULL, 0]);
            }),
            (KeyType::Ec, Some(curve)) => identifier(&|w| {
                w.oid(&EC_PUBLIC_KEY);
                w.oid(&curve.oid());
            }),
            (KeyType::Ed25519, _) => identifier(&|w| w.oid(&ED25519)),
            // Read with none but the right form.
            (KeyType::MlDsa, _) => return true,
            // Whoever lets such a key pass knows why.
            _ => return true,
        };
        let exponent = || {
            let body = asn1::decode(self.key_bits(), |r| asn1::value(r, asn1::SEQUENCE)).ok()?;
            asn1::decode(body, |r| asn1::unsigned(r).and_then(|_| asn1::number(r))).ok()
        };
        let fits = |exponent: u64| i32::try_from(exponent).is_ok();
        self.algorithm_identifier() == canonical
            && (self.kind != KeyType::Rsa || exponent().is_some_and(fits))
    }

    /// The algorithm that the key is for.
    pub(crate) fn algorithm_oid(&self) -> Option<Oid> {
        let oid = asn1::decode(self.algorithm_identifier(), |r| {
            let body = asn1::value(r, asn1::SEQUENCE)?;
            asn1::oid(&mut SliceReader::new(body)?)
        });
        oid.ok()
    }

    pub(crate) fn unsupported(&self) -> Error {
        Error::UnsupportedAlgorithm {
            what: "public key",
            oid: self
                .algorithm_oid()
                .map_or_else(|| String::from("?"), |oid| oid.to_string()),
        }
    }

    pub(crate) fn algorithm_identifier(&self) -> &[u8] {
        &self.spki[self.algorithm_start..self.algorithm_end]
    }

    fn of_pair(pair: &KeyPair) -> Self {
        let bits = pair.public_bits();
        let mut w = Writer::with_capacity(bits.len() + 40);
        w.sequence(|w| {
            w.sequence(|w| match pair {
                KeyPair::Rsa(_) => {
                    w.oid(&RSA_ENCRYPTION);
                    w.raw(&[0x05, 0x00]);
                }
                KeyPair::Ec(..) | KeyPair::P224(_) => {
                    w.oid(&EC_PUBLIC_KEY);
                    if let Some(curve) = pair.curve() {
                        w.oid(&curve.oid());
                    }
                }
                KeyPair::Ed25519(_) => w.oid(&ED25519),
                KeyPair::MlDsa(set, _) => w.oid(&set.oid()),
            });
            w.bit_string(bits);
        });
        Self::read(&w.finish()).expect("the encoding was just made")
    }

    /// Reads the encoding; all checks but the one that the point is on its curve.
    fn read(der: &[u8]) -> Result<Self, Error> {
        let broken = |why: der::Error| Error::malformed("public key", why);
        let wrong = |why: &'static str| Error::malformed("public key", why);
        let body = asn1::decode(der, |r| asn1::value(r, asn1::SEQUENCE)).map_err(broken)?;
        let mut reader = SliceReader::new(body).map_err(broken)?;
        let algorithm = asn1::raw_sequence(&mut reader).map_err(broken)?;
        let bits = asn1::bit_octets(&mut reader).map_err(broken)?;
        reader.finish().map_err(broken)?;
        let inner = asn1::decode(algorithm, |r| asn1::value(r, asn1::SEQUENCE)).map_err(broken)?;
        let mut parameters = SliceReader::new(inner).map_err(broken)?;
        let oid = asn1::oid(&mut parameters).map_err(broken)?;
        let (kind, curve, size) = match oid {
            RSA_ENCRYPTION => (KeyType::Rsa, None, modulus_bits(bits)?),
            EC_PUBLIC_KEY => {
                // Explicit parameters and unknown curves are keys that nobody here can use.
                let named = asn1::oid(&mut parameters).ok();
                match named.and_then(|oid| Curve::from_oid(&oid)) {
                    Some(curve)
                        if bits.first() != Some(&4) || bits.len() != 1 + 2 * curve.octets() =>
                    {
                        return Err(wrong("the point is not in uncompressed form"));
                    }
                    Some(curve) => (KeyType::Ec, Some(curve), curve.bits()),
                    None => (KeyType::Other, None, 0),
                }
            }
            ED25519 if bits.len() != 32 => return Err(wrong("an Ed25519 key has 32 octets")),
            ED25519 => (KeyType::Ed25519, None, 256),
            oid => match MlDsa::from_oid(&oid) {
                None => (KeyType::Other, None, 0),
                Some(set) if bits.len() != set.public_octets() => {
                    return Err(wrong("an ML-DSA key is as long as its parameter set says"));
                }
                // RFC 9881 section 2.
                Some(_) if !parameters.is_finished() => {
                    return Err(wrong("an ML-DSA key has no parameters"));
                }
                Some(set) => (KeyType::MlDsa, None, set.bits()),
            },
        };
        let header = der.len() - body.len();
        Ok(Self {
            spki: der.to_vec(),
            algorithm_start: header,
            algorithm_end: header + algorithm.len(),
            bits_start: der.len() - bits.len(),
            kind,
            curve,
            ml_dsa: MlDsa::from_oid(&oid),
            bits: size,
        })
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "PublicKey({} {})", self.kind, self.bits)
    }
}

/// The size of the modulus of an RSAPublicKey.
fn modulus_bits(der: &[u8]) -> Result<u32, Error> {
    let parts = asn1::decode(der, |r| asn1::value(r, asn1::SEQUENCE))
        .and_then(|body| asn1::decode(body, |r| Ok((asn1::unsigned(r)?, asn1::unsigned(r)?))));
    let (modulus, exponent) = parts.map_err(|why| Error::malformed("public key", why))?;
    let odd = |number: &[u8]| number.last().is_some_and(|octet| octet & 1 == 1);
    if !odd(modulus) || !odd(exponent) || exponent == [1] || modulus.len() > 2048 {
        return Err(Error::malformed("public key", "no RSA key"));
    }
    let top = modulus.first().map_or(8, |octet| octet.leading_zeros());
    Ok(modulus.len() as u32 * 8 - top)
}

/// An ECPrivateKey (RFC 5915) with the public key, and with the curve where nothing around it names one.
fn sec1(w: &mut Writer, scalar: &[u8], point: &[u8], curve: Option<Curve>) {
    w.sequence(|w| {
        w.number(1);
        w.octet_string(scalar);
        if let Some(curve) = curve {
            w.nested(asn1::context_constructed(0), |w| w.oid(&curve.oid()));
        }
        w.nested(asn1::context_constructed(1), |w| w.bit_string(point));
    });
}

pub(crate) const RSA_ENCRYPTION: Oid = Oid::new_unwrap("1.2.840.113549.1.1.1");
pub(crate) const EC_PUBLIC_KEY: Oid = Oid::new_unwrap("1.2.840.10045.2.1");
pub(crate) const ED25519: Oid = Oid::new_unwrap("1.3.101.112");
const UNKNOWN_CURVE: Error = Error::PrivateKey("its curve is none of P-256, P-384, P-521");

#[cfg(test)]
mod tests;
