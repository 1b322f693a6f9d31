//! What only the service can tell: whether it answers, and what.

use jiff::Timestamp;
use landfast_rolesanywhere::rules::Finding;

use super::report::{Explanation, Report};
use crate::provider::{Options, Provider, ProviderError, span};
use crate::session::{Credentials, SessionError};

/// What came of a session that was asked for.
#[derive(Debug)]
pub struct Answer(Result<Credentials, ProviderError>);

/// Asks for one session, which is thrown away.
pub async fn ask(options: Options) -> Answer {
    let options = Options {
        cache: None,
        ..options
    };
    Answer(Provider::new(options).fetch(Timestamp::now).await)
}

impl Answer {
    /// What AWS said, when it refused.
    pub fn refusal(&self) -> Option<String> {
        match &self.0 {
            Err(ProviderError::Session(SessionError::Refused { kind, message, .. })) => {
                Some(format!("{kind}: {message}"))
            }
            _ => None,
        }
    }

    /// Whether nobody answered.
    pub const fn is_silence(&self) -> bool {
        matches!(
            &self.0,
            Err(ProviderError::Session(SessionError::Transport { .. }))
        )
    }

    /// Adds the answer to a report: ON-01 for one that did not come, ON-02 for
    /// the clock, ON-03 for a refusal.
    pub fn add_to(&self, report: &mut Report) {
        match &self.0 {
            Ok(credentials) => {
                let clock = credentials.clock_behind.map(|behind| {
                    let which = if behind.is_positive() { "behind" } else { "ahead" };
                    Finding::error(
                        "ON-02",
                        format!("this machine's clock is {} {which} of AWS's", span(behind)),
                        "set it right (NTP): other programs of this machine will be refused",
                    )
                });
                report.add("AWS and this machine agree on the time", clock);
                let who = &credentials.assumed_role_arn;
                report.passed.push(format!("AWS gave a session as {who}"));
            }
            Err(ProviderError::Session(
                error @ SessionError::Refused {
                    message,
                    status,
                    kind,
                },
            )) => {
                let known = error.usual_cause();
                report.findings.push(Finding::error(
                    "ON-03",
                    format!("AWS refused ({status} {kind}): {message}"),
                    known.map_or("look at the other findings", |cause| cause.remedy),
                ));
                report.cause = known.map(|cause| Explanation {
                    cause: cause.cause,
                    remedy: cause.remedy,
                    confirmed_by: report.confirming(cause.rules),
                });
            }
            Err(ProviderError::Session(error)) => report.findings.push(Finding::error(
                "ON-01",
                error.to_string(),
                "open the way to the endpoint (port 443), or name the --endpoint and --ca-file of this network, and its proxy in HTTPS_PROXY",
            )),
            // The files are judged offline.
            Err(_) => report
                .skipped
                .push("the question to AWS: certificate and key must be in order first"),
        }
        report
            .findings
            .sort_by_key(|finding| std::cmp::Reverse(finding.severity));
    }
}
