//! Which addresses a validation may reach. Who asks for a certificate says where the server connects to, so this is what keeps
//! strangers from using the server's place in the network (server-side request forgery).

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::LazyLock;

use landfast_pki::Network;

use crate::{Kind, Problem};

/// The addresses that validations may reach: words for kinds of them, and networks.
///
/// Addresses that are special are in neither word: loopback, link-local, metadata services of clouds, multicast, documentation and
/// what else no host has for others. They are reached only where the list names a network of theirs, such as `127.0.0.1/32`; a
/// larger one, such as `0.0.0.0/0`, does not name them.
///
/// An IPv6 address that stands for an IPv4 one (mapped, NAT64, 6to4) is judged as that one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Networks {
    public: bool,
    private: bool,
    listed: Vec<Network>,
}

/// A list of networks that cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} names no network to validate in: use 'public', 'private', an address (192.0.2.1), or a network (10.0.0.0/8)"
)]
pub struct NotANetwork(String);

impl Networks {
    /// From the items of a list.
    ///
    /// # Errors
    /// An item is none of the two words, an address or a network.
    pub fn parse<S: AsRef<str>>(items: impl IntoIterator<Item = S>) -> Result<Self, NotANetwork> {
        let mut networks = Self::none();
        for item in items {
            match item.as_ref().trim() {
                PUBLIC => networks.public = true,
                PRIVATE => networks.private = true,
                text => {
                    let network = network(text).ok_or_else(|| NotANetwork(text.to_owned()))?;
                    if !networks.listed.contains(&network) {
                        networks.listed.push(network);
                    }
                }
            }
        }
        Ok(networks)
    }

    /// No address at all.
    pub const fn none() -> Self {
        Self {
            public: false,
            private: false,
            listed: Vec::new(),
        }
    }

    /// The items in their one form: the words, then the networks in the order in which they came.
    pub fn items(&self) -> Vec<String> {
        let words = [(self.public, PUBLIC), (self.private, PRIVATE)];
        let words = words.into_iter().filter(|(is, _)| *is);
        let words = words.map(|(_, word)| word.to_owned());
        words
            .chain(self.listed.iter().map(Network::to_string))
            .collect()
    }

    /// Whether a validation may connect to this address.
    ///
    /// # Errors
    /// [`Kind::Connection`], with what the address is and what the operator can do.
    pub fn check(&self, address: IpAddr) -> Result<(), Problem> {
        let judged = meant(address);
        let inside = || self.listed.iter().filter(|one| one.contains(judged));
        let (allowed, what, item) = match Class::of(judged) {
            Class::Public => (
                self.public || inside().next().is_some(),
                "a public address".to_owned(),
                PUBLIC.to_owned(),
            ),
            Class::Private => (
                self.private || inside().next().is_some(),
                "a private address".to_owned(),
                PRIVATE.to_owned(),
            ),
            Class::Special(name, network) => (
                inside().any(|one| network.covers(one)),
                format!("{name} ({network})"),
                format!("{judged}/{}", if judged.is_ipv4() { 32 } else { 128 }),
            ),
        };
        if allowed {
            return Ok(());
        }
        let stands_for = if judged == address.to_canonical() {
            String::new()
        } else {
            format!(" stands for {judged}, which")
        };
        Err(Problem::new(
            Kind::Connection,
            format!(
                "{address}{stands_for} is {what}: the operator of this mount may allow it with '{item}' in networks of \
                 config/acme-validation"
            ),
        ))
    }
}

impl Default for Networks {
    /// Public and private addresses, as a certificate authority for the hosts of one's own network needs them.
    fn default() -> Self {
        Self {
            public: true,
            private: true,
            listed: Vec::new(),
        }
    }
}

impl fmt::Display for Networks {
    /// The items with commas between them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.items().join(","))
    }
}

impl std::str::FromStr for Networks {
    type Err = NotANetwork;

    /// Reads what [`Display`](fmt::Display) writes. An empty text is no address at all.
    fn from_str(text: &str) -> Result<Self, NotANetwork> {
        if text.trim().is_empty() {
            return Ok(Self::none());
        }
        Self::parse(text.split(','))
    }
}

