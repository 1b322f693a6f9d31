//! `acme/validations/AUTHORIZATION-TYPE`: whether a client controls a name.
//!
//! A validation is on record from the moment at which the client says that it is ready until it succeeded or failed for good, so that it goes on after a
//! crash and on another node. It is a task of its own, tried several times with growing pauses, as the built-in engine does it; a place among those that
//! are tried at a time is only held while the network is asked.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use landfast_acme::ChallengeType;
use landfast_acme::Networks;
use landfast_acme::problem::{Kind, Problem};
use landfast_acme::validate::{Validator, ValidatorSettings};
use landfast_sdk::logical::{Error, StorageError, Write};
use serde_json::Value;

use crate::acme::accounts::read;
use crate::acme::orders::{authorization_key, write_authorization};
use crate::acme::{self, Refused, problem};
use crate::entry;
use crate::entry::acme::{
    AuthorizationEntry, AuthorizationStatus, ChallengeStatus, ValidationConfig, ValidationEntry,
};
use crate::entry::other::Other;
use crate::entry::time::StoredTime;
use crate::metrics::Validated;
use crate::mount::{Mount, Shared};

/// Storage prefix.
pub(crate) const PREFIX: &str = "acme/validations/";

/// Failures before the last one.
const MOST_FAILURES: u32 = 5;

/// How much longer each pause is than the one before.
const PAUSE: SignedDuration = SignedDuration::from_secs(5);

/// How long a shown control counts.
const LIFETIME: SignedDuration = SignedDuration::from_hours(15 * 24);

/// Pauses of a second for a storage that fails, before the minute's work takes it up again.
const STORAGE_FAILURES: u32 = 10;

/// What is validated, and how.
#[derive(Debug)]
struct Target {
    /// In which way.
    challenge: ChallengeType,
    /// The name, without `*.`.
    name: String,
    /// Whether it is an address.
    is_ip: bool,
    /// The challenge's token.
    token: String,
    /// Thumbprint of the account's key.
    thumbprint: String,
}

/// Takes a client at its word that it is ready: puts the validation on record and begins it. To be called with the authorization held
/// ([`Acme::writing`](crate::acme::state::Acme::writing)).
///
/// # Errors
/// The authorization is past that, or another of its challenges was begun. When storage fails.
pub(crate) async fn accept(
    mount: &Shared,
    authorization: &mut AuthorizationEntry,
    kind: ChallengeType,
    thumbprint: String,
) -> Result<(), Refused> {
    let name = name(&authorization.id, kind);
    check(authorization, kind)?;
    if let Some(known) = read::<ValidationEntry>(mount, &key(&name)).await? {
        begin(mount, name, known);
        return Ok(());
    }
    let Some(challenge) = authorization
        .challenges
        .iter_mut()
        .find(|one| one.kind == kind)
    else {
        return Err(unknown(kind));
    };
    let validation = ValidationEntry {
        account: authorization.account_id.clone(),
        authorization: authorization.id.clone(),
        challenge_type: kind,
        token: challenge.challenge_fields.token.clone(),
        thumbprint,
        initiated: StoredTime(mount.now()),
        first_validation: StoredTime::never(),
        retry_count: 0,
        last_retry: StoredTime::never(),
        retry_after: StoredTime::never(),
        other: Other::default(),
    };
    challenge.status = ChallengeStatus::Processing;
    mount
        .save(vec![
            Write::put(key(&name), entry::encode(&validation)),
            write_authorization(authorization),
        ])
        .await?;
    begin(mount, name, validation);
    Ok(())
}

/// Said where an authorization has no challenge of this type.
pub(crate) fn unknown(kind: impl std::fmt::Display) -> Refused {
    acme::because(
        Kind::Malformed,
        format_args!("unknown challenge of type '{kind}' in authorization"),
    )
}

fn check(authorization: &AuthorizationEntry, kind: ChallengeType) -> Result<(), Refused> {
    if authorization.status != AuthorizationStatus::Pending {
        return Err(problem(
            Kind::Malformed,
            format_args!(
                "cannot accept already validated authorization {}",
                authorization.id
            ),
        ));
    }
    let other = authorization
        .challenges
        .iter()
        .find(|one| one.kind != kind && one.status != ChallengeStatus::Pending);
    match other {
        Some(other) => Err(problem(
            Kind::Malformed,
            format_args!(
                "only a single challenge within an authorization can be accepted ({} was)",
                other.kind
            ),
        )),
        None => Ok(()),
    }
}

