//! The challenge dns-01 (RFC 8555 section 8.4).

use super::Attempt;
use crate::challenge::{ChallengeType, DNS_LABEL, dns_value};
use crate::{Kind, Problem};

impl Attempt<'_> {
    /// Whether one of the TXT records has the value.
    pub(super) async fn dns(&self) -> Result<(), Problem> {
        let is_name = self.identifier.ip().is_none();
        self.refuse_unless(is_name, ChallengeType::Dns01)?;
        let name = format!("{DNS_LABEL}{}", self.identifier.host());
        let names = &self.validator.names;
        let texts = names.texts(&name).await?;
        let expected = dns_value(&self.authorization);
        if texts.iter().any(|text| text == expected.as_bytes()) {
            return Ok(());
        }
        let whom = names.whom();
        let detail = match texts.len() {
            0 => format!(
                "dns-01: {name} has no TXT record, says {whom}: set one with the value {expected}"
            ),
            count => format!(
                "dns-01: challenge failed against {count} records: no TXT record of {name} at {whom} has the value {expected}"
            ),
        };
        Err(Problem::new(Kind::IncorrectResponse, detail))
    }
}
