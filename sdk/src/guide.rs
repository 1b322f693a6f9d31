//! Pages that belong to no item: where to come from, and where a mount goes.

/// From the Go SDK to this one.
#[doc = include_str!("../guide/from-go.md")]
pub mod from_go {}

/// The life of a mount.
#[doc = include_str!("../guide/life.md")]
pub mod life {}
