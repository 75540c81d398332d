//! `[admin]`: health and metrics, the pages and the API.

use std::net::{AddrParseError, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use engage_wire::HostName;
use serde::Deserialize;

/// The admin listener.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub struct AdminConfig {
    /// Whether and where it listens.
    pub listen: AdminListen,
    /// Names under which it may be asked, besides `localhost` and addresses.
    pub hosts: Vec<HostName>,
    /// Whose tokens open the pages and the API; without it there are none.
    pub token_file: Option<PathBuf>,
}

/// Whether and where the admin listener listens.
#[derive(Clone, Copy, Debug, Default, Deserialize, Eq, PartialEq)]
#[serde(try_from = "String")]
pub enum AdminListen {
    /// [`AdminListen::DEFAULT_ADDRESS`] if it is free: nobody asked for it, so certificates are
    /// served without it.
    #[default]
    Default,
    /// As configured, or the daemon does not start.
    Address(SocketAddr),
    /// Nowhere: `listen = ""`.
    Off,
}

impl AdminListen {
    /// Only this computer: metrics tell much, and nothing here asks for a password.
    pub const DEFAULT_ADDRESS: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 9480);
}

impl TryFrom<String> for AdminListen {
    type Error = AddrParseError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        if text.is_empty() {
            return Ok(Self::Off);
        }
        text.parse().map(Self::Address)
    }
}
