//! The URIs that a role admits.

use crate::glob::Glob;
use crate::issue::has_dot_segments;

/// `allowed_uri_sans` as it stands for one caller.
#[derive(Debug, Default)]
pub(crate) struct Uris<'a> {
    pub(super) fixed: &'a [Glob],
    pub(super) filled: Vec<Glob>,
}

impl Uris<'_> {
    /// Whether a URI may stand in the certificate.
    ///
    /// With `.` or `..` as a segment only where it is listed as it stands, or where every URI is: the prefix before a star
    /// would say nothing of where the URI leads.
    pub(crate) fn allow(&self, uri: &str) -> bool {
        let dots = has_dot_segments(uri);
        let mut globs = self.fixed.iter().chain(&self.filled);
        globs.any(|glob| glob.matches(uri) && (!dots || !glob.is_wild() || glob.is_any()))
    }

    /// The patterns that each URI may have to be held against.
    pub(crate) fn globs(&self) -> impl Iterator<Item = &Glob> {
        self.fixed.iter().chain(&self.filled)
    }
}
