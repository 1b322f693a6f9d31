//! A dry run of a seal with AWS KMS.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::config::AwsConfig;
use super::{AwsKms, KIND, KeyFacts, Session};
use crate::check::Report;
use crate::config::Limits;
use crate::envelope::Envelope;
use crate::error::{Class, Error, ServiceError};

/// Tries what a stanza says: Region, credentials, identity, key, Encrypt, Decrypt.
pub(crate) async fn check(report: &mut Report, mut config: AwsConfig, limits: Limits) {
    report.warnings = std::mem::take(&mut config.warnings);
    let (key, strict) = (config.key.take(), config.strict_key);
    let open = Session::open(config, limits);
    let Some(session) = report
        .run("region", open, |session| {
            format!("{}, from {}", session.region(), session.region_source())
        })
        .await
    else {
        return;
    };
    if session.region_is_a_guess() {
        report.warnings.push(format!(
            "no Region is configured, and {} is only the old seal's default: set region in the stanza",
            session.region()
        ));
    }
    let session = Arc::new(session);

    let origin = async {
        session.credentials().await?;
        Ok(session.credentials_origin().await)
    };
    let say = |origin: &Option<(&'static str, _)>| match origin {
        Some((source, Some(expiry))) => format!("from {source}, until {}", time(*expiry)),
        Some((source, None)) => format!("from {source}"),
        None => "none are needed".to_owned(),
    };
    if report.run("credentials", origin, say).await.is_none() {
        return;
    }
    if session.can_identify() {
        report
            .run("identity", session.identify(), Clone::clone)
            .await;
    }
    let Some(key) = key else { return };
    let kms = AwsKms::new(session, Some(key));
    let say = |facts: &KeyFacts| {
        let regions = if facts.multi_region {
            ", multi-Region"
        } else {
            ""
        };
        format!("{} is {}{regions}", facts.arn, facts.state)
    };
    let looked_up = async { usable(kms.describe().await?) };
    report.run("look up the key", looked_up, say).await;
    let seal = Envelope::new(Arc::new(kms), KIND, BTreeMap::new()).strict_key(strict);
    report.round_trip(&seal).await;
}

/// Refuses a key that AWS KMS knows and would not use.
fn usable(facts: KeyFacts) -> Result<KeyFacts, Error> {
    // While it is updated, a key works.
    if matches!(facts.state.as_str(), "Enabled" | "Updating") {
        return Ok(facts);
    }
    let due = facts.deletion.map(|at| format!(", due {}", time(at)));
    let next_step = match facts.state.as_str() {
        "Disabled" => "enable the key in AWS KMS",
        "PendingDeletion" | "PendingReplicaDeletion" => {
            "cancel the deletion and enable the key: what it wrapped is lost otherwise"
        }
        "PendingImport" => "import the key material",
        _ => "look at the key in AWS KMS",
    };
    Err(Error::from(ServiceError {
        class: Class::Refused,
        operation: "DescribeKey",
        message: format!(
            "the key cannot be used in this state{}",
            due.unwrap_or_default()
        ),
        code: facts.state,
        key: Some(facts.arn),
        region: None,
        endpoint: None,
        principal: None,
        next_step: Some(next_step.to_owned()),
        attempts: 1,
    }))
}

fn time(at: std::time::SystemTime) -> String {
    jiff::Timestamp::try_from(at).map_or_else(
        |_| "an unknown time".to_owned(),
        |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}
