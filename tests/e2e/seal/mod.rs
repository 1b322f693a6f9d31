//! Auto-unseal, External Keys and CA keys in AWS KMS on real servers, with a stand-in for AWS KMS.

mod ca_kms;
mod ca_ocsp;
mod cluster;
mod credentials;
mod drop_in;
mod external_keys;
#[path = "../../../unseal/tests/support/fake_aws.rs"]
pub(crate) mod fake_aws;
mod faults;
pub(crate) mod host;
mod life;
mod migration;
mod post_quantum;
mod roles_anywhere;
mod seal_settings;
mod sealed_keys;
mod server;
pub(crate) mod stand_in;
mod tools;
