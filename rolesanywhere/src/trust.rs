//! From a leaf to a trust anchor: the path that Roles Anywhere looks for.
//!
//! An anchor may be a root or an intermediate, so it need not be self-signed.
//! Names alone prove nothing: each step is a verified signature.
//!
//! Source: RFC 5280 section 6.1; IAM Roles Anywhere user guide, "Trust model".

use std::collections::BTreeMap;

use jiff::Timestamp;
use landfast_pki::{Certificate, ExtensionRef, KeyUsage, Name, Oid, constraints};

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
    /// An extension that verifiers must know and do not.
    #[error(
        "{subject} has the critical extension {extension}, which verifiers do not know and therefore refuse"
    )]
    Critical {
        /// The certificate.
        subject: String,
        /// The extension's object identifier.
        extension: String,
    },
    /// A name that a CA above may not give.
    #[error("{subject} is refused under {issuer}: {problem}")]
    Names {
        /// The certificate.
        subject: String,
        /// The CA with the name constraints.
        issuer: String,
        /// Which name, and which constraint.
        problem: String,
    },
}

impl PathError {
    /// The rule that is broken.
    pub const fn rule(&self) -> &'static str {
        match self {
            Self::Critical { .. } => "EE-12",
            Self::Names { .. } => "EE-13",
            _ => "CA-09",
        }
    }

    /// What to do about it.
    pub const fn remedy(&self) -> &'static str {
        match self {
            Self::Critical { .. } => {
                "have the certificate issued without that extension, or with one that is not critical"
            }
            Self::Names { .. } => {
                "ask for names within the constraints, or let another CA issue them: every verifier refuses these"
            }
            Self::Dates { .. } => {
                "renew what is not valid now: the certificate (`landfast renew --now`), or the CA; and look at the clock"
            }
            _ => "check the CA chain of the mount's issuer",
        }
    }
}

/// Finds a path from `leaf` over `chain` to one of `anchors`, valid at `now`.
///
/// Returns the issuers in order, the anchor last.
///
/// # Errors
/// The [`PathError`] of the most promising attempt.
pub fn path<'a>(
    leaf: &'a Certificate,
    chain: &'a [Certificate],
    anchors: &'a [Certificate],
    now: Timestamp,
) -> Result<Vec<&'a Certificate>, PathError> {
    dates(leaf, now)?;
    let mut search = Search {
        leaf,
        chain,
        anchors,
        now,
        signed: BTreeMap::new(),
    };
    search.step(&mut Vec::new())
}

/// What is looked at, and which signatures are known already.
struct Search<'a> {
    leaf: &'a Certificate,
    chain: &'a [Certificate],
    anchors: &'a [Certificate],
    now: Timestamp,
    /// By subject and issuer; the leaf is no issuer, and has no place in the chain.
    signed: BTreeMap<(Option<usize>, Issuer), bool>,
}

/// An issuer by its place.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Issuer {
    Chain(usize),
    Anchor(usize),
}

impl<'a> Search<'a> {
    /// Goes on from the leaf and the places `below`, which lie above it.
    fn step(&mut self, below: &mut Vec<usize>) -> Result<Vec<&'a Certificate>, PathError> {
        let subject = below.last().map_or(self.leaf, |place| &self.chain[*place]);
        let mut failed = PathError::NoIssuer {
            subject: label(subject),
            issuer: name(subject.issuer()),
        };
        for place in 0..self.anchors.len() {
            let anchor = &self.anchors[place];
            if !same_name(anchor.subject(), subject.issuer()) {
                continue;
            }
            let path = || below.iter().map(|place| &self.chain[*place]);
            let path: Vec<_> = path().chain([anchor]).collect();
            let reached = self.issued(below, Issuer::Anchor(place));
            match reached.and_then(|()| keeps(self.leaf, &path)) {
                Ok(()) => return Ok(path),
                Err(error) => failed = error,
            }
        }
        for place in 0..self.chain.len() {
            // Each intermediate serves once: there are no circles, and the work is bounded.
            if below.contains(&place) || !same_name(self.chain[place].subject(), subject.issuer()) {
                continue;
            }
            let mut onward = self
                .issued(below, Issuer::Chain(place))
                .map(|()| Vec::new());
            if onward.is_ok() {
                below.push(place);
                onward = self.step(below);
                below.pop();
            }
            match onward {
                Ok(path) => return Ok(path),
                Err(error) => failed = error,
            }
        }
        Err(failed)
    }

    /// Whether `issuer` may have issued the highest of `below`, and did.
    fn issued(&mut self, below: &[usize], by: Issuer) -> Result<(), PathError> {
        let place = below.last().copied();
        let subject = place.map_or(self.leaf, |place| &self.chain[place]);
        let issuer = match by {
            Issuer::Chain(place) => &self.chain[place],
            Issuer::Anchor(place) => &self.anchors[place],
        };
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
        let used_up = |limit: u32| below.len() > limit as usize;
        if issuer.path_len().is_some_and(used_up) {
            return refuse("its path length is used up");
        }
        dates(issuer, self.now)?;
        let signed = self.signed.entry((place, by));
        let signed =
            *signed.or_insert_with(|| subject.verify_signed_by(issuer.public_key()).is_ok());
        if signed {
            Ok(())
        } else {
            Err(PathError::Signature {
                subject: label(subject),
                issuer: label(issuer),
            })
        }
    }
}

