//! What every `CreateSession` is held to.
//!
//! Source: IAM Roles Anywhere user guide, "Authentication: CreateSession".

/// The path of the call.
pub const PATH: &str = "/sessions";
/// At most this many certificates go into the chain header.
pub const MAX_CHAIN: usize = 5;
/// The shortest and the longest session, in seconds.
pub const DURATIONS: std::ops::RangeInclusive<u32> = 900..=43_200;

/// The length of a session, in seconds, that nobody gave a length: what every role
/// allows, and what `aws_signing_helper` asks for.
pub const USUAL_DURATION: u32 = 3600;
