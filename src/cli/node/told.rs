//! What is told of an enrolment or a renewal, and of one that failed.

use landfast_node::enroll::{Due, Enrolment, Outcome};
use landfast_node::reach;
use landfast_pki::Certificate;
use landfast_rolesanywhere::rules::Finding;
use serde_json::{Value, json};

use crate::cli::{Failure, output};

/// Tells what came of an enrolment or a renewal, as text or as JSON.
pub(in crate::cli) fn tell(
    enrolment: &Enrolment,
    due: Due,
    outcome: &Outcome,
    as_json: bool,
) -> Result<(), Failure> {
    if as_json {
        return output::print(&format!("{}\n", report(enrolment, due, outcome)));
    }
    let kept = pair_files(enrolment);
    let (certificate, what, warnings) = match outcome {
        Outcome::Kept(certificate) => (certificate, "kept the certificate", &kept[..]),
        Outcome::Issued {
            certificate,
            new_key: true,
            warnings,
            ..
        } => (certificate, "new key and certificate", &warnings[..]),
        Outcome::Issued {
            certificate,
            warnings,
            ..
        } => (certificate, "new certificate, same key", &warnings[..]),
    };
    for warning in warnings {
        eprintln!(
            "landfast: warning ({}): {}; {}",
            warning.rule, warning.problem, warning.remedy
        );
    }
    output::print(&format!(
        "{}: {what}\n  certificate  {}\n  private key  {}\n  serial       {}\n  valid until  {}\n  renewal due  {}\n",
        enrolment.node_name,
        enrolment.pair.certificate_path().display(),
        enrolment.pair.key_path().display(),
        certificate.serial(),
        certificate.not_after(),
        due.at(certificate),
    ))
}

fn pair_files(enrolment: &Enrolment) -> Vec<Finding> {
    let pair = &enrolment.pair;
    reach::pair_files(&pair.certificate_path(), &pair.key_path())
}

fn report(enrolment: &Enrolment, due: Due, outcome: &Outcome) -> Value {
    let dates = |certificate: &Certificate| {
        json!({
            "nodeName": enrolment.node_name,
            "certificate": enrolment.pair.certificate_path(),
            "privateKey": enrolment.pair.key_path(),
            "serialNumber": certificate.serial().to_string(),
            "notBefore": certificate.not_before(),
            "notAfter": certificate.not_after(),
            "renewalDue": due.at(certificate),
        })
    };
    match outcome {
        Outcome::Kept(certificate) => {
            let mut report = dates(certificate);
            report["outcome"] = "kept".into();
            report["warnings"] = json!(pair_files(enrolment));
            report
        }
        Outcome::Issued {
            certificate,
            new_key,
            key_type_changed,
            warnings,
        } => {
            let mut report = dates(certificate);
            report["outcome"] = "issued".into();
            report["newKey"] = (*new_key).into();
            report["keyTypeChanged"] = (*key_type_changed).into();
            report["warnings"] = json!(warnings);
            report
        }
    }
}