/// What verifiers ask of the path as a whole: they know every critical
/// extension, and no name is outside of the constraints above it.
///
/// Source: RFC 5280 sections 4.2, 6.1.3 (b) and (c), 6.1.4 (o).
fn keeps(leaf: &Certificate, issuers: &[&Certificate]) -> Result<(), PathError> {
    let path: Vec<&Certificate> = std::iter::once(leaf)
        .chain(issuers.iter().copied())
        .collect();
    for certificate in &path {
        let unknown = |one: &ExtensionRef<'_>| one.critical && !KNOWN.contains(&one.oid);
        if let Some(extension) = certificate.extensions().find(unknown) {
            return Err(PathError::Critical {
                subject: label(certificate),
                extension: extension.oid.to_string(),
            });
        }
    }
    for (at, issuer) in path.iter().enumerate().skip(1) {
        // Read when the certificate was read.
        let Ok(Some(constraints)) = issuer.name_constraints() else {
            continue;
        };
        // A CA that was renewed under its own name is not asked, a leaf always is.
        let asked = path[..at].iter().enumerate();
        let asked = asked.filter(|(place, one)| *place == 0 || !one.is_self_issued());
        for (_, certificate) in asked {
            if let Some(outside) = constraints::outside(certificate, &constraints) {
                return Err(PathError::Names {
                    subject: label(certificate),
                    issuer: label(issuer),
                    problem: outside.to_string(),
                });
            }
        }
    }
    Ok(())
}

/// The extensions that OpenSSL and Go take when they are critical.
const KNOWN: [Oid; 10] = [
    Oid::new_unwrap("2.5.29.15"), // keyUsage
    Oid::new_unwrap("2.5.29.17"), // subjectAltName
    Oid::new_unwrap("2.5.29.19"), // basicConstraints
    Oid::new_unwrap("2.5.29.30"), // nameConstraints
    Oid::new_unwrap("2.5.29.31"), // cRLDistributionPoints
    Oid::new_unwrap("2.5.29.32"), // certificatePolicies
    Oid::new_unwrap("2.5.29.33"), // policyMappings
    Oid::new_unwrap("2.5.29.36"), // policyConstraints
    Oid::new_unwrap("2.5.29.37"), // extKeyUsage
    Oid::new_unwrap("2.5.29.54"), // inhibitAnyPolicy
];

