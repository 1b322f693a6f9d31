//! What the host asks of a mount beside requests: its making, its life, the minute's work.

use std::sync::Arc;

use landfast_sdk::logical::{Backend, Cx, Error, LeaseContext, Response, Setup, Table};

use crate::fault::internal;
use crate::mount::Mount;
use crate::paths::{keeping, revoke};
use crate::{acme, crl, ends, pool, seal, table, tidy};

impl Backend for Mount {
    async fn new(setup: Setup) -> Result<Self, Error> {
        Ok(Self::from_setup(setup))
    }

    fn table() -> Table<Self> {
        table::table()
    }

    /// Goes on with what a crash left, where this node may write. It must not hold up an unseal.
    async fn initialize(self: Arc<Self>) -> Result<(), Error> {
        tokio::spawn(async move {
            if let Err(error) = pool::begin(&self).await {
                tracing::warn!(%error, "no keys are made ahead until one is asked for");
            }
            match self.system().replication_state().await {
                Ok(state) if !state.is_read_only() => {
                    if let Err(error) = seal::periodic(&self).await {
                        tracing::warn!(%error, "a migration of CA keys could not go on");
                    }
                    if let Err(error) = acme::validation::resume(&self).await {
                        tracing::warn!(%error, "validations of ACME could not go on");
                    }
                    if let Err(error) = tidy::resume(&self).await {
                        tracing::warn!(%error, "tidying could not go on");
                    }
                }
                _ => {}
            }
        });
        Ok(())
    }

    /// Ends a lease that came with a certificate, by revoking the certificate.
    async fn revoke(self: Arc<Self>, _cx: Cx, lease: LeaseContext) -> Result<Response, Error> {
        match keeping::leased(&lease) {
            Some(serial) => revoke::by_lease(self, serial.to_owned()).await,
            None => Err(internal(
                "the lease could not be revoked",
                "it names no certificate",
            )),
        }
    }

    /// The minute's work. Only the node that may write does it, but for the opening of sealed keys.
    async fn periodic(self: Arc<Self>) -> Result<(), Error> {
        seal::warm(&self).await?;
        if self.system().replication_state().await?.is_read_only() {
            return Ok(());
        }
        seal::periodic(&self).await?;
        // Tidying goes on although a CRL cannot be built, and the other way round.
        let crls = crl::periodic(&self).await;
        let ends = ends::flush(&self).await;
        let validations = acme::validation::resume(&self).await;
        tidy::periodic(&self).await?;
        crls.and(ends).and(validations)
    }

    fn invalidate(&self, key: &str) {
        self.forget(key);
    }

    fn cleanup(&self) {
        self.close();
    }
}
