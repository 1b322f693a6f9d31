//! Certificates (RFC 5280 section 4.1): read, and made in two steps.

mod parsed;
#[cfg(test)]
mod tests;

use std::fmt;
use std::ops::Range;
use std::sync::Arc;

use jiff::Timestamp;

use crate::asn1::{self, Writer};
use crate::ext::{self, BasicConstraints, Extension, GeneralNames, KeyUsage, NameConstraints};
use crate::key::PublicKey;
use crate::name::Name;
use crate::sign::SignatureAlgorithm;
use crate::unsigned::{ToBeSigned, Unsigned, sign_and_wrap};
use crate::{Error, Oid, SerialNumber, pem};

use self::parsed::Parsed;

/// What goes into a certificate, before an issuer is named.
#[derive(Debug, Clone)]
pub struct Template {
    /// The serial number.
    pub serial: SerialNumber,
    /// Whose key it is.
    pub subject: Name,
    /// The first second of validity.
    pub not_before: Timestamp,
    /// The last second of validity; [`FOREVER`](crate::FOREVER) for no end.
    pub not_after: Timestamp,
    /// The key.
    pub public_key: PublicKey,
    /// The extensions, written in this order.
    pub extensions: Vec<Extension>,
}

impl Template {
    /// Builds the bytes to sign.
    ///
    /// # Errors
    /// The parts do not make a certificate that can be read back, for instance by one extension given twice.
    pub fn prepare(
        self,
        issuer: &Name,
        algorithm: SignatureAlgorithm,
    ) -> Result<Unsigned<Certificate>, Error> {
        let tbs = TbsCertificate {
            template: &self,
            issuer,
            algorithm,
        }
        .to_der();
        let parsed = Parsed::read(&tbs, Some(self.public_key))?;
        // Without its signature it can already be looked at like any other certificate.
        let unsigned = Certificate::assemble(&tbs, algorithm, &[], Arc::new(parsed));
        Ok(Unsigned::new(unsigned, algorithm))
    }
}

/// A certificate, parsed once. Cheap to clone.
#[derive(Clone)]
pub struct Certificate {
    der: Arc<Vec<u8>>,
    tbs: Range<usize>,
    signature: Range<usize>,
    parsed: Arc<Parsed>,
}

/// One extension of a certificate, by reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExtensionRef<'a> {
    /// Its type.
    pub oid: Oid,
    /// Whether a reader that does not know it must refuse the certificate.
    pub critical: bool,
    /// The DER inside the OCTET STRING.
    pub value: &'a [u8],
}

impl ExtensionRef<'_> {
    /// A copy that can be put into another certificate.
    pub fn to_owned(self) -> Extension {
        Extension {
            oid: self.oid,
            critical: self.critical,
            value: self.value.to_vec(),
        }
    }
}

impl Certificate {
    /// From DER.
    ///
    /// # Errors
    /// Broken structure, also inside the well-known extensions, an extension given twice, a negative serial number,
    /// two signature algorithms that differ, a public key that is none, or bytes after the end.
    pub fn from_der(der: &[u8]) -> Result<Self, Error> {
        let broken = |why: der::Error| Error::malformed("certificate", why);
        let (tbs, algorithm, signature) = asn1::signed(der).map_err(broken)?;
        let parsed = Parsed::read(tbs, None)?;
        if tbs[parsed.algorithm.clone()] != *algorithm {
            return Err(Error::malformed(
                "certificate",
                "inner and outer signature algorithms differ",
            ));
        }
        let start = range_in(der, tbs).start;
        Ok(Self {
            tbs: start..start + tbs.len(),
            signature: der.len() - signature.len()..der.len(),
            der: Arc::new(der.to_vec()),
            parsed: Arc::new(parsed),
        })
    }

    /// From the first block of PEM text.
    ///
    /// # Errors
    /// No block, one that is no certificate, or as for [`from_der`](Self::from_der).
    pub fn from_pem(text: &[u8]) -> Result<Self, Error> {
        Self::from_der(&pem::one(text, LABELS)?)
    }

    /// All certificates of PEM text, other blocks left out.
    ///
    /// # Errors
    /// No certificate at all, or as for [`from_der`](Self::from_der).
    pub fn all_from_pem(text: &[u8]) -> Result<Vec<Self>, Error> {
        let blocks = pem::blocks(text);
        let certificates: Vec<_> = blocks
            .iter()
            .filter(|block| LABELS.contains(&block.label.as_str()))
            .collect();
        if certificates.is_empty() {
            return Err(Error::Pem);
        }
        certificates
            .into_iter()
            .map(|block| Self::from_der(&block.contents))
            .collect()
    }

    /// The encoding.
    pub fn der(&self) -> &[u8] {
        &self.der
    }

