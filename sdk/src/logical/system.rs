//! Questions that a mount can ask its host.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use async_trait::async_trait;

use super::Error;

/// The host, as one mount sees it. Every call is a round trip, unless it is said otherwise: keep answers that do not change with the request.
#[async_trait]
pub trait SystemView: Send + Sync {
    /// The mount's default time to live of leases, as it is tuned now.
    async fn default_lease_ttl(&self) -> Result<Duration, Error>;

    /// The mount's maximum time to live of leases, as it is tuned now.
    async fn max_lease_ttl(&self) -> Result<Duration, Error>;

    /// As [`SystemView::default_lease_ttl`] said it within the last second, so that engines with many requests need not ask for each. The host does
    /// not tell of a mount that is tuned anew.
    async fn recent_default_lease_ttl(&self) -> Result<Duration, Error> {
        self.default_lease_ttl().await
    }

    /// As [`SystemView::max_lease_ttl`] said it within the last second.
    async fn recent_max_lease_ttl(&self) -> Result<Duration, Error> {
        self.max_lease_ttl().await
    }

    /// The time, by the clock of the machine that host and plugin are on. No round trip; a test can set it.
    fn now(&self) -> SystemTime {
        SystemTime::now()
    }

    /// Whether the mount is being removed.
    async fn tainted(&self) -> Result<bool, Error>;

    /// Whether the mount is local, not replicated.
    async fn local_mount(&self) -> Result<bool, Error>;

    /// The node's part in replication.
    async fn replication_state(&self) -> Result<ReplicationState, Error>;

    /// Looks up an identity entity; `None` when there is no such.
    async fn entity(&self, id: &str) -> Result<Option<Entity>, Error>;

    /// The groups of an entity; none for an unknown one.
    async fn groups(&self, entity_id: &str) -> Result<Vec<Group>, Error>;

    /// Which server the host is. No round trip.
    fn product(&self) -> Product {
        Product::OpenBao
    }

    /// The server's version, for example `2.7.2`.
    async fn server_version(&self) -> Result<String, Error>;

    /// The cluster's names.
    async fn cluster(&self) -> Result<Cluster, Error>;

    /// Makes a password by a policy of the host.
    async fn password(&self, policy: &str) -> Result<String, Error>;
}

/// The servers that plugins run in. They differ in little, and their versions overlap.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Product {
    /// OpenBao, and whatever cannot be told from it.
    #[default]
    OpenBao,
    /// HashiCorp Vault.
    Vault,
}

/// An identity entity.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Entity {
    /// Identifier.
    pub id: String,
    /// Name.
    pub name: String,
    /// Its names at the authentication methods.
    pub aliases: Vec<Alias>,
    /// Metadata set by operators.
    pub metadata: BTreeMap<String, String>,
    /// Whether its tokens are refused.
    pub disabled: bool,
    /// The namespace it belongs to.
    pub namespace_id: String,
}

/// The name of an entity at one authentication mount.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Alias {
    /// Identifier.
    pub id: String,
    /// Type of the authentication mount.
    pub mount_type: String,
    /// Accessor of the authentication mount.
    pub mount_accessor: String,
    /// Name at that mount.
    pub name: String,
    /// Metadata set by the authentication method.
    pub metadata: BTreeMap<String, String>,
    /// Metadata set by operators.
    pub custom_metadata: BTreeMap<String, String>,
    /// The namespace it belongs to.
    pub namespace_id: String,
    /// Whether it belongs to this cluster only.
    pub local: bool,
}

impl Alias {
    /// An alias by this name, for the answer to a login: the server knows the mount.
    #[must_use]
    pub fn named(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..Self::default()
        }
    }
}

/// Who a request comes from.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Identity {
    /// The entity of the token.
    pub entity: Entity,
    /// The groups that it is in.
    pub groups: Vec<Group>,
}

/// An identity group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Group {
    /// Identifier.
    pub id: String,
    /// Name.
    pub name: String,
    /// Metadata set by operators.
    pub metadata: BTreeMap<String, String>,
    /// The namespace it belongs to.
    pub namespace_id: String,
}

/// The cluster's names.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cluster {
    /// Name; may be empty.
    pub name: String,
    /// Identifier.
    pub id: String,
}

/// The node's part in replication: the bits of the protocol.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ReplicationState(pub u32);

impl ReplicationState {
    const PERFORMANCE_SECONDARY: u32 = 0x40;
    const DR_SECONDARY: u32 = 0x200;
    const PERFORMANCE_STANDBY: u32 = 0x4000;

    /// True where storage of replicated mounts cannot be written.
    #[must_use]
    pub fn is_read_only(self) -> bool {
        self.0 & (Self::PERFORMANCE_SECONDARY | Self::DR_SECONDARY | Self::PERFORMANCE_STANDBY) != 0
    }
}
