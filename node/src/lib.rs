//! Enrolment, renewal and Roles Anywhere sessions of hybrid nodes.

pub mod cache;
pub mod crypto;
mod directory;
pub mod doctor;
pub mod encrypted;
pub mod enroll;
pub mod files;
pub mod form;
pub mod generate;
pub mod helper;
pub mod http;
pub mod identity;
mod key_file;
pub mod login;
pub mod pair;
pub mod provider;
pub mod reach;
pub mod refresh;
pub mod renew;
pub mod serve;
pub mod session;
pub mod shared_file;
pub mod sync;
#[cfg(test)]
mod testing;
pub mod vault;
