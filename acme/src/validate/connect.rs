//! Connections to addresses that were checked.

use std::net::IpAddr;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout};

use super::Attempt;
use crate::{Kind, Problem};

/// A host as an identifier or a redirect names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Host<'a> {
    Name(&'a str),
    Address(IpAddr),
}

impl Attempt<'_> {
    /// The host that the identifier is about.
    pub(super) fn host(&self) -> Host<'_> {
        match self.identifier.ip() {
            Some(address) => Host::Address(address),
            None => Host::Name(self.identifier.host()),
        }
    }

    /// Looks the host up, once, and connects to the first of its addresses that may be reached and takes the connection.
    pub(super) async fn connect(&self, host: Host<'_>, port: u16) -> Result<TcpStream, Problem> {
        let networks = &self.validator.settings.networks;
        let addresses = match host {
            Host::Name(name) => self.validator.names.addresses(name, networks).await?,
            Host::Address(address) => {
                networks.check(address)?;
                vec![address]
            }
        };
        let mut failures = Vec::new();
        for (at, address) in addresses.iter().enumerate() {
            // Each has its share of what is left, and some is left for who answers late.
            let tries = (addresses.len() - at) as u32 + 1;
            let share = self.end.saturating_duration_since(Instant::now()) / tries;
            match timeout(share, TcpStream::connect((*address, port))).await {
                Ok(Ok(stream)) => return Ok(stream),
                Ok(Err(why)) => failures.push(format!("{address}: {}", reason(&why))),
                Err(_) => failures.push(format!("{address}: no answer")),
            }
        }
        let name = match host {
            Host::Name(name) => name.to_owned(),
            Host::Address(address) => address.to_string(),
        };
        let detail = format!(
            "{name} takes no connection on port {port} ({}): let this server reach it there",
            failures.join("; ")
        );
        Err(Problem::new(Kind::Connection, detail))
    }
}

/// What went wrong, in words of the system's kinds: its own text may hold more than a stranger should know.
fn reason(why: &std::io::Error) -> String {
    why.kind().to_string()
}
