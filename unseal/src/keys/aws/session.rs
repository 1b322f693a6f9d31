//! Calls to AWS KMS within limits: per attempt, per call, per Region.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use aws_sdk_kms::Client;
use aws_sdk_kms::config::http::HttpResponse;
use aws_sdk_kms::config::retry::RetryConfig;
use aws_sdk_kms::config::timeout::TimeoutConfig;
use aws_sdk_kms::config::{BehaviorVersion, IdentityCache, Region, StalledStreamProtectionConfig};
use aws_sdk_kms::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_kms::types::KeyUsageType;
use aws_smithy_runtime_api::client::http::SharedHttpClient;
use landfast_base::random;
use landfast_base::region::is_aws_host;
use tokio::time::{Instant, sleep, timeout};

use super::answer::LimitAnswer;
use super::config::{AwsConfig, KeyReference};
use super::credentials::{CredentialCache, Provider};
use super::endpoint::{self, EndpointKind};
use super::facts::{KeyFacts, is_symmetric, state_name};
use super::sts::Sts;
use super::transport::Transport;
use super::{failure, region};
use crate::config::Limits;
use crate::error::{Class, Error, ServiceError};

/// Clients and credentials for one or more Regions.
pub struct Session {
    home: Regional,
    fallbacks: Vec<Regional>,
    credentials: Arc<CredentialCache>,
    limits: Limits,
    can_identify: bool,
    requests: AtomicU64,
    region_source: &'static str,
}

struct Regional {
    region: String,
    endpoint: Option<String>,
    /// Where calls go, and by which proxy, for messages.
    way: String,
    client: Client,
}

impl Session {
    /// Prepares clients. The only calls that this can make are to instance metadata, for a Region that nothing else names.
    ///
    /// # Errors
    /// A configuration that cannot work: an endpoint that does not exist, a file of CAs that cannot be read.
    pub async fn open(config: AwsConfig, limits: Limits) -> Result<Self, Error> {
        let network = &config.network;
        let transport = Transport::new(network)?;
        let settled = region::settle(&config, &transport).await;
        let (name, region_source) = (settled.name, settled.source);
        let kind = EndpointKind {
            fips: config.use_fips,
            dual_stack: network.dual_stack,
        };
        // Signed requests belong at AWS or at the stand-in that was configured, not at one while the key is at the other.
        let own_endpoint = config.endpoint.as_deref().is_some_and(|url| !is_aws(url));
        let sts_exists = endpoint::sts(&name, config.sts_endpoint.as_deref(), kind).await;
        if let Err(error) = &sts_exists
            && config.credentials.needs_sts()
        {
            return Err(Error::Config(error.clone()));
        }
        let can_identify = sts_exists.is_ok() && (!own_endpoint || config.sts_endpoint.is_some());
        let sts = Sts::new(
            name.clone(),
            config.sts_endpoint.clone(),
            kind,
            sts_exists.map_or_else(|why| why, |url| endpoint::way(&url, network)),
            transport.routed.clone(),
        );
        let http = transport.routed.clone();
        let credentials = Arc::new(CredentialCache::new(config.credentials, sts, transport));
        let regional = async |region: String, endpoint: Option<String>| {
            let url = endpoint::kms(&region, endpoint.as_deref(), kind).await?;
            let client = client(
                &region,
                endpoint.as_deref(),
                kind,
                &credentials,
                limits,
                http.clone(),
            );
            Ok::<_, Error>(Regional {
                way: endpoint::way(&url, network),
                region,
                endpoint,
                client,
            })
        };
        let home = regional(name, config.endpoint.clone()).await?;
        let mut fallbacks = Vec::with_capacity(config.fallbacks.len());
        for other in config.fallbacks {
            if other.region != home.region {
                fallbacks.push(regional(other.region, other.endpoint).await?);
            }
        }
        Ok(Self {
            home,
            fallbacks,
            credentials,
            limits,
            can_identify,
            requests: AtomicU64::new(0),
            region_source,
        })
    }

    /// The Region that Encrypt and everything but Decrypt use.
    pub fn region(&self) -> &str {
        &self.home.region
    }

    /// Whether nothing named a Region, so that the default is used.
    pub fn region_is_a_guess(&self) -> bool {
        self.region_source == region::NOBODY
    }

