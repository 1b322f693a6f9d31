//! When the process ends, and what must be finished before.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::sync::watch;

/// Time between the end of the last broker stream and our own: the host closes the broker right before it asks for the shutdown.
const AFTER_BROKER: Duration = Duration::from_secs(1);

/// Why a plugin process ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The host asked for it.
    Shutdown,
    /// The host went away: its broker stream ended without a shutdown.
    BrokerClosed,
    /// The host's process ended: somebody else is our parent now.
    ParentGone,
    /// Nobody who holds the host's key has ever connected.
    NoHost,
    /// An operator ended the process.
    Terminated,
}

/// Shared by all services of a process.
pub(crate) struct Life {
    end: watch::Sender<Option<End>>,
    /// Every unfinished request holds a receiver.
    work: watch::Sender<()>,
    broker_streams: AtomicUsize,
    verified: AtomicBool,
}

/// Holds the process back from ending, for a bounded time.
pub(crate) struct Work {
    _receiver: watch::Receiver<()>,
}

impl Life {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            end: watch::Sender::new(None),
            work: watch::Sender::new(()),
            broker_streams: AtomicUsize::new(0),
            verified: AtomicBool::new(false),
        })
    }

    /// Ends the process soon. The first reason stays.
    pub(crate) fn end(&self, reason: End) {
        self.end.send_if_modified(|end| {
            let first = end.is_none();
            if first {
                *end = Some(reason);
            }
            first
        });
    }

    /// Waits for the end.
    pub(crate) async fn ended(&self) -> End {
        let mut receiver = self.end.subscribe();
        let end = receiver.wait_for(Option::is_some).await;
        // The sender lives in self, so that the channel cannot be closed here.
        end.ok().and_then(|end| *end).unwrap_or(End::Shutdown)
    }

    /// Announces work that should not be cut off by the end.
    pub(crate) fn work(&self) -> Work {
        Work {
            _receiver: self.work.subscribe(),
        }
    }

    /// Waits until no announced work is left.
    pub(crate) async fn idle(&self) {
        self.work.closed().await;
    }

    /// A peer has proved that it holds the host's key.
    pub(crate) fn verified(&self) {
        self.verified.store(true, Ordering::Relaxed);
    }

    pub(crate) fn is_verified(&self) -> bool {
        self.verified.load(Ordering::Relaxed)
    }

    pub(crate) fn broker_opened(&self) {
        self.broker_streams.fetch_add(1, Ordering::AcqRel);
    }

    /// Ends the process when the last broker stream is gone and no other comes.
    pub(crate) async fn broker_closed(&self) {
        if self.broker_streams.fetch_sub(1, Ordering::AcqRel) == 1 {
            tokio::time::sleep(AFTER_BROKER).await;
            if self.broker_streams.load(Ordering::Acquire) == 0 {
                self.end(End::BrokerClosed);
            }
        }
    }
}
