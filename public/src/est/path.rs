//! Paths of EST (RFC 7030 section 3.2.2).

/// What all paths begin with (RFC 8615).
pub(crate) const PREFIX: &str = "/.well-known/est/";

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Operation {
    CaCerts,
    Enroll,
    Reenroll,
    Attributes,
    ServerKey,
}

impl Operation {
    const ALL: [Self; 5] = [
        Self::CaCerts,
        Self::Enroll,
        Self::Reenroll,
        Self::Attributes,
        Self::ServerKey,
    ];

    /// The last part of the path, which is also what logs and metrics call it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::CaCerts => "cacerts",
            Self::Enroll => "simpleenroll",
            Self::Reenroll => "simplereenroll",
            Self::Attributes => "csrattrs",
            Self::ServerKey => "serverkeygen",
        }
    }

    /// The only method.
    pub(crate) const fn method(self) -> &'static str {
        match self {
            Self::CaCerts | Self::Attributes => "GET",
            Self::Enroll | Self::Reenroll | Self::ServerKey => "POST",
        }
    }
}

/// Takes a path apart: the label, if there is one, and the operation. None for any other path.
pub(crate) fn parse(path: &str) -> Option<(Option<&str>, Operation)> {
    let rest = path.strip_prefix(PREFIX)?;
    let (label, name) = match rest.split_once('/') {
        None => (None, rest),
        Some((label, name)) => (Some(label), name),
    };
    let operation = Operation::ALL.into_iter().find(|one| one.name() == name)?;
    Some((label, operation))
}

/// Whether a configured label is one: it stands in URLs as it is, and is not taken for an operation (RFC 7030 section 3.2.2).
pub(crate) fn is_label(label: &str) -> bool {
    let plain = |octet: u8| octet.is_ascii_alphanumeric() || b"-._".contains(&octet);
    (1..=64).contains(&label.len())
        && label.bytes().all(plain)
        && !label.starts_with('.')
        && label != "fullcmc"
        && !Operation::ALL.iter().any(|one| one.name() == label)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_operation_stands_alone_or_behind_one_label() {
        let with = |rest: &str| format!("{PREFIX}{rest}");
        assert_eq!(parse(&with("cacerts")), Some((None, Operation::CaCerts)));
        assert_eq!(
            parse(&with("printers/simpleenroll")),
            Some((Some("printers"), Operation::Enroll))
        );
        for other in [
            "",
            "cacerts/",
            "a/b/cacerts",
            "/cacerts/x",
            "fullcmc",
            "CACERTS",
            "printers/",
        ] {
            assert_eq!(parse(&with(other)), None, "{other}");
        }
        assert_eq!(parse("/est/cacerts"), None);
    }

    #[test]
    fn an_empty_label_is_found_by_nobody() {
        assert_eq!(
            parse("/.well-known/est//cacerts"),
            Some((Some(""), Operation::CaCerts))
        );
        assert!(!is_label(""));
    }

    #[test]
    fn labels_stand_in_urls_and_are_no_operations() {
        for good in ["printers", "plant-2", "A_1.b"] {
            assert!(is_label(good), "{good}");
        }
        let long = "a".repeat(65);
        for bad in ["cacerts", "fullcmc", "a/b", "a b", "..", "ä", "%41", &long] {
            assert!(!is_label(bad), "{bad}");
        }
    }
}
