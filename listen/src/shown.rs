//! A bound on what a client shows in a handshake, before anything of it is looked at.

use std::sync::Arc;

use rustls::client::danger::HandshakeSignatureValid;
use rustls::server::danger::{ClientCertVerified, ClientCertVerifier};
use rustls::{DigitallySignedStruct, DistinguishedName, Error, SignatureScheme};
use rustls_pki_types::{CertificateDer, UnixTime};

/// What a client shows to prove who it is, at the most: whoever shows more is refused before a signature is checked, for what a
/// stranger sends decides how many ways lead from one certificate to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shown {
    /// Certificates, the client's own included.
    pub certificates: usize,
    /// Octets of all of them.
    pub octets: usize,
}

impl Default for Shown {
    /// A client's certificate and three CAs above it, 16 KiB in all.
    fn default() -> Self {
        Self {
            certificates: 4,
            octets: 16 * 1024,
        }
    }
}

/// A client shows more than that.
const TOO_MUCH: &str = "the client shows more certificates, or longer ones, than are looked at";

/// A verifier that decides as another one does, about what is not longer than `most`.
pub fn bounded(verifier: Arc<dyn ClientCertVerifier>, most: Shown) -> Arc<dyn ClientCertVerifier> {
    Arc::new(Bounded { verifier, most })
}

#[derive(Debug)]
struct Bounded {
    verifier: Arc<dyn ClientCertVerifier>,
    most: Shown,
}

impl ClientCertVerifier for Bounded {
    fn offer_client_auth(&self) -> bool {
        self.verifier.offer_client_auth()
    }

    fn client_auth_mandatory(&self) -> bool {
        self.verifier.client_auth_mandatory()
    }

    fn root_hint_subjects(&self) -> &[DistinguishedName] {
        self.verifier.root_hint_subjects()
    }

    fn verify_client_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        now: UnixTime,
    ) -> Result<ClientCertVerified, Error> {
        let octets: usize = intermediates.iter().map(|one| one.len()).sum();
        if intermediates.len() >= self.most.certificates
            || octets + end_entity.len() > self.most.octets
        {
            return Err(Error::General(TOO_MUCH.to_owned()));
        }
        self.verifier
            .verify_client_cert(end_entity, intermediates, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, cert, dss)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, cert, dss)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.verifier.requires_raw_public_keys()
    }
}

#[cfg(test)]
mod tests {
    use rustls::CertificateError;

    use super::*;

    /// Takes one certificate, and never looks at a signature.
    #[derive(Debug)]
    struct One(CertificateDer<'static>);

    impl ClientCertVerifier for One {
        fn root_hint_subjects(&self) -> &[DistinguishedName] {
            &[]
        }

        fn verify_client_cert(
            &self,
            end_entity: &CertificateDer<'_>,
            _: &[CertificateDer<'_>],
            _: UnixTime,
        ) -> Result<ClientCertVerified, Error> {
            if *end_entity == self.0 {
                Ok(ClientCertVerified::assertion())
            } else {
                Err(CertificateError::UnknownIssuer.into())
            }
        }

        fn verify_tls12_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(CertificateError::BadSignature.into())
        }

        fn verify_tls13_signature(
            &self,
            _: &[u8],
            _: &CertificateDer<'_>,
            _: &DigitallySignedStruct,
        ) -> Result<HandshakeSignatureValid, Error> {
            Err(CertificateError::BadSignature.into())
        }

        fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
            Vec::new()
        }
    }

    #[test]
    fn more_than_is_looked_at_is_refused_whatever_it_is() {
        let own = CertificateDer::from(vec![1; 100]);
        let most = Shown {
            certificates: 3,
            octets: 400,
        };
        let verifier = bounded(Arc::new(One(own.clone())), most);
        let judged = |own: &CertificateDer<'_>, others: &[usize]| {
            let others: Vec<_> = others
                .iter()
                .map(|length| CertificateDer::from(vec![2; *length]))
                .collect();
            let judged = verifier.verify_client_cert(own, &others, UnixTime::now());
            judged.map(drop).map_err(|error| error.to_string())
        };
        for others in [&[][..], &[10], &[100, 200]] {
            judged(&own, others).expect("within the bounds");
        }
        for others in [&[1, 1, 1][..], &[100, 201], &[301]] {
            let error = judged(&own, others).expect_err("too much");
            assert!(error.contains(TOO_MUCH), "{error}");
        }
        // Whom the other verifier refuses stays refused.
        let error = judged(&CertificateDer::from(vec![3; 10]), &[]).expect_err("another one");
        assert!(!error.contains(TOO_MUCH), "{error}");
    }
}
