//! Auto-unseal and CA keys by a key service.
//!
//! Vault and OpenBao keep their root key outside their own barrier, wrapped by a *seal*. This crate is that seal:
//!
//! - [`Envelope`] is what a server asks: wrap these bytes, open that blob. It keeps the layout of the awskms wrapper that OpenBao
//!   once had built in ([`blob`]).
//! - [`KeyEncryptionKey`] is what an envelope asks: wrap this data key. [`aws`] leaves that to AWS KMS, [`local`] keeps the key in a
//!   file.
//! - [`KmsSigner`] is a private key that signs in a key service, for certificate authorities.
//! - [`sealed`] keeps a private key in storage, wrapped by any of these.
//! - [`kms_plugin::KmsPlugin`] offers all of it to OpenBao as a plugin of type `kms`.
//! - [`serve`] offers it to any Vault or OpenBao over HTTPS, in the manner of their transit engine.
//! - [`config`] is the seal stanza as operators have it already; [`CredentialSource`] lets other parts of landfast lend AWS credentials.

pub mod aws;
pub mod blob;
pub mod check;
pub mod config;
pub mod credentials;
mod crypto;
pub mod envelope;
pub mod error;
mod files;
pub mod inspect;
pub mod kms_plugin;
pub mod local;
pub mod process;
mod recent;
pub mod sealed;
pub mod serve;
pub mod stanza;
pub mod wrapper;

pub use blob::{Blob, BlobInfo};
pub use config::{Author, AwsConfig, Environment, ParseOptions};
pub use credentials::{CredentialSource, TemporaryCredentials};
pub use envelope::Envelope;
pub use error::{Class, Error, ServiceError};
pub use landfast_base::Secret;
pub use wrapper::{
    Context, DataKey, Digest, KeyEncryptionKey, KmsSigner, SigningScheme, WrappedKey,
};
