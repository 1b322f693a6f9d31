//! Bringing stored keys to the mount's settings: sealing what is in clear, wrapping anew what is wrapped by other keys, and the way back.
//!
//! Each key is one write, which replaces the whole entry, and is done only after the new form was opened. The wish is stored with the settings, so
//! that the work goes on after a crash, on whichever node may write then.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use landfast_sdk::logical::{Error, StorageError, Write};
use landfast_unseal::KeyEncryptionKey;
use landfast_unseal::sealed::{self, SealedKey};
use tokio::task::JoinHandle;
use zeroize::Zeroizing;

use super::opened::{parse, status};
use super::state::{Progress, State};
use super::{binding, config, remember, ring, sealed as seal_entry, stored_text, wrapping_keys};
use crate::entry;
use crate::entry::key::{self, KeyEntry};
use crate::entry::seal::SealConfig;
use crate::fault::{self, internal};
use crate::mount::{Mount, Shared};

/// How long a request waits for the work that it began, before it answers that it goes on.
const SHORT_WORK: Duration = Duration::from_millis(1500);

/// Begins a migration, or asks the running one to look again. Waits a moment for its end.
///
/// # Errors
/// When the wish cannot be stored, for instance because this node may not write.
pub(crate) async fn start(mount: &Shared, rewrap: bool) -> Result<(), Error> {
    {
        let _alone = mount.authority.lock().await;
        let mut wished = SealConfig::clone(&*config(mount).await?);
        wished.pending = true;
        wished.rewrap |= rewrap;
        mount.put(SealConfig::KEY, entry::encode(&wished)).await?;
    }
    let work = spawn(mount);
    let _ = tokio::time::timeout(SHORT_WORK, work).await;
    Ok(())
}

/// The minute's work: goes on with what a crash or an outage left. To be called only where storage may be written.
pub(crate) async fn periodic(mount: &Shared) -> Result<(), Error> {
    if config(mount).await?.pending && mount.seal.job.running.try_lock().is_ok() {
        spawn(mount);
    }
    Ok(())
}

fn spawn(mount: &Shared) -> JoinHandle<()> {
    let mount = Arc::clone(mount);
    tokio::spawn(async move {
        let running = Arc::clone(&mount.seal.job.running);
        // Whoever comes while another is at work waits for its end, and then finds nothing left to do.
        let _alone = running.lock_owned().await;
        if let Err(stopped) = fault::caught(rounds(Arc::clone(&mount))).await {
            let why = format!(
                "the migration ended early, tries again within minutes, and each key is as it was or as it shall be: {stopped}"
            );
            tracing::error!(
                error = why,
                "bringing CA keys to what config/seal says ended early"
            );
            mount.seal.job.update(|progress| {
                progress.state = State::Failed;
                progress.last_error = why;
                progress.finished = Some(mount.now());
            });
        }
    })
}

async fn rounds(mount: Shared) {
    let job = &mount.seal.job;
    let wait = |why: Option<String>| {
        job.update(|progress| {
            progress.state = State::Waiting;
            progress.last_error = why.unwrap_or_else(|| std::mem::take(&mut progress.last_error));
        });
    };
    loop {
        if job.stopping.load(Ordering::Acquire) {
            if job.progress().state == State::Running {
                wait(None);
            }
            return;
        }
        match round(&mount).await {
            Ok(Round::Again) => {}
            Ok(Round::End) => return,
            Err(error) => {
                wait(Some(error.to_string()));
                tracing::warn!(%error, "CA keys are not yet stored as config/seal says");
                return;
            }
        }
    }
}

enum Round {
    /// The settings changed meanwhile.
    Again,
    End,
}

/// Goes through all keys once.
async fn round(mount: &Mount) -> Result<Round, Error> {
    let wished = config(mount).await?;
    if !wished.pending {
        return Ok(Round::End);
    }
    let job = &mount.seal.job;
    job.update(|progress| {
        *progress = Progress {
            state: State::Running,
            started: Some(mount.now()),
            ..Progress::default()
        };
    });
    let keys = wrapping_keys(mount, &wished.wrappers).await?;
    let Some(wished) = resolve(mount, &wished, &keys).await? else {
        return Ok(Round::Again);
    };
    let ids = mount.storage().list(key::PREFIX).await?;
    job.update(|progress| progress.total = ids.len());
    for id in &ids {
        if job.stopping.load(Ordering::Acquire) {
            return Ok(Round::Again);
        }
        match bring(mount, &wished, &keys, id).await {
            Ok(Some(changed)) => job.update(|progress| {
                progress.done += 1;
                progress.changed += usize::from(changed);
            }),
            Ok(None) => return Ok(Round::Again),
            // This node may not write any more: another one goes on.
            Err(error @ Error::Storage(StorageError::ReadOnly(_))) => return Err(error),
            Err(error) => {
                tracing::warn!(key = %id, %error, "a CA key could not be brought to what config/seal says");
                job.update(|progress| {
                    progress.done += 1;
                    progress.failed += 1;
                    progress.last_error = error.to_string();
                });
            }
        }
    }
    if job.progress().failed > 0 {
        job.update(|progress| progress.state = State::Waiting);
        return Ok(Round::End);
    }
    let _alone = mount.authority.lock().await;
    if config(mount).await? != wished {
        return Ok(Round::Again);
    }
    let reached = SealConfig {
        former: Vec::new(),
        pending: false,
        rewrap: false,
        ..SealConfig::clone(&wished)
    };
    mount.put(SealConfig::KEY, entry::encode(&reached)).await?;
    job.update(|progress| {
        progress.state = State::Done;
        progress.finished = Some(mount.now());
    });
    Ok(Round::End)
}