    /// PEM with a final newline.
    pub fn pem(&self) -> String {
        pem::encode(LABELS[0], &self.der)
    }

    /// The signed part.
    pub fn tbs(&self) -> &[u8] {
        &self.der[self.tbs.clone()]
    }

    /// The signature.
    pub fn signature(&self) -> &[u8] {
        &self.der[self.signature.clone()]
    }

    /// 1, 2 or 3.
    pub fn version(&self) -> u8 {
        self.parsed.version
    }

    /// The serial number.
    pub fn serial(&self) -> &SerialNumber {
        &self.parsed.serial
    }

    /// How it is signed.
    ///
    /// # Errors
    /// By an algorithm that is not implemented, such as SHA-1 with RSA.
    pub fn signature_algorithm(&self) -> Result<SignatureAlgorithm, Error> {
        SignatureAlgorithm::from_identifier(&self.tbs()[self.parsed.algorithm.clone()])
    }

    /// Who signed it.
    pub fn issuer(&self) -> &Name {
        &self.parsed.issuer
    }

    /// Whose key it is.
    pub fn subject(&self) -> &Name {
        &self.parsed.subject
    }

    /// Whether subject and issuer are the same name.
    pub fn is_self_issued(&self) -> bool {
        self.parsed.issuer == self.parsed.subject
    }

    /// Whether it is signed with its own key.
    pub fn is_self_signed(&self) -> bool {
        self.is_self_issued() && self.verify_signed_by(self.public_key()).is_ok()
    }

    /// The first second of validity.
    pub fn not_before(&self) -> Timestamp {
        self.parsed.not_before
    }

    /// The last second of validity; [`FOREVER`](crate::FOREVER) for no end.
    pub fn not_after(&self) -> Timestamp {
        self.parsed.not_after
    }

    /// The key.
    pub fn public_key(&self) -> &PublicKey {
        &self.parsed.public_key
    }

    /// The extensions, in order.
    pub fn extensions(&self) -> impl ExactSizeIterator<Item = ExtensionRef<'_>> {
        let tbs = self.tbs();
        self.parsed
            .extensions
            .iter()
            .map(move |(oid, critical, value)| ExtensionRef {
                oid: *oid,
                critical: *critical,
                value: &tbs[value.clone()],
            })
    }

    /// One extension.
    pub fn extension(&self, oid: &Oid) -> Option<ExtensionRef<'_>> {
        self.extensions().find(|extension| extension.oid == *oid)
    }

    /// Whether the basic constraints say that it is a CA.
    pub fn is_ca(&self) -> bool {
        self.parsed
            .basic_constraints
            .is_some_and(|constraints| constraints.ca)
    }

    /// The basic constraints, if there are any.
    pub fn basic_constraints(&self) -> Option<BasicConstraints> {
        self.parsed.basic_constraints
    }

    /// How many intermediate CAs may follow.
    pub fn path_len(&self) -> Option<u32> {
        self.parsed.basic_constraints?.path_len
    }

    /// The key usages; none if the extension is absent, which permits all.
    pub fn key_usage(&self) -> Option<KeyUsage> {
        self.parsed.key_usage
    }

    /// The extended key usages, empty if the extension is absent.
    pub fn ext_key_usage(&self) -> &[Oid] {
        &self.parsed.ext_key_usage
    }

    /// The subject key identifier, as the certificate gives it.
    pub fn ski(&self) -> Option<&[u8]> {
        self.parsed.ski.clone().map(|range| &self.tbs()[range])
    }

    /// The authority key identifier's key identifier.
    pub fn aki(&self) -> Option<&[u8]> {
        self.parsed.aki.clone().map(|range| &self.tbs()[range])
    }

    /// The subject alternative names.
    pub fn subject_alt_names(&self) -> &GeneralNames {
        &self.parsed.names
    }

    /// The DNS names among the subject alternative names.
    pub fn dns_names(&self) -> &[String] {
        &self.parsed.names.dns
    }

    /// The name constraints, if there are any.
    ///
    /// # Errors
    /// The extension is broken.
    pub fn name_constraints(&self) -> Result<Option<NameConstraints>, Error> {
        self.extension(&ext::id::NAME_CONSTRAINTS)
            .map(|one| NameConstraints::from_der(one.value))
            .transpose()
    }

    /// Where CRLs are; empty if the extension is absent or broken.
    pub fn crl_distribution_points(&self) -> Vec<String> {
        let extension = self.extension(&ext::id::CRL_DISTRIBUTION_POINTS);
        extension
            .and_then(|one| ext::distribution_point_uris(one.value).ok())
            .unwrap_or_default()
    }

    /// OCSP responders and places of the issuer's certificate; empty if the extension is absent or broken.
    pub fn authority_info_access(&self) -> (Vec<String>, Vec<String>) {
        let extension = self.extension(&ext::id::AUTHORITY_INFO_ACCESS);
        extension
            .and_then(|one| ext::access_uris(one.value).ok())
            .unwrap_or_default()
    }

    /// SHA-256 of the encoding.
    pub fn fingerprint(&self) -> [u8; 32] {
        landfast_base::sha256(&self.der)
    }

    /// Checks the signature, and nothing else, against a key.
    ///
    /// # Errors
    /// It is not that key's signature, or by an algorithm that is not implemented.
    pub fn verify_signed_by(&self, key: &PublicKey) -> Result<(), Error> {
        key.verify(self.signature_algorithm()?, self.tbs(), self.signature())
    }

    /// Checks that `issuer` signed this certificate and may do so: name, basic constraints, key usage, signature.
    /// Times are not looked at.
    ///
    /// # Errors
    /// Any of these does not hold.
    pub fn verify_issued_by(&self, issuer: &Self) -> Result<(), Error> {
        if self.issuer() != issuer.subject() {
            return Err(Error::IssuerMismatch);
        }
        issuer.may_sign(KeyUsage::CERT_SIGN)?;
        self.verify_signed_by(issuer.public_key())
    }

    /// Whether the certificate lets its key sign certificates or CRLs.
    ///
    /// A certificate of version 1 has no extension to say so and is believed, as Go does.
    pub(crate) fn may_sign(&self, usage: KeyUsage) -> Result<(), Error> {
        let ca = self.is_ca() || (self.version() < 3 && self.basic_constraints().is_none());
        let permitted = self
            .key_usage()
            .is_none_or(|own| own.is_empty() || own.contains(usage));
        if ca && permitted {
            Ok(())
        } else {
            Err(Error::IssuerNotAllowed)
        }
    }

    /// The encoding around a TBSCertificate that was already parsed.
    fn assemble(
        tbs: &[u8],
        algorithm: SignatureAlgorithm,
        signature: &[u8],
        parsed: Arc<Parsed>,
    ) -> Self {
        let identifier = algorithm.identifier();
        // With room for what comes around it.
        let mut part = Vec::with_capacity(tbs.len() + identifier.len() + signature.len() + 16);
        part.extend_from_slice(tbs);
        let (der, start) = sign_and_wrap(part, algorithm, signature);
        Self {
            tbs: start..start + tbs.len(),
            signature: der.len() - signature.len()..der.len(),
            der: Arc::new(der),
            parsed,
        }
    }
}

