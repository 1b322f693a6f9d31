//! The ARNs: what is configured, what the documents say, and that they go together.

use landfast_base::arn::{Arn, ArnKind};
use landfast_rolesanywhere::rules::Finding;

use super::documents::{AnchorDocument, ProfileDocument, RoleDocument};
use super::report::{Question, Report};

const AR_01: &str = "AR-01";

/// The ARNs, as far as they are ARNs.
#[derive(Debug, Default)]
pub(super) struct Arns {
    pub(super) anchor: Option<Arn>,
    pub(super) profile: Option<Arn>,
    pub(super) role: Option<Arn>,
    findings: Vec<Finding>,
}

impl Arns {
    /// What is configured and what the documents say must be the same.
    pub(super) fn of(
        question: &Question,
        anchor: Option<&AnchorDocument>,
        profile: Option<&ProfileDocument>,
        role: Option<&RoleDocument>,
    ) -> Self {
        let mut findings = Vec::new();
        let mut pick = |what: &str,
                        configured: Option<&String>,
                        document: Option<&String>,
                        kind| {
            if let (Some(configured), Some(document)) = (configured, document)
                && configured != document
            {
                findings.push(Finding::error(
                    AR_01,
                    format!("the node is configured for the {what} {configured}, the document describes {document}"),
                    "use the same one in both places",
                ));
            }
            let text = configured.or(document)?;
            match Arn::parse_as(text, kind) {
                Ok(arn) => Some(arn),
                Err(error) => {
                    findings.push(Finding::error(
                        AR_01,
                        format!("the {what} {text:?} cannot be used: {error}"),
                        "copy the ARN from the AWS console or command line",
                    ));
                    None
                }
            }
        };
        let anchor = pick(
            "trust anchor",
            question.trust_anchor_arn.as_ref(),
            anchor.and_then(|one| one.arn.as_ref()),
            ArnKind::TrustAnchor,
        );
        let profile = pick(
            "profile",
            question.profile_arn.as_ref(),
            profile.and_then(|one| one.profile_arn.as_ref()),
            ArnKind::Profile,
        );
        let role = pick(
            "role",
            question.role_arn.as_ref(),
            role.and_then(|one| one.arn.as_ref()),
            ArnKind::Role,
        );
        Self {
            anchor,
            profile,
            role,
            findings,
        }
    }

    /// AR-01: one Region, one account, one partition.
    pub(super) fn check(mut self, region: Option<&str>, report: &mut Report) -> Self {
        let mut findings = std::mem::take(&mut self.findings);
        let named: Vec<(&str, &Arn)> = [
            ("trust anchor", &self.anchor),
            ("profile", &self.profile),
            ("role", &self.role),
        ]
        .into_iter()
        .filter_map(|(what, arn)| Some((what, arn.as_ref()?)))
        .collect();
        if named.is_empty() && findings.is_empty() {
            report
                .skipped
                .push("ARNs: give --trust-anchor-arn, --profile-arn and --role-arn");
            return self;
        }
        if let Some(((first, one), others)) = named.split_first() {
            for (what, other) in others {
                if other.account != one.account || other.partition != one.partition {
                    findings.push(Finding::error(
                        AR_01,
                        format!(
                            "the {first} is in account {} of {}, the {what} in account {} of {}",
                            one.account, one.partition, other.account, other.partition
                        ),
                        "trust anchor, profile and role belong to one account",
                    ));
                }
            }
        }
        // A role has no Region.
        let regional: Vec<_> = named
            .iter()
            .filter(|(_, arn)| !arn.region.is_empty())
            .collect();
        if let [(_, anchor), (_, profile)] = regional[..]
            && anchor.region != profile.region
        {
            findings.push(Finding::error(
                AR_01,
                format!(
                    "the trust anchor is in {}, the profile in {}",
                    anchor.region, profile.region
                ),
                "make both in the Region that nodes call",
            ));
        }
        if let Some(region) = region
            && let Some((what, arn)) = regional.iter().find(|(_, arn)| arn.region != region)
        {
            findings.push(Finding::error(
                AR_01,
                format!("the cluster is in {region}, the {what} in {}", arn.region),
                "nodeadm calls Roles Anywhere in the cluster's Region: make the trust anchor and the profile there",
            ));
        }
        report.add("the ARNs agree on account and Region", findings);
        self
    }
}
