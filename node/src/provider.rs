//! Credentials for a role, from the files of a node: the cache first, then
//! Roles Anywhere.
//!
//! Certificate and key are read anew for every session, so a renewal needs no
//! restart. A pair that is being replaced at that very moment does not match
//! for an instant; reading it once more settles that.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};
use landfast_pki::Certificate;

use crate::cache::Cache;
use crate::http::{self, HttpError, Trust};
use crate::identity::{self, Files, IdentityError};
use crate::reach;
use crate::session::{Client, Credentials, Endpoint, SessionError, SessionRequest};

/// How long a renewal may take to swap certificate and key.
const SWAP: Duration = Duration::from_millis(100);

/// What a provider needs to know.
#[derive(Clone, Debug)]
pub struct Options {
    /// The certificate in PEM, leaf first.
    pub certificate: PathBuf,
    /// Its private key in PEM.
    pub private_key: PathBuf,
    /// Further certificates of the chain.
    pub intermediates: Option<PathBuf>,
    /// A file with the passphrase of the key, when that is encrypted.
    pub passphrase: Option<PathBuf>,
    /// Which session.
    pub request: SessionRequest,
    /// Where to ask.
    pub endpoint: Endpoint,
    /// A PEM file with the CAs of the endpoint, in place of the public ones.
    pub authorities: Option<PathBuf>,
    /// Accept any certificate of the endpoint. For laboratories only.
    pub skip_verify: bool,
    /// Where sessions are kept between calls; none keeps nothing.
    pub cache: Option<Cache>,
}

