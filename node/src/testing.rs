//! What tests with two users need.

/// A user who is neither root nor anybody else of this machine: `nobody`.
pub(crate) const OTHER: u32 = 65_534;

/// Ends a test that cannot say anything without root, loudly: as another user
/// it would pass by looking at nothing.
pub(crate) fn needs_root() {
    assert!(
        rustix::process::geteuid().is_root(),
        "this test works as root in a directory of another user: run it as root, as CI does"
    );
}
