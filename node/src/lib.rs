//! Enrolment, renewal and Roles Anywhere sessions of hybrid nodes.

pub mod arn;
pub mod cache;
pub mod crypto;
pub mod files;
pub mod policy;
pub mod session;
pub mod sigv4;
pub mod tags;
pub mod vault;
