//! `acme/validations/AUTHORIZATION-TYPE`: whether a client controls a name.
//!
//! A validation is on record from the moment at which the client is told that it is under way until it succeeded or failed for good, so that it goes on after a
//! crash and on another node. It is a task of its own, tried several times with growing pauses, as the built-in engine does it; a place among those that
//! are tried at a time is only held while the network is asked.

use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use landfast_acme::ChallengeType;
use landfast_acme::problem::{Kind, Problem};
use landfast_acme::validate::{Validator, ValidatorError, ValidatorSettings};
use landfast_acme::{Identifier, Networks};
use landfast_sdk::logical::{Error, StorageError, Write};
use serde_json::Value;

use crate::acme::orders::{self, authorization_key, write_authorization};
use crate::acme::stored::read;
use crate::acme::{self, Refused, problem};
use crate::entry;
use crate::entry::acme::{
    AuthorizationEntry, AuthorizationStatus, ChallengeEntry, ChallengeStatus, IdentifierKind,
    ValidationConfig, ValidationEntry,
};
use crate::entry::jobs::AcmeConfig;
use crate::entry::other::Other;
use crate::entry::time::StoredTime;
use crate::metrics::Validated;
use crate::mount::{Mount, Shared};

/// Storage prefix.
pub(crate) const PREFIX: &str = "acme/validations/";

/// Failures before the last one.
const MOST_FAILURES: u32 = 5;

/// How long the network is asked before the client is answered.
const MOMENT: Duration = Duration::from_millis(250);

/// Where the cache has who asks the network; no storage key.
const VALIDATOR: &str = "acme/validator";

/// How long that is used.
const OLD: SignedDuration = SignedDuration::from_secs(30);

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

impl Target {
    fn of(authorization: &AuthorizationEntry, validation: &ValidationEntry) -> Self {
        Self {
            challenge: validation.challenge_type,
            name: authorization.identifier.value.clone(),
            is_ip: authorization.identifier.kind == IdentifierKind::Ip,
            token: validation.token.clone(),
            thumbprint: validation.thumbprint.clone(),
        }
    }
}

