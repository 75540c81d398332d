//! What this program's HTTP clients stand on: connections, and whom they trust.

mod authorities;
mod connect;
mod post;

use engage_wire::{HostName, HttpUrl};

pub(crate) use authorities::{AuthoritiesError, CaError, tls_config};
pub(crate) use connect::Connector;
pub(crate) use post::{PostClient, PostError};

/// Whether nobody can listen on the way.
pub(crate) fn is_loopback(url: &HttpUrl) -> bool {
    match url.host() {
        HostName::Ip(address) => address.is_loopback(),
        HostName::Dns(name) => name == "localhost",
    }
}
