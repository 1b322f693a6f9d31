//! Names to addresses and to TXT records.

use std::fmt;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use hickory_resolver::TokioResolver;
use hickory_resolver::config::{
    ConnectionConfig, LookupIpStrategy, NameServerConfig, ResolveHosts, ResolverConfig,
    ResolverOpts,
};
use hickory_resolver::net::NetError;
use hickory_resolver::net::runtime::TokioRuntimeProvider;
use hickory_resolver::proto::rr::{Name, RData};

use super::ValidatorError;
use crate::{Kind, Networks, Problem, text};

/// Most addresses of one host that are tried.
const MOST_ADDRESSES: usize = 6;
/// Most TXT records of one name that are looked at.
const MOST_TEXTS: usize = 100;

/// Asks DNS. Nothing is kept: a record that was set a moment ago counts.
pub(super) struct Names {
    resolver: TokioResolver,
    /// Who is asked, for errors.
    whom: String,
    /// The time for a question with all its attempts: half of a validation's.
    limit: Duration,
}

impl Names {
    pub(super) fn new(server: Option<SocketAddr>, total: Duration) -> Result<Self, ValidatorError> {
        let unusable = |why: NetError| ValidatorError::Names(text::shown(&why.to_string()));
        let (mut builder, whom) = match server {
            Some(server) => {
                let config =
                    ResolverConfig::from_parts(None, Vec::new(), vec![name_server(server)]);
                let provider = TokioRuntimeProvider::default();
                let mut builder = TokioResolver::builder_with_config(config, provider);
                builder.options_mut().use_hosts_file = ResolveHosts::Never;
                (builder, format!("the DNS server {server}"))
            }
            None => {
                let builder = TokioResolver::builder_tokio().map_err(unusable)?;
                (builder, "the system's DNS server".to_owned())
            }
        };
        set(builder.options_mut(), total);
        let resolver = builder.build().map_err(unusable)?;
        let limit = total / 2;
        Ok(Self {
            resolver,
            whom,
            limit,
        })
    }

    /// The addresses of a host that may be connected to, IPv6 and IPv4 by turns.
    pub(super) async fn addresses(
        &self,
        host: &str,
        networks: &Networks,
    ) -> Result<Vec<IpAddr>, Problem> {
        let found = self.within(self.resolver.lookup_ip(absolute(host)?)).await;
        let found = found.map_err(|why| self.unresolved(host, "A or AAAA", &why))?;
        let (mut may, mut may_not) = (Vec::new(), None);
        for address in found.iter() {
            match networks.check(address) {
                Ok(()) => may.push(address),
                Err(problem) => may_not = may_not.or(Some(problem)),
            }
        }
        if !may.is_empty() {
            return Ok(by_turns(&may));
        }
        Err(may_not.map_or_else(
            || Problem::new(Kind::Dns, format!("{host} has no address at {}", self.whom)),
            |problem| {
                let detail = format!("{host} may not be reached: {}", problem.detail);
                Problem::new(problem.kind, detail)
            },
        ))
    }

    /// The TXT records of a name, each with its strings joined. None if there are none.
    pub(super) async fn texts(&self, name: &str) -> Result<Vec<Vec<u8>>, Problem> {
        let found = match self.within(self.resolver.txt_lookup(absolute(name)?)).await {
            Ok(found) => found,
            Err(why) if why.is_no_records_found() => return Ok(Vec::new()),
            Err(why) => return Err(self.unresolved(name, "TXT", &why)),
        };
        let texts = found
            .answers()
            .iter()
            .filter_map(|record| match &record.data {
                RData::TXT(text) => Some(text.txt_data.concat()),
                _ => None,
            });
        Ok(texts.take(MOST_TEXTS).collect())
    }

    async fn within<T>(
        &self,
        question: impl Future<Output = Result<T, NetError>>,
    ) -> Result<T, NetError> {
        let answer = tokio::time::timeout(self.limit, question).await;
        answer.unwrap_or(Err(NetError::Timeout))
    }

    /// Who is asked.
    pub(super) fn whom(&self) -> &str {
        &self.whom
    }

    fn unresolved(&self, name: &str, records: &str, why: &NetError) -> Problem {
        let whom = &self.whom;
        let detail = if why.is_nx_domain() {
            format!(
                "{name} does not exist, says {whom}: set its records, or set dns_resolver in config/acme to a server that has them"
            )
        } else if why.is_no_records_found() {
            format!("{name} has no {records} record, says {whom}")
        } else {
            let why = text::shown(&why.to_string());
            format!(
                "{whom} gave no answer for {name} ({why}): look whether it works, or set dns_resolver in config/acme to another"
            )
        };
        Problem::new(Kind::Dns, detail)
    }
}

impl fmt::Debug for Names {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Names({})", self.whom)
    }
}

fn name_server(server: SocketAddr) -> NameServerConfig {
    let connections = [ConnectionConfig::udp(), ConnectionConfig::tcp()];
    let connections = connections.map(|mut connection| {
        connection.port = server.port();
        connection
    });
    NameServerConfig::new(server.ip(), true, connections.to_vec())
}

fn set(options: &mut ResolverOpts, total: Duration) {
    options.cache_size = 0;
    options.ip_strategy = LookupIpStrategy::Ipv6AndIpv4;
    options.edns0 = true;
    options.attempts = 2;
    options.timeout = (total / 4).min(Duration::from_secs(5));
}

/// The name as it is, without what the system would search below.
fn absolute(name: &str) -> Result<Name, Problem> {
    Name::from_ascii(format!("{name}.")).map_err(|why| {
        let why = text::shown(&why.to_string());
        Problem::new(Kind::Dns, format!("{name} cannot be asked for: {why}"))
    })
}

/// Some of the addresses, one of each family after the other, so that a family that is not routed costs one try.
fn by_turns(addresses: &[IpAddr]) -> Vec<IpAddr> {
    let mut six = addresses.iter().filter(|address| address.is_ipv6());
    let mut four = addresses.iter().filter(|address| address.is_ipv4());
    let mut turns = Vec::new();
    loop {
        let pair = [six.next(), four.next()];
        if pair == [None, None] || turns.len() >= MOST_ADDRESSES {
            return turns;
        }
        turns.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns() {
        let turns = |texts: &[&str]| {
            let addresses: Vec<IpAddr> = texts.iter().map(|text| text.parse().unwrap()).collect();
            let turns = by_turns(&addresses);
            turns
                .iter()
                .map(IpAddr::to_string)
                .collect::<Vec<_>>()
                .join(" ")
        };
        assert_eq!(
            turns(&["10.0.0.1", "10.0.0.2", "::1", "::2"]),
            "::1 10.0.0.1 ::2 10.0.0.2"
        );
        assert_eq!(turns(&["10.0.0.1"]), "10.0.0.1");
        assert_eq!(turns(&["10.0.0.1"; 20]).split(' ').count(), 6);
    }

    #[test]
    fn names_are_absolute_and_not_too_long() {
        assert!(absolute("_acme-challenge.a.example").unwrap().is_fqdn());
        assert_eq!(absolute(&"a.".repeat(200)).unwrap_err().kind, Kind::Dns);
    }
}
