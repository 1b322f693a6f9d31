//! What a look at a certificate, a role or an anchor comes to.

use std::fmt;

/// One rule that does not hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The rule's identifier, such as `rfc5280-4.2.1.3` or `role-dns-names`.
    pub rule: &'static str,
    /// How bad it is.
    pub severity: Severity,
    /// What is wrong, for a reader.
    pub text: String,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Severity {
    /// Something will fail.
    Error,
    /// Something may surprise.
    Warning,
}

impl Finding {
    /// Something will fail.
    pub fn error(rule: &'static str, text: String) -> Self {
        Self {
            rule,
            severity: Severity::Error,
            text,
        }
    }

    /// Something may surprise.
    pub fn warning(rule: &'static str, text: String) -> Self {
        Self {
            rule,
            severity: Severity::Warning,
            text,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.rule, self.text)
    }
}