/// Takes a client at its word that it is ready, and gives the authorization as it is then.
///
/// Who is ready mostly answers in a moment. So the network is asked for one before the client is answered; what takes longer, or fails at first, is put
/// on record and goes on by itself. Should this process end before that, the client was told nothing and says it again.
///
/// # Errors
/// The authorization is past that, or another of its challenges was begun. When storage fails.
pub(crate) async fn accept(
    mount: &Shared,
    account: &str,
    authorization: &str,
    kind: ChallengeType,
    thumbprint: String,
) -> Result<AuthorizationEntry, Refused> {
    let before = orders::load_authorization(mount, account, authorization).await?;
    let challenge = begun(&before, kind)?;
    let name = name(authorization, kind);
    let mut validation = ValidationEntry {
        account: account.to_owned(),
        authorization: authorization.to_owned(),
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
    let first = match challenge.status {
        ChallengeStatus::Pending => {
            at_once(mount, &name, &Target::of(&before, &validation)).await?
        }
        _ => None,
    };
    let _alone = mount.acme.writing(authorization).lock().await;
    let mut authorization = orders::load_authorization(mount, account, authorization).await?;
    // Another request may have been faster.
    if begun(&authorization, kind)?.status != ChallengeStatus::Pending
        && let Some(known) = read::<ValidationEntry>(mount, &key(&name)).await?
    {
        begin(mount, name, known);
        return Ok(authorization);
    }
    if first.is_some_and(|first| note(mount, &name, &mut authorization, &mut validation, first)) {
        mount
            .save(vec![write_authorization(&authorization)])
            .await?;
        return Ok(authorization);
    }
    for challenge in &mut authorization.challenges {
        if challenge.kind == kind {
            challenge.status = ChallengeStatus::Processing;
        }
    }
    mount
        .save(vec![
            Write::put(key(&name), entry::encode(&validation)),
            write_authorization(&authorization),
        ])
        .await?;
    begin(mount, name, validation);
    Ok(authorization)
}

/// Tries for a moment. Nothing comes of it where others are being tried, or where that was not enough.
async fn at_once(
    mount: &Mount,
    name: &str,
    target: &Target,
) -> Result<Option<Result<(), Problem>>, Error> {
    let Ok(_place) = mount.acme.trying.try_acquire() else {
        return Ok(None);
    };
    if !mount.acme.begin(name) {
        return Ok(None);
    }
    let _under_way = UnderWay { mount, name };
    match tokio::time::timeout(MOMENT, ask(mount, target)).await {
        Ok(outcome) => outcome.map(Some),
        Err(_) => Ok(None),
    }
}

/// Said where an authorization has no challenge of this type.
pub(crate) fn unknown(kind: impl std::fmt::Display) -> Refused {
    acme::because(
        Kind::Malformed,
        format_args!("unknown challenge of type '{kind}' in authorization"),
    )
}

/// The challenge that a client says it is ready for.
fn begun(
    authorization: &AuthorizationEntry,
    kind: ChallengeType,
) -> Result<&ChallengeEntry, Refused> {
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
    if let Some(other) = other {
        return Err(problem(
            Kind::Malformed,
            format_args!(
                "only a single challenge within an authorization can be accepted ({} was)",
                other.kind
            ),
        ));
    }
    let mut challenges = authorization.challenges.iter();
    challenges
        .find(|one| one.kind == kind)
        .ok_or_else(|| unknown(kind))
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
    mut validation: ValidationEntry,
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
    let target = Target::of(&before, &validation);
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
    let (over, record) = match note(mount, name, &mut authorization, &mut validation, outcome) {
        true => (None, Write::Delete { key: key(name) }),
        false => {
            let record = Write::put(key(name), entry::encode(&validation));
            (Some(validation), record)
        }
    };
    mount
        .save(vec![write_authorization(&authorization), record])
        .await?;
    Ok(over)
}

/// Enters the outcome of a try. Says whether the validation is over; else it is to be tried again.
fn note(
    mount: &Mount,
    name: &str,
    authorization: &mut AuthorizationEntry,
    validation: &mut ValidationEntry,
    outcome: Result<(), Problem>,
) -> bool {
    let (now, kind) = (mount.now(), validation.challenge_type);
    let Err(problem) = outcome else {
        mount.metrics.validated.count(Validated::Valid);
        succeed(authorization, kind, now);
        tracing::debug!(name, "a validation of ACME succeeded");
        return true;
    };
    tracing::info!(
        name,
        failures = validation.retry_count + 1,
        why = problem.detail,
        "a validation of ACME failed"
    );
    let last = validation.retry_count > MOST_FAILURES;
    fail(authorization, kind, &problem, last);
    mount.metrics.validated.count(if last {
        Validated::Invalid
    } else {
        Validated::Failed
    });
    if validation.first_validation.is_never() {
        validation.first_validation = StoredTime(now);
    }
    validation.retry_count += 1;
    validation.last_retry = StoredTime(now);
    let pauses = i32::try_from(validation.retry_count).unwrap_or(i32::MAX);
    validation.retry_after = StoredTime(now + PAUSE * pauses);
    last
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
    let validator = match validator(mount).await? {
        Ok(validator) => validator,
        Err(why) => return Ok(Err(Problem::new(Kind::ServerInternal, why.to_string()))),
    };
    let kind = if target.is_ip { "ip" } else { "dns" };
    Ok(match Identifier::new(kind, &target.name) {
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

/// Whoever asks the network by the settings as they are now, made anew when they changed or when it is old: the system's own settings may have changed
/// too.
async fn validator(mount: &Mount) -> Result<Result<Arc<Validator>, ValidatorError>, Error> {
    struct Made {
        config: Arc<AcmeConfig>,
        networks: Networks,
        at: Timestamp,
        validator: Arc<Validator>,
    }
    let config = acme::config(mount).await?;
    let networks = networks(mount).await?;
    let now = mount.now();
    let (ticket, made) = mount.kept::<Made>(VALIDATOR);
    if let Some(made) = made
        && Arc::ptr_eq(&made.config, &config)
        && made.networks == networks
        && now.duration_since(made.at) < OLD
    {
        return Ok(Ok(Arc::clone(&made.validator)));
    }
    let settings = ValidatorSettings {
        networks: networks.clone(),
        resolver: config.dns_resolver.parse().ok(),
        ..ValidatorSettings::default()
    };
    Ok(Validator::new(settings).map(|validator| {
        let validator = Arc::new(validator);
        let made = Made {
            config,
            networks,
            at: now,
            validator: Arc::clone(&validator),
        };
        mount.keep(ticket, VALIDATOR, &Arc::new(made));
        validator
    }))
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
