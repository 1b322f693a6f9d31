//! Names of EKS hybrid nodes.

use std::fmt;

/// Why a text is no node name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotANodeName {
    /// STS wants 2 characters, the label `kubernetes.io/hostname` at most 63.
    Length,
    /// Kubernetes wants a lower-case DNS-1123 subdomain.
    Subdomain,
}

impl fmt::Display for NotANodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Length => "a node name has 2 to 63 characters",
            Self::Subdomain => {
                "a node name is a lower-case DNS-1123 subdomain: letters a to z, digits and inner hyphens in labels between dots"
            }
        })
    }
}

/// Checks a node name: a lower-case DNS-1123 subdomain of 2 to 63 characters, dots allowed.
///
/// # Errors
/// The first rule that it breaks.
pub fn node_name(name: &str) -> Result<(), NotANodeName> {
    if !(2..=63).contains(&name.len()) {
        return Err(NotANodeName::Length);
    }
    let alphanumeric = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit();
    let label = |label: &str| {
        let bytes = label.as_bytes();
        matches!((bytes.first(), bytes.last()), (Some(&first), Some(&last)) if alphanumeric(first) && alphanumeric(last))
            && bytes.iter().all(|&b| alphanumeric(b) || b == b'-')
    };
    if name.split('.').all(label) {
        Ok(())
    } else {
        Err(NotANodeName::Subdomain)
    }
}
