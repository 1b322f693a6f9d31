//! What Roles Anywhere and EKS ask of a node's certificate, as rules that can
//! be checked before AWS sees it.
//!
//! Source: IAM Roles Anywhere user guide, "Trust model"; EKS user guide,
//! "Prepare credentials for hybrid nodes".

use std::time::Duration;

use jiff::Timestamp;
use landfast_pki::{Certificate, KeyType, KeyUsage, hybrid};
use serde::Serialize;

use crate::tags::Facts;

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Severity {
    /// It works, but not as it should.
    Warning,
    /// AWS or the cluster will refuse.
    Error,
}

/// A rule that is broken.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The rule, such as `EE-02`.
    pub rule: &'static str,
    /// Whether it stops the node.
    pub severity: Severity,
    /// What is wrong.
    pub problem: String,
    /// What to do about it.
    pub remedy: String,
}

impl Finding {
    /// A finding that stops the node.
    pub fn error(
        rule: &'static str,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            rule,
            severity: Severity::Error,
            problem: problem.into(),
            remedy: remedy.into(),
        }
    }

    /// A finding that does not.
    pub fn warning(
        rule: &'static str,
        problem: impl Into<String>,
        remedy: impl Into<String>,
    ) -> Self {
        Self {
            severity: Severity::Warning,
            ..Self::error(rule, problem, remedy)
        }
    }
}

/// EE-01 to EE-05: what Roles Anywhere asks of every end-entity certificate.
pub fn end_entity(leaf: &Certificate) -> Vec<Finding> {
    let mut found = Vec::new();
    let role = "fix the role that issued it and enrol again";
    if leaf.version() != 3 {
        found.push(Finding::error(
            "EE-01",
            format!("the certificate is X.509 version {}", leaf.version()),
            "issue a version 3 certificate",
        ));
    }
    let signs = leaf
        .key_usage()
        .is_some_and(|usage| usage.contains(KeyUsage::DIGITAL_SIGNATURE));
    if !signs {
        found.push(Finding::error(
            "EE-02",
            "the key usage does not include digitalSignature",
            format!("add DigitalSignature to key_usage; {role}"),
        ));
    }
    if leaf.is_ca() {
        found.push(Finding::error(
            "EE-03",
            "the certificate is that of a CA",
            "use an end-entity certificate; is the file's first certificate the CA's?",
        ));
    }
    if leaf.subject().is_empty() {
        found.push(Finding::error(
            "EE-04",
            "the subject is empty",
            format!("require a common name; {role}"),
        ));
    }
    if leaf.signature_algorithm().is_err() {
        found.push(Finding::error(
            "EE-05",
            "the certificate is signed with a hash weaker than SHA-256, or an algorithm that Roles Anywhere does not list",
            "let the CA sign with SHA-256 or better",
        ));
    }
    if leaf.public_key().key_type() == KeyType::Ed25519 {
        found.push(Finding::error(
            "EE-05",
            "Roles Anywhere lists no Ed25519 keys",
            format!("use key_type=ec with key_bits=256; {role}"),
        ));
    }
    found
}

/// EE-08: the common name is the node name, and one that Kubernetes takes.
pub fn node_name(leaf: &Certificate, expected: Option<&str>) -> Vec<Finding> {
    let facts = Facts::of(leaf);
    let Some(name) = facts.common_name() else {
        return vec![Finding::error(
            "EE-08",
            "the certificate has no common name",
            "the common name must be the node name; set require_cn on the role",
        )];
    };
    let mut found = Vec::new();
    if let Some(expected) = expected.filter(|expected| *expected != name) {
        found.push(Finding::error(
            "EE-08",
            format!("the common name is {name}, but the node is called {expected}"),
            "enrol with the node's name, or set nodeName to the common name",
        ));
    }
    if !is_node_name(name) {
        found.push(Finding::error(
            "EE-08",
            format!("the common name {name} is no node name"),
            "use 2 to 63 lower-case letters, digits, dots and dashes, as a DNS name has them",
        ));
    }
    found
}

/// EE-09 and EE-10: the session tags that the certificate will become.
pub fn session_tags(leaf: &Certificate) -> Vec<Finding> {
    let facts = Facts::of(leaf);
    let mut found: Vec<Finding> = facts
        .bad_tags()
        .into_iter()
        .map(|bad| {
            Finding::error(
                "EE-09",
                format!("the session tag {} is refused: {}", bad.key, bad.reason),
                "leave that attribute out of the certificate, or out of the profile's attribute mappings",
            )
        })
        .collect();
    let names = facts
        .subject
        .iter()
        .filter(|(name, _)| name == "CN")
        .count();
    if names > 1 {
        found.push(Finding::warning(
            "EE-10",
            "the subject has several common names",
            "keep one: the tag joins them with a slash",
        ));
    }
    if let (Some(first), Some(name)) = (facts.dns.first(), facts.common_name())
        && first != name
    {
        found.push(Finding::warning(
            "EE-10",
            format!("the first DNS name is {first}, not the common name {name}"),
            "only the first DNS name becomes a session tag: put the node name first",
        ));
    }
    found
}

