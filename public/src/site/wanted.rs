//! Which paths there are below a mount.

use std::sync::Arc;

use super::authority::Authority;
use super::list::List;
use crate::sheet::Sheet;

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Wanted<'a> {
    /// By id or name; the mount's default one without.
    pub(crate) issuer: Option<&'a str>,
    pub(crate) what: What,
    pub(crate) form: Form,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum What {
    Complete,
    Delta,
    Ca,
    Chain,
    Anchor,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    Der,
    Pem,
    P7c,
}

impl What {
    /// For the audit log and metrics.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Complete => "crl",
            Self::Delta => "delta-crl",
            Self::Ca => "ca",
            Self::Chain => "chain",
            Self::Anchor => "anchor",
        }
    }
}

impl<'a> Wanted<'a> {
    /// From what stands in a path below the mount, without the slash at its beginning.
    pub(crate) fn parse(path: &'a str) -> Option<Self> {
        let (issuer, rest) = match path.strip_prefix("issuer/") {
            Some(below) => {
                let (issuer, rest) = below.split_once('/')?;
                (Some(issuer).filter(|issuer| is_reference(issuer)), rest)
            }
            None => (None, path),
        };
        if issuer.is_none() && rest.len() != path.len() {
            return None;
        }
        let (what, form) = match rest {
            "crl" | "crl/der" => (What::Complete, Form::Der),
            "crl/pem" => (What::Complete, Form::Pem),
            "crl/delta" | "crl/delta/der" => (What::Delta, Form::Der),
            "crl/delta/pem" => (What::Delta, Form::Pem),
            "ca" | "ca/der" => (What::Ca, Form::Der),
            "ca/pem" => (What::Ca, Form::Pem),
            "ca/p7c" => (What::Ca, Form::P7c),
            "chain" | "chain/pem" => (What::Chain, Form::Pem),
            "chain/p7c" => (What::Chain, Form::P7c),
            "anchor" | "anchor/der" => (What::Anchor, Form::Der),
            "anchor/pem" => (What::Anchor, Form::Pem),
            _ => return None,
        };
        Some(Self { issuer, what, form })
    }

    /// The certificates in this form; none where there are none of the kind.
    pub(super) fn certificates<'b>(&self, authority: &'b Authority) -> Option<&'b Arc<Sheet>> {
        Some(match (self.what, self.form) {
            (What::Ca, Form::Der) => &authority.ca,
            (What::Ca, Form::Pem) => &authority.ca_pem,
            (What::Ca, Form::P7c) => &authority.ca_p7c,
            (What::Chain, Form::P7c) => &authority.chain_p7c,
            (What::Chain, _) => &authority.chain_pem,
            (What::Anchor, form) => {
                let [der, pem] = authority.anchor.as_ref()?;
                if form == Form::Pem { pem } else { der }
            }
            (What::Complete | What::Delta, _) => return None,
        })
    }

    /// A list in this form.
    pub(super) fn list<'b>(&self, list: &'b List) -> &'b Arc<Sheet> {
        match self.form {
            Form::Pem => list.pem(),
            _ => list.der(),
        }
    }
}

/// Whether the servers take a text as the name or id of an issuer.
pub(super) fn is_reference(text: &str) -> bool {
    let sign = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    (1..=128).contains(&text.len()) && text.chars().all(sign)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn paths_are_what_the_pages_say() {
        let parsed = |path| {
            Wanted::parse(path).map(|wanted| (wanted.issuer, wanted.what.name(), wanted.form))
        };
        assert_eq!(parsed("crl"), Some((None, "crl", Form::Der)));
        assert_eq!(
            parsed("crl/delta/pem"),
            Some((None, "delta-crl", Form::Pem))
        );
        assert_eq!(
            parsed("issuer/old/crl"),
            Some((Some("old"), "crl", Form::Der))
        );
        assert_eq!(
            parsed("issuer/a-1/chain/p7c"),
            Some((Some("a-1"), "chain", Form::P7c))
        );
        for none in [
            "",
            "crl/",
            "CRL",
            "issuer",
            "issuer/",
            "issuer/old",
            "issuer//crl",
            "issuer/a%2fb/crl",
            "issuer/../crl/x",
            "issuer/old/issuer/old/crl",
            "ca/pem/x",
        ] {
            assert_eq!(parsed(none), None, "{none}");
        }
    }

    proptest! {
        #[test]
        fn no_path_makes_the_parser_panic(path in ".{0,60}") {
            let _ = Wanted::parse(&path);
            let _ = Wanted::parse(&format!("issuer/{path}"));
        }
    }
}
