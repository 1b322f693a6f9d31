//! A dry run of a seal: everything that a server would need, tried once and told in words.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::aws::{AwsKms, KeyFacts, Limits, Session};
use crate::blob::Blob;
use crate::config::{AwsConfig, Environment, ParseOptions};
use crate::envelope::Envelope;
use crate::error::{Class, Error, ServiceError};
use crate::local::LocalKey;
use crate::wrapper::KeyEncryptionKey;

/// What was tried, and how it went.
#[derive(Debug)]
pub struct Step {
    /// What was tried.
    pub name: &'static str,
    /// What came out, for the operator; an error with its class.
    pub outcome: Result<String, (Class, String)>,
    /// How long it took.
    pub took: Duration,
}

/// The result of a dry run.
#[derive(Debug, Default)]
pub struct Report {
    /// Doubts about the stanza that do not stop a server.
    pub warnings: Vec<String>,
    /// The steps in order. The run ends early only where nothing further can be tried.
    pub steps: Vec<Step>,
}

impl Report {
    /// Whether a server could unseal with this stanza, and the first reason if not. Looking up the identity and the key is not needed for that.
    pub fn verdict(&self) -> Result<(), Class> {
        let needed = self
            .steps
            .iter()
            .filter(|step| !matches!(step.name, "identity" | "look up the key"));
        needed
            .filter_map(|step| step.outcome.as_ref().err())
            .map(|(class, _)| Err(*class))
            .next()
            .unwrap_or(Ok(()))
    }

    async fn run<T>(
        &mut self,
        name: &'static str,
        work: impl Future<Output = Result<T, Error>>,
        say: impl FnOnce(&T) -> String,
    ) -> Option<T> {
        let began = Instant::now();
        let outcome = work.await;
        let told = match &outcome {
            Ok(value) => Ok(say(value)),
            Err(error) => Err((error.class(), error.to_string())),
        };
        self.steps.push(Step {
            name,
            outcome: told,
            took: began.elapsed(),
        });
        outcome.ok()
    }
}

/// Tries an awskms stanza: configuration, credentials, identity, key, Encrypt, Decrypt. Of one with a key file: the file, and the same round trip.
pub async fn awskms(
    stanza: &BTreeMap<String, String>,
    environment: &Environment,
    options: &ParseOptions<'_>,
    limits: Limits,
) -> Report {
    let mut report = Report::default();
    if let Some(file) = LocalKey::of_stanza(stanza).transpose() {
        let checked = report.run("stanza", async { file }, |_| "can be used".to_owned());
        if let Some(path) = checked.await {
            key_file(&mut report, &path).await;
        }
        return report;
    }
    let config = async { AwsConfig::parse(stanza, environment, options) };
    let Some(mut config) = report
        .run("stanza", config, |_| "can be used".to_owned())
        .await
    else {
        return report;
    };
    report.warnings = std::mem::take(&mut config.warnings);
    let (key, strict) = (config.key.take(), config.strict_key);
    let open = Session::open(config, limits);
    let Some(session) = report
        .run("region", open, |session| {
            format!("{}, from {}", session.region(), session.region_source())
        })
        .await
    else {
        return report;
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
        return report;
    }
    if session.can_identify() {
        report
            .run("identity", session.identify(), Clone::clone)
            .await;
    }
    let Some(key) = key else { return report };
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
    let seal = Envelope::new(Arc::new(kms), "awskms", BTreeMap::new()).strict_key(strict);
    round_trip(&mut report, &seal).await;
    report
}

async fn key_file(report: &mut Report, path: &Path) {
    let load = async { Ok(LocalKey::load(path)?.into_seal()) };
    let say = |seal: &Envelope<LocalKey>| format!("{} holds {}", path.display(), seal.key_id());
    if let Some(seal) = report.run("key file", load, say).await {
        report.warnings.push(
            "the seal's key lies in a file on this machine: that protects against nothing but a lost copy of the storage, and is meant for tests"
                .to_owned(),
        );
        round_trip(report, &seal).await;
    }
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

async fn round_trip<K: KeyEncryptionKey>(report: &mut Report, seal: &Envelope<K>) {
    let blob = report
        .run("encrypt", seal.encrypt(b"landfast", b""), |blob| {
            format!("by {}", blob.key_id().unwrap_or_default())
        })
        .await;
    let Some(blob) = blob else { return };
    let decrypt = async {
        let opened = seal.decrypt(&blob, b"").await?;
        if opened.expose() == b"landfast" {
            Ok(())
        } else {
            Err(Error::Authentication)
        }
    };
    report
        .run("decrypt", decrypt, |()| "the same came back".to_owned())
        .await;
}

fn time(at: std::time::SystemTime) -> String {
    jiff::Timestamp::try_from(at).map_or_else(
        |_| "an unknown time".to_owned(),
        |at| at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
    )
}
