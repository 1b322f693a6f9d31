//! What all connections share, and how it is read anew.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Instant;

use arc_swap::ArcSwap;
use landfast_listen::Buckets;

use crate::audit::Audit;
use crate::config::Config;
use crate::error::Error;
use crate::metrics::Metrics;
use crate::routes::Routes;

/// Where the configuration is from.
#[derive(Debug, Clone)]
pub enum Origin {
    /// A file, which a reload reads again.
    File(PathBuf),
    /// What a command line says.
    Words(Box<Config>),
}

impl Origin {
    /// The configuration as it is now.
    ///
    /// # Errors
    /// It cannot be read, or says what cannot be.
    pub fn read(&self) -> Result<Config, Error> {
        match self {
            Self::File(path) => Config::read(path),
            Self::Words(config) => {
                config.check().map_err(Error::Config)?;
                Ok((**config).clone())
            }
        }
    }
}

pub(crate) struct Shared {
    pub(crate) current: ArcSwap<Current>,
    pub(crate) audit: Audit,
    pub(crate) metrics: Metrics,
}

/// What a reload replaces.
pub(crate) struct Current {
    pub(crate) routes: Routes,
    pub(crate) buckets: Buckets,
    requests_per_minute: u32,
}

impl Shared {
    pub(crate) fn new(config: &Config) -> Result<Self, Error> {
        let current = Current {
            routes: Routes::new(config, None)?,
            buckets: Buckets::per_minute(config.limits.requests_per_minute, Instant::now()),
            requests_per_minute: config.limits.requests_per_minute,
        };
        Ok(Self {
            current: ArcSwap::from_pointee(current),
            audit: Audit::open(config.audit_log.as_deref())?,
            metrics: Metrics::new(),
        })
    }

    /// Uses another configuration from now on. What is kept of mounts that did not change stays.
    pub(crate) fn reload(&self, config: &Config) -> Result<(), Error> {
        let old = self.current.load_full();
        let routes = Routes::new(config, Some(&old.routes))?;
        let requests_per_minute = config.limits.requests_per_minute;
        self.audit.reopen()?;
        if requests_per_minute != old.requests_per_minute {
            tracing::info!(requests_per_minute, "clients have another limit");
        }
        self.current.store(Arc::new(Current {
            routes,
            buckets: Buckets::per_minute(requests_per_minute, Instant::now()),
            requests_per_minute,
        }));
        Ok(())
    }

    /// Writes what is kept of mounts to disk, where that holds up nobody.
    pub(crate) async fn save(self: &Arc<Self>) {
        let shared = self.clone();
        let saved = tokio::task::spawn_blocking(move || shared.current.load_full().routes.save());
        if let Err(error) = saved.await {
            tracing::error!(%error, "what is kept was not written to disk");
        }
    }

    /// Writes the audit lines that wait, where a disk holds up nobody.
    pub(crate) async fn flush(self: &Arc<Self>) {
        let shared = self.clone();
        let written = tokio::task::spawn_blocking(move || shared.audit.flush()).await;
        if let Ok(Err(error)) = written {
            self.metrics.lost_audit();
            tracing::error!(%error, "audit lines cannot be written, and are counted");
        }
    }
}
