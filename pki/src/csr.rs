//! Certification requests (PKCS#10, RFC 2986).

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use der::{Reader, SliceReader};

use crate::asn1::{self, Writer};
use crate::cert::range_in;
use crate::ext::{self, BasicConstraints, Extension, GeneralNames};
use crate::key::{KeyType, PublicKey};
use crate::name::Name;
use crate::sign::{SignatureAlgorithm, Signer};
use crate::unsigned::{Tbs, Unsigned};
use crate::{Error, Oid, crypto, pem};

/// What goes into a request.
#[derive(Debug, Clone)]
pub struct CsrTemplate {
    /// The name asked for.
    pub subject: Name,
    /// The key to certify, which also signs the request.
    pub public_key: PublicKey,
    /// The extensions asked for, in this order.
    pub extensions: Vec<Extension>,
}

impl CsrTemplate {
    /// Builds the bytes to sign.
    ///
    /// # Errors
    /// The parts do not make a request that can be read back.
    pub fn prepare(self, algorithm: SignatureAlgorithm) -> Result<Unsigned<Tbs<Csr>>, Error> {
        let mut w = Writer::with_capacity(256);
        w.sequence(|w| {
            w.number(0);
            w.raw(self.subject.der());
            w.raw(self.public_key.spki_der());
            w.nested(asn1::context_constructed(0), |w| {
                if !self.extensions.is_empty() {
                    w.sequence(|w| {
                        w.oid(&EXTENSION_REQUEST);
                        w.nested(asn1::SET, |w| Extension::write_list(w, &self.extensions));
                    });
                }
            });
        });
        let info = w.finish();
        Parsed::read(&info)?;
        Ok(Unsigned::encoded(info, algorithm, |der| {
            let csr = Csr::from_der(&der)?;
            csr.verify()?;
            Ok(csr)
        }))
    }
}

/// A certification request. Reading it proves nothing: see [`verify`](Self::verify).
#[derive(Clone)]
pub struct Csr {
    der: Arc<[u8]>,
    info: Range<usize>,
    algorithm: Range<usize>,
    signature: Range<usize>,
    parsed: Arc<Parsed>,
}

impl Csr {
    /// From DER.
    ///
    /// # Errors
    /// Broken structure, a broken alternative name, an extension asked for twice, a public key that is none.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let broken = |why: der::Error| Error::malformed(WHAT, why);
        let (info, algorithm, signature) = asn1::signed(der).map_err(broken)?;
        let parsed = Parsed::read(info)?;
        let start = range_in(der, info).start;
        let middle = start + info.len();
        Ok(Self {
            info: start..middle,
            algorithm: middle..middle + algorithm.len(),
            signature: der.len() - signature.len()..der.len(),
            der: der.into(),
            parsed: Arc::new(parsed),
        })
    }

    /// From the first block of PEM text, whatever its label: tools differ in it.
    ///
    /// # Errors
    /// [`Error::Pem`] if there is no block, else as for [`from_der`](Self::from_der).
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        let block = pem::blocks(text).into_iter().next().ok_or(Error::Pem)?;
        Self::from_der(&block.contents)
    }

    /// Makes and signs a request: alternative names first if there are any, then `extensions`.
    ///
    /// # Errors
    /// The key cannot sign so, or the parts do not make a request.
    pub fn build(
        subject: Name,
        names: &GeneralNames,
        extensions: &[Extension],
        algorithm: SignatureAlgorithm,
        signer: &dyn Signer,
    ) -> Result<Self, Error> {
        let mut all = Vec::with_capacity(extensions.len() + 1);
        if !names.is_empty() {
            all.push(Extension::subject_alt_name(names, false));
        }
        all.extend_from_slice(extensions);
        let public_key = signer.public_key().clone();
        CsrTemplate {
            subject,
            public_key,
            extensions: all,
        }
        .prepare(algorithm)?
        .sign(signer)
    }

    /// Checks that who made the request has the private key.
    ///
    /// The kind of key is that of the public key; the signature's algorithm only says how it was signed. Signatures over SHA-1
    /// count here and nowhere else: a collision would need two requests of one holder, which prove the same.
    ///
    /// # Errors
    /// [`Error::RequestSignature`], or [`Error::RequestAlgorithm`] where the signature cannot be verified.
    pub fn verify(&self) -> Result<(), Error> {
        let (key, info) = (self.public_key(), &self.der[self.info.clone()]);
        let signature = &self.der[self.signature.clone()];
        let verified = match self.signature_algorithm() {
            Ok(algorithm) => key.verify(algorithm, info, signature),
            Err(_) => {
                let unsupported = |oid: Oid| Error::RequestAlgorithm(oid.to_string());
                let oid = self.algorithm_oid().ok_or(Error::RequestSignature)?;
                let signer = match oid {
                    SHA1_WITH_RSA | SHA1_WITH_RSA_ISO => KeyType::Rsa,
                    ECDSA_WITH_SHA1 => KeyType::Ec,
                    other => return Err(unsupported(other)),
                };
                if key.key_type() != signer {
                    return Err(Error::RequestSignature);
                }
                if !crypto::verifies_sha1(key.curve()) {
                    return Err(unsupported(oid));
                }
                crypto::verify_sha1(key.curve(), key.key_bits(), info, signature)
            }
        };
        verified.map_err(|_| Error::RequestSignature)
    }

    fn algorithm_oid(&self) -> Option<Oid> {
        let read = asn1::decode(&self.der[self.algorithm.clone()], |r| {
            asn1::oid(&mut SliceReader::new(asn1::value(r, asn1::SEQUENCE)?)?)
        });
        read.ok()
    }

    /// How it is signed.
    ///
    /// # Errors
    /// By an algorithm that is not implemented.
    pub fn signature_algorithm(&self) -> Result<SignatureAlgorithm, Error> {
        SignatureAlgorithm::from_identifier(&self.der[self.algorithm.clone()])
    }

    /// The encoding.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// The signed part.
    pub fn info(&self) -> &[u8] {
        &self.der[self.info.clone()]
    }

    /// The signature.
    pub fn signature(&self) -> &[u8] {
        &self.der[self.signature.clone()]
    }

    /// PEM with a final newline.
    pub fn pem(&self) -> String {
        pem::encode("CERTIFICATE REQUEST", &self.der)
    }

    /// The name asked for.
    pub fn subject(&self) -> &Name {
        &self.parsed.subject
    }

    /// The key.
    pub fn public_key(&self) -> &PublicKey {
        &self.parsed.public_key
    }

    /// The extensions asked for, in order.
    pub fn extensions(&self) -> &[Extension] {
        &self.parsed.extensions
    }

    /// One extension asked for.
    pub fn extension(&self, oid: &Oid) -> Option<&Extension> {
        self.parsed
            .extensions
            .iter()
            .find(|extension| extension.oid == *oid)
    }

    /// The alternative names asked for.
    pub fn subject_alt_names(&self) -> &GeneralNames {
        &self.parsed.names
    }

    /// The basic constraints asked for.
    ///
    /// # Errors
    /// The extension is broken.
    pub fn basic_constraints(&self) -> Result<Option<BasicConstraints>, Error> {
        let extension = self.extension(&ext::id::BASIC_CONSTRAINTS);
        extension
            .map(|one| BasicConstraints::from_der(&one.value))
            .transpose()
    }
}

