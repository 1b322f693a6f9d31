//! `crls/config`: which CRL belongs to which issuer, and the numbers given out.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{issuer::null_is_empty, other::Other, time::StoredTime};

/// The book of CRLs. A CRL belongs to a key and subject, so issuers that share
/// both share one CRL.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct CrlBook {
    /// Issuer id to CRL id.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub issuer_id_crl_map: BTreeMap<String, String>,
    /// CRL id to the number the next CRL gets; complete and delta CRLs share the counter.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub crl_number_map: BTreeMap<String, u64>,
    /// CRL id to the number of its last complete CRL: the base of delta CRLs.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub last_complete_number_map: BTreeMap<String, u64>,
    /// CRL id to `nextUpdate` of its complete CRL.
    #[serde(default, deserialize_with = "null_is_empty")]
    pub crl_expiration_map: BTreeMap<String, StoredTime>,
    /// When complete CRLs were last built.
    #[serde(default)]
    pub last_modified: StoredTime,
    /// When delta CRLs were last built.
    #[serde(default)]
    pub delta_last_modified: StoredTime,
    /// Fields of other versions.
    #[serde(flatten)]
    pub other: Other,
}

impl CrlBook {
    /// Storage key.
    pub const KEY: &str = "crls/config";

    /// Storage key of the complete CRL with this id, as DER.
    pub fn complete_key(id: &str) -> String {
        format!("crls/{id}")
    }

    /// Storage key of the delta CRL with this id, as DER.
    pub fn delta_key(id: &str) -> String {
        format!("crls/{id}-delta")
    }
}
