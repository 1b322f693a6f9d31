//! RSA keys made ahead: `issue` takes one instead of making it, which takes a tenth of a second of a processor and often more.
//!
//! Off unless the operator says how many. The keys live in this process only, each is handed out once, and CA keys never come from here. They are made
//! one at a time while the process has nothing else to do, so that a busy one answers as if there were no pool.

mod state;

use std::sync::Arc;
use std::time::Duration;

use landfast_pki::{KeySpec, KeyType, PrivateKey};
use landfast_sdk::logical::Error;

use crate::entry::config::KeyPoolConfig;
use crate::metrics::PoolSize;
use crate::mount::{Mount, Shared};

pub(crate) use state::Pool;

/// The settings.
///
/// # Errors
/// When storage fails.
pub(crate) async fn config(mount: &Mount) -> Result<Arc<KeyPoolConfig>, Error> {
    mount.load_or_default(KeyPoolConfig::KEY).await
}

/// A key for a leaf: from the pool if there is one, else made now.
///
/// # Errors
/// When storage fails, or the library cannot make the key.
pub(crate) async fn leaf_key(mount: &Shared, spec: KeySpec) -> Result<PrivateKey, Error> {
    if spec.kind != KeyType::Rsa || config(mount).await?.wanted(spec.bits) == 0 {
        return mount.generate_key(spec).await;
    }
    let found = mount.pool.take(spec.bits);
    fill(mount);
    if let Some(size) = PoolSize::of(spec.bits) {
        let metrics = &mount.metrics;
        match found {
            Some(_) => metrics.pool_taken.count(size),
            None => metrics.pool_missed.count(size),
        }
    }
    match found {
        Some(key) => Ok(key),
        None => mount.generate_key(spec).await,
    }
}

/// [`fill`] where the mount has a pool, for a process that begins.
///
/// # Errors
/// When storage fails.
pub(crate) async fn begin(mount: &Shared) -> Result<(), Error> {
    if config(mount).await?.is_on() {
        fill(mount);
    }
    Ok(())
}

/// Makes what is missing, in a task of its own of which there is one at a time.
pub(crate) fn fill(mount: &Shared) {
    if !mount.pool.ask() {
        return;
    }
    // The task ends with the mount: it holds it only while a key is made.
    let mount = Arc::downgrade(mount);
    tokio::spawn(async move {
        loop {
            let before = busy();
            tokio::time::sleep(LOOK).await;
            let Some(mount) = mount.upgrade() else { return };
            let idle = busy().saturating_sub(before) < LOOK / 10;
            let often = mount.pool.asked();
            match one_more(&mount, idle).await {
                Ok(true) => {}
                Ok(false) => {
                    if mount.pool.rest(often) {
                        return;
                    }
                }
                Err(error) => {
                    tracing::warn!(%error, "a key could not be made ahead");
                    return mount.pool.give_up();
                }
            }
        }
    });
}

/// Makes a key if one is missing and the process is `idle`; false when none is missing.
async fn one_more(mount: &Shared, idle: bool) -> Result<bool, Error> {
    let config = config(mount).await?;
    mount.pool.trim(&config);
    let missing = KeyPoolConfig::SIZES
        .into_iter()
        .find(|&bits| mount.pool.ready(bits) < config.wanted(bits));
    let Some(bits) = missing else {
        return Ok(false);
    };
    if mount.pool.is_closed() {
        return Ok(false);
    }
    if idle {
        let kind = KeyType::Rsa;
        let key = mount.generate_key(KeySpec { kind, bits }).await?;
        mount.pool.add(bits, key);
    }
    Ok(true)
}

/// Processor time that this process has used.
fn busy() -> Duration {
    let used = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(
        used.tv_sec.unsigned_abs(),
        u32::try_from(used.tv_nsec).unwrap_or_default(),
    )
}

/// For how long the process is watched before a key is made.
const LOOK: Duration = Duration::from_millis(200);