impl fmt::Debug for Csr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Csr({})", self.subject())
    }
}

/// What was read from a CertificationRequestInfo.
struct Parsed {
    subject: Name,
    public_key: PublicKey,
    extensions: Vec<Extension>,
    names: GeneralNames,
}

impl Parsed {
    fn read(info: &[u8]) -> Result<Self, Error> {
        let broken = |why: der::Error| Error::malformed(WHAT, why);
        let body = asn1::decode(info, |r| asn1::value(r, asn1::SEQUENCE)).map_err(broken)?;
        let fields = asn1::decode(body, |r| {
            asn1::number(r)?;
            let subject = asn1::raw_sequence(r)?;
            let spki = asn1::raw_sequence(r)?;
            // Some tools leave the attributes out altogether.
            let attributes = asn1::optional(r, asn1::context_constructed(0))?.unwrap_or_default();
            Ok((subject, spki, extension_requests(attributes)?))
        });
        let (subject, spki, requests) = fields.map_err(broken)?;
        let mut extensions = Vec::new();
        for request in requests {
            extensions.extend(Extension::list_from_der(request)?);
        }
        ext::refuse_duplicates(extensions.iter().map(|one| one.oid))?;
        let names = extensions
            .iter()
            .find(|one| one.oid == ext::id::SUBJECT_ALT_NAME);
        let names = names
            .map(|one| GeneralNames::from_der(&one.value))
            .transpose()?;
        Ok(Self {
            subject: Name::from_der(subject)?,
            public_key: PublicKey::from_spki_der(spki)?,
            extensions,
            names: names.unwrap_or_default(),
        })
    }
}

/// The Extensions sequences in the attributes (RFC 2985 section 5.4.2).
fn extension_requests(attributes: &[u8]) -> der::Result<Vec<&[u8]>> {
    let mut requests = Vec::new();
    let mut list = SliceReader::new(attributes)?;
    while !list.is_finished() {
        let mut attribute = SliceReader::new(asn1::value(&mut list, asn1::SEQUENCE)?)?;
        let oid = asn1::oid(&mut attribute)?;
        let mut values = SliceReader::new(asn1::value(&mut attribute, asn1::SET)?)?;
        attribute.finish()?;
        while oid == EXTENSION_REQUEST && !values.is_finished() {
            requests.push(asn1::raw_sequence(&mut values)?);
        }
    }
    Ok(requests)
}

const WHAT: &str = "certificate request";
const SHA1_WITH_RSA: Oid = Oid::new_unwrap("1.2.840.113549.1.1.5");
/// The same by its older name (OIW).
const SHA1_WITH_RSA_ISO: Oid = Oid::new_unwrap("1.3.14.3.2.29");
const ECDSA_WITH_SHA1: Oid = Oid::new_unwrap("1.2.840.10045.4.1");
const EXTENSION_REQUEST: Oid = Oid::new_unwrap("1.2.840.113549.1.9.14");

#[cfg(test)]
mod tests;
