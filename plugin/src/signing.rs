//! An issuer and its key, ready to sign certificates.

use std::sync::Arc;

use landfast_pki::{Certificate, Unsigned};
use landfast_sdk::logical::Error;

use crate::aia::{self, Signing};
use crate::ca_key::CaKey;
use crate::{Mount, issuers};

/// An issuer and its key, ready to sign leaves.
pub(crate) struct Authority {
    pub(crate) signing: Arc<Signing>,
    key: CaKey,
}

impl Authority {
    /// Loads the issuer that `reference` means.
    ///
    /// # Errors
    /// When there is none, or it cannot or must not issue; all of them error values, which clients tell apart by their texts.
    pub(crate) async fn load(mount: &Mount, reference: &str) -> Result<Self, Error> {
        let (issuer, key) = issuers::for_issuing(mount, reference).await?;
        let signing = aia::signing(mount, &issuer)
            .await
            .map_err(|error| match error {
                Error::Failed(text) => {
                    Error::Failed(format!("error fetching CA certificate: {text}"))
                }
                other => other,
            })?;
        Ok(Self { signing, key })
    }

    /// Signs what the rules prepared.
    ///
    /// # Errors
    /// When the key cannot sign.
    pub(crate) async fn sign(
        &self,
        mount: &Mount,
        prepared: Unsigned<Certificate>,
    ) -> Result<Certificate, Error> {
        self.key.sign(mount, prepared).await
    }
}
