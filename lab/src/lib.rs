//! The lab: a stand-in for IAM Roles Anywhere that runs without AWS.
//!
//! It is no mock that says yes. It rebuilds the canonical request from the
//! wire, verifies the signature, the certificate path, dates, key usage,
//! revocation, the profile's and the trust policy's rules, and only then makes
//! up credentials. It serves loopback addresses only, programs and one web page,
//! its own, and says that it is not AWS.

mod anchors;
mod calls;
mod control;
mod crls;
mod door;
pub mod faults;
mod operation;
mod page;
mod profiles;
pub mod refusal;
pub mod request;
pub mod server;
pub mod signer;
mod sourced;
pub mod state;
pub mod tls;
pub mod verify;

pub use self::calls::Call;
pub use self::faults::Fault;
pub use self::refusal::Refusal;
pub use self::request::Request;
pub use self::state::{Anchor, Crl, Profile, Role, State, Subject, Times};
pub use self::verify::Granted;