/// Whether two names are the same, whatever string types they are encoded in.
///
/// Source: RFC 5280 section 7.1: case and runs of blanks do not count.
fn same_name(one: &Name, two: &Name) -> bool {
    let fold = |value: &str| {
        let words: Vec<String> = value.split_whitespace().map(str::to_lowercase).collect();
        words.join(" ")
    };
    let folded = |name: &Name| -> Vec<Vec<(Oid, String)>> {
        let rdns = name.rdns().into_iter();
        let parts = rdns.map(|rdn| {
            let mut parts: Vec<_> = rdn.iter().map(|one| (one.oid, fold(&one.value))).collect();
            parts.sort_unstable();
            parts
        });
        parts.collect()
    };
    one == two || folded(one) == folded(two)
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
fn name(name: &Name) -> String {
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
        let path = Path::new("../node/tests/data/pki").join(name);
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

    /// A CA with these name constraints, and what it issues.
    fn constrained(
        names: Option<rcgen::NameConstraints>,
    ) -> (rcgen::Issuer<'static, rcgen::KeyPair>, Certificate) {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut ca = rcgen::CertificateParams::new(Vec::new()).unwrap();
        ca.is_ca = rcgen::IsCa::Ca(rcgen::BasicConstraints::Unconstrained);
        ca.key_usages = vec![rcgen::KeyUsagePurpose::KeyCertSign];
        ca.distinguished_name
            .push(rcgen::DnType::CommonName, "Node CA");
        ca.name_constraints = names;
        let certificate = Certificate::from_der(ca.self_signed(&key).unwrap().der()).unwrap();
        (rcgen::Issuer::new(ca, key), certificate)
    }

    fn leaf(
        issuer: &rcgen::Issuer<'_, rcgen::KeyPair>,
        name: &str,
        extension: Option<rcgen::CustomExtension>,
    ) -> Certificate {
        let key = rcgen::KeyPair::generate().unwrap();
        let mut leaf = rcgen::CertificateParams::new(vec![name.to_owned()]).unwrap();
        leaf.distinguished_name
            .push(rcgen::DnType::CommonName, name);
        leaf.custom_extensions.extend(extension);
        Certificate::from_der(leaf.signed_by(&key, issuer).unwrap().der()).unwrap()
    }

    #[test]
    fn a_name_outside_of_the_issuers_constraints_is_refused_by_its_rule() {
        let now = at("2026-09-01T12:00:00Z");
        let domain = || vec![rcgen::GeneralSubtree::DnsName("nodes.example".to_owned())];
        for (permitted, excluded, good, bad) in [
            (domain(), vec![], "a.nodes.example", "a.other.example"),
            (vec![], domain(), "a.other.example", "a.nodes.example"),
        ] {
            let (issuer, ca) = constrained(Some(rcgen::NameConstraints {
                permitted_subtrees: permitted,
                excluded_subtrees: excluded,
            }));
            let anchors = [ca];
            let within = leaf(&issuer, good, None);
            assert!(path(&within, &[], &anchors, now).is_ok());
            let error = path(&leaf(&issuer, bad, None), &[], &anchors, now).unwrap_err();
            assert_eq!(error.rule(), "EE-13");
            let text = error.to_string();
            assert!(
                text.contains(bad) && text.contains("nodes.example"),
                "{text}"
            );
        }
    }

    #[test]
    fn an_unknown_critical_extension_is_refused_by_its_rule() {
        let now = at("2026-09-01T12:00:00Z");
        let (issuer, ca) = constrained(None);
        let anchors = [ca];
        let with = |critical| {
            let mut extension = rcgen::CustomExtension::from_oid_content(
                &[1, 3, 6, 1, 4, 1, 99_999, 1],
                vec![5, 0],
            );
            extension.set_criticality(critical);
            leaf(&issuer, "a.example", Some(extension))
        };
        assert!(path(&with(false), &[], &anchors, now).is_ok());
        let error = path(&with(true), &[], &anchors, now).unwrap_err();
        assert_eq!(error.rule(), "EE-12");
        assert!(error.to_string().contains("1.3.6.1.4.1.99999.1"), "{error}");
    }

    /// The same name in another string type, as CAs of other makers write it.
    #[test]
    fn names_are_compared_by_what_they_say() {
        let encode = |value: rcgen::DnValue| {
            let mut name = rcgen::CertificateParams::new(Vec::new()).unwrap();
            name.distinguished_name
                .push(rcgen::DnType::CommonName, value);
            let key = rcgen::KeyPair::generate().unwrap();
            let certificate = name.self_signed(&key).unwrap();
            Certificate::from_der(certificate.der())
                .unwrap()
                .subject()
                .clone()
        };
        let utf8 = encode(rcgen::DnValue::Utf8String("Node CA".to_owned()));
        let printable = encode(rcgen::DnValue::PrintableString(
            "node  ca".try_into().unwrap(),
        ));
        let other = encode(rcgen::DnValue::Utf8String("Node CB".to_owned()));
        assert_ne!(utf8, printable);
        assert!(same_name(&utf8, &printable));
        assert!(!same_name(&utf8, &other));
    }

    #[test]
    fn a_leaf_issues_nothing() {
        let now = at("2026-09-01T12:00:00Z");
        let leaf = read("ec-leaf.crt");
        let chain = vec![leaf.clone(); 5];
        assert!(path(&leaf, &chain, &[], now).is_err());
    }
}
