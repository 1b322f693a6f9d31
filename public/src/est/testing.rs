//! Certificates and requests for tests, also such that no tool makes.

use jiff::{Timestamp, ToSpan as _};
use landfast_pki::{
    Certificate, Csr, Extension, GeneralNames, KeySpec, PrivateKey, SerialNumber,
    SignatureAlgorithm, Signer as _, Subject, Template,
};

/// A key, and an authority that signs for it.
pub(crate) struct Maker {
    key: PrivateKey,
}

/// Alternative names of DNS.
pub(crate) fn names(dns: &[&str]) -> GeneralNames {
    GeneralNames {
        dns: dns.iter().map(|name| (*name).to_owned()).collect(),
        ..GeneralNames::default()
    }
}

/// A value in DER.
pub(crate) fn tlv(tag: u8, parts: &[&[u8]]) -> Vec<u8> {
    let content = parts.concat();
    let mut value = match content.len() {
        short @ 0..0x80 => vec![tag, short as u8],
        medium @ 0x80..0x100 => vec![tag, 0x81, medium as u8],
        long => vec![tag, 0x82, (long >> 8) as u8, long as u8],
    };
    value.extend(content);
    value
}

impl Maker {
    pub(crate) fn new() -> Self {
        let spec = KeySpec::parse("ec", 256).expect("a kind");
        Self {
            key: PrivateKey::generate(spec).expect("a key"),
        }
    }

    /// A certificate that is valid now.
    pub(crate) fn certificate(&self, common_name: &str, names: &GeneralNames) -> Certificate {
        let now = Timestamp::now();
        let subject = Subject::common_name(common_name).to_name();
        let template = Template {
            serial: SerialNumber::random().expect("a number"),
            subject: subject.clone(),
            not_before: now - 1.hour(),
            not_after: now + 1.hour(),
            public_key: self.key.public_key().clone(),
            extensions: vec![Extension::subject_alt_name(names, false)],
        };
        let algorithm =
            SignatureAlgorithm::choose(self.key.public_key(), 0, false).expect("an algorithm");
        let prepared = template
            .prepare(&subject, algorithm.algorithm)
            .expect("a certificate");
        prepared.sign(&self.key).expect("signed")
    }

    /// A request with attributes, each of them encoded.
    pub(crate) fn request(
        &self,
        common_name: &str,
        names: &GeneralNames,
        attributes: &[Vec<u8>],
    ) -> Csr {
        let subject = Subject::common_name(common_name).to_name();
        let wish = (!names.is_empty()).then(|| {
            let extension = Extension::subject_alt_name(names, false);
            // extensionRequest, subjectAltName.
            let one = tlv(
                0x30,
                &[&[6, 3, 0x55, 0x1d, 0x11], &tlv(4, &[&extension.value])],
            );
            attribute(
                &[0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 1, 9, 14],
                &tlv(0x30, &[&one]),
            )
        });
        let all: Vec<&[u8]> = wish.iter().chain(attributes).map(Vec::as_slice).collect();
        let info = tlv(
            0x30,
            &[
                &[2, 1, 0],
                subject.der(),
                self.key.public_key().spki_der(),
                &tlv(0xa0, &all),
            ],
        );
        let algorithm =
            SignatureAlgorithm::choose(self.key.public_key(), 0, false).expect("an algorithm");
        let signature = self.key.sign(algorithm.algorithm, &info).expect("signed");
        // ecdsa-with-SHA256
        let identifier = tlv(0x30, &[&[6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 4, 3, 2]]);
        let der = tlv(0x30, &[&info, &identifier, &tlv(3, &[&[0], &signature])]);
        Csr::from_der(&der).expect("a request")
    }

    /// A ChangeSubjectName that names another subject.
    pub(crate) fn change(&self, common_name: &str) -> Vec<u8> {
        let subject = Subject::common_name(common_name).to_name();
        attribute(&[0x2b, 6, 1, 5, 5, 7, 7, 36], &tlv(0x30, &[subject.der()]))
    }
}

/// An attribute with one value.
pub(crate) fn attribute(oid: &[u8], value: &[u8]) -> Vec<u8> {
    tlv(0x30, &[&tlv(6, &[oid]), &tlv(0x31, &[value])])
}
