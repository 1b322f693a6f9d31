//! What AWS holds against what the engine says: trust anchors and CRLs, and
//! the guards that keep a rotation from cutting nodes off.
//!
//! [`anchor`] and [`crl`] decide and touch nothing; [`aws`] and [`engine`] read
//! both sides, and [`aws`] changes the one.

pub mod anchor;
pub mod aws;
pub mod crl;
pub mod engine;
