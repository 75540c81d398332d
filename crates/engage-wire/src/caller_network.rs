//! Whom a limit counts.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

/// The network that one customer calls from: an IPv4 address, or an IPv6 /64 (RFC 4291 section
/// 2.5.4 gives every subnet one, so whoever has one address has 2^64).
///
/// Every limit that is counted by caller is counted by this. Displayed as its first address.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct CallerNetwork(IpAddr);

impl From<IpAddr> for CallerNetwork {
    fn from(address: IpAddr) -> Self {
        Self(match address.to_canonical() {
            IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
            v4 @ IpAddr::V4(_) => v4,
        })
    }
}

impl fmt::Display for CallerNetwork {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(address: &str) -> CallerNetwork {
        address.parse::<IpAddr>().unwrap().into()
    }

    #[test]
    fn addresses_of_one_ipv6_subnet_are_one_caller() {
        assert_eq!(network("2001:db8::1"), network("2001:db8::ffff:0:0:1"));
        assert_ne!(network("2001:db8::1"), network("2001:db8:0:1::1"));
    }

    #[test]
    fn an_ipv4_address_is_one_caller_however_it_is_written() {
        assert_eq!(network("::ffff:10.0.0.1"), network("10.0.0.1"));
        assert_ne!(network("10.0.0.1"), network("10.0.0.2"));
    }
}
