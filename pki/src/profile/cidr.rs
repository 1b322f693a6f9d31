//! Ranges of addresses.

use std::net::IpAddr;

use crate::refusal::Refusal;

/// An address range in the notation of RFC 4632.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Cidr {
    network: IpAddr,
    prefix: u8,
}

impl Cidr {
    /// Reads a range; bits beyond the prefix are dropped.
    pub(crate) fn parse(text: &str) -> Result<Self, Refusal> {
        let parsed = text.split_once('/').and_then(|(address, prefix)| {
            let address: IpAddr = address.parse().ok()?;
            let digits = prefix.bytes().all(|b| b.is_ascii_digit());
            let prefix: u8 = digits.then(|| prefix.parse().ok())??;
            let width = if address.is_ipv4() { 32 } else { 128 };
            (prefix <= width).then(|| Self {
                network: mask(address, prefix),
                prefix,
            })
        });
        parsed.ok_or_else(|| Refusal::Cidr(text.to_owned()))
    }

    /// An IPv4 address written as IPv6 (`::ffff:a.b.c.d`) counts as what it is.
    pub(crate) fn contains(&self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        ip.is_ipv4() == self.network.is_ipv4() && mask(ip, self.prefix) == self.network
    }
}

impl std::fmt::Display for Cidr {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.network, self.prefix)
    }
}

fn mask(ip: IpAddr, prefix: u8) -> IpAddr {
    match ip {
        IpAddr::V4(v4) => {
            let bits = u32::MAX.checked_shl(32 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V4((v4.to_bits() & bits).into())
        }
        IpAddr::V6(v6) => {
            let bits = u128::MAX.checked_shl(128 - u32::from(prefix)).unwrap_or(0);
            IpAddr::V6((v6.to_bits() & bits).into())
        }
    }
}
