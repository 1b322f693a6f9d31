//! Issuers, keys, revocations and CRLs through the path table, on memory and on storage that fails.

mod anchors;
mod bounded;
mod delta;
mod entries;
mod faults;
mod given_up;
mod handed_over;
mod issuers;
mod ml_dsa;
mod rebuild;
mod revocation;
mod roots;
mod seal;
mod support;