/// Why there are no credentials.
#[derive(Debug, thiserror::Error)]
pub enum ProviderError {
    /// Certificate or key.
    #[error(transparent)]
    Identity(#[from] IdentityError),
    /// The service, or the way to it.
    #[error(transparent)]
    Session(#[from] SessionError),
    /// The HTTP client, or the endpoint's CA file.
    #[error(transparent)]
    Http(#[from] HttpError),
}

impl ProviderError {
    /// Whether the same question may be answered later without anybody's help.
    pub fn is_temporary(&self) -> bool {
        matches!(self, Self::Session(error) if error.is_temporary())
    }
}

/// Gives credentials, as often as asked.
pub struct Provider {
    options: Options,
}

impl Provider {
    /// A provider over these options; nothing is read yet.
    pub const fn new(options: Options) -> Self {
        Self { options }
    }

    /// Credentials from the cache, without a network call or the private key.
    pub fn cached(&self, now: Timestamp) -> Option<Credentials> {
        let Some(cache) = self.options.cache.as_ref() else {
            tracing::debug!("cache: none is used");
            return None;
        };
        let (leaf, _) = identity::certificates(&self.options.certificate).ok()?;
        if now > leaf.not_after() {
            tracing::debug!("cache: not used, for the certificate has ended");
            return None;
        }
        let found = cache.load(&self.cache_key(leaf.der()), now);
        match &found {
            Some(credentials) => {
                self.tell(&leaf);
                tracing::debug!(
                    access_key_id = credentials.access_key_id,
                    expiration = %credentials.expiration,
                    "cache: hit, AWS is not asked",
                );
            }
            None => tracing::debug!("cache: miss"),
        }
        found
    }

    /// New credentials; while AWS is away, those of the cache for as long as they are
    /// good. What AWS refuses stays refused.
    ///
    /// # Errors
    /// [`ProviderError`] of [`fetch`](Self::fetch).
    pub async fn fetch_or_last(
        &self,
        now: impl Fn() -> Timestamp,
    ) -> Result<Credentials, ProviderError> {
        let error = match self.fetch(&now).await {
            Err(error) if error.is_temporary() => error,
            settled => return settled,
        };
        let Some(last) = self.last(now()) else {
            return Err(error);
        };
        tracing::warn!(
            "{error}; the session of the cache is handed out, which ends at {}",
            last.expiration
        );
        Ok(last)
    }

    fn last(&self, now: Timestamp) -> Option<Credentials> {
        let (leaf, _) = identity::certificates(&self.options.certificate).ok()?;
        let cache = self.options.cache.as_ref()?;
        cache.last(&self.cache_key(leaf.der()), now)
    }

    /// Tells which session is wanted, and by which certificate.
    fn tell(&self, leaf: &Certificate) {
        let options = &self.options;
        let request = &options.request;
        tracing::debug!(
            file = %options.certificate.display(),
            subject = %leaf.subject(),
            issuer = %leaf.issuer(),
            serial = %leaf.serial(),
            valid_until = %leaf.not_after(),
            "certificate",
        );
        tracing::debug!(
            trust_anchor = %request.trust_anchor,
            profile = %request.profile,
            role = %request.role,
            session_name = request.session_name.as_deref().unwrap_or("(none)"),
            duration = request.duration.unwrap_or_default(),
            "session; a duration of 0 is the profile's",
        );
        tracing::debug!(
            region = options.endpoint.region,
            url = options.endpoint.url,
            "endpoint",
        );
    }

    /// New credentials, stored in the cache when there is one.
    ///
    /// # Errors
    /// [`ProviderError`]. A cache that cannot be written is only logged: the
    /// credentials are good without it.
    pub async fn fetch(&self, now: impl Fn() -> Timestamp) -> Result<Credentials, ProviderError> {
        let options = &self.options;
        let load = || {
            identity::load(&Files {
                certificate: &options.certificate,
                key: &options.private_key,
                intermediates: options.intermediates.as_deref(),
                passphrase: options.passphrase.as_deref(),
            })
        };
        let loaded = match load() {
            Err(IdentityError::Mismatch { .. }) => {
                tokio::time::sleep(SWAP).await;
                load()
            }
            other => other,
        };
        let (identity, leaf) = loaded?;
        self.tell(&leaf);
        tracing::debug!(
            algorithm = identity.key.algorithm().name(),
            intermediates = identity.chain.len(),
            "signing",
        );
        for finding in reach::key_file(&options.private_key) {
            tracing::warn!("{}: {}", finding.problem, finding.remedy);
        }
        let client = Client::new(self.http()?, options.endpoint.clone());
        let (started, obtained) = (Instant::now(), now());
        let outcome = client
            .create_session(&identity, &options.request, &now)
            .await;
        let milliseconds = started.elapsed().as_millis();
        let credentials = match outcome {
            Ok(credentials) => credentials,
            Err(error) => {
                tracing::debug!(milliseconds, %error, "no session");
                return Err(error.into());
            }
        };
        tracing::debug!(
            milliseconds,
            access_key_id = credentials.access_key_id,
            assumed_role = credentials.assumed_role_arn,
            expiration = %credentials.expiration,
            "session",
        );
        if let Some(behind) = credentials.clock_behind {
            // Every later look at the cache would go by the wrong clock.
            tracing::warn!(
                "this machine's clock is {} {}: set it right (NTP); the session is not cached",
                span(behind),
                if behind.is_positive() {
                    "behind"
                } else {
                    "ahead"
                },
            );
        } else if let Some(cache) = &options.cache {
            let key = self.cache_key(&identity.leaf);
            match cache.store(&key, &credentials, obtained) {
                Ok(()) => tracing::debug!("cache: the session is stored"),
                Err(error) => tracing::warn!(%error, "the session is not cached"),
            }
        }
        Ok(credentials)
    }

    fn cache_key(&self, leaf: &[u8]) -> String {
        Cache::key(&self.options.request, leaf, &self.options.endpoint.url)
    }

    fn http(&self) -> Result<reqwest::Client, HttpError> {
        let options = &self.options;
        let trust = Trust {
            authorities: options.authorities.as_slice(),
            identity: None,
            skip_verify: options.skip_verify,
        };
        http::for_sessions(&options.endpoint.url, trust)
    }
}

/// A length of time in the largest unit that fits, without its sign.
pub(crate) fn span(length: SignedDuration) -> String {
    let minutes = length.abs().as_mins();
    match minutes {
        0..120 => format!("{minutes} minutes"),
        120..2880 => format!("{} hours", minutes / 60),
        _ => format!("{} days", minutes / 1440),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_have_the_unit_that_fits() {
        for (minutes, text) in [
            (-5, "5 minutes"),
            (1439, "23 hours"),
            (1441, "24 hours"),
            (4320, "3 days"),
        ] {
            assert_eq!(span(SignedDuration::from_mins(minutes)), text);
        }
    }
}
