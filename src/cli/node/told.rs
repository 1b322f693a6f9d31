//! What is told of an enrolment or a renewal, and of one that failed.

use std::io::Write as _;

use landfast_node::enroll::{Due, EnrolError, Enrolment, Outcome};
use landfast_node::rules::{self, Finding};
use landfast_node::vault::VaultError;
use landfast_pki::Certificate;
use serde_json::{Value, json};

use crate::cli::Failure;

/// Tells what came of an enrolment or a renewal, as text or as JSON.
pub(in crate::cli) fn tell(
    enrolment: &Enrolment,
    due: Due,
    outcome: &Outcome,
    as_json: bool,
) -> Result<(), Failure> {
    if as_json {
        return print(&format!("{}\n", report(enrolment, due, outcome)));
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
    print(&format!(
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
    rules::pair_files(&pair.certificate_path(), &pair.key_path())
}

/// Prints to standard output. A reader that has seen enough, such as `head`,
/// is no failure.
pub(in crate::cli) fn print(text: &str) -> Result<(), Failure> {
    write(text.as_bytes())
}

/// The same for octets.
pub(in crate::cli) fn write(octets: &[u8]) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    match out.write_all(octets).and_then(|()| out.flush()) {
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
            Err(Failure::Failed(format!("standard output: {error}")))
        }
        _ => Ok(()),
    }
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

/// The exit code and text of a server's error.
pub(in crate::cli) fn explain(error: &VaultError) -> Failure {
    let text = error.to_string();
    match error {
        VaultError::Transport { .. } | VaultError::Sealed(_) => Failure::Unreachable(text),
        error if error.is_usage() => Failure::Usage(text),
        VaultError::Wrapping { .. } => Failure::Refused(text),
        _ => Failure::Failed(text),
    }
}

/// The same for a login, where a refusal is about the credentials and not
/// about a token's policies.
pub(in crate::cli) fn explain_login(error: &VaultError) -> Failure {
    match error {
        // A server that has no method at a path does not say so to whoever has no token.
        VaultError::Denied { path, .. } => Failure::Failed(format!(
            "{path}: the server refused the login (403). Either no method is enabled there: look with `bao auth list`, enable it with `bao auth enable`, or name its place by --auth-mount; or it does not take these credentials for the role"
        )),
        VaultError::Refused {
            path,
            status: 400,
            message,
        } if path.starts_with("sys/wrapping/") => Failure::Failed(format!(
            "the wrapped token is not good: {message}; it works once and ends soon. If this machine did not use it, somebody else did: have it revoked, then get a new one"
        )),
        VaultError::Refused {
            path,
            status: 400,
            message,
        } if message.contains("invalid role or secret ID")
            || message.contains("invalid secret id") =>
        {
            Failure::Failed(format!(
                "{path}: {message}; look at the role id, and get a new secret id if this one has ended or was used up: bao write -f -field=secret_id {}/role/NAME/secret-id",
                path.strip_suffix("/login").unwrap_or(path)
            ))
        }
        _ if error.is_about_a_certificate() => Failure::Failed(format!(
            "{error}; a certificate that has ended, or that the method does not know, logs nobody in: enrol by another --auth"
        )),
        other => explain(other),
    }
}

/// The exit code and text of a failed enrolment.
pub(in crate::cli) fn explain_enrolment(error: &EnrolError) -> Failure {
    match error {
        // The role's own words name what it does not allow, and so the rule.
        EnrolError::Vault(VaultError::Refused {
            path,
            status: 400,
            message,
        }) if message.contains("not allowed by this role") => Failure::Refused(format!(
            "{path}: {message}; give the name that this login may have by --node-name, or allow this one on the role (allowed_domains, allow_bare_domains)"
        )),
        EnrolError::Vault(error) => explain(error),
        EnrolError::NodeName(_) | EnrolError::KeyType { .. } => Failure::Usage(error.to_string()),
        EnrolError::Unusable { .. } | EnrolError::ForeignKey { .. } => {
            Failure::Refused(error.to_string())
        }
        other => Failure::Failed(other.to_string()),
    }
}
