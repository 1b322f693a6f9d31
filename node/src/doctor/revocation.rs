//! Revocation lists.

use jiff::Timestamp;
use landfast_base::limits::CRL_OCTETS;
use landfast_pki::{Certificate, Crl};
use landfast_rolesanywhere::rules::Finding;

use super::report::{DoctorError, Question, Report};
use crate::files;

/// CR-01 and CR-02: lists that AWS can import, and the node not in them.
pub(super) fn check(
    question: &Question,
    issuers: &[Certificate],
    leaf: Option<&Certificate>,
    now: Timestamp,
    report: &mut Report,
) -> Result<(), DoctorError> {
    if question.crls.is_empty() {
        report.skipped.push("revocation: give --crl");
    }
    for file in &question.crls {
        let shown = file.display();
        let content = files::read_secret(file)?;
        let content = content.expose();
        let crl = Crl::from_pem(content)
            .or_else(|_| Crl::from_der(content))
            .map_err(|error| DoctorError::Document {
                path: shown.to_string(),
                problem: format!("not a CRL: {error}"),
            })?;
        let mut findings = Vec::new();
        let mut refuse = |problem: String, remedy: &str| {
            findings.push(Finding::error(
                "CR-01",
                format!("{shown}: {problem}"),
                remedy,
            ));
        };
        if content.len() > CRL_OCTETS {
            refuse(
                format!(
                    "{} octets are more than the {CRL_OCTETS} that AWS imports",
                    content.len()
                ),
                "remove expired entries (tidy), and issue shorter lives",
            );
        }
        if crl.is_delta() {
            refuse("a delta CRL".into(), "import the complete CRL");
        }
        if crl.next_update().is_some_and(|next| next < now) {
            refuse(
                "its nextUpdate has passed".into(),
                "export and import it anew",
            );
        }
        if !issuers.is_empty() {
            let named: Vec<_> = issuers
                .iter()
                .filter(|ca| ca.subject() == crl.issuer())
                .collect();
            if named.is_empty() {
                refuse(
                    format!("{} issued it, and is not in the trust anchor", crl.issuer()),
                    "import the CRL of a CA that is in the anchor",
                );
            } else if !named
                .iter()
                .any(|ca| crl.verify_signed_by(ca.public_key()).is_ok())
            {
                refuse(
                    format!("not signed by the {} of the trust anchor", crl.issuer()),
                    "export the CRL of that very CA: another has the same name",
                );
            }
        }
        let revoked = leaf
            .filter(|leaf| leaf.issuer() == crl.issuer())
            .and_then(|leaf| crl.find(leaf.serial()))
            .map(|entry| {
                Finding::error(
                    "CR-02",
                    format!(
                        "{shown}: the node's certificate is revoked since {:.0}",
                        entry.revoked_at
                    ),
                    "if the node is to come back, enrol it again",
                )
            });
        report.add(
            format!("{shown}: a good CRL, the node not in it"),
            findings.into_iter().chain(revoked),
        );
    }
    Ok(())
}
