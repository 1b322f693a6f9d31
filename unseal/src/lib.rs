//! Auto-unseal and CA keys by a key service.
//!
//! Vault and OpenBao keep their root key outside their own barrier, wrapped by a *seal*. This crate is that seal:
//!
//! - [`Wrapper`] is what a server asks: wrap these bytes, open that blob. [`Envelope`] is the only implementation; it keeps
//!   the layout of the awskms wrapper that OpenBao once had built in ([`blob`]).
//! - [`KeyEncryptionKey`] is what an envelope asks: wrap this data key. [`local`] keeps the key in a file.
//! - [`KmsSigner`] is a private key that signs in a key service, for certificate authorities.

pub mod blob;
pub mod config;
mod crypto;
pub mod envelope;
pub mod error;
pub mod local;
mod secret;
pub mod wrapper;

pub use blob::BlobInfo;
pub use config::{AwsConfig, Environment, ParseOptions};
pub use envelope::Envelope;
pub use error::{Class, Error, ServiceError};
pub use secret::Secret;
pub use wrapper::{
    Context, Digest, KeyEncryptionKey, KmsSigner, SigningScheme, WrappedKey, Wrapper,
};