    /// Who named the Region, for messages.
    pub fn region_source(&self) -> &'static str {
        self.region_source
    }

    /// The endpoint, if it is not the Region's own.
    pub fn endpoint(&self) -> Option<&str> {
        self.home.endpoint.as_deref()
    }

    /// Requests sent to AWS KMS so far, retries included.
    pub fn requests(&self) -> u64 {
        self.requests.load(Ordering::Relaxed)
    }

    /// The ARN of the identity whose credentials are used (`GetCallerIdentity`), which every identity may ask.
    ///
    /// # Errors
    /// No credentials, or the Security Token Service cannot be reached.
    pub async fn identify(&self) -> Result<String, Error> {
        self.credentials.identify().await
    }

    /// Makes sure that there are credentials.
    ///
    /// # Errors
    /// None can be found.
    pub async fn credentials(&self) -> Result<(), Error> {
        self.credentials.current().await.map(drop)
    }

    /// Where the credentials in use came from and when they expire; `None` before their first use.
    pub async fn credentials_origin(&self) -> Option<(&'static str, Option<SystemTime>)> {
        self.credentials.origin().await
    }

    /// Whether [`Session::identify`] would ask the service that the key belongs to.
    pub fn can_identify(&self) -> bool {
        self.can_identify
    }

    /// Looks a key up.
    ///
    /// # Errors
    /// The call failed.
    pub async fn describe(&self, key: &KeyReference) -> Result<KeyFacts, Error> {
        let answer = self
            .at_home("DescribeKey", Some(key.as_str()), |client| {
                let request = client.describe_key().key_id(key.as_str());
                async move { request.send().await }
            })
            .await?;
        let none = || Error::Config("no key information returned".to_owned());
        let facts = answer.key_metadata.ok_or_else(none)?;
        Ok(KeyFacts {
            state: state_name(facts.key_state()),
            deletion: facts
                .deletion_date()
                .and_then(|at| SystemTime::try_from(*at).ok()),
            multi_region: facts.multi_region().unwrap_or_default(),
            signs: facts.key_usage() == Some(&KeyUsageType::SignVerify),
            symmetric: is_symmetric(facts.key_usage(), facts.key_spec()),
            arn: facts.arn.unwrap_or(facts.key_id),
        })
    }

    /// Calls the home Region.
    pub(super) async fn at_home<T, E, F>(
        &self,
        operation: &'static str,
        key: Option<&str>,
        send: impl Fn(&Client) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let outcome = self
            .call(&self.home, operation, self.limits.call, || {
                send(&self.home.client)
            })
            .await;
        match outcome {
            Ok(answer) => Ok(answer),
            Err(error) => Err(self.explain(error, &self.home, key).await),
        }
    }

    /// Calls the home Region and, while it is out of order, the others in their order. `send` also gets the Region and whether it is
    /// another than the home Region.
    pub(super) async fn anywhere<T, E, F>(
        &self,
        operation: &'static str,
        key: Option<&str>,
        send: impl Fn(&Client, &str, bool) -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        let share = self.limits.call / u32::try_from(self.fallbacks.len() + 1).unwrap_or(u32::MAX);
        let home = self
            .call(&self.home, operation, share, || {
                send(&self.home.client, &self.home.region, false)
            })
            .await;
        let first = match home {
            Ok(answer) => return Ok(answer),
            Err(error) => self.explain(error, &self.home, key).await,
        };
        if !first.class().is_transient() {
            return Err(first);
        }
        for other in &self.fallbacks {
            match self
                .call(other, operation, share, || {
                    send(&other.client, &other.region, true)
                })
                .await
            {
                Ok(answer) => {
                    tracing::warn!(region = %other.region, error = %first, "{operation} served by a fallback Region");
                    return Ok(answer);
                }
                Err(error) => {
                    let error = self.explain(error, other, key).await;
                    tracing::warn!(region = %other.region, %error, "{operation} failed in a fallback Region too");
                }
            }
        }
        Err(first)
    }

    async fn call<T, E, F>(
        &self,
        at: &Regional,
        operation: &'static str,
        budget: Duration,
        send: impl Fn() -> F,
    ) -> Result<T, Error>
    where
        F: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
        E: ProvideErrorMetadata + std::error::Error + 'static,
    {
        // Finding credentials has limits of its own and is done before, so that a slow source does not look like a slow AWS KMS.
        self.credentials.current().await?;
        let deadline = Instant::now() + budget;
        let mut renewed = false;
        let mut pause = self.limits.pause;
        let mut attempt = 1;
        loop {
            let limit = self
                .limits
                .attempt
                .min(deadline.saturating_duration_since(Instant::now()));
            self.requests.fetch_add(1, Ordering::Relaxed);
            let failure = match timeout(limit, send()).await {
                Ok(Ok(answer)) => return Ok(answer),
                Ok(Err(error)) => failure::read(operation, &error),
                Err(_) => failure::timed_out(operation),
            };
            let failure = ServiceError {
                attempts: attempt,
                ..failure
            };
            tracing::debug!(operation, region = %at.region, attempt, code = %failure.code, "AWS KMS call failed");
            if failure::wants_new_credentials(&failure) && !renewed {
                renewed = true;
                self.credentials.forget().await;
                self.credentials.current().await?;
            } else if failure.class.is_transient() && attempt < self.limits.attempts {
                let pause_now = jitter(pause);
                if Instant::now() + pause_now >= deadline {
                    return Err(Error::from(failure));
                }
                sleep(pause_now).await;
                pause *= 2;
            } else {
                return Err(Error::from(failure));
            }
            attempt += 1;
        }
    }

    /// Adds to a failure what the operator needs to find it.
    async fn explain(&self, error: Error, at: &Regional, key: Option<&str>) -> Error {
        let Error::Service(mut failure) = error else {
            return error;
        };
        failure.key = failure.key.or_else(|| key.map(str::to_owned));
        failure.region.get_or_insert_with(|| at.region.clone());
        // Who is not reached has to be known by name.
        failure.endpoint = failure.endpoint.or_else(|| match failure.class {
            Class::Outage | Class::Config => Some(at.way.clone()),
            _ => at.endpoint.clone(),
        });
        if failure.principal.is_none() {
            failure.principal = self.credentials.principal().await;
        }
        Error::Service(failure)
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fallbacks: Vec<_> = self.fallbacks.iter().map(|other| &other.region).collect();
        f.debug_struct("Session")
            .field("region", &self.home.region)
            .field("endpoint", &self.home.endpoint)
            .field("fallbacks", &fallbacks)
            .finish_non_exhaustive()
    }
}

