//! The address that devices are told, where it is this computer's own: it is another one once the
//! network is up, or gives another.

use std::net::SocketAddr;

use crate::config::{BaseUrl, Config};
use engage_wire::HostName;

/// What devices are told, and whether it was derived from this computer's address.
#[derive(Clone, Debug)]
pub(super) struct EffectiveBaseUrl {
    pub(super) url: BaseUrl,
    is_derived: bool,
}

impl EffectiveBaseUrl {
    /// What `config` says, or else the address of the plain listener, which is bound at `http`.
    pub(super) fn new(config: &Config, http: SocketAddr) -> Self {
        Self {
            url: config.base_url_at(http),
            is_derived: config.base_url.is_none(),
        }
    }

    /// The same for a configuration that follows this one.
    ///
    /// While the network is down, only the loopback address is known, which no device can reach:
    /// then the last one is better.
    pub(super) fn next(&self, config: &Config, http: SocketAddr) -> Self {
        let next = Self::new(config, http);
        if next.is_derived && is_loopback(&next.url) {
            let url = self.url.clone();
            return Self { url, ..next };
        }
        next
    }

    /// Whether it was derived from an address that this computer no longer has.
    pub(super) fn is_stale(&self, http: SocketAddr) -> bool {
        let now = BaseUrl::from_listener(http);
        self.is_derived && now != self.url && !is_loopback(&now)
    }
}

fn is_loopback(url: &BaseUrl) -> bool {
    matches!(url.host(), HostName::Ip(ip) if ip.is_loopback())
}
