//! What an issuer contributes to the certificates that it signs.

use crate::Certificate;
use crate::ext::{Extension, NameConstraints};
use crate::validity::{IssuerEnd, LeafNotAfter};

/// Where a certificate says that its issuer, CRLs and OCSP are found; templates already filled.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AiaUrls {
    /// Where the issuer's certificate is fetched.
    pub issuing_certificates: Vec<String>,
    /// Where complete CRLs are fetched.
    pub crl_distribution_points: Vec<String>,
    /// Where delta CRLs are fetched.
    pub delta_crl_distribution_points: Vec<String>,
    /// OCSP responders.
    pub ocsp_servers: Vec<String>,
}

/// What an issuer contributes to the certificates it signs, encoded once.
#[derive(Debug, Clone)]
pub struct Issuer {
    pub(super) certificate: Certificate,
    leaf_not_after: LeafNotAfter,
    pub(crate) access: Access,
    /// Its own name constraints, and those of the CAs above it.
    pub(crate) constraints: Vec<NameConstraints>,
}

/// The extensions that follow from the URLs and the key of an issuer.
#[derive(Debug, Clone, Default)]
pub(crate) struct Access {
    pub(crate) authority_key_id: Option<Extension>,
    pub(crate) information: Option<Extension>,
    pub(crate) crl_points: Option<Extension>,
    pub(crate) freshest_crl: Option<Extension>,
}

impl Issuer {
    /// An issuer as certificates will refer to it.
    pub fn new(certificate: Certificate, aia: &AiaUrls, leaf_not_after: LeafNotAfter) -> Self {
        let access = Access::new(certificate.ski(), aia);
        let own = certificate.name_constraints().ok().flatten();
        Self {
            certificate,
            leaf_not_after,
            access,
            constraints: own.into_iter().collect(),
        }
    }

    /// Adds the name constraints of the CAs above it, as far as the way up is the only one: where an issuer is cross-signed,
    /// one path may permit what the other does not.
    #[must_use]
    pub fn below(mut self, chain: &[Certificate]) -> Self {
        let mut current = self.certificate.clone();
        for _ in 0..chain.len() {
            let mut parents = chain
                .iter()
                .filter(|one| **one != current && one.subject() == current.issuer());
            let (Some(parent), None) = (parents.next(), parents.next()) else {
                break;
            };
            if current.is_self_issued() {
                break;
            }
            self.constraints
                .extend(parent.name_constraints().ok().flatten());
            current = parent.clone();
        }
        self
    }

    /// Its certificate.
    pub fn certificate(&self) -> &Certificate {
        &self.certificate
    }

    /// What it does to leaves that would outlive it.
    pub fn leaf_not_after(&self) -> LeafNotAfter {
        self.leaf_not_after
    }

    pub(crate) fn end(&self) -> IssuerEnd {
        IssuerEnd {
            not_after: self.certificate.not_after(),
            behavior: self.leaf_not_after,
        }
    }
}

impl Access {
    pub(crate) fn new(issuer_key_id: Option<&[u8]>, aia: &AiaUrls) -> Self {
        let uris = |list: &[String], build: fn(&[String]) -> Extension| {
            (!list.is_empty()).then(|| build(list))
        };
        let has_information = !aia.ocsp_servers.is_empty() || !aia.issuing_certificates.is_empty();
        Self {
            authority_key_id: issuer_key_id.map(Extension::authority_key_id),
            information: has_information.then(|| {
                Extension::authority_info_access(&aia.ocsp_servers, &aia.issuing_certificates)
            }),
            crl_points: uris(
                &aia.crl_distribution_points,
                Extension::crl_distribution_points,
            ),
            freshest_crl: uris(&aia.delta_crl_distribution_points, Extension::freshest_crl),
        }
    }
}
