//! rustls-webpki as a further opinion on chains and CRLs.

use ::webpki::{
    BorrowedCertRevocationList, CertRevocationList, EndEntityCert, ExpirationPolicy, KeyUsage,
    RevocationCheckDepth, RevocationOptionsBuilder, UnknownStatusPolicy, anchor_from_trusted_cert,
};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rustls_pki_types::{CertificateDer, UnixTime, pem::PemObject as _};

/// Holds the leaf of a client against its chain, all in PEM, and against the CRL of its issuer, if there is one.
pub(crate) fn webpki_verify(
    leaf: &str,
    intermediate: &str,
    root: &str,
    crl: Option<&str>,
) -> Result<(), ::webpki::Error> {
    webpki_verify_for(KeyUsage::client_auth(), leaf, intermediate, root, crl)
}

/// The same with a leaf for another use.
pub(super) fn webpki_verify_for(
    usage: KeyUsage,
    leaf: &str,
    intermediate: &str,
    root: &str,
    crl: Option<&str>,
) -> Result<(), ::webpki::Error> {
    let (leaf, root) = (der(leaf), der(root));
    let anchors = [anchor_from_trusted_cert(&root)?];
    let intermediates: Vec<CertificateDer<'_>> =
        CertificateDer::pem_slice_iter(intermediate.as_bytes())
            .collect::<Result<_, _>>()
            .expect("PEM of certificates");
    let crl: Option<CertRevocationList<'_>> = crl
        .map(|pem| {
            let body: String = pem.lines().filter(|line| !line.starts_with('-')).collect();
            let der = STANDARD.decode(body).expect("a CRL is base64");
            BorrowedCertRevocationList::from_der(&der)
                .and_then(|crl| crl.to_owned())
                .map(CertRevocationList::from)
        })
        .transpose()?;
    let crls: Vec<&CertRevocationList<'_>> = crl.iter().collect();
    let revocation = (!crls.is_empty()).then(|| {
        RevocationOptionsBuilder::new(&crls)
            .expect("one CRL or more")
            .with_depth(RevocationCheckDepth::EndEntity)
            .with_status_policy(UnknownStatusPolicy::Deny)
            .with_expiration_policy(ExpirationPolicy::Enforce)
            .build()
    });
    EndEntityCert::try_from(&leaf)?
        .verify_for_usage(
            ::webpki::ALL_VERIFICATION_ALGS,
            &anchors,
            &intermediates,
            UnixTime::now(),
            usage,
            revocation,
            None,
        )
        .map(|_| ())
}

fn der(pem: &str) -> CertificateDer<'static> {
    CertificateDer::from_pem_slice(pem.as_bytes()).expect("PEM of a certificate")
}
