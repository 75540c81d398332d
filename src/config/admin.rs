//! `[admin] listen`: health and metrics.

use std::net::{AddrParseError, Ipv4Addr, SocketAddr};

use serde::Deserialize;

/// Whether and where the admin listener listens.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub enum AdminConfig {
    /// [`AdminConfig::DEFAULT_ADDRESS`] if it is free: nobody asked for it, so doors do not stay
    /// closed for its sake.
    #[default]
    Default,
    /// As configured, or the daemon does not start.
    Listen(SocketAddr),
    /// Nowhere: `listen = ""`.
    Off,
}

impl AdminConfig {
    /// Only this computer: metrics tell much, and nothing here asks for a password.
    pub const DEFAULT_ADDRESS: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 9480);
}

impl TryFrom<String> for AdminConfig {
    type Error = AddrParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() {
            return Ok(Self::Off);
        }
        text.parse().map(Self::Listen)
    }
}