/// Goes on with what is on record. To be called only where storage may be written.
///
/// # Errors
/// When storage fails.
pub(crate) async fn resume(mount: &Shared) -> Result<(), Error> {
    if !acme::config(mount).await?.enabled {
        return Ok(());
    }
    for name in mount.storage().list(PREFIX).await? {
        if let Some(validation) = read::<ValidationEntry>(mount, &key(&name)).await? {
            begin(mount, name, validation);
        }
    }
    Ok(())
}

fn key(name: &str) -> String {
    format!("{PREFIX}{name}")
}

fn name(authorization: &str, kind: ChallengeType) -> String {
    format!("{authorization}-{kind}")
}

/// Begins a validation, unless it is under way.
fn begin(mount: &Shared, name: String, validation: ValidationEntry) {
    if !mount.acme.begin(&name) {
        return;
    }
    let mount = Arc::clone(mount);
    tokio::spawn(async move {
        // A panic must not make it look as if it were under way for ever.
        let under_way = UnderWay {
            mount: &mount,
            name: &name,
        };
        carry_out(under_way.mount, under_way.name, validation).await;
    });
}

struct UnderWay<'a> {
    mount: &'a Mount,
    name: &'a str,
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.mount.acme.end(self.name);
    }
}

/// Tries until it succeeds, fails for good, or the mount is closed.
async fn carry_out(mount: &Mount, name: &str, mut validation: ValidationEntry) {
    let mut failures = 0;
    loop {
        pause(mount, validation.retry_after.0).await;
        if mount.acme.is_closed() {
            return;
        }
        match attempt(mount, name, validation.clone()).await {
            Ok(None) => return,
            Ok(Some(again)) => {
                failures = 0;
                validation = again;
            }
            // This node may not write any more; another one goes on.
            Err(Error::Storage(StorageError::ReadOnly(_))) => return,
            Err(error) => {
                failures += 1;
                if failures >= STORAGE_FAILURES {
                    tracing::warn!(%error, name, "a validation of ACME is put off");
                    return;
                }
                pause(mount, mount.now() + SignedDuration::from_secs(1)).await;
            }
        }
    }
}

/// Waits, unless the mount is closed.
async fn pause(mount: &Mount, until: Timestamp) {
    let left = until.duration_since(mount.now());
    let Ok(left) = Duration::try_from(left) else {
        return;
    };
    if left.is_zero() {
        return;
    }
    let closed = mount.acme.end.notified();
    if !mount.acme.is_closed() {
        let _ = tokio::time::timeout(left, closed).await;
    }
}

/// Tries once and puts the outcome on record. Gives what is to be tried again.
async fn attempt(
    mount: &Mount,
    name: &str,
    validation: ValidationEntry,
) -> Result<Option<ValidationEntry>, Error> {
    let place = mount
        .acme
        .trying
        .acquire()
        .await
        .expect("the semaphore is never closed");
    let at = authorization_key(&validation.account, &validation.authorization);
    let Some(before) = read::<AuthorizationEntry>(mount, &at).await? else {
        return over(mount, name).await;
    };
    if !is_waiting(&before, validation.challenge_type) {
        return over(mount, name).await;
    }
    let target = Target {
        challenge: validation.challenge_type,
        name: before.identifier.value.clone(),
        is_ip: before.identifier.kind == crate::entry::acme::IdentifierKind::Ip,
        token: validation.token.clone(),
        thumbprint: validation.thumbprint.clone(),
    };
    let outcome = ask(mount, &target).await?;
    drop(place);
    let _alone = mount.acme.writing(&validation.authorization).lock().await;
    // The client may have given it up meanwhile.
    let Some(mut authorization) = read::<AuthorizationEntry>(mount, &at).await? else {
        return over(mount, name).await;
    };
    if !is_waiting(&authorization, validation.challenge_type) {
        return over(mount, name).await;
    }
    let now = mount.now();
    match outcome {
        Ok(()) => {
            mount.metrics.validated.count(Validated::Valid);
            succeed(&mut authorization, validation.challenge_type, now);
            tracing::debug!(name, "a validation of ACME succeeded");
        }
        Err(problem) => {
            tracing::info!(
                name,
                failures = validation.retry_count + 1,
                why = problem.detail,
                "a validation of ACME failed"
            );
            let last = validation.retry_count > MOST_FAILURES;
            fail(
                &mut authorization,
                validation.challenge_type,
                &problem,
                last,
            );
            mount.metrics.validated.count(if last {
                Validated::Invalid
            } else {
                Validated::Failed
            });
            if !last {
                return again(mount, name, validation, &authorization, now).await;
            }
        }
    }
    mount
        .save(vec![
            write_authorization(&authorization),
            Write::Delete { key: key(name) },
        ])
        .await?;
    Ok(None)
}

