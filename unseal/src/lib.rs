//! Auto-unseal and CA keys by a key service.
//!
//! Vault and OpenBao keep their root key outside their own barrier, wrapped by a *seal*. This crate is that seal:
//!
//! - [`Envelope`] is what a server asks: wrap these bytes, open that blob. It keeps the layout of the awskms wrapper that OpenBao
//!   once had built in ([`blob`]).
//! - [`KeyEncryptionKey`] is what an envelope asks: wrap this data key. [`keys`] has the kinds of services that can:
//!   [`keys::aws`] leaves it to AWS KMS, [`keys::local`] keeps the key in a file.
//! - [`KmsSigner`] is a private key that signs in a key service, for certificate authorities.
//! - [`sealed`] keeps a private key in storage, wrapped by any of these.
//! - [`kms_plugin::KmsPlugin`] offers all of it to OpenBao as a plugin of type `kms`.
//! - [`serve`] offers it to any Vault or OpenBao over HTTPS, in the manner of their transit engine.
//! - [`config`] is what comes with a seal stanza besides its keys, which are each kind's own; [`CredentialSource`] lets other parts of
//!   landfast lend credentials.

pub mod blob;
pub mod check;
pub mod config;
pub mod credentials;
mod crypto;
pub mod envelope;
pub mod error;
mod files;
mod guess;
pub mod inspect;
pub mod keys;
pub mod kms_plugin;
pub mod process;
mod recent;
pub mod sealed;
pub mod serve;
mod signed;
pub mod stanza;

pub use blob::{Blob, BlobInfo};
pub use config::{Author, Environment, Limits, ParseOptions};
pub use credentials::{CredentialSource, OpenRolesAnywhere, RolesAnywhere, TemporaryCredentials};
pub use envelope::Envelope;
pub use error::{Class, Error, ServiceError};
pub use keys::key::{
    Context, DataKey, Digest, KeyEncryptionKey, KmsSigner, SigningScheme, WrappedKey,
};
pub use landfast_base::Secret;
