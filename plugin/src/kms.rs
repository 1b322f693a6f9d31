//! The mount's way to AWS KMS: its sessions, and a limit on how many signatures it asks for at a time.
//!
//! The connection is the mount's `config/kms`, read by the rules of the seal stanza. Who may write that path may not read the server's files: no
//! value may name one, and a connection without credentials of its own goes to AWS and nowhere else.
#![allow(dead_code, reason = "what signs and what seals land on top of it")]

use std::collections::BTreeMap;
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use landfast_sdk::logical::Error;
use landfast_unseal::aws::{Limits, Session};
use landfast_unseal::config::AwsConfig;
use landfast_unseal::{Author, Class, Environment, ParseOptions};
use tokio::sync::Mutex;

use crate::entry::kms::KmsConfig;
use crate::mount::Mount;

/// The connection as it is configured now. It holds no connection open before the first use.
#[derive(Default)]
pub(crate) struct Kms {
    current: ArcSwapOption<Connection>,
    /// Held while a connection is made anew.
    making: Mutex<()>,
}

/// What follows from one state of `config/kms`.
pub(crate) struct Connection {
    config: Arc<KmsConfig>,
    /// By Region; the empty name is for the Region that the configuration settles.
    sessions: Mutex<BTreeMap<String, Arc<Session>>>,
}

impl Mount {
    /// A session with AWS KMS in `region`, or in the Region of the mount's configuration. Everybody shares it until `config/kms` changes,
    /// so hold it for one piece of work and ask again for the next.
    ///
    /// # Errors
    /// When storage fails, or the configuration cannot be used.
    pub(crate) async fn kms_session(&self, region: Option<&str>) -> Result<Arc<Session>, Error> {
        self.kms_connection().await?.session(region).await
    }

    async fn kms_connection(&self) -> Result<Arc<Connection>, Error> {
        let config = self.load_or_default::<KmsConfig>(KmsConfig::KEY).await?;
        let fits =
            |known: &Arc<Connection>| Arc::ptr_eq(&known.config, &config) || known.config == config;
        if let Some(known) = self.kms.current.load_full().filter(fits) {
            return Ok(known);
        }
        let _alone = self.kms.making.lock().await;
        if let Some(known) = self.kms.current.load_full().filter(fits) {
            return Ok(known);
        }
        let made = Arc::new(Connection {
            config,
            sessions: Mutex::default(),
        });
        self.kms.current.store(Some(Arc::clone(&made)));
        Ok(made)
    }
}

impl Connection {
    async fn session(&self, region: Option<&str>) -> Result<Arc<Session>, Error> {
        let mut sessions = self.sessions.lock().await;
        if let Some(known) = sessions.get(region.unwrap_or_default()) {
            return Ok(Arc::clone(known));
        }
        let (config, _) = parse(&self.config, region)?;
        let session = Session::open(config, Limits::default())
            .await
            .map_err(|error| failed(&error))?;
        let session = Arc::new(session);
        sessions.insert(region.unwrap_or_default().to_owned(), Arc::clone(&session));
        tokio::spawn(landfast_unseal::aws::log_identity(Arc::clone(&session)));
        Ok(session)
    }
}

/// Reads the settings. Also gives what the operator should know and may ignore.
///
/// # Errors
/// 400 with the fault, which repeats no credential.
pub(crate) fn parse(
    config: &KmsConfig,
    region: Option<&str>,
) -> Result<(AwsConfig, Vec<String>), Error> {
    let author = if config.has_credentials() {
        Author::Tenant
    } else {
        Author::TenantWithServerIdentity
    };
    let options = ParseOptions {
        key_id: None,
        author,
    };
    let parsed = config.with_stanza(region, |stanza| {
        AwsConfig::parse(stanza, &Environment::of_process(), &options)
    });
    let mut parsed = parsed.map_err(|error| Error::BadRequest(error.to_string()))?;
    let warnings = std::mem::take(&mut parsed.warnings);
    Ok((parsed, warnings))
}

/// A failure of AWS KMS as an answer: 503 where the same request may succeed a little later, else an error value. The text names cause, key,
/// Region, principal and next step.
pub(crate) fn failed(error: &landfast_unseal::Error) -> Error {
    match error.class() {
        Class::Throttled | Class::Outage => Error::Status {
            code: 503,
            message: format!("AWS KMS did not answer for now, try again: {error}"),
        },
        _ => Error::Failed(format!("AWS KMS: {error}")),
    }
}