/// Whether a challenge still waits for its validation.
fn is_waiting(authorization: &AuthorizationEntry, kind: ChallengeType) -> bool {
    let challenge = authorization.challenges.iter().find(|one| one.kind == kind);
    authorization.status == AuthorizationStatus::Pending
        && challenge.is_some_and(|one| {
            matches!(
                one.status,
                ChallengeStatus::Pending | ChallengeStatus::Processing
            )
        })
}

async fn over(mount: &Mount, name: &str) -> Result<Option<ValidationEntry>, Error> {
    mount.delete(key(name)).await?;
    Ok(None)
}

async fn again(
    mount: &Mount,
    name: &str,
    mut validation: ValidationEntry,
    authorization: &AuthorizationEntry,
    now: Timestamp,
) -> Result<Option<ValidationEntry>, Error> {
    if validation.first_validation.is_never() {
        validation.first_validation = StoredTime(now);
    }
    validation.retry_count += 1;
    validation.last_retry = StoredTime(now);
    let pauses = i32::try_from(validation.retry_count).unwrap_or(i32::MAX);
    validation.retry_after = StoredTime(now + PAUSE * pauses);
    mount
        .save(vec![
            write_authorization(authorization),
            Write::put(key(name), entry::encode(&validation)),
        ])
        .await?;
    Ok(Some(validation))
}

fn succeed(authorization: &mut AuthorizationEntry, kind: ChallengeType, now: Timestamp) {
    for challenge in authorization
        .challenges
        .iter_mut()
        .filter(|one| one.kind == kind)
    {
        challenge.status = ChallengeStatus::Valid;
        challenge.validated = to_the_second(now);
        challenge.error = None;
    }
    authorization.status = AuthorizationStatus::Valid;
    authorization.expires = to_the_second(now + LIFETIME);
}

fn fail(
    authorization: &mut AuthorizationEntry,
    kind: ChallengeType,
    problem: &Problem,
    last: bool,
) {
    for challenge in authorization
        .challenges
        .iter_mut()
        .filter(|one| one.kind == kind)
    {
        challenge.error = match serde_json::to_value(problem) {
            Ok(Value::Object(members)) => Some(members),
            _ => None,
        };
        if last {
            challenge.status = ChallengeStatus::Invalid;
        }
    }
    if last {
        authorization.status = AuthorizationStatus::Invalid;
    }
}

/// RFC 3339 with whole seconds.
pub(crate) fn to_the_second(time: Timestamp) -> String {
    time.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

/// Asks the network, as the settings say.
async fn ask(mount: &Mount, target: &Target) -> Result<Result<(), Problem>, Error> {
    if let Some(stand_in) = mount.acme.validator.get() {
        let challenge = target.challenge.to_string();
        return Ok(stand_in
            .check(&challenge, &target.name, &target.token, &target.thumbprint)
            .await);
    }
    let config = acme::config(mount).await?;
    let settings = ValidatorSettings {
        networks: networks(mount).await?,
        resolver: config.dns_resolver.parse().ok(),
        ..ValidatorSettings::default()
    };
    let identifier =
        landfast_acme::Identifier::new(if target.is_ip { "ip" } else { "dns" }, &target.name);
    let validator = match Validator::new(settings) {
        Ok(validator) => validator,
        Err(why) => return Ok(Err(Problem::new(Kind::ServerInternal, why.to_string()))),
    };
    Ok(match identifier {
        Ok(identifier) => {
            validator
                .check(
                    target.challenge,
                    &identifier,
                    &target.token,
                    &target.thumbprint,
                )
                .await
        }
        Err(problem) => Err(problem),
    })
}

/// Where validation may connect to. A mount that was taken over with ACME on goes on as the built-in engine does, which reaches private networks,
/// until `config/acme-validation` is written; but never the node itself or what only it reaches.
///
/// # Errors
/// When storage fails.
pub(crate) async fn networks(mount: &Mount) -> Result<Networks, Error> {
    match mount
        .load::<ValidationConfig>(ValidationConfig::KEY)
        .await?
    {
        Some(own) => Networks::parse(&own.networks).map_err(|why| {
            crate::fault::internal(
                "the stored networks of config/acme-validation cannot be used",
                why,
            )
        }),
        None if acme::config(mount).await?.enabled => {
            Ok(Networks::parse(["public", "private"]).expect("two words"))
        }
        None => Ok(Networks::parse(ValidationConfig::default().networks).expect("a word")),
    }
}
