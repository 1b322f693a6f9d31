//! A request for a leaf certificate.

use std::time::Duration;

use crate::identity::Identity;
use crate::validity::{Asked, MountTtl};
use crate::{Csr, PublicKey};

/// Whose key is certified.
#[derive(Debug, Clone, Copy)]
pub enum Holder<'a> {
    /// A key made for the request (`issue`).
    Key(&'a PublicKey),
    /// The key of a certification request (`sign`).
    Csr(&'a Csr),
}

impl<'a> Holder<'a> {
    pub(crate) fn public_key(self) -> &'a PublicKey {
        match self {
            Self::Key(key) => key,
            Self::Csr(csr) => csr.public_key(),
        }
    }

    pub(crate) fn csr(self) -> Option<&'a Csr> {
        match self {
            Self::Key(_) => None,
            Self::Csr(csr) => Some(csr),
        }
    }
}

/// A request for a certificate, its fields as the API has them.
#[derive(Debug, Clone, Copy)]
#[allow(
    missing_docs,
    reason = "field names and meaning are those of the API, unless said"
)]
pub struct LeafRequest<'a> {
    /// Whose key is certified.
    pub holder: Holder<'a>,
    pub common_name: &'a str,
    /// Names between commas, as sent.
    pub alt_names: &'a str,
    pub ip_sans: &'a [String],
    pub uri_sans: &'a [String],
    pub other_sans: &'a [String],
    pub user_ids: &'a [String],
    pub serial_number: &'a str,
    pub exclude_cn_from_sans: bool,
    /// Zero: not sent.
    pub ttl: Duration,
    pub not_before: Option<&'a str>,
    pub not_after: Option<&'a str>,
    /// The caller, for templates; `None` without an entity.
    pub identity: Option<&'a Identity>,
    /// Display name of the caller's token.
    pub display_name: &'a str,
    /// Lease durations of the mount.
    pub mount: MountTtl,
}

impl<'a> LeafRequest<'a> {
    /// A request that says nothing but whose key it is.
    pub fn new(holder: Holder<'a>, mount: MountTtl) -> Self {
        Self {
            holder,
            common_name: "",
            alt_names: "",
            ip_sans: &[],
            uri_sans: &[],
            other_sans: &[],
            user_ids: &[],
            serial_number: "",
            exclude_cn_from_sans: false,
            ttl: Duration::ZERO,
            not_before: None,
            not_after: None,
            identity: None,
            display_name: "",
            mount,
        }
    }

    pub(crate) fn asked(&self) -> Asked<'a> {
        Asked {
            ttl: self.ttl,
            not_before: self.not_before,
            not_after: self.not_after,
        }
    }
}
