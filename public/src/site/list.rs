//! A revocation list as it is given out.

use std::sync::{Arc, OnceLock};

use hyper::body::Bytes;
use landfast_pki::{Certificate, Crl};

use crate::sheet::Sheet;
use crate::slot::Dated;

/// RFC 2585 section 3, and what servers call the PEM form.
const DER: &str = "application/pkix-crl";
const PEM: &str = "application/x-pem-file";

/// A list that was checked.
#[derive(Debug)]
pub(crate) struct List {
    der: Arc<Sheet>,
    /// Made when somebody asks for it: large lists are held once where nobody does.
    pem: OnceLock<Arc<Sheet>>,
}

impl Dated for List {
    fn valid_until(&self) -> i64 {
        self.der.until()
    }
}

impl List {
    /// Checks a list: this CA signed it, and it says for how long it is good. `delta` says which of the two kinds it has to be.
    ///
    /// # Errors
    /// What is wrong with it, for the audit log.
    pub(crate) fn read(der: Bytes, issuer: &Certificate, delta: bool) -> Result<Self, String> {
        let list = Crl::from_der(&der).map_err(|error| error.to_string())?;
        if list.is_delta() != delta {
            return Err(
                "a delta list in the place of a complete one, or the other way round".to_owned(),
            );
        }
        if list.issuer() != issuer.subject() {
            return Err("a revocation list of another CA".to_owned());
        }
        match list.signature_algorithm() {
            Ok(_) => list
                .verify_signed_by(issuer.public_key())
                .map_err(|_| "a revocation list that its CA did not sign")?,
            // The mount publishes it, and clients judge by themselves.
            Err(error) => tracing::warn!(%error, "a revocation list is given out unchecked"),
        }
        let until = list
            .next_update()
            .ok_or("a revocation list without an end")?;
        Ok(Self {
            der: Sheet::new(der, DER, list.this_update().as_second(), until.as_second()).into(),
            pem: OnceLock::new(),
        })
    }

    /// Whether it was made before another one: a server that lags behind has such.
    pub(crate) fn is_older_than(&self, other: &Self) -> bool {
        self.der.modified() < other.der.modified()
    }

    pub(crate) fn der(&self) -> &Arc<Sheet> {
        &self.der
    }

    pub(crate) fn pem(&self) -> &Arc<Sheet> {
        self.pem.get_or_init(|| {
            let text = landfast_pki::pem::encode("X509 CRL", self.der.body());
            Sheet::new(
                Bytes::from(text),
                PEM,
                self.der.modified(),
                self.der.until(),
            )
            .into()
        })
    }
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;
    use rcgen::{
        BasicConstraints, CertificateParams, CertificateRevocationListParams, IsCa, Issuer,
        KeyIdMethod, KeyPair, SerialNumber, date_time_ymd,
    };

    use super::*;

    fn issuer(key: &KeyPair) -> (Certificate, Issuer<'_, &KeyPair>) {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        let certificate = params.self_signed(key).expect("signed");
        let certificate = Certificate::from_der(certificate.der()).expect("a certificate");
        (certificate, Issuer::new(params, key))
    }

    fn list(issuer: &Issuer<'_, &KeyPair>) -> Bytes {
        let list = CertificateRevocationListParams {
            this_update: date_time_ymd(2030, 1, 1),
            next_update: date_time_ymd(2030, 1, 4),
            crl_number: SerialNumber::from(7),
            issuing_distribution_point: None,
            revoked_certs: Vec::new(),
            key_identifier_method: KeyIdMethod::Sha256,
        };
        Bytes::copy_from_slice(list.signed_by(issuer).expect("signed").der())
    }

    #[test]
    fn a_list_is_taken_of_its_own_ca_only() {
        let keys = [KeyPair::generate(), KeyPair::generate()].map(|key| key.expect("a key"));
        let (ours, signer) = issuer(&keys[0]);
        let (namesake, _) = issuer(&keys[1]);
        let der = list(&signer);
        let read = List::read(der.clone(), &ours, false).expect("ours");
        let second = |text: &str| text.parse::<Timestamp>().expect("a time").as_second();
        assert_eq!(read.valid_until(), second("2030-01-04T00:00:00Z"));
        assert_eq!(read.der().modified(), second("2030-01-01T00:00:00Z"));
        assert_eq!(read.der().body(), &der);
        let pem = Crl::from_pem(read.pem().body()).expect("PEM");
        assert_eq!(pem.der(), &*der);
        for (der, ca, delta, wanted) in [
            (der.clone(), &namesake, false, "did not sign"),
            (der.clone(), &ours, true, "delta"),
            (der.slice(1..), &ours, false, "CRL"),
            (Bytes::from_static(b"<html>"), &ours, false, "CRL"),
        ] {
            let error = List::read(der, ca, delta).expect_err("not taken");
            assert!(error.contains(wanted), "{error}");
        }
    }
}
