//! Validation of challenges: the one part of this crate that uses the network.
//!
//! Whoever orders a certificate chooses where this connects to. So every address is looked up once, checked against [`Networks`] and
//! then connected to as an address; redirects go through the same; proxies of the environment are not used; and time, addresses,
//! redirects, heads and bodies are bounded. Nothing of what a host answers gets into an error but its status, so that nobody reads
//! through the server what he cannot reach himself.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

use crate::challenge::key_authorization;
use crate::{ChallengeType, Identifier, Kind, Networks, Problem};

mod connect;
mod dns;
mod http;
mod names;
mod tls_alpn;
mod verifier;

use names::Names;
use verifier::{Handshakes, Looking};

/// How validations reach hosts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ValidatorSettings {
    /// The addresses that may be reached.
    pub networks: Networks,
    /// The DNS server to ask; without one, those of the system (`/etc/resolv.conf`, and `/etc/hosts` before them). It may lie anywhere.
    pub resolver: Option<SocketAddr>,
    /// The port for http-01: 80 (RFC 8555 section 8.3). Redirects over HTTP go to no other.
    pub http_port: u16,
    /// The port for tls-alpn-01: 443 (RFC 8737 section 3). Redirects over HTTPS go to no other.
    pub tls_port: u16,
    /// The time for a validation, all of it.
    pub timeout: Duration,
}

impl Default for ValidatorSettings {
    fn default() -> Self {
        Self {
            networks: Networks::default(),
            resolver: None,
            http_port: 80,
            tls_port: 443,
            timeout: Duration::from_secs(10),
        }
    }
}

/// Validations cannot be made with these settings.
#[derive(Debug, thiserror::Error)]
pub enum ValidatorError {
    /// The system's configuration of DNS cannot be read.
    #[error(
        "the system's DNS configuration cannot be used ({0}): mend /etc/resolv.conf, or set dns_resolver in config/acme"
    )]
    Names(String),
    /// TLS cannot be set up.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Looks whether a client shows what its challenge asks for.
#[derive(Debug)]
pub struct Validator {
    settings: ValidatorSettings,
    names: Names,
    handshakes: Handshakes,
}

impl Validator {
    /// Makes one; nothing is asked or connected yet. Changes of the system's DNS configuration count from the next one on.
    ///
    /// # Errors
    /// See [`ValidatorError`].
    pub fn new(settings: ValidatorSettings) -> Result<Self, ValidatorError> {
        let names = Names::new(settings.resolver, settings.timeout)?;
        let handshakes = Handshakes::new()?;
        Ok(Self {
            settings,
            names,
            handshakes,
        })
    }

    /// Validates once: whether who controls the identifier shows the key authorization of this token for the account with this key
    /// thumbprint. When to try again is the caller's to decide (RFC 8555 section 8.2).
    ///
    /// # Errors
    /// Why it was not shown: [`Kind::Dns`], [`Kind::Connection`] and [`Kind::Tls`] if the host was not reached or may not be,
    /// [`Kind::IncorrectResponse`] if it showed something else, [`Kind::Malformed`] if the identifier cannot be validated so.
    pub async fn check(
        &self,
        challenge: ChallengeType,
        identifier: &Identifier,
        token: &str,
        thumbprint: &str,
    ) -> Result<(), Problem> {
        let attempt = Attempt {
            validator: self,
            identifier,
            token,
            authorization: key_authorization(token, thumbprint),
            end: Instant::now() + self.settings.timeout,
        };
        let end = attempt.end;
        let result = match challenge {
            ChallengeType::Http01 => timeout_at(end, attempt.http()).await,
            ChallengeType::Dns01 => timeout_at(end, attempt.dns()).await,
            ChallengeType::TlsAlpn01 => timeout_at(end, attempt.tls_alpn()).await,
        };
        let seconds = self.settings.timeout.as_secs();
        result.unwrap_or_else(|_| {
            let detail = format!(
                "{challenge}: {} did not answer to the end within {seconds} s: look whether it is reached from this server",
                identifier.host()
            );
            Err(Problem::new(Kind::Connection, detail))
        })
    }
}

/// One validation.
struct Attempt<'a> {
    validator: &'a Validator,
    identifier: &'a Identifier,
    token: &'a str,
    /// What has to be shown.
    authorization: String,
    /// When it is given up.
    end: Instant,
}

impl Attempt<'_> {
    /// Only names can be shown in DNS, and only there can a wildcard.
    fn refuse_unless(&self, possible: bool, challenge: ChallengeType) -> Result<(), Problem> {
        if possible {
            return Ok(());
        }
        let identifier = self.identifier;
        let detail = format!("{challenge} does not validate {identifier}: use another challenge");
        Err(Problem::malformed(detail))
    }
}

#[cfg(test)]
mod tests;
