//! Profile, role and trust policy: whether they let this node in, and only it.

use landfast_pki::Certificate;
use landfast_rolesanywhere::policy::{
    ACTIONS, Condition, Context, Effect, PolicyError, Statement, TrustPolicy,
};
use landfast_rolesanywhere::rules::Finding;
use landfast_rolesanywhere::session::{DURATIONS, USUAL_DURATION};
use landfast_rolesanywhere::tags::Facts;

use super::arns::Arns;
use super::documents::{ProfileDocument, RoleDocument};
use super::report::{Question, Report};

/// The condition that ties a session to the name in the certificate.
const OWN_NAME: &str = "${aws:PrincipalTag/x509Subject/CN}";

/// Everything that the decision over a session looks at.
pub(super) struct Access<'a> {
    pub(super) question: &'a Question,
    pub(super) arns: &'a Arns,
    pub(super) profile: Option<&'a ProfileDocument>,
    pub(super) role: Option<&'a RoleDocument>,
    pub(super) policy: Option<&'a TrustPolicy>,
    pub(super) leaf: Option<&'a Certificate>,
}

impl Access<'_> {
    pub(super) fn check(&self, report: &mut Report) {
        match self.profile {
            Some(profile) => report.add(
                "the profile lets the session through",
                self.profile(profile),
            ),
            None => report.skipped.push(
                "the profile: give --profile with the output of `aws rolesanywhere get-profile`",
            ),
        }
        if self.profile.is_none() && self.role.is_none() {
            let length = self
                .question
                .session_duration
                .filter(|seconds| !duration_fits(*seconds));
            report
                .findings
                .extend(length.map(|seconds| out_of_range("the session", seconds)));
        }
        let Some(policy) = self.policy else {
            report.skipped.push("the trust policy: give --role with the output of `aws iam get-role`, or --trust-policy");
            return;
        };
        match self.rules(policy) {
            Ok(findings) => report.add("the trust policy keeps the rules", findings),
            Err(error) => report.findings.push(undecided(&error)),
        }
        self.decision(policy, report);
    }

    /// PF-01 to PF-03.
    fn profile(&self, profile: &ProfileDocument) -> Vec<Finding> {
        let mut found = Vec::new();
        let names_session = !self.question.not_hybrid || self.question.node_name.is_some();
        if names_session && !profile.accept_role_session_name {
            found.push(Finding::error(
                "PF-01",
                "the profile does not accept session names, and the node names its session",
                "aws rolesanywhere update-profile --accept-role-session-name",
            ));
        }
        if !duration_fits(profile.duration_seconds) {
            found.push(out_of_range("the profile", profile.duration_seconds));
        }
        let asked = self.question.session_duration.unwrap_or(USUAL_DURATION);
        if !duration_fits(asked) && self.question.session_duration.is_some() {
            found.push(out_of_range("the session", asked));
        }
        let effective = asked.min(profile.duration_seconds);
        if let Some(role) = self
            .role
            .filter(|role| effective > role.max_session_duration)
        {
            found.push(Finding::error(
                "PF-02",
                format!(
                    "sessions last {effective} seconds, the role allows {}",
                    role.max_session_duration
                ),
                "raise the role's MaxSessionDuration, or ask for less with --session-duration",
            ));
        }
        if profile.enabled == Some(false) {
            found.push(Finding::error(
                "PF-03",
                "the profile is disabled",
                "aws rolesanywhere enable-profile",
            ));
        }
        if let Some(role) = &self.arns.role
            && !profile
                .role_arns
                .iter()
                .any(|listed| *listed == role.to_string())
        {
            found.push(Finding::error(
                "PF-03",
                format!("the profile does not list {role}"),
                "add it: aws rolesanywhere update-profile --role-arns",
            ));
        }
        found
    }

    /// TP-01 to TP-04: what the document says, whoever asks.
    fn rules(&self, policy: &TrustPolicy) -> Result<Vec<Finding>, PolicyError> {
        let mut found = Vec::new();
        for action in ACTIONS {
            let allows: Vec<&Statement> = policy
                .statement
                .iter()
                .filter(|one| one.effect == Effect::Allow && one.concerns(action))
                .collect();
            if allows.is_empty() {
                found.push(Finding::error(
                    "TP-01",
                    format!("no statement allows rolesanywhere.amazonaws.com the action {action}"),
                    format!("allow {}", ACTIONS.join(", ")),
                ));
            }
            for statement in allows {
                let conditions = statement.conditions()?;
                let tied = conditions.iter().any(|one| {
                    one.operator.restricts() && one.key.eq_ignore_ascii_case("aws:SourceArn")
                });
                if !tied {
                    found.push(Finding::error(
                        "TP-02",
                        format!("{action} is allowed without a condition on aws:SourceArn: every trust anchor of the account may be used"),
                        "add ArnEquals aws:SourceArn with the trust anchor's ARN",
                    ));
                }
                let own = conditions.iter().any(|one| {
                    one.operator.is_exact()
                        && one.key.eq_ignore_ascii_case("sts:RoleSessionName")
                        && matches!(&one.values[..], [value] if value.eq_ignore_ascii_case(OWN_NAME))
                });
                if action == "sts:AssumeRole" && !own && !self.question.not_hybrid {
                    found.push(Finding::error(
                        "TP-03",
                        "the session name is not held to the common name: any node may take any node's name",
                        format!("add StringEquals sts:RoleSessionName = {OWN_NAME}"),
                    ));
                }
            }
        }
        let ours = |one: &&Statement| ACTIONS.iter().any(|action| one.concerns(action));
        for statement in policy.statement.iter().filter(ours) {
            for Condition { operator, key, .. } in statement.conditions()? {
                let allows = statement.effect == Effect::Allow;
                if allows
                    && operator.negated
                    && key.to_ascii_lowercase().starts_with("aws:principaltag/")
                {
                    found.push(Finding::warning(
                        "TP-04",
                        format!("a negated condition on {key} holds whenever the tag is missing"),
                        "say what is allowed instead of what is not",
                    ));
                }
            }
        }
        Ok(found)
    }

    /// TP-05: the decision over this certificate and this session name.
    fn decision(&self, policy: &TrustPolicy, report: &mut Report) {
        let (Some(leaf), Some(anchor)) = (self.leaf, &self.arns.anchor) else {
            report.skipped.push("the trust policy's decision over this node: give --certificate and --trust-anchor-arn");
            return;
        };
        let facts = Facts::of(leaf);
        let own = if self.question.not_hybrid {
            None
        } else {
            facts.common_name()
        };
        let session = self
            .question
            .node_name
            .clone()
            .or_else(|| own.map(str::to_owned))
            .unwrap_or_else(|| facts.default_session_name());
        let context = Context::of_session(&facts, anchor, &session);
        let mut found = Vec::new();
        for action in ACTIONS {
            match policy.allows(action, &context) {
                Ok(true) => {}
                Ok(false) => found.push(refused(policy, action, &context, &session)),
                Err(error) => found.push(undecided(&error)),
            }
        }
        found.dedup();
        report.add(
            format!("the trust policy lets the session {session:?} in"),
            found,
        );
    }
}

