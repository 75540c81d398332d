//! `[access]`: who may call.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use ipnet::IpNet;
use serde::Deserialize;

/// Which addresses may call, and which are balancers.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct Access {
    /// Networks whose callers are answered; `None` answers everybody.
    pub allow: Option<Vec<Network>>,
    /// Balancers: their connections must start with a PROXY protocol header that names the true
    /// caller. Nobody else's header is believed.
    pub proxy_protocol_from: Vec<Network>,
}

impl Access {
    /// Whether a caller is answered.
    pub fn allows(&self, caller: IpAddr) -> bool {
        self.allow
            .as_ref()
            .is_none_or(|networks| contains(networks, caller))
    }

    /// Whether a connection from `peer` starts with a PROXY protocol header.
    pub fn is_balancer(&self, peer: IpAddr) -> bool {
        contains(&self.proxy_protocol_from, peer)
    }
}

/// An IPv4 or IPv6 network without host bits; a single address is the network of just it.
///
/// IPv4-mapped IPv6 networks are IPv4 networks, as such addresses are IPv4 addresses.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub struct Network(IpNet);

impl FromStr for Network {
    type Err = NetworkError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let network = text
            .parse::<IpNet>()
            .or_else(|_| text.parse::<IpAddr>().map(IpNet::from))
            .map_err(|_| NetworkError::Syntax(text.to_owned()))?;
        let network = unmapped(network);
        if network.addr() != network.network() {
            return Err(NetworkError::HostBits {
                text: text.to_owned(),
                network: network.trunc(),
            });
        }
        Ok(Self(network))
    }
}

impl TryFrom<String> for Network {
    type Error = NetworkError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Text that is not a network.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum NetworkError {
    /// An address inside a network, where the network was meant or just the address.
    #[error("`{text}` has host bits set; the network is `{network}`")]
    HostBits {
        /// As written.
        text: String,
        /// The network around it.
        network: IpNet,
    },
    /// No address at all.
    #[error("`{0}` is not a network such as `10.44.0.0/16` or `2001:db8::/32`")]
    Syntax(String),
}

fn contains(networks: &[Network], address: IpAddr) -> bool {
    // A dual-stack socket shows an IPv4 caller as `::ffff:10.0.0.1`.
    let address = address.to_canonical();
    networks.iter().any(|network| network.0.contains(&address))
}

fn unmapped(network: IpNet) -> IpNet {
    const MAPPED_BITS: u8 = 96;
    let IpNet::V6(v6) = network else {
        return network;
    };
    let is_mapped = |address: Ipv6Addr| address.to_ipv4_mapped();
    match (
        is_mapped(v6.addr()),
        v6.prefix_len().checked_sub(MAPPED_BITS),
    ) {
        (Some(address), Some(bits)) => v4(address, bits).unwrap_or(network),
        _ => network,
    }
}

fn v4(address: Ipv4Addr, bits: u8) -> Option<IpNet> {
    IpNet::new(address.into(), bits).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn network(text: &str) -> Result<Network, NetworkError> {
        text.parse()
    }

    #[test]
    fn host_bits_are_refused_with_the_network_that_was_meant() {
        let error = network("10.44.0.1/16").unwrap_err().to_string();
        assert_eq!(
            error,
            "`10.44.0.1/16` has host bits set; the network is `10.44.0.0/16`"
        );
        assert!(network("2001:db8::1/32").is_err());
        assert!(network("10.44.0.0/33").is_err());
        assert!(network("ten").is_err());
    }

    #[test]
    fn mapped_callers_and_mapped_networks_are_ipv4() {
        let access = Access {
            allow: Some(vec![
                network("10.44.0.0/16").unwrap(),
                network("::ffff:192.0.2.0/120").unwrap(),
            ]),
            proxy_protocol_from: Vec::new(),
        };
        for (caller, allowed) in [
            ("10.44.1.2", true),
            ("::ffff:10.44.1.2", true),
            ("192.0.2.77", true),
            ("10.45.0.1", false),
            ("::1", false),
        ] {
            assert_eq!(access.allows(caller.parse().unwrap()), allowed, "{caller}");
        }
    }

    #[test]
    fn without_a_list_everybody_may_call_and_an_empty_one_lets_nobody() {
        let caller = IpAddr::V4(Ipv4Addr::LOCALHOST);
        assert!(Access::default().allows(caller));
        let nobody = Access {
            allow: Some(Vec::new()),
            ..Access::default()
        };
        assert!(!nobody.allows(caller));
    }
}
