//! The broker: how the host tells a plugin where further connections can be dialled.
//!
//! For each mount the host opens one more unix socket, on which it serves the mount's storage and its system view, and announces it with a
//! number on one stream that lasts as long as the process. The `Setup` call then names the number. The two travel independently: a
//! `Setup` may arrive before its announcement, even before the stream.

use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use landfast_proto::plugin::{ConnInfo, grpc_broker_server::GrpcBroker};
use tokio::sync::watch;
use tokio_stream::{Pending, StreamExt as _};
use tonic::{Request, Response, Status, Streaming};

use super::life::Life;

/// How long a `Setup` waits for its announcement; Go's side waits as long.
const PATIENCE: Duration = Duration::from_secs(5);
/// How long an announcement that nobody asked for is kept.
const KEPT: Duration = Duration::from_secs(60);

/// Why the host's side of a brokered connection is not known.
#[derive(Debug, thiserror::Error)]
pub(crate) enum BrokerError {
    #[error("the host did not announce broker connection {0}")]
    NotAnnounced(u32),
    #[error(
        "the host announced broker connection {id} on {network:?}, only unix sockets are served"
    )]
    Network { id: u32, network: String },
}

/// The announcements that are not yet used.
pub(crate) struct Broker {
    life: Arc<Life>,
    announced: Mutex<HashMap<u32, Announcement>>,
    /// Bumped by each announcement.
    arrivals: watch::Sender<u64>,
}

struct Announcement {
    network: String,
    address: PathBuf,
    at: Instant,
}

impl Broker {
    pub(crate) fn new(life: Arc<Life>) -> Arc<Self> {
        Arc::new(Self {
            life,
            announced: Mutex::default(),
            arrivals: watch::Sender::new(0),
        })
    }

    /// The path on which the host serves connection `id`; waits for it when it is not yet announced.
    pub(crate) async fn address(&self, id: u32) -> Result<PathBuf, BrokerError> {
        let mut arrivals = self.arrivals.subscribe();
        let found = tokio::time::timeout(PATIENCE, async {
            loop {
                if let Some(announcement) = self.take(id) {
                    return Some(announcement);
                }
                arrivals.changed().await.ok()?;
            }
        });
        match found.await {
            Ok(Some(found)) if found.network == "unix" => Ok(found.address),
            Ok(Some(found)) => Err(BrokerError::Network {
                id,
                network: found.network,
            }),
            _ => Err(BrokerError::NotAnnounced(id)),
        }
    }

    fn take(&self, id: u32) -> Option<Announcement> {
        self.announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(&id)
    }

    fn announce(&self, info: ConnInfo) {
        if info.knock.is_some() {
            // Part of a mode that the handshake has refused.
            tracing::warn!(
                id = info.service_id,
                "the host knocked for a multiplexed connection"
            );
            return;
        }
        let at = Instant::now();
        let mut announced = self
            .announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        announced.retain(|_, old| at.duration_since(old.at) < KEPT);
        announced.insert(
            info.service_id,
            Announcement {
                network: info.network,
                address: info.address.into(),
                at,
            },
        );
        drop(announced);
        self.arrivals.send_modify(|count| *count += 1);
    }
}

/// The service, as tonic wants it.
pub(crate) struct BrokerService(pub(crate) Arc<Broker>);

#[tonic::async_trait]
impl GrpcBroker for BrokerService {
    /// Nothing is ever sent to the host, but ending this stream would end the broker.
    type StartStreamStream = Pending<Result<ConnInfo, Status>>;

    async fn start_stream(
        &self,
        request: Request<Streaming<ConnInfo>>,
    ) -> Result<Response<Self::StartStreamStream>, Status> {
        let broker = Arc::clone(&self.0);
        let mut stream = request.into_inner();
        broker.life.broker_opened();
        tokio::spawn(async move {
            // An error ends the stream as surely as its end does; a host that leaves shows as a protocol error.
            while let Some(Ok(info)) = stream.next().await {
                broker.announce(info);
            }
            broker.life.broker_closed().await;
        });
        Ok(Response::new(tokio_stream::pending()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(service_id: u32, network: &str) -> ConnInfo {
        ConnInfo {
            service_id,
            network: network.into(),
            address: format!("/tmp/{service_id}"),
            knock: None,
        }
    }

    #[tokio::test]
    async fn an_announcement_may_come_before_or_after_the_question() {
        let broker = Broker::new(Life::new());
        broker.announce(info(1, "unix"));
        assert_eq!(broker.address(1).await.unwrap(), PathBuf::from("/tmp/1"));

        let (found, ()) = tokio::join!(broker.address(2), async {
            broker.announce(info(3, "unix"));
            broker.announce(info(2, "unix"));
        });
        assert_eq!(found.unwrap(), PathBuf::from("/tmp/2"));
        assert_eq!(broker.address(3).await.unwrap(), PathBuf::from("/tmp/3"));
    }

    #[tokio::test]
    async fn only_unix_sockets_are_dialled() {
        let broker = Broker::new(Life::new());
        broker.announce(info(1, "tcp"));
        assert!(matches!(
            broker.address(1).await,
            Err(BrokerError::Network { id: 1, .. })
        ));
    }
}
