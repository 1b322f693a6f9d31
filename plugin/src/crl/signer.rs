//! What all CRLs of an issuer have in common, the mount's own and those of what a caller brings.

use jiff::Timestamp;
use landfast_pki::crl::CrlTemplate;
use landfast_pki::{PublicKey, SignatureAlgorithm};
use landfast_sdk::logical::Error;

use crate::fault;
use crate::issuers::LoadedIssuer;

/// A complete CRL of `issuer`, whose key is `key`, without a number: what else it says is the caller's.
///
/// Its authority key identifier is the issuer's subject key identifier. RFC 5280 section 5.2.1 wants one on every CRL, so for a CA certificate that has
/// none it is made of the key, as section 4.2.1.2 says.
pub(crate) fn template(
    issuer: &LoadedIssuer,
    key: &PublicKey,
    this_update: Timestamp,
    next_update: Timestamp,
) -> CrlTemplate {
    let certificate = &issuer.certificate;
    CrlTemplate {
        issuer: certificate.subject().clone(),
        authority_key_id: certificate
            .ski()
            .map_or_else(|| key.ski().to_vec(), <[u8]>::to_vec),
        number: 0,
        this_update,
        next_update,
        delta_base: None,
        freshest: Vec::new(),
        more: Vec::new(),
    }
}

/// The algorithm that the issuer is told to sign CRLs with, else the natural one of its key.
pub(crate) fn algorithm(
    issuer: &LoadedIssuer,
    key: &PublicKey,
) -> Result<SignatureAlgorithm, Error> {
    match told(issuer).filter(|algorithm| algorithm.fits(key).is_ok()) {
        Some(algorithm) => Ok(algorithm),
        None => Ok(SignatureAlgorithm::choose(key, 0, false)
            .map_err(fault::failed)?
            .algorithm),
    }
}

/// What the issuer is told to sign CRLs with, if it is told.
pub(super) fn told(issuer: &LoadedIssuer) -> Option<SignatureAlgorithm> {
    let stored = u32::try_from(issuer.entry.revocation_signature_algorithm).unwrap_or(0);
    SignatureAlgorithm::from_storage_number(stored)
}