/// EE-11: the lifetime against the renewal interval and the issuer's end.
pub fn lifetime(
    leaf: &Certificate,
    issuer: Option<&Certificate>,
    interval: Duration,
) -> Vec<Finding> {
    let mut found = Vec::new();
    let life = leaf.not_after().duration_since(leaf.not_before());
    if life.unsigned_abs() < interval * 2 {
        found.push(Finding::warning(
            "EE-11",
            format!(
                "the certificate lives {} hours, less than two renewal intervals of {} hours",
                life.as_hours(),
                interval.as_secs() / 3600
            ),
            "raise the role's ttl or renew more often",
        ));
    }
    if let Some(issuer) = issuer.filter(|issuer| leaf.not_after() > issuer.not_after()) {
        found.push(Finding::warning(
            "EE-11",
            format!(
                "the certificate outlives its issuer, which ends {}",
                issuer.not_after()
            ),
            "rotate the CA, or set leaf_not_after_behavior=truncate",
        ));
    }
    found
}

/// Whether the certificate is valid at `now`, and if not, why.
pub fn dates(certificate: &Certificate, now: Timestamp) -> Option<Finding> {
    if now < certificate.not_before() {
        return Some(Finding::error(
            "EE-11",
            format!(
                "the certificate is valid from {}, and this machine's clock says {now:.0}",
                certificate.not_before()
            ),
            "set the clock right (NTP), or wait",
        ));
    }
    (now > certificate.not_after()).then(|| {
        Finding::error(
            "EE-11",
            format!(
                "the certificate ended {}, and this machine's clock says {now:.0}",
                certificate.not_after()
            ),
            "enrol again; if the clock is wrong, set it right first (NTP)",
        )
    })
}

/// Whether a text can be the name of a node: a lower-case DNS-1123 subdomain
/// of 2 to 63 characters, which is also a session name and a label value.
pub fn is_node_name(name: &str) -> bool {
    hybrid::node_name(name).is_ok()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    fn read(name: &str) -> Certificate {
        let path = Path::new("../node/tests/data/pki").join(name);
        Certificate::from_pem(&std::fs::read(path).unwrap()).unwrap()
    }

    fn rules(findings: Vec<Finding>) -> Vec<&'static str> {
        findings.into_iter().map(|finding| finding.rule).collect()
    }

    #[test]
    fn the_corpus_gets_its_verdicts() {
        let now: Timestamp = "2026-09-01T12:00:00Z".parse().unwrap();
        let verdict = |name: &str| {
            let leaf = read(name);
            let mut found = rules(end_entity(&leaf));
            found.extend(rules(node_name(&leaf, None)));
            found.extend(rules(session_tags(&leaf)));
            found.extend(dates(&leaf, now).map(|finding| finding.rule));
            found.dedup();
            found
        };
        for (name, expected) in [
            ("rsa-leaf.crt", &[][..]),
            ("ec-leaf.crt", &[]),
            ("mldsa44-leaf.crt", &[]),
            ("bad/leaf-no-digitalsignature.crt", &["EE-02"]),
            ("bad/leaf-no-keyusage.crt", &["EE-02"]),
            ("bad/leaf-ca-true.crt", &["EE-03"]),
            ("bad/leaf-no-basicconstraints.crt", &[]),
            ("bad/leaf-empty-subject.crt", &["EE-04", "EE-08"]),
            ("bad/leaf-no-cn.crt", &["EE-08"]),
            ("bad/leaf-expired.crt", &["EE-11"]),
            ("bad/leaf-not-yet.crt", &["EE-11"]),
            ("bad/leaf-sha1.crt", &["EE-05"]),
        ] {
            assert_eq!(verdict(name), expected, "{name}");
        }
        assert!(verdict("bad/leaf-san-wildcard.crt").contains(&"EE-09"));
        assert!(verdict("bad/leaf-cn-uppercase.crt").contains(&"EE-08"));
        assert!(verdict("bad/leaf-v1.crt").contains(&"EE-01"));
    }

    #[test]
    fn node_names_are_dns_1123_subdomains() {
        for good in ["n1", "node-1.example", &"n".repeat(63)] {
            assert!(is_node_name(good), "{good}");
        }
        for bad in [
            "n",
            "Node-1",
            "-node",
            "node-",
            "a..b",
            "a.",
            "a_b",
            &"n".repeat(64),
            "",
        ] {
            assert!(!is_node_name(bad), "{bad}");
        }
    }

    #[test]
    fn another_nodes_certificate_is_told() {
        let leaf = read("ec-leaf.crt");
        assert_eq!(rules(node_name(&leaf, Some("other-node"))), ["EE-08"]);
    }
}
