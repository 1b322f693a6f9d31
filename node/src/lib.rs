//! Enrolment, renewal and Roles Anywhere sessions of hybrid nodes.

pub mod cache;
pub mod causes;
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
pub mod lab;
pub mod login;
pub mod pair;
pub mod policy;
pub mod provider;
pub mod refresh;
pub mod renew;
pub mod rules;
pub mod serve;
pub mod session;
pub mod shared_file;
pub mod sigv4;
pub mod sync;
pub mod tags;
#[cfg(test)]
mod testing;
pub mod trust;
pub mod vault;
