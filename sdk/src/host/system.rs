//! Questions to the host about a mount and its surroundings.

use std::{
    future::Future,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};

use async_trait::async_trait;
use http::Uri;
use landfast_proto::{
    logical,
    pb::{self, system_view_client::SystemViewClient},
};
use tonic::{Response, Status};

use super::{HostChannel, LARGEST_MESSAGE};
use crate::launch;
use crate::logical::{Alias, Cluster, Entity, Error, Group, Product, ReplicationState, SystemView};

/// How long the answer to a lease question is recent. The answer changes when an operator tunes the mount, and the protocol has no notice of
/// that.
const FRESH: Duration = Duration::from_secs(1);

/// The system view over the brokered connection.
pub(crate) struct HostSystemView {
    client: SystemViewClient<HostChannel>,
    default_ttl: Remembered,
    max_ttl: Remembered,
}

#[derive(Default)]
struct Remembered(Mutex<Option<(Instant, Duration)>>);

impl HostSystemView {
    pub(crate) fn new(channel: HostChannel) -> Self {
        let client = SystemViewClient::with_origin(channel, Uri::from_static("http://localhost"))
            .max_decoding_message_size(LARGEST_MESSAGE)
            .max_encoding_message_size(LARGEST_MESSAGE);
        Self {
            client,
            default_ttl: Remembered::default(),
            max_ttl: Remembered::default(),
        }
    }

    fn client(&self) -> SystemViewClient<HostChannel> {
        self.client.clone()
    }
}

impl Remembered {
    /// The remembered answer while it is fresh, else what `ask` finds.
    async fn or_ask(&self, ask: impl Future<Output = Answered> + Send) -> Result<Duration, Error> {
        let remembered = *self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, ttl)) = remembered
            && at.elapsed() < FRESH
        {
            return Ok(ttl);
        }
        self.ask(ask).await
    }

    async fn ask(&self, ask: impl Future<Output = Answered> + Send) -> Result<Duration, Error> {
        let now = Instant::now();
        let reply = ask.await.map_err(failed)?.into_inner();
        let ttl = Duration::from_nanos(u64::try_from(reply.ttl).unwrap_or(0));
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some((now, ttl));
        Ok(ttl)
    }
}

/// What the host says to a lease question.
type Answered = Result<Response<pb::TtlReply>, Status>;

#[async_trait]
impl SystemView for HostSystemView {
    async fn default_lease_ttl(&self) -> Result<Duration, Error> {
        let mut client = self.client();
        let ask = async move { client.default_lease_ttl(pb::Empty {}).await };
        self.default_ttl.ask(ask).await
    }

    async fn max_lease_ttl(&self) -> Result<Duration, Error> {
        let mut client = self.client();
        let ask = async move { client.max_lease_ttl(pb::Empty {}).await };
        self.max_ttl.ask(ask).await
    }

    async fn recent_default_lease_ttl(&self) -> Result<Duration, Error> {
        let mut client = self.client();
        let ask = async move { client.default_lease_ttl(pb::Empty {}).await };
        self.default_ttl.or_ask(ask).await
    }

    async fn recent_max_lease_ttl(&self) -> Result<Duration, Error> {
        let mut client = self.client();
        let ask = async move { client.max_lease_ttl(pb::Empty {}).await };
        self.max_ttl.or_ask(ask).await
    }

    async fn tainted(&self) -> Result<bool, Error> {
        let reply = self.client().tainted(pb::Empty {}).await.map_err(failed)?;
        Ok(reply.into_inner().tainted)
    }

    async fn local_mount(&self) -> Result<bool, Error> {
        let reply = self.client().local_mount(pb::Empty {}).await;
        Ok(reply.map_err(failed)?.into_inner().local)
    }

    async fn replication_state(&self) -> Result<ReplicationState, Error> {
        let reply = self.client().replication_state(pb::Empty {}).await;
        let bits = reply.map_err(failed)?.into_inner().state;
        Ok(ReplicationState(bits.cast_unsigned()))
    }

    async fn entity(&self, id: &str) -> Result<Option<Entity>, Error> {
        let args = pb::EntityInfoArgs {
            entity_id: id.to_owned(),
        };
        let reply = self.client().entity_info(args).await;
        let reply = reply.map_err(failed)?.into_inner();
        host(reply.err)?;
        Ok(reply.entity.map(entity))
    }

    async fn groups(&self, entity_id: &str) -> Result<Vec<Group>, Error> {
        let args = pb::EntityInfoArgs {
            entity_id: entity_id.to_owned(),
        };
        let reply = self.client().groups_for_entity(args).await;
        let reply = reply.map_err(failed)?.into_inner();
        host(reply.err)?;
        Ok(reply.groups.into_iter().map(group).collect())
    }

    fn product(&self) -> Product {
        launch::product()
    }

    async fn server_version(&self) -> Result<String, Error> {
        let reply = self.client().plugin_env(pb::Empty {}).await;
        let reply = reply.map_err(failed)?.into_inner();
        host(reply.err)?;
        Ok(reply.plugin_environment.unwrap_or_default().vault_version)
    }

    async fn cluster(&self) -> Result<Cluster, Error> {
        let reply = self.client().cluster_info(pb::Empty {}).await;
        let reply = reply.map_err(failed)?.into_inner();
        host(reply.err)?;
        Ok(Cluster {
            name: reply.cluster_name,
            id: reply.cluster_id,
        })
    }

    async fn password(&self, policy: &str) -> Result<String, Error> {
        let args = pb::GeneratePasswordFromPolicyRequest {
            policy_name: policy.to_owned(),
        };
        let reply = self.client().generate_password_from_policy(args).await;
        Ok(reply.map_err(failed)?.into_inner().password)
    }
}

fn entity(entity: logical::Entity) -> Entity {
    Entity {
        id: entity.id,
        name: entity.name,
        aliases: entity.aliases.into_iter().map(alias).collect(),
        metadata: entity.metadata.into_iter().collect(),
        disabled: entity.disabled,
        namespace_id: entity.namespace_id,
    }
}

/// An alias as the host has it.
pub(crate) fn alias(alias: logical::Alias) -> Alias {
    Alias {
        id: alias.id,
        mount_type: alias.mount_type,
        mount_accessor: alias.mount_accessor,
        name: alias.name,
        metadata: alias.metadata.into_iter().collect(),
        custom_metadata: alias.custom_metadata.into_iter().collect(),
        namespace_id: alias.namespace_id,
        local: alias.local,
    }
}

fn group(group: logical::Group) -> Group {
    Group {
        id: group.id,
        name: group.name,
        metadata: group.metadata.into_iter().collect(),
        namespace_id: group.namespace_id,
    }
}

fn host(err: String) -> Result<(), Error> {
    if err.is_empty() {
        Ok(())
    } else {
        Err(Error::internal(UNANSWERED, err))
    }
}

fn failed(status: Status) -> Error {
    Error::internal(UNANSWERED, status.message())
}

const UNANSWERED: &str = "the server did not answer a question of the plugin";
