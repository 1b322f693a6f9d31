//! From a leaf to a trust anchor: the path that Roles Anywhere looks for.
//!
//! An anchor may be a root or an intermediate, so it need not be self-signed.
//! Names alone prove nothing: each step is a verified signature.
//!
//! Source: RFC 5280 section 6.1; IAM Roles Anywhere user guide, "Trust model".

use jiff::Timestamp;
use landfast_pki::{Certificate, KeyUsage};

/// Why no path leads to the anchor.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PathError {
    /// Nobody among chain and anchor has the issuer's name.
    #[error("nothing in the chain or the trust anchor is called {issuer}, the issuer of {subject}")]
    NoIssuer {
        /// The certificate whose issuer is missing.
        subject: String,
        /// The missing issuer.
        issuer: String,
    },
    /// Somebody has the name, but the signature is not theirs.
    #[error("the signature on {subject} was not made by {issuer}: same name, other key")]
    Signature {
        /// The certificate.
        subject: String,
        /// Who should have signed it.
        issuer: String,
    },
    /// A certificate of the path is not valid now.
    #[error("{subject} is not valid now (it is valid from {from} to {to})")]
    Dates {
        /// The certificate.
        subject: String,
        /// Its start.
        from: Timestamp,
        /// Its end.
        to: Timestamp,
    },
    /// A certificate of the path may not sign others.
    #[error("{subject} may not issue certificates: {why}")]
    NotAnIssuer {
        /// The certificate.
        subject: String,
        /// What it lacks.
        why: &'static str,
    },
}

/// Finds a path from `leaf` over `chain` to one of `anchors`, valid at `now`.
///
/// Returns the issuers in order, the anchor last.
///
/// # Errors
/// The [`PathError`] of the most promising attempt.
pub fn path<'a>(
    leaf: &Certificate,
    chain: &'a [Certificate],
    anchors: &'a [Certificate],
    now: Timestamp,
) -> Result<Vec<&'a Certificate>, PathError> {
    dates(leaf, now)?;
    step(leaf, chain, anchors, now, 0)
}

fn step<'a>(
    subject: &Certificate,
    chain: &'a [Certificate],
    anchors: &'a [Certificate],
    now: Timestamp,
    below: u32,
) -> Result<Vec<&'a Certificate>, PathError> {
    let mut failed = PathError::NoIssuer {
        subject: label(subject),
        issuer: name(subject.issuer()),
    };
    let named = |issuer: &&Certificate| issuer.subject() == subject.issuer();
    for anchor in anchors.iter().filter(named) {
        match issued(subject, anchor, now, below) {
            Ok(()) => return Ok(vec![anchor]),
            Err(error) => failed = error,
        }
    }
    // Each intermediate serves once, so the depth is bounded by the chain.
    if below as usize > chain.len() {
        return Err(failed);
    }
    for issuer in chain.iter().filter(named) {
        let onward = issued(subject, issuer, now, below)
            .and_then(|()| step(issuer, chain, anchors, now, below + 1));
        match onward {
            Ok(mut path) => {
                path.insert(0, issuer);
                return Ok(path);
            }
            Err(error) => failed = error,
        }
    }
    Err(failed)
}

/// Whether `issuer` may have issued `subject`, and did.
fn issued(
    subject: &Certificate,
    issuer: &Certificate,
    now: Timestamp,
    below: u32,
) -> Result<(), PathError> {
    let refuse = |why| {
        Err(PathError::NotAnIssuer {
            subject: label(issuer),
            why,
        })
    };
    if !issuer.is_ca() {
        return refuse("its basic constraints do not say CA");
    }
    let signs = |usage: KeyUsage| usage.contains(KeyUsage::CERT_SIGN);
    if !issuer.key_usage().is_some_and(signs) {
        return refuse("its key usage does not include keyCertSign");
    }
    if issuer.path_len().is_some_and(|limit| below > limit) {
        return refuse("its path length is used up");
    }
    dates(issuer, now)?;
    subject
        .verify_signed_by(issuer.public_key())
        .map_err(|_| PathError::Signature {
            subject: label(subject),
            issuer: label(issuer),
        })
}

fn dates(certificate: &Certificate, now: Timestamp) -> Result<(), PathError> {
    if now < certificate.not_before() || now > certificate.not_after() {
        return Err(PathError::Dates {
            subject: label(certificate),
            from: certificate.not_before(),
            to: certificate.not_after(),
        });
    }
    Ok(())
}

fn label(certificate: &Certificate) -> String {
    name(certificate.subject())
}

/// A name short enough for an error text.
fn name(name: &landfast_pki::Name) -> String {
    name.common_name().map_or_else(
        || "a certificate without a common name".to_owned(),
        |cn| format!("\"{cn}\""),
    )
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(name: &str) -> Certificate {
        let path = Path::new("tests/data/pki").join(name);
        Certificate::from_pem(&std::fs::read(path).unwrap()).unwrap()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn the_anchor_may_be_the_intermediate_or_the_root() {
        let now = at("2026-09-01T12:00:00Z");
        let (leaf, int, root) = (
            read("rsa-leaf.crt"),
            read("rsa-int.crt"),
            read("rsa-root.crt"),
        );
        let direct = [int.clone()];
        assert_eq!(path(&leaf, &[], &direct, now).unwrap().len(), 1);
        let (chain, anchor) = ([int], [root]);
        assert_eq!(path(&leaf, &chain, &anchor, now).unwrap().len(), 2);
        assert!(matches!(
            path(&leaf, &[], &anchor, now),
            Err(PathError::NoIssuer { .. })
        ));
    }

    #[test]
    fn the_same_name_with_another_key_is_no_issuer() {
        let now = at("2026-09-01T12:00:00Z");
        let chain = [read("rsa-int.crt")];
        let other = [read("rsa-other-root.crt")];
        assert!(matches!(
            path(&read("rsa-leaf.crt"), &chain, &other, now),
            Err(PathError::Signature { .. })
        ));
    }

    #[test]
    fn an_ended_certificate_is_told_with_its_dates() {
        let anchor = [read("rsa-int.crt")];
        assert!(matches!(
            path(
                &read("rsa-leaf.crt"),
                &[],
                &anchor,
                at("2056-01-01T00:00:00Z")
            ),
            Err(PathError::Dates { .. })
        ));
    }

    #[test]
    fn a_leaf_issues_nothing() {
        let now = at("2026-09-01T12:00:00Z");
        let leaf = read("ec-leaf.crt");
        let chain = vec![leaf.clone(); 5];
        assert!(path(&leaf, &chain, &[], now).is_err());
    }
}
