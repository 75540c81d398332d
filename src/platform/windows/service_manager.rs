//! What the service control manager is told: running, stopping.

use std::net::SocketAddr;

/// Listeners are bound, a publication is in force; `status` is for people.
pub(crate) fn ready(_status: &str) {}

/// A reload has begun: Windows has no word for it.
pub(crate) fn reloading() {}

/// The drain has begun.
pub(crate) fn stopping() {}

/// Waits for ever: there is no watchdog.
pub(crate) async fn keep_alive(_http: SocketAddr, _probe: WatchdogProbe) {
    std::future::pending().await
}

/// The daemon never calls itself here.
#[derive(Clone, Debug, Default)]
pub(crate) struct WatchdogProbe;

impl WatchdogProbe {
    /// Never.
    pub(crate) fn is_from(&self, _peer: SocketAddr) -> bool {
        false
    }
}
