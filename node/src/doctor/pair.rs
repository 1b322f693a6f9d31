//! The pair on disk.

use std::path::Path;

use jiff::{SignedDuration, Timestamp};
use landfast_pki::{Certificate, PrivateKey, pem};
use landfast_rolesanywhere::rules::{self, Finding};

use super::report::{Question, Report};
use crate::crypto::KeyError;
use crate::files;
use crate::identity::{self, Files, IdentityError};
use crate::reach;

/// The pair on disk: order, match, key file, and what the leaf itself is.
pub(super) fn check(
    question: &Question,
    now: Timestamp,
    report: &mut Report,
) -> Option<(Certificate, Vec<Certificate>)> {
    let Some(path) = &question.certificate else {
        report
            .skipped
            .push("certificate and key: give --certificate and --private-key");
        return None;
    };
    let (leaf, mut chain) = match identity::certificates(path) {
        Ok(found) => found,
        Err(error) => {
            report.findings.push(unreadable("EE-07", &error));
            return None;
        }
    };
    let first = format!(
        "{}: the first certificate is {}",
        path.display(),
        leaf.subject()
    );
    report.add(first, key_first(question, path));
    if let Some(key) = &question.private_key {
        key_file(path, key, question.passphrase.as_deref(), report);
    }
    if let Some(more) = &question.intermediates {
        match identity::intermediates(more) {
            Ok(found) => chain.extend(found),
            Err(error) => report.findings.push(unreadable("EE-07", &error)),
        }
    }
    report.add(
        "the certificate keeps the rules for end entities",
        rules::end_entity(&leaf),
    );
    let written = if question.hypothetical {
        None
    } else {
        written_later(path, now)
    };
    let behind = written.map(|written| {
        Finding::error(
            "EE-11",
            format!("the clock says {now:.0}, and the certificate's file was written {written:.0}: the clock is behind"),
            "set it right (NTP); AWS refuses requests whose date is minutes off",
        )
    });
    report.add(
        format!("the certificate is valid until {:.0}", leaf.not_after()),
        rules::dates(&leaf, now).into_iter().chain(behind),
    );
    let name = rules::node_name(&leaf, question.node_name.as_deref());
    if question.not_hybrid && question.node_name.is_none() {
        report
            .skipped
            .push("node name: not asked for without --node-name and with --not-hybrid");
    } else {
        report.add("the common name is a node name", name);
    }
    report.add(
        "every session tag has characters that STS takes",
        rules::session_tags(&leaf),
    );
    Some((leaf, chain))
}

/// EE-07: nodeadm reads the first block of the file, whatever it is, and
/// expects a certificate.
fn key_first(question: &Question, path: &Path) -> Option<Finding> {
    if question.not_hybrid {
        return None;
    }
    let text = files::read_secret(path).ok()?;
    let label = pem::blocks(text.expose()).first()?.label.clone();
    (label != "CERTIFICATE").then(|| {
        Finding::error(
            "EE-07",
            format!(
                "{}: the file begins with {label}, and nodeadm takes the first block for the certificate",
                path.display()
            ),
            "put the node's certificate first; the private key belongs into a file of its own, with mode 600",
        )
    })
}

/// EE-06: the key is there, private, and the certificate's.
fn key_file(certificate: &Path, key: &Path, passphrase: Option<&Path>, report: &mut Report) {
    let files = Files {
        passphrase,
        ..Files::pair(certificate, key)
    };
    let finding = match identity::load(&files) {
        // A CA is told by EE-03 already.
        Ok(_) | Err(IdentityError::Authority { .. }) => None,
        Err(IdentityError::File(error))
            if error.cause.kind() == std::io::ErrorKind::PermissionDenied =>
        {
            report
                .skipped
                .push("the private key: run as the user that may read it");
            return;
        }
        Err(IdentityError::Key {
            cause: KeyError::P384,
            ..
        }) => Some(p384(certificate, key, passphrase)),
        Err(error) => Some(unreadable("EE-06", &error)),
    };
    report.add(
        "certificate and private key belong together",
        finding
            .into_iter()
            .chain(reach::pair_files(certificate, key)),
    );
}

/// A P-384 key, with which AWS and its own helper work and this program does not:
/// it may still be a stranger to the certificate.
fn p384(certificate: &Path, key: &Path, passphrase: Option<&Path>) -> Finding {
    let own = identity::key_der(key, passphrase)
        .ok()
        .and_then(|der| PrivateKey::from_der(der.expose()).ok());
    let leaf = identity::certificates(certificate)
        .ok()
        .map(|(leaf, _)| leaf);
    if let (Some(own), Some(leaf)) = (own, leaf)
        && own.public_key().spki_der() != leaf.public_key().spki_der()
    {
        let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
        return unreadable("EE-06", &IdentityError::Mismatch { certificate, key });
    }
    Finding::warning(
        "EE-06",
        format!(
            "{}: a P-384 key, which signs sessions in aws_signing_helper but not in landfast (no SHA-256 with this curve)",
            key.display()
        ),
        "leave it to aws_signing_helper, or renew with `landfast renew --rotate-key --key-type ec` (P-256)",
    )
}

fn unreadable(rule: &'static str, error: &IdentityError) -> Finding {
    let remedy = match error {
        IdentityError::File(_) | IdentityError::Missing { .. } => {
            "enrol the node (`landfast enroll`), or name the right file"
        }
        IdentityError::Mismatch { .. } => "enrol the node anew: a key cannot be made to fit",
        IdentityError::Encrypted { .. }
        | IdentityError::Closed { .. }
        | IdentityError::Traditional { .. }
        | IdentityError::Device { .. } => {
            "name a key file that this program and aws_signing_helper can open"
        }
        IdentityError::Form { .. } => "convert it, then name the new file",
        _ => "write the file anew: the node's certificate first, then its intermediates",
    };
    Finding::error(rule, error.to_string(), remedy)
}

/// When the file was written, if that is in the future: a clock that went back.
fn written_later(path: &Path, now: Timestamp) -> Option<Timestamp> {
    let modified = std::fs::metadata(path)
        .and_then(|metadata| metadata.modified())
        .ok()?;
    let written = Timestamp::try_from(modified).ok()?;
    (written.duration_since(now) > SignedDuration::from_mins(5)).then_some(written)
}
