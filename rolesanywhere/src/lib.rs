//! What IAM Roles Anywhere demands of a node and how it decides: certificates, paths to a trust anchor, session tags, trust policies,
//! signed requests, and what its refusals usually mean.
//!
//! Both sides stand on this: `node` looks before it asks AWS, and `lab` answers in AWS's place. Nothing here reads a clock, a file or a
//! socket.

pub mod causes;
pub mod policy;
pub mod post_quantum;
pub mod rules;
pub mod session;
pub mod signature;
pub mod sigv4;
pub mod tags;
pub mod trust;
