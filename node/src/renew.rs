//! Renewal: one attempt, from login to the hook that may refuse what came.
//!
//! When to try is [`schedule`]'s matter, trying for years [`daemon`]'s.

pub mod daemon;
pub mod hook;
pub mod schedule;
pub mod textfile;

use jiff::Timestamp;
use landfast_pki::Certificate;
use landfast_rolesanywhere::rules::Finding;

use crate::enroll::{Attempt, Due, EnrolError, Enrolment, Outcome};
use crate::files::FileError;
use crate::login::Source;
use crate::vault::{Config, VaultError};

use self::hook::{Event, ForeignProgram, Hook, HookError};

/// The unit that nodeadm writes for the shared credentials file. It chooses
/// its signing algorithm once, at its start.
pub const HELPER_UNIT: &str = "aws_signing_helper_update.service";

/// All that a renewal needs. Files with secrets, and the pair, are read anew
/// every time.
#[derive(Clone, Debug)]
pub struct Renewer {
    /// What to ask for.
    pub enrolment: Enrolment,
    /// The server.
    pub server: Config,
    /// How to log in.
    pub login: Source,
    /// When a certificate is due.
    pub due: Due,
    /// What judges and uses the new pair.
    pub hook: Option<Hook>,
    /// The unit to restart when the key's type changes.
    pub helper: Option<String>,
}

/// Under which condition to renew.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum When {
    /// When the certificate is due, or not usable.
    Due,
    /// In any case, with the key in place.
    Now,
    /// In any case, with a new key.
    NewKey,
}

/// Why a renewal failed.
#[derive(Debug, thiserror::Error)]
pub enum RenewError {
    /// No login.
    #[error("login: {0}")]
    Login(VaultError),
    /// No certificate.
    #[error(transparent)]
    Enrol(#[from] EnrolError),
    /// The hook refused the new pair.
    #[error("the hook refused the new certificate: {cause}; {}", after(*.rolled_back))]
    Hook {
        /// How it failed.
        cause: HookError,
        /// Whether the former pair is back in place. It is not when there was
        /// none, or none that is still good.
        rolled_back: bool,
    },
    /// The hook is a program that another user may change; nothing was renewed.
    #[error(transparent)]
    ForeignHook(ForeignProgram),
    /// The former pair could not be put back.
    #[error("the former certificate could not be put back: {0}")]
    RollBack(FileError),
}

const fn after(rolled_back: bool) -> &'static str {
    if rolled_back {
        "the former pair is back in place"
    } else {
        "there is no good former pair, so the new one stays"
    }
}

impl RenewError {
    /// Whether the same attempt may succeed later without anybody's help.
    pub fn is_temporary(&self) -> bool {
        match self {
            Self::Login(error) | Self::Enrol(EnrolError::Vault(error)) => error.is_temporary(),
            // A full disk, most often.
            Self::Enrol(EnrolError::File(_)) | Self::RollBack(_) => true,
            _ => false,
        }
    }
}

impl Renewer {
    /// Looks at the pair in place, and refuses what a login should not be spent on.
    ///
    /// # Errors
    /// [`RenewError::ForeignHook`], [`RenewError::Enrol`].
    pub fn attempt(&self, when: When, now: Timestamp) -> Result<Attempt<'_>, RenewError> {
        if let Some(hook) = &self.hook {
            hook.check().map_err(RenewError::ForeignHook)?;
        }
        let due = match when {
            When::Due => self.due,
            When::Now | When::NewKey => Due { fraction: 0.0 },
        };
        Ok(self.enrolment.attempt(due, when == When::NewKey, now)?)
    }

    /// Renews, unless the pair in place stays.
    ///
    /// # Errors
    /// [`RenewError`]; a good pair that was in place is in place still.
    pub async fn run(&self, attempt: Attempt<'_>) -> Result<Outcome, RenewError> {
        if let Some(certificate) = attempt.kept() {
            return Ok(Outcome::Kept(certificate.clone()));
        }
        let former_is_good = attempt.former_is_good();
        let vault = self.login.open(self.server.clone()).await;
        let vault = vault.map_err(RenewError::Login)?;
        let mut outcome = attempt.run(&vault).await?;
        if let Outcome::Issued {
            certificate,
            new_key,
            key_type_changed,
            warnings,
        } = &mut outcome
        {
            self.hand_over(certificate, *new_key, former_is_good)
                .await?;
            // At every renewal: a crash may have come between the last one and this.
            if let Err(error) = self.enrolment.pair.forget_former_keys() {
                warnings.push(Finding::warning(
                    "RN-02",
                    format!("a former key is still on this machine: {error}"),
                    "remove the older directories of .landfast beside the pair",
                ));
            }
            if *key_type_changed {
                warnings.extend(self.restart_helper().await);
            }
        }
        Ok(outcome)
    }

    async fn hand_over(
        &self,
        certificate: &Certificate,
        new_key: bool,
        former_is_good: bool,
    ) -> Result<(), RenewError> {
        let Some(hook) = &self.hook else {
            return Ok(());
        };
        let pair = &self.enrolment.pair;
        let serial = certificate.serial().to_string();
        let variables = [
            ("LANDFAST_CERTIFICATE", pair.certificate_path().into()),
            ("LANDFAST_PRIVATE_KEY", pair.key_path().into()),
            (
                "LANDFAST_NODE_NAME",
                self.enrolment.node_name.clone().into(),
            ),
            ("LANDFAST_SERIAL_NUMBER", serial.into()),
            ("LANDFAST_NEW_KEY", new_key.to_string().into()),
        ];
        let Err(cause) = hook.run(Event::Renewed, &variables).await else {
            return Ok(());
        };
        let rolled_back = former_is_good && pair.roll_back().map_err(RenewError::RollBack)?;
        if rolled_back && let Err(error) = hook.run(Event::RolledBack, &variables).await {
            tracing::error!(%error, "the hook failed with the former pair as well");
        }
        Err(RenewError::Hook { cause, rolled_back })
    }

    /// A helper that cannot be restarted is no reason to give up a good
    /// certificate: it is told, and systemd restarts the helper when it fails.
    async fn restart_helper(&self) -> Option<Finding> {
        let unit = self.helper.as_ref()?;
        let Err(error) = hook::systemctl(&["try-restart", unit]).await else {
            tracing::info!(unit, "the key's type changed: restarted");
            return None;
        };
        Some(Finding::warning(
            "RN-01",
            format!(
                "the key's type changed, and {unit} could not be restarted: systemctl: {error}"
            ),
            format!(
                "if this machine has the unit, run `systemctl restart {unit}`: it signs by the former key's algorithm until then; if not, say --restart-unit ''"
            ),
        ))
    }
}