/// Says which condition stands in the way.
fn refused(policy: &TrustPolicy, action: &str, context: &Context, session: &str) -> Finding {
    let mut why: Vec<String> = Vec::new();
    for statement in policy.statement.iter().filter(|one| one.concerns(action)) {
        let unmet = statement.unmet(context).unwrap_or_default();
        match statement.effect {
            Effect::Deny if unmet.is_empty() => why.push("a statement denies it".to_owned()),
            Effect::Deny => {}
            Effect::Allow => {
                why.extend(
                    unmet
                        .iter()
                        .map(|(operator, key)| format!("{operator} on {key} does not hold")),
                );
            }
        }
    }
    if why.is_empty() {
        why.push("no statement speaks of it".to_owned());
    }
    Finding::error(
        "TP-05",
        format!(
            "the trust policy refuses {action} to the session {session:?}: {}",
            why.join("; ")
        ),
        "change the condition, or the node's certificate or name",
    )
}

fn undecided(error: &PolicyError) -> Finding {
    Finding::warning("TP-05", error.to_string(), "check this statement by hand")
}

fn out_of_range(whose: &str, seconds: u32) -> Finding {
    Finding::error(
        "PF-02",
        format!("{whose} has a length of {seconds} seconds"),
        "900 to 43200 are allowed",
    )
}

/// PF-02 for one length.
fn duration_fits(seconds: u32) -> bool {
    DURATIONS.contains(&seconds)
}
