//! One connection: its place among the others, who is at its other end, and whether that still holds.

use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use jiff::Timestamp;
use landfast_listen::{Full, Place, Room, neighbourhood};
use rustls_pki_types::{CertificateDer, UnixTime};

use super::clients::Peer;
use super::tls::Tls;

/// Connections of strangers at one time: of those who are in the handshake, or have not shown yet that they are a client.
const STRANGERS: usize = 128;

/// The same from one address.
const STRANGERS_PER_ADDRESS: usize = 32;

/// A certificate is verified again after this time, for a revocation list may have ended.
const VERIFIED_FOR: Duration = Duration::from_secs(60);

/// Who shares a bound.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(super) enum Guest {
    /// Strangers of one host.
    Address(IpAddr),
    /// Connections of one client.
    Client(String),
}

/// The places of all connections.
#[derive(Debug)]
pub(super) struct Places {
    strangers: Room<Guest>,
    clients: Room<Guest>,
}

impl Places {
    /// So many for clients; strangers have a few of their own.
    pub(super) fn new(clients: usize) -> Self {
        Self {
            strangers: Room::new(STRANGERS, STRANGERS_PER_ADDRESS),
            clients: Room::new(clients, clients),
        }
    }

    /// A place for a stranger, who may take that of another.
    pub(super) fn stranger(&self, remote: SocketAddr) -> Result<Place<Guest>, Full> {
        self.strangers
            .enter(Guest::Address(neighbourhood(remote.ip())))
    }
}

/// A connection after its handshake.
#[derive(Debug)]
pub(super) struct Visit {
    pub(super) peer: Peer,
    pub(super) place: Place<Guest>,
    chain: Vec<CertificateDer<'static>>,
    /// The TLS configuration that verified the certificate last, and when.
    verified: Mutex<(Arc<Tls>, Instant)>,
    known: Mutex<bool>,
}

impl Visit {
    pub(super) fn new(
        remote: SocketAddr,
        place: Place<Guest>,
        chain: Vec<CertificateDer<'static>>,
        tls: Arc<Tls>,
    ) -> Self {
        Self {
            peer: Peer::new(remote, chain.first().map(AsRef::as_ref)),
            place,
            chain,
            verified: Mutex::new((tls, Instant::now())),
            known: Mutex::new(false),
        }
    }

    /// Moves the connection from the strangers to the clients.
    ///
    /// # Errors
    /// No connection of a client is idle.
    pub(super) fn admit(&self, client: &str, places: &Places) -> Result<(), Full> {
        let mut known = self.known.lock().unwrap_or_else(PoisonError::into_inner);
        if !*known {
            let guest = Guest::Client(client.to_owned());
            self.place.move_to(&places.clients, guest)?;
            *known = true;
        }
        Ok(())
    }

    /// Whether the certificate would pass a handshake now.
    ///
    /// # Errors
    /// Why not, for the audit log.
    pub(super) fn recheck(&self, tls: &Arc<Tls>) -> Result<(), String> {
        let Some((leaf, intermediates)) = self.chain.split_first() else {
            return Ok(());
        };
        if let Some(end) = self.peer.ended(Timestamp::now()) {
            return Err(format!("the certificate has ended at {end}"));
        }
        let mut verified = self.verified.lock().unwrap_or_else(PoisonError::into_inner);
        if Arc::ptr_eq(&verified.0, tls) && verified.1.elapsed() < VERIFIED_FOR {
            return Ok(());
        }
        let Some(verifier) = &tls.verifier else {
            return Err("certificates are not taken any more".to_owned());
        };
        verifier
            .verify_client_cert(leaf, intermediates, UnixTime::now())
            .map_err(|error| format!("the certificate is not good any more: {error}"))?;
        *verified = (tls.clone(), Instant::now());
        Ok(())
    }
}
