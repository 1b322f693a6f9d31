//! A label, ready to use.

use std::sync::Arc;

use hyper::body::Bytes;
use landfast_pki::Wanted;

use super::config::{LabelFile, wanted};
use super::login::{BasicLogin, CertificateLogin};
use crate::error::Error;
use crate::mounts::Mount;
use crate::site::Site;

/// Who enrols there, and for what.
pub(crate) struct Label {
    pub(crate) mount: Arc<Mount>,
    /// What is kept of the mount.
    pub(crate) site: Arc<Site>,
    pub(crate) role: String,
    /// The issuer that has to sign; the role decides without one.
    pub(crate) issuer: Option<String>,
    pub(crate) certificate: Option<CertificateLogin>,
    pub(crate) basic: Option<BasicLogin>,
    /// CsrAttrs in base64; none if there are no wishes.
    pub(crate) wanted: Option<Bytes>,
    pub(crate) server_keys: bool,
    pub(crate) subject_change: bool,
}

impl Label {
    /// From a configuration that was checked.
    pub(crate) fn new(file: &LabelFile, sites: &[Arc<Site>]) -> Result<Self, Error> {
        let prefix = file.mount.trim_end_matches('/');
        let site = sites.iter().find(|site| &*site.mount().prefix == prefix);
        let site = site
            .cloned()
            .ok_or_else(|| Error::Config(format!("there is no mount {:?}", file.mount)))?;
        let wishes: Result<Vec<Wanted>, String> = file
            .csr_attributes
            .iter()
            .map(|text| wanted(text))
            .collect();
        let wishes = wishes.map_err(Error::Config)?;
        Ok(Self {
            mount: site.mount().clone(),
            site,
            role: file.role.clone(),
            issuer: file.issuer.clone(),
            certificate: file.certificate.as_ref().and_then(CertificateLogin::new),
            basic: file.basic.as_ref().map(BasicLogin::new),
            wanted: (!wishes.is_empty())
                .then(|| super::body::encode(&Wanted::list_to_der(&wishes))),
            server_keys: file.server_keys,
            subject_change: file.subject_change,
        })
    }
}
