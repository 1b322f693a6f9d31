//! The trust anchor, and the certificate's way to it.

use std::time::Duration;

use jiff::Timestamp;
use landfast_pki::{Certificate, anchor};
use landfast_rolesanywhere::post_quantum::Audit;
use landfast_rolesanywhere::rules::{self, Finding};
use landfast_rolesanywhere::trust;

use super::documents::AnchorDocument;
use super::report::{Question, Report};

/// The anchor's certificates, and the leaf's way to them.
pub(super) fn check(
    question: &Question,
    document: Option<&AnchorDocument>,
    pair: Option<&(Certificate, Vec<Certificate>)>,
    now: Timestamp,
    report: &mut Report,
) -> Vec<Certificate> {
    let Some(document) = document else {
        report
            .skipped
            .push("the path to the trust anchor: give --trust-anchor");
        return pair.map(|(_, chain)| chain.clone()).unwrap_or_default();
    };
    let (anchors, read) = anchor::read_bundle(&document.bundle);
    let checked = anchor::check(&anchors, now);
    let disabled = (document.enabled == Some(false)).then(|| {
        Finding::error(
            "CA-09",
            "the trust anchor is disabled",
            "aws rolesanywhere enable-trust-anchor",
        )
    });
    let remedy = "correct the bundle; `landfast trust-anchor` exports one that AWS takes";
    let findings = read
        .errors
        .into_iter()
        .chain(checked.errors)
        .map(|one| Finding::error(one.rule, one.text, remedy))
        .chain(
            read.warnings
                .into_iter()
                .chain(checked.warnings)
                .map(|one| Finding::warning(one.rule, one.text, remedy)),
        )
        .chain(disabled);
    report.add("AWS can use the trust anchor", findings);
    if let Some((leaf, chain)) = pair {
        leads(question, leaf, chain, &anchors, now, report);
    }
    anchors
}

/// What of anchor, chain and leaf is post-quantum.
pub(super) fn audit(
    document: Option<&AnchorDocument>,
    pair: Option<&(Certificate, Vec<Certificate>)>,
) -> Audit {
    let anchors = document.map(|document| anchor::read_bundle(&document.bundle).0);
    let (leaf, chain) = pair.map_or((None, &[][..]), |(leaf, chain)| (Some(leaf), chain));
    Audit::of(&anchors.unwrap_or_default(), chain, leaf)
}

/// CA-09: the leaf's issuer, or a CA above the chain that is sent, is in the anchor.
fn leads(
    question: &Question,
    leaf: &Certificate,
    chain: &[Certificate],
    anchors: &[Certificate],
    now: Timestamp,
    report: &mut Report,
) {
    // The leaf's own dates are told already; beside them the path may be right or wrong.
    let when = now.max(leaf.not_before()).min(leaf.not_after());
    let held: Vec<String> = anchors
        .iter()
        .map(|one| one.subject().to_string())
        .collect();
    let held = if held.is_empty() {
        "nothing".to_owned()
    } else {
        held.join(" and ")
    };
    let export = "put the issuing CA into the trust anchor: `landfast trust-anchor --anchor issuing`, or both";
    match trust::path(leaf, &[], anchors, when) {
        Ok(issuers) => {
            let outlives = rules::lifetime(leaf, issuers.first().copied(), Duration::ZERO);
            report.add(
                "the CA that issued the certificate is in the trust anchor",
                outlives,
            );
        }
        // The issuer is there, and what it issued is refused.
        Err(error) if error.rule() != "CA-09" => report.findings.push(Finding::error(
            error.rule(),
            error.to_string(),
            error.remedy(),
        )),
        Err(direct) => match trust::path(leaf, chain, anchors, when) {
            Ok(_) if question.not_hybrid => {
                report
                    .passed
                    .push("the chain leads to the trust anchor".to_owned());
            }
            Ok(_) => report.findings.push(Finding::error(
                "CA-09",
                format!(
                    "{} issued the certificate and is not in the trust anchor, which holds {held}; \
                     hybrid nodes do not send the intermediates that would lead there",
                    leaf.issuer()
                ),
                export,
            )),
            Err(error) if error.rule() != "CA-09" => report.findings.push(Finding::error(
                error.rule(),
                error.to_string(),
                error.remedy(),
            )),
            Err(error) => {
                let error = if chain.is_empty() { direct } else { error };
                report.findings.push(Finding::error(
                    "CA-09",
                    format!(
                        "no path leads from the certificate, issued by {}, to the trust anchor, which holds {held}: {error}",
                        leaf.issuer()
                    ),
                    export,
                ));
            }
        },
    }
}