fn client(
    region: &str,
    endpoint: Option<&str>,
    kind: EndpointKind,
    credentials: &Arc<CredentialCache>,
    limits: Limits,
    http: SharedHttpClient,
) -> Client {
    let mut config = aws_sdk_kms::Config::builder()
        .behavior_version(BehaviorVersion::latest())
        .region(Region::new(region.to_owned()))
        .credentials_provider(Provider(credentials.clone()))
        .identity_cache(IdentityCache::no_cache())
        .retry_config(RetryConfig::disabled())
        .timeout_config(
            TimeoutConfig::builder()
                .connect_timeout(limits.attempt.min(Duration::from_secs(2)))
                .operation_timeout(limits.attempt)
                .build(),
        )
        // The limit of an attempt ends whatever stalls; the SDK's own watch would cost each call two wrapped bodies and their timers.
        .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
        .interceptor(LimitAnswer)
        .http_client(http)
        .use_fips(kind.fips)
        .use_dual_stack(kind.dual_stack);
    config.set_endpoint_url(endpoint.map(str::to_owned));
    Client::from_conf(config.build())
}

fn is_aws(url: &str) -> bool {
    let uri = url.parse::<http::Uri>();
    uri.is_ok_and(|uri| uri.host().is_some_and(is_aws_host))
}

/// Between half and the whole of a pause, so that many nodes that failed together do not come back together.
fn jitter(pause: Duration) -> Duration {
    let part = random().map_or(255, |[octet]| octet);
    pause / 2 + pause * u32::from(part) / 510
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jitter_stays_between_half_and_whole() {
        let pause = Duration::from_millis(200);
        for _ in 0..200 {
            let jittered = jitter(pause);
            assert!(jittered >= pause / 2 && jittered <= pause, "{jittered:?}");
        }
    }

    #[test]
    fn only_hosts_of_aws_count_as_aws() {
        assert!(is_aws("https://kms.eu-central-1.amazonaws.com"));
        assert!(is_aws(
            "https://vpce-0a.kms.eu-central-1.vpce.amazonaws.com/"
        ));
        assert!(
            !is_aws("https://amazonaws.com.example.org")
                && !is_aws("http://127.0.0.1:1")
                && !is_aws("x")
        );
    }
}