/// Tries the wrappers, and notes in the settings which keys they are now: an alias may have moved. `None` when the settings changed meanwhile.
async fn resolve(
    mount: &Mount,
    wished: &Arc<SealConfig>,
    keys: &[Arc<dyn KeyEncryptionKey>],
) -> Result<Option<Arc<SealConfig>>, Error> {
    let mut resolved = SealConfig::clone(wished);
    for (wrapper, key) in resolved.wrappers.iter_mut().zip(keys) {
        let tried = try_out(mount, &**key).await;
        wrapper.key_id = tried.map_err(|error| Error::Status {
            code: status(error.class()),
            message: format!("the seal could not be tried out: {error}"),
        })?;
    }
    // Where an alias moved to a key that is named already, there would be one way to open fewer than the settings promise.
    super::are_distinct(&resolved.wrappers)?;
    if resolved == **wished {
        return Ok(Some(Arc::clone(wished)));
    }
    let _alone = mount.authority.lock().await;
    if config(mount).await? != *wished {
        return Ok(None);
    }
    mount.put(SealConfig::KEY, entry::encode(&resolved)).await?;
    Ok(Some(Arc::new(resolved)))
}

/// Has a wrapper do all that it will have to do, and gives its key's lasting name.
pub(crate) async fn try_out(
    mount: &Mount,
    key: &dyn KeyEncryptionKey,
) -> Result<String, landfast_unseal::Error> {
    sealed::try_out(key, mount.uuid()).await
}

/// Brings one key to what is wished. Tells whether that took a write, or `None` when the settings changed meanwhile.
async fn bring(
    mount: &Mount,
    wished: &Arc<SealConfig>,
    keys: &[Arc<dyn KeyEncryptionKey>],
    id: &str,
) -> Result<Option<bool>, Error> {
    let at = KeyEntry::key(id);
    // Somebody may rename the key while its new form is made.
    for _ in 0..3 {
        let Some(before) = mount.storage().get(&at).await?.map(Zeroizing::new) else {
            return Ok(Some(false));
        };
        let Some(entry) = formed(mount, wished, keys, id, &before).await? else {
            return Ok(Some(false));
        };
        let _alone = mount.authority.lock().await;
        if config(mount).await? != *wished {
            return Ok(None);
        }
        let now = mount.storage().get(&at).await?.map(Zeroizing::new);
        if now.as_deref() != Some(&*before) {
            continue;
        }
        mount.save(vec![Write::put(at, entry.encode())]).await?;
        return Ok(Some(true));
    }
    Err(Error::failed("the key kept changing meanwhile"))
}

/// The entry in its wished form; `None` when it has it already.
async fn formed(
    mount: &Mount,
    wished: &SealConfig,
    keys: &[Arc<dyn KeyEncryptionKey>],
    id: &str,
    bytes: &[u8],
) -> Result<Option<KeyEntry>, Error> {
    let unreadable = |cause: &dyn std::fmt::Display| {
        internal(
            "a stored key could not be read",
            format_args!("{id}: {cause}"),
        )
    };
    let mut entry = KeyEntry::decode(id, bytes).map_err(|cause| unreadable(&cause))?;
    if entry.id != id {
        return Err(unreadable(&"the entry is another key's"));
    }
    let seals = !keys.is_empty();
    if !entry.is_sealed() {
        if !seals || entry.expose().is_empty() {
            return Ok(None);
        }
        let (text, key) = seal_entry(mount, &entry, keys).await?;
        remember(mount, id, &key);
        entry.set_private(text);
        return Ok(Some(entry));
    }
    let record = SealedKey::decode(entry.expose()).map_err(|cause| unreadable(&cause))?;
    if seals && record.is_wrapped_by(&wished.key_ids()) && !wished.rewrap {
        return Ok(None);
    }
    let binding = binding(mount, id)?;
    let old = ring(mount, &record).await?;
    let refused = |error: landfast_unseal::Error| Error::Status {
        code: status(error.class()),
        message: format!("the CA key {id} could not be opened: {error}"),
    };
    if !seals {
        let private = record.open(&binding, &old).await.map_err(refused)?;
        let key = parse(private.expose(), &record).map_err(refused)?;
        let text = stored_text(private.expose())?;
        remember(mount, id, &Arc::new(key));
        entry.set_private(text.as_str().to_owned());
        return Ok(Some(entry));
    }
    let moved = record.rewrap(&binding, &old, keys).await;
    let moved = moved.map_err(|error| super::not_sealed(id, &error))?;
    let new = ring(mount, &moved).await?;
    let verified = moved.verify(&binding, &new).await;
    verified.map_err(|error| super::not_sealed(id, &error))?;
    entry.set_private(moved.encode());
    Ok(Some(entry))
}
