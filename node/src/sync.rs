//! What AWS holds against what the engine says: trust anchors and CRLs, and
//! the guards that keep a rotation from cutting nodes off.
//!
//! [`anchor`] and [`crl`] decide and touch nothing; [`aws`] and [`engine`] read
//! both sides, and [`aws`] changes the one.

pub mod anchor;
pub mod aws;
pub mod crl;
pub mod engine;

/// Who is told how far long work is.
pub trait Progress {
    /// So many of `all` things are done, where it is known how many there are;
    /// `what` says of what.
    fn at(&mut self, what: &str, done: usize, all: Option<usize>);
}

/// Nobody is told.
impl Progress for () {
    fn at(&mut self, _: &str, _: usize, _: Option<usize>) {}
}
