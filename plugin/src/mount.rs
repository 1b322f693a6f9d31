//! The state of one mount: storage, the host's view, the clock, and the cache in front of storage.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::{Mutex, Semaphore};

use landfast_pki::chain::Signatures;
use landfast_pki::validity::MountTtl;
use landfast_pki::{KeySpec, KeyType, PrivateKey, Refusal, SerialNumber};
use landfast_sdk::logical::{
    Error, Product, Setup, Storage, StorageError, SystemView, Write, carry,
};

use crate::acme::state::{Acme, Validate};
use crate::clock::{Clock, SystemClock};
use crate::crl::CrlState;
use crate::ends::Ends;
use crate::fault::{self, internal};
use crate::heavy::Heavy;
use crate::kms::{KeyService, Kms};
use crate::metrics::Metrics;
use crate::ocsp::Answers;
use crate::pool::Pool;
use crate::seal::Seal;
use crate::store::{Cache, Entry, Ticket};
use crate::tidy::Tidy;

/// One mounted PKI engine.
pub struct Mount {
    storage: Arc<dyn Storage>,
    system: Arc<dyn SystemView>,
    clock: OnceLock<Arc<dyn Clock>>,
    cache: Arc<Cache>,
    rsa: Semaphore,
    uuid: String,
    /// Whether connections to AWS KMS without credentials of their own may use the identity of the server's process.
    lends_identity: bool,
    /// What stands in for AWS KMS, in tests.
    pub(crate) key_service: OnceLock<Arc<dyn KeyService>>,
    /// Held while issuers or keys change, see [`crate::authority`].
    pub(crate) authority: Mutex<()>,
    /// See [`Self::revoking`].
    revoking: [Mutex<()>; REVOKED_AT_A_TIME],
    /// Turns for work that takes long.
    pub(crate) heavy: Heavy,
    /// Turns for programs of CEL roles, which may use all that they have and then keep nobody else waiting.
    pub(crate) programs: Heavy,
    /// Who signed which issuer.
    pub(crate) signatures: Arc<Signatures>,
    /// What is remembered of CRLs between requests.
    pub(crate) crl: CrlState,
    /// When certificates end that were stored since the last minute.
    pub(crate) ends: Ends,
    /// The way to AWS KMS.
    pub(crate) kms: Kms,
    /// OCSP answers that AWS KMS signed.
    pub(crate) ocsp: Arc<Answers>,
    /// Opened sealed keys, and how far their migration is.
    pub(crate) seal: Seal,
    /// RSA keys made ahead.
    pub(crate) pool: Pool,
    /// Nonces and validations of ACME.
    pub(crate) acme: Acme,
    /// The run of tidying that is under way, or the last one.
    pub(crate) tidy: Tidy,
    /// What is counted for Prometheus.
    pub(crate) metrics: Metrics,
    /// See [`Self::since`].
    since: OnceLock<Timestamp>,
}

/// The mount option that lets the mount use the AWS identity of the server's process.
pub(crate) const LENDS_IDENTITY: &str = "use_server_identity";

/// Revocations that can be put on record at a time.
const REVOKED_AT_A_TIME: usize = 32;

/// The text by which a host knows that the active node must answer.
const READ_ONLY: &str = "cannot write to readonly storage";

/// A mount as handlers get it.
pub(crate) type Shared = Arc<Mount>;