/// What an address is for.
#[derive(Clone, Copy)]
enum Class {
    Public,
    Private,
    /// No host to validate has it: what it is, and the network of such addresses.
    Special(&'static str, Network),
}

impl Class {
    fn of(address: IpAddr) -> Self {
        let special = SPECIAL
            .iter()
            .find(|(network, _)| network.contains(address));
        if let Some((network, name)) = special {
            return Self::Special(name, *network);
        }
        if PRIVATE_NETWORKS
            .iter()
            .any(|network| network.contains(address))
        {
            return Self::Private;
        }
        // Of IPv6 only this is given out to hosts so far (IANA, Internet Protocol Version 6 Address Space).
        if address.is_ipv4() || GLOBAL_UNICAST.contains(address) {
            Self::Public
        } else {
            let network = known(&format!("{address}/3"));
            Self::Special("an address that nobody was given", network)
        }
    }
}

/// An address, or a network of them.
fn network(text: &str) -> Option<Network> {
    match text.parse::<IpAddr>() {
        Ok(address) => {
            let prefix = if address.is_ipv4() { 32 } else { 128 };
            Network::parse(&format!("{address}/{prefix}")).ok()
        }
        Err(_) => Network::parse(text).ok(),
    }
}

/// The address that is reached in the end: the IPv4 address inside of an IPv6 address that stands for it.
fn meant(address: IpAddr) -> IpAddr {
    let IpAddr::V6(six) = address else {
        return address;
    };
    let parts = six.segments();
    let inner = match parts {
        // Mapped (RFC 4291 section 2.5.5.2), translated (RFC 2765 section 2.1), NAT64 (RFC 6052 section 2.1).
        [0, 0, 0, 0, 0, 0xffff, high, low]
        | [0, 0, 0, 0, 0xffff, 0, high, low]
        | [0x64, 0xff9b, 0, 0, 0, 0, high, low] => Some((high, low)),
        // Compatible (RFC 4291 section 2.5.5.1); `::` and `::1` are themselves.
        [0, 0, 0, 0, 0, 0, high, low] if (high, low) > (0, 1) => Some((high, low)),
        // 6to4 (RFC 3056 section 2).
        [0x2002, high, low, ..] => Some((high, low)),
        _ => None,
    };
    match inner {
        Some((high, low)) => Ipv4Addr::from_bits(u32::from(high) << 16 | u32::from(low)).into(),
        None => six.into(),
    }
}

const PUBLIC: &str = "public";
const PRIVATE: &str = "private";

fn known(text: &str) -> Network {
    Network::parse(text).expect("a network of this file")
}

/// The IANA registries of special-purpose addresses, and where clouds have their metadata. The first that holds an address names it.
static SPECIAL: LazyLock<Vec<(Network, &'static str)>> = LazyLock::new(|| {
    [
        ("0.0.0.0/8", "an address of this host"),
        ("127.0.0.0/8", "a loopback address"),
        (
            "169.254.0.0/16",
            "a link-local address, where clouds have their metadata",
        ),
        ("100.100.100.200/32", "the metadata service of a cloud"),
        ("168.63.129.16/32", "the metadata service of a cloud"),
        ("192.0.0.0/24", "an address for protocols"),
        ("192.0.2.0/24", "an address for documentation"),
        ("192.88.99.0/24", "a relay address"),
        ("198.18.0.0/15", "an address for measurements"),
        ("198.51.100.0/24", "an address for documentation"),
        ("203.0.113.0/24", "an address for documentation"),
        ("224.0.0.0/4", "a multicast address"),
        ("255.255.255.255/32", "the broadcast address"),
        ("240.0.0.0/4", "a reserved address"),
        ("::/128", "the unspecified address"),
        ("::1/128", "a loopback address"),
        ("64:ff9b:1::/48", "an address for translation"),
        ("100::/64", "an address that discards"),
        ("2001::/23", "an address for protocols"),
        ("2001:db8::/32", "an address for documentation"),
        ("3fff::/20", "an address for documentation"),
        ("5f00::/16", "an address for routing"),
        ("fd00:ec2::/32", "the metadata service of a cloud"),
        ("fe80::/10", "a link-local address"),
        ("fec0::/10", "a site-local address"),
        ("ff00::/8", "a multicast address"),
    ]
    .map(|(text, name)| (known(text), name))
    .to_vec()
});

/// Addresses that only their owner's networks know (RFC 1918, RFC 6598, RFC 4193).
static PRIVATE_NETWORKS: LazyLock<Vec<Network>> = LazyLock::new(|| {
    [
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "fc00::/7",
    ]
    .map(known)
    .to_vec()
});

static GLOBAL_UNICAST: LazyLock<Network> = LazyLock::new(|| known("2000::/3"));
#[cfg(test)]
mod tests;
