//! A host whose answers are set by the test.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use crate::logical::{Cluster, Entity, Error, Group, Product, ReplicationState, SystemView};

/// A [`SystemView`] of constants, but for its clock. Starts out like a new development server. Clones share the clock.
#[derive(Debug, Clone)]
pub struct FixedSystem {
    default_lease_ttl: Duration,
    max_lease_ttl: Duration,
    replication: ReplicationState,
    tainted: bool,
    local: bool,
    product: Product,
    version: String,
    cluster: Cluster,
    entities: BTreeMap<String, Entity>,
    groups: BTreeMap<String, Vec<Group>>,
    passwords: BTreeMap<String, String>,
    clock: Arc<Mutex<Clock>>,
}

/// The time of the host: that of the machine, or one that stands still, and how much later the test has made it.
#[derive(Debug, Default)]
struct Clock {
    stands_at: Option<SystemTime>,
    later: Duration,
}

impl Default for FixedSystem {
    fn default() -> Self {
        let month = Duration::from_secs(32 * 24 * 3600);
        Self {
            default_lease_ttl: month,
            max_lease_ttl: month,
            replication: ReplicationState(0x3000),
            tainted: false,
            local: false,
            product: Product::OpenBao,
            version: "2.7.2".to_owned(),
            cluster: Cluster {
                name: String::new(),
                id: "11111111-2222-3333-4444-555555555555".to_owned(),
            },
            entities: BTreeMap::new(),
            groups: BTreeMap::new(),
            passwords: BTreeMap::new(),
            clock: Arc::default(),
        }
    }
}

impl FixedSystem {
    /// Like a new development server: leases of 32 days.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the default and the maximum lease.
    #[must_use]
    pub fn lease_ttls(mut self, default: Duration, max: Duration) -> Self {
        (self.default_lease_ttl, self.max_lease_ttl) = (default, max);
        self
    }

    /// Sets the part in replication.
    #[must_use]
    pub fn replication(mut self, state: ReplicationState) -> Self {
        self.replication = state;
        self
    }

    /// Adds an entity, and the groups that it is in.
    #[must_use]
    pub fn entity(mut self, entity: Entity, groups: Vec<Group>) -> Self {
        self.groups.insert(entity.id.clone(), groups);
        self.entities.insert(entity.id.clone(), entity);
        self
    }

    /// Adds a password policy, by which each password is this text.
    #[must_use]
    pub fn password_policy(mut self, name: impl Into<String>, each: impl Into<String>) -> Self {
        self.passwords.insert(name.into(), each.into());
        self
    }

    /// Sets the clock, which stands still from now on, but for [`FixedSystem::later`].
    #[must_use]
    pub fn at(self, time: SystemTime) -> Self {
        self.lock().stands_at = Some(time);
        self
    }

    /// Makes it so much later.
    pub fn later(&self, by: Duration) {
        self.lock().later += by;
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Clock> {
        self.clock.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Sets the server's version.
    #[must_use]
    pub fn version(mut self, version: impl Into<String>) -> Self {
        self.version = version.into();
        self
    }

    /// Sets which server the host is.
    #[must_use]
    pub fn product(mut self, product: Product) -> Self {
        self.product = product;
        self
    }

    /// Sets the cluster's names.
    #[must_use]
    pub fn cluster(mut self, cluster: Cluster) -> Self {
        self.cluster = cluster;
        self
    }

    /// Marks the mount as being removed.
    #[must_use]
    pub fn tainted(mut self) -> Self {
        self.tainted = true;
        self
    }

    /// Marks the mount as local.
    #[must_use]
    pub fn local(mut self) -> Self {
        self.local = true;
        self
    }
}

#[async_trait]
impl SystemView for FixedSystem {
    async fn default_lease_ttl(&self) -> Result<Duration, Error> {
        Ok(self.default_lease_ttl)
    }

    async fn max_lease_ttl(&self) -> Result<Duration, Error> {
        Ok(self.max_lease_ttl)
    }

    async fn tainted(&self) -> Result<bool, Error> {
        Ok(self.tainted)
    }

    async fn local_mount(&self) -> Result<bool, Error> {
        Ok(self.local)
    }

    async fn replication_state(&self) -> Result<ReplicationState, Error> {
        Ok(self.replication)
    }

    async fn entity(&self, id: &str) -> Result<Option<Entity>, Error> {
        Ok(self.entities.get(id).cloned())
    }

    async fn groups(&self, entity_id: &str) -> Result<Vec<Group>, Error> {
        Ok(self.groups.get(entity_id).cloned().unwrap_or_default())
    }

    fn product(&self) -> Product {
        self.product
    }

    async fn server_version(&self) -> Result<String, Error> {
        Ok(self.version.clone())
    }

    async fn cluster(&self) -> Result<Cluster, Error> {
        Ok(self.cluster.clone())
    }

    async fn password(&self, policy: &str) -> Result<String, Error> {
        let password = self.passwords.get(policy).cloned();
        password.ok_or_else(|| Error::failed("failed to generate password"))
    }

    fn now(&self) -> SystemTime {
        let clock = self.lock();
        clock.stands_at.unwrap_or_else(SystemTime::now) + clock.later
    }
}