impl Mount {
    /// A mount that nothing was asked of yet.
    pub(crate) fn from_setup(setup: Setup) -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self {
            storage: setup.storage,
            system: setup.system,
            clock: OnceLock::new(),
            cache: Arc::default(),
            rsa: Semaphore::new(cores),
            lends_identity: setup
                .config
                .get(LENDS_IDENTITY)
                .is_some_and(|value| value == "true"),
            uuid: setup.uuid,
            authority: Mutex::new(()),
            revoking: std::array::from_fn(|_| Mutex::new(())),
            heavy: Heavy::default(),
            programs: Heavy::default(),
            signatures: Arc::default(),
            crl: CrlState::default(),
            ends: Ends::default(),
            seal: Seal::default(),
            kms: Kms::default(),
            ocsp: Arc::default(),
            key_service: OnceLock::new(),
            pool: Pool::default(),
            acme: Acme::default(),
            tidy: Tidy::default(),
            metrics: Metrics::default(),
            since: OnceLock::new(),
        }
    }

    /// Makes the mount read `clock` instead of the machine's clock, for tests. Only the first call counts.
    pub fn use_clock(&self, clock: Arc<dyn Clock>) {
        let _ = self.clock.set(clock);
    }

    /// Makes the mount look for keys of AWS KMS in `service`, for tests. Only the first call counts.
    pub fn use_key_service(&self, service: Arc<dyn KeyService>) {
        let _ = self.key_service.set(service);
    }

    /// Makes the mount ask `validator` whether ACME clients control their names, for tests. Only the first call counts.
    pub fn use_validator(&self, validator: Arc<dyn Validate>) {
        let _ = self.acme.validator.set(validator);
    }

    /// The time by the mount's clock.
    pub fn now(&self) -> Timestamp {
        self.clock
            .get()
            .map_or_else(|| SystemClock.now(), |clock| clock.now())
    }

    /// When this was first asked for: about the time at which the mount began to live in this process.
    pub(crate) fn since(&self) -> Timestamp {
        *self.since.get_or_init(|| self.now())
    }

    /// The mount's id, as the host told it.
    pub fn uuid(&self) -> &str {
        &self.uuid
    }

    /// Whether the mount may use the AWS identity of the server's process. It is an option of the mount, and so up to who may write
    /// `sys/mounts`: nobody gets that identity by a right to paths of the mount, such as `config/*`.
    pub(crate) fn lends_identity(&self) -> bool {
        self.lends_identity
    }

    /// What the host knows about the mount and its callers.
    pub(crate) fn system(&self) -> &dyn SystemView {
        &*self.system
    }

    /// Whether the host is HashiCorp Vault, whose own engine knows other fields than that of OpenBao.
    pub(crate) fn is_on_vault(&self) -> bool {
        self.system.product() == Product::Vault
    }

    /// A time that a request names, as far as it does. An empty one is none on Vault, whose console sends it; OpenBao's engine refuses it.
    pub(crate) fn named_time<'a>(&self, text: Option<&'a str>) -> Option<&'a str> {
        text.filter(|text| !(text.is_empty() && self.is_on_vault()))
    }

    /// What is said where something is not here: nothing else on the node that may write. Another one may not have it yet, so that its answer is the
    /// one by which the host asks the active node.
    pub(crate) async fn absent(&self, error: Error) -> Error {
        match self.system.replication_state().await {
            Ok(state) if state.is_read_only() => {
                Error::Storage(StorageError::ReadOnly(READ_ONLY.to_owned()))
            }
            _ => error,
        }
    }

    /// Refuses what only the node that may write can do or tell, by the answer at which the host asks that one.
    ///
    /// # Errors
    /// This node may not write, or the host does not answer.
    pub(crate) async fn only_where_written(&self) -> Result<(), Error> {
        if self.system.replication_state().await?.is_read_only() {
            return Err(Error::Storage(StorageError::ReadOnly(READ_ONLY.to_owned())));
        }
        Ok(())
    }

    /// Held while the revocation of a certificate is put on record: requests for one certificate must agree on its time. Those for others wait for it
    /// now and then only.
    pub(crate) fn revoking(&self, serial: &SerialNumber) -> &Mutex<()> {
        // Serial numbers are random.
        let last = serial.as_bytes().last().copied().unwrap_or_default();
        &self.revoking[usize::from(last) % REVOKED_AT_A_TIME]
    }

    /// The storage behind the cache. Entries that are kept decoded are written with [`Self::save`] instead.
    pub(crate) fn storage(&self) -> &dyn Storage {
        &*self.storage
    }

    /// The entry at `key`, decoded, from the cache or from storage.
    ///
    /// # Errors
    /// When storage fails, or the entry does not decode.
    pub(crate) async fn load<T: Entry>(&self, key: &str) -> Result<Option<Arc<T>>, Error> {
        if let Some((found, size)) = self.cache.find_sized(key) {
            take_up(size).await;
            return Ok(Some(found));
        }
        let ticket = self.cache.ticket();
        let Some(bytes) = self.storage.get(key).await? else {
            return Ok(None);
        };
        let value = Arc::new(decode(key, &bytes)?);
        self.cache.keep_sized(ticket, key, &value, bytes.len());
        Ok(Some(value))
    }

    /// As [`Self::load`], but as storage has it now: for what shows an entry, so that one that was written below the server is seen, and is what
    /// counts from then on.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) async fn load_stored<T: Entry>(&self, key: &str) -> Result<Option<Arc<T>>, Error> {
        let ticket = self.cache.ticket();
        let Some(bytes) = self.storage.get(key).await? else {
            if self.cache.find::<T>(key).is_some() {
                self.cache.invalidate(key);
            }
            return Ok(None);
        };
        let value = Arc::new(decode(key, &bytes)?);
        self.cache.keep_sized(ticket, key, &value, bytes.len());
        Ok(Some(value))
    }

    /// As [`Self::load`], for an entry whose absence means its default; the default is cached like an entry.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub(crate) async fn load_or_default<T: Entry + Default>(
        &self,
        key: &str,
    ) -> Result<Arc<T>, Error> {
        if let Some((found, size)) = self.cache.find_sized(key) {
            take_up(size).await;
            return Ok(found);
        }
        let ticket = self.cache.ticket();
        let (value, size) = match self.storage.get(key).await? {
            Some(bytes) => (Arc::new(decode(key, &bytes)?), bytes.len()),
            None => (Arc::default(), 0),
        };
        self.cache.keep_sized(ticket, key, &value, size);
        Ok(value)
    }

    /// A value derived from entries of storage: `build` makes it when the cache has none under `key`. A `key` that ends in `/` is
    /// dropped whenever an entry below it changes.
    ///
    /// # Errors
    /// Those of `build`.
    pub(crate) async fn derive<T, F>(&self, key: &str, build: F) -> Result<Arc<T>, Error>
    where
        T: Send + Sync + 'static,
        F: Future<Output = Result<T, Error>> + Send,
    {
        if let Some(found) = self.cache.find(key) {
            return Ok(found);
        }
        let ticket = self.cache.ticket();
        let value = Arc::new(build.await?);
        self.cache.keep(ticket, key, &value);
        Ok(value)
    }

    /// What [`Self::keep`] stored under `key`, and a ticket for storing anew what is made from here on.
    pub(crate) fn kept<T: Send + Sync + 'static>(&self, key: &str) -> (Ticket, Option<Arc<T>>) {
        (self.cache.ticket(), self.cache.find(key))
    }

    /// To be taken before what is [kept](Self::keep) becomes true.
    pub(crate) fn ticket(&self) -> Ticket {
        self.cache.ticket()
    }

    /// Gives up what is kept under `key`, which is true still: for what is large and seldom wanted again.
    pub(crate) fn release(&self, key: &str) {
        self.cache.release(key);
    }

    /// Keeps a value that the caller checks for freshness itself.
    pub(crate) fn keep<T: Send + Sync + 'static>(&self, ticket: Ticket, key: &str, value: &Arc<T>) {
        self.cache.keep(ticket, key, value);
    }

    /// Writes entries, together where the host offers transactions, and drops what the cache held of them.
    ///
    /// # Errors
    /// When storage fails; the writes may then have taken effect or not.
    pub(crate) async fn save(&self, writes: Vec<Write>) -> Result<(), Error> {
        let keys: Vec<_> = writes.iter().map(|write| write.key().to_owned()).collect();
        let recent = self.acme.recent.saving(&writes);
        let saved = self.storage.apply(writes).await;
        for key in &keys {
            self.cache.invalidate(key);
            self.ocsp.invalidate(key);
        }
        if saved.is_ok() {
            recent.end();
        }
        Ok(saved?)
    }

    /// [`Self::save`] of one entry.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub(crate) async fn put(&self, key: impl Into<String>, value: Vec<u8>) -> Result<(), Error> {
        self.save(vec![Write::put(key, value)]).await
    }

    /// Deletes one entry; it need not exist.
    ///
    /// # Errors
    /// As [`Self::save`].
    pub(crate) async fn delete(&self, key: impl Into<String>) -> Result<(), Error> {
        self.save(vec![Write::Delete { key: key.into() }]).await
    }

    /// Makes a private key. RSA keys take seconds: they are made on a thread for blocking work, one per core at a time.
    ///
    /// # Errors
    /// When the library cannot make the key.
    pub(crate) async fn generate_key(&self, spec: KeySpec) -> Result<PrivateKey, Error> {
        let generated = if spec.kind == KeyType::Rsa {
            let _permit = self
                .rsa
                .acquire()
                .await
                .expect("the semaphore is never closed");
            tokio::task::spawn_blocking(move || PrivateKey::generate(spec))
                .await
                .map_err(|stopped| internal("key generation did not finish", stopped))?
        } else {
            PrivateKey::generate(spec)
        };
        generated.map_err(fault::refused)
    }

    /// A refusal as an answer, counted.
    pub(crate) fn refuse(&self, refusal: Refusal) -> Error {
        self.metrics.refused.count(refusal.rule());
        fault::refusal(refusal)
    }

    /// The mount's lifetimes for a request that asks for one and names no role.
    ///
    /// # Errors
    /// When the host does not answer.
    pub(crate) async fn lifetimes(&self, asked: Duration) -> Result<MountTtl, Error> {
        self.lifetimes_beside(asked, Duration::ZERO, Duration::ZERO)
            .await
    }

    /// The same beside a role's own, as far as they can matter: asking costs a call to the host each, and a role that sets both `ttl`
    /// and `max_ttl` needs neither.
    ///
    /// # Errors
    /// When the host does not answer.
    pub(crate) async fn lifetimes_beside(
        &self,
        asked: Duration,
        ttl: Duration,
        max_ttl: Duration,
    ) -> Result<MountTtl, Error> {
        let default = if asked.is_zero() && ttl.is_zero() {
            self.system.recent_default_lease_ttl().await?
        } else {
            Duration::ZERO
        };
        let max = if max_ttl.is_zero() {
            self.system.recent_max_lease_ttl().await?
        } else {
            Duration::ZERO
        };
        Ok(MountTtl { default, max })
    }

    /// Drops what depends on the storage entry `key`, after another node changed it.
    pub(crate) fn forget(&self, key: &str) {
        self.crl.invalidate(key);
        self.acme.recent.forget(key);
        self.cache.invalidate(key);
        self.ocsp.invalidate(key);
    }

    /// Drops everything that is kept in memory.
    pub(crate) fn close(&self) {
        self.acme.close();
        self.tidy.close();
        self.pool.close();
        self.seal.close();
        self.cache.clear();
        self.ocsp.clear();
    }
}

/// Counts what a request takes up of what was read before: see [`carry`].
pub(crate) async fn take_up(size: usize) {
    /// Fewer bytes are not worth counting.
    const LITTLE: usize = 4 << 10;
    if size > LITTLE {
        carry(size).await;
    }
}

fn decode<T: Entry>(key: &str, bytes: &[u8]) -> Result<T, Error> {
    T::decode(key, bytes).map_err(|cause| {
        internal(
            "a stored entry could not be read",
            format_args!("{key}: {cause}"),
        )
    })
}
