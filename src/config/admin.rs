//! `[admin]`: health and metrics, the pages and the API.

use std::net::{AddrParseError, Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};

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
    /// PEM file of the certificate, with its intermediates, that it shakes hands with; without it, it
    /// speaks clear text.
    pub certificate: Option<PathBuf>,
    /// PEM file of that certificate's key.
    pub private_key: Option<PathBuf>,
    /// Whether it may speak clear text elsewhere than on loopback.
    pub insecure: bool,
}

impl AdminConfig {
    /// The certificate and its key, where it speaks TLS.
    pub(crate) fn identity(&self) -> Option<(&Path, &Path)> {
        Some((self.certificate.as_deref()?, self.private_key.as_deref()?))
    }

    /// Whether others than this computer can read what is said when it listens at `address`.
    pub(crate) fn is_exposed_at(&self, address: SocketAddr) -> bool {
        !address.ip().to_canonical().is_loopback() && self.identity().is_none()
    }

    pub(super) fn paths_mut(&mut self) -> impl Iterator<Item = &mut PathBuf> {
        let files = [
            &mut self.token_file,
            &mut self.certificate,
            &mut self.private_key,
        ];
        files.into_iter().flatten()
    }
}

/// Others could read what the admin listener says.
#[derive(Clone, Copy, Debug, miette::Diagnostic, thiserror::Error)]
#[error(
    "`[admin] listen = \"{0}\"` is in clear text, and not on loopback: whoever is on the way could read tokens"
)]
#[diagnostic(
    code("admin-without-tls"),
    help(
        "name `[admin] certificate` and `private_key`, or listen on 127.0.0.1; `insecure = true` allows it all the same"
    )
)]
pub struct AdminExposed(pub(crate) SocketAddr);

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
