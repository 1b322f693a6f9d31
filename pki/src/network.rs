//! Networks of IP addresses.

use std::fmt;
use std::net::IpAddr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use crate::refusal::Refusal;

/// A network in the notation of RFC 4632. Its serde form is the one that Go gives it, and so that of
/// stored roles: the address as text, the mask as base64.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Network {
    address: IpAddr,
    prefix: u8,
}

impl Network {
    /// The network of all that share the first `prefix` bits of an address.
    fn new(address: IpAddr, prefix: u8) -> Self {
        let prefix = prefix.min(width(address));
        let address = match (address, mask(address, prefix)) {
            (IpAddr::V4(address), IpAddr::V4(mask)) => (address & mask).into(),
            (IpAddr::V6(address), IpAddr::V6(mask)) => (address & mask).into(),
            _ => address,
        };
        Self { address, prefix }
    }

    /// Reads `10.0.0.0/8` or `2001:db8::/32`; bits beyond the prefix are dropped.
    ///
    /// # Errors
    /// Any other text.
    pub fn parse(text: &str) -> Result<Self, Refusal> {
        let parsed = text.split_once('/').and_then(|(address, prefix)| {
            let address: IpAddr = address.parse().ok()?;
            let digits = prefix.len() <= 3 && prefix.bytes().all(|b| b.is_ascii_digit());
            let prefix: u8 = prefix.parse().ok().filter(|_| digits)?;
            (prefix <= width(address)).then(|| Self::new(address, prefix))
        });
        parsed.ok_or_else(|| Refusal::Cidr(text.to_owned()))
    }

    /// Whether an address lies in it. An IPv4 address written as IPv6 (`::ffff:a.b.c.d`) counts as what it is.
    pub fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.address.is_ipv4() && Self::new(ip, self.prefix) == *self
    }

    /// Whether all of another network lies in this one.
    pub fn covers(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.contains(other.address)
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix)
    }
}

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct IpNet {
    #[serde(rename = "IP")]
    ip: IpAddr,
    mask: String,
}

impl Serialize for Network {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mask = match mask(self.address, self.prefix) {
            IpAddr::V4(mask) => BASE64.encode(mask.octets()),
            IpAddr::V6(mask) => BASE64.encode(mask.octets()),
        };
        let ip = self.address;
        IpNet { ip, mask }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Network {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let IpNet { ip, mask } = IpNet::deserialize(deserializer)?;
        let mask = BASE64.decode(&mask).map_err(de::Error::custom)?;
        let ones: u32 = mask.iter().map(|octet| octet.leading_ones()).sum();
        let prefix = u8::try_from(ones).map_err(de::Error::custom)?;
        Ok(Self::new(ip, prefix))
    }
}

/// Bits of an address of this kind.
fn width(address: IpAddr) -> u8 {
    if address.is_ipv4() { 32 } else { 128 }
}

fn mask(address: IpAddr, prefix: u8) -> IpAddr {
    let zeros = u32::from(width(address).saturating_sub(prefix));
    match address {
        IpAddr::V4(_) => IpAddr::V4(u32::MAX.checked_shl(zeros).unwrap_or(0).into()),
        IpAddr::V6(_) => IpAddr::V6(u128::MAX.checked_shl(zeros).unwrap_or(0).into()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_network_covers_those_inside_of_it() {
        let network = |text: &str| Network::parse(text).unwrap();
        let ten = network("10.0.0.0/8");
        for inside in ["10.0.0.0/8", "10.1.0.0/16", "10.255.255.255/32"] {
            assert!(ten.covers(&network(inside)), "{inside}");
        }
        for outside in [
            "10.0.0.0/7",
            "0.0.0.0/0",
            "11.0.0.0/8",
            "::/0",
            "::a00:0/104",
        ] {
            assert!(!ten.covers(&network(outside)), "{outside}");
        }
    }

    #[test]
    fn networks_clear_their_host_bits() {
        let network = Network::parse("10.1.2.3/8").unwrap();
        assert_eq!(network.to_string(), "10.0.0.0/8");
        let six = Network::parse("2001:db8::/32").unwrap();
        assert_eq!(
            serde_json::to_string(&six).unwrap(),
            r#"{"IP":"2001:db8::","Mask":"/////wAAAAAAAAAAAAAAAA=="}"#
        );
        for bad in [
            "10.0.0.0",
            "10.0.0.0/33",
            "10.0.0/8",
            "x/8",
            "10.0.0.0/",
            "10.0.0.0/+8",
            "10.0.0.0/0008",
            "::/129",
        ] {
            assert_eq!(Network::parse(bad).ok(), None, "{bad}");
        }
    }
}