impl ToBeSigned for Certificate {
    type Signed = Self;

    fn tbs(&self) -> &[u8] {
        self.tbs()
    }

    fn join(self, algorithm: SignatureAlgorithm, signature: &[u8]) -> Result<Self, Error> {
        let parsed = Arc::clone(&self.parsed);
        Ok(Self::assemble(self.tbs(), algorithm, signature, parsed))
    }
}

impl PartialEq for Certificate {
    fn eq(&self, other: &Self) -> bool {
        self.der == other.der
    }
}

impl Eq for Certificate {}

impl fmt::Debug for Certificate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Certificate({} {})", self.serial(), self.subject())
    }
}

/// The signed part as it is written.
struct TbsCertificate<'a> {
    template: &'a Template,
    issuer: &'a Name,
    algorithm: SignatureAlgorithm,
}

impl TbsCertificate<'_> {
    fn to_der(&self) -> Vec<u8> {
        let Template {
            serial,
            subject,
            not_before,
            not_after,
            public_key,
            extensions,
        } = self.template;
        let values: usize = extensions
            .iter()
            .map(|extension| extension.value.len() + 20)
            .sum();
        let fixed = self.issuer.der().len() + subject.der().len() + public_key.spki_der().len();
        let mut w = Writer::with_capacity(values + fixed + 160);
        w.sequence(|w| {
            w.nested(asn1::context_constructed(0), |w| w.number(2));
            w.unsigned(serial.as_bytes());
            w.raw(self.algorithm.identifier());
            w.raw(self.issuer.der());
            w.sequence(|w| {
                w.time(*not_before);
                w.time(*not_after);
            });
            w.raw(subject.der());
            w.raw(public_key.spki_der());
            if !extensions.is_empty() {
                w.nested(asn1::context_constructed(3), |w| {
                    Extension::write_list(w, extensions)
                });
            }
        });
        w.finish()
    }
}

/// Where `part`, a slice of `whole`, lies in it.
pub(crate) fn range_in(whole: &[u8], part: &[u8]) -> Range<usize> {
    let start = part.as_ptr().addr() - whole.as_ptr().addr();
    start..start + part.len()
}

/// The labels under which certificates travel; the first is the one to write.
const LABELS: &[&str] = &["CERTIFICATE", "X509 CERTIFICATE"];
