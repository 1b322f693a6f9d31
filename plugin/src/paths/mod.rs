//! Handlers: one file a noun, one function a row of the path table.

pub(crate) mod absent;
pub(crate) mod acme;
pub(crate) mod answer;
pub(crate) mod ca;
pub(crate) mod cluster;
pub(crate) mod crl;
pub(crate) mod defaults;
pub(crate) mod fetch;
pub(crate) mod fields;
pub(crate) mod import;
pub(crate) mod intermediate;
pub(crate) mod issue;
pub(crate) mod issuers;
pub(crate) mod keeping;
pub(crate) mod keys;
pub(crate) mod kms;
pub(crate) mod modified;
pub(crate) mod ocsp;
pub(crate) mod revoke;
pub(crate) mod roles;
pub(crate) mod root;
pub(crate) mod seal;
pub(crate) mod sign;
pub(crate) mod tidy;
pub(crate) mod trust_anchor;
pub(crate) mod urls;
