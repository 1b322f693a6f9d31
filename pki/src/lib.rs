//! A certificate authority: keys, names, extensions, certificates, requests and revocation lists, and the rules by
//! which they are issued.
//!
//! The crate is pure. It reads no clock, socket, environment or storage: the time, the serial and every other input
//! are arguments, and the result is a value. Signing is split in two so that a key may live elsewhere:
//! [`Template::prepare`] gives the bytes to sign, [`Unsigned::finish`] takes the signature.
//!
//! Whatever reads bytes from outside (`from_der`, `from_pem`, [`pem::blocks`]) is free of panics on any input.

mod asn1;
mod crypto;

// Encodings.
pub mod cert;
pub mod chain;
pub mod crl;
pub mod csr;
pub mod enrol;
pub mod error;
pub mod ext;
pub mod key;
pub mod name;
pub mod ocsp;
pub mod pem;
mod reason;
pub mod serial;
pub mod sign;
mod unsigned;

// Rules.
pub mod acme;
pub mod anchor;
pub mod authority;
pub mod blueprint;
pub mod constraints;
mod finding;
pub mod glob;
pub mod go;
pub mod host;
pub mod hybrid;
pub mod identity;
pub mod issue;
pub mod lint;
mod network;
mod node_name;
pub mod policy;
pub mod profile;
pub mod refusal;
mod settings;
pub mod usage;
pub mod validity;
pub mod verbatim;

#[cfg(test)]
mod testing;

pub use const_oid::ObjectIdentifier as Oid;
pub use landfast_base::Secret;

pub use crate::asn1::FOREVER;
pub use crate::blueprint::Blueprint;
pub use crate::cert::{Certificate, ExtensionRef, Template};
pub use crate::crl::{Crl, CrlTemplate, RevokedEntries, RevokedEntry};
pub use crate::crypto::digest_for;
pub use crate::csr::{Csr, CsrTemplate};
pub use crate::enrol::{ChangeSubjectName, Wanted};
pub use crate::error::Error;
pub use crate::ext::{
    ExtKeyUsage, Extension, GeneralNames, KeyUsage, NameConstraints, OtherName, Policy,
};
pub use crate::identity::Identity;
pub use crate::key::{Curve, KeyEncoding, KeySpec, KeyType, MlDsa, PrivateKey, PublicKey};
pub use crate::name::{Attributes, Name, Subject};
pub use crate::network::Network;
pub use crate::ocsp::{CertStatus, OcspFailure, OcspRequest, OcspTemplate};
pub use crate::profile::Profile;
pub use crate::reason::{NoReason, Reason};
pub use crate::refusal::{Refusal, Rule};
pub use crate::serial::SerialNumber;
pub use crate::settings::Settings;
pub use crate::sign::{Chosen, Hash, SignatureAlgorithm, Signer};
pub use crate::unsigned::{Tbs, ToBeSigned, Unsigned};
