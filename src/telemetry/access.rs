//! One event for each request.

use std::fmt;
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use http::{Method, StatusCode, Uri};
use tracing::info;

use super::RouteMetrics;
use crate::connection::Connection;
use engage_store::{DeviceId, SerialNumber};

/// A request and what became of it.
#[derive(Debug)]
pub struct AccessEvent<'a> {
    /// What it asked for, as metrics name it.
    pub route: &'a RouteMetrics,
    /// Where it came from.
    pub connection: &'a Connection,
    /// Its method.
    pub method: &'a Method,
    /// Its target.
    pub uri: &'a Uri,
    /// Who called in, or for whom a site was selected, where that is known.
    pub device: Option<DeviceId>,
    /// The answer's status.
    pub status: StatusCode,
    /// Length of the answer's body.
    pub size_bytes: Option<u64>,
    /// When its head had been read.
    pub started: Instant,
    /// From then to its answer.
    pub duration: Duration,
}

impl AccessEvent<'_> {
    /// Whose request it is, as it says or as it has proven.
    pub(super) fn serial(&self) -> Option<String> {
        match self.device {
            Some(device) => Some(device.to_string()),
            None => self
                .uri
                .query()
                .and_then(SerialNumber::from_query)
                .map(|serial| serial.to_string()),
        }
    }

    /// Logs it (docs/LOGGING.md).
    pub fn log(&self) {
        let Self {
            route: _,
            connection,
            method,
            uri,
            device: _,
            status,
            size_bytes,
            started: _,
            duration,
        } = self;
        let serial = self.serial();
        info!(
            target: TARGET,
            listener = %connection.listener,
            peer = %Peer(connection.peer),
            device.serial = serial,
            tls = connection.tls.map(|tls| tls.version),
            status = status.as_u16(),
            size_bytes,
            duration_us = u64::try_from(duration.as_micros()).unwrap_or(u64::MAX),
            "{} {} -> {}", Shortened(method.as_str()), Shortened(uri.path()), status.as_u16(),
        );
    }
}

/// Displayed as the address itself is, in a sixth of the time where it is IPv4.
struct Peer(SocketAddr);

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let SocketAddr::V4(peer) = self.0 else {
            return self.0.fmt(f);
        };
        let mut number = itoa::Buffer::new();
        let mut text = String::with_capacity("255.255.255.255:65535".len());
        for (octet, end) in peer.ip().octets().into_iter().zip(['.', '.', '.', ':']) {
            text.push_str(number.format(octet));
            text.push(end);
        }
        text.push_str(number.format(peer.port()));
        f.write_str(&text)
    }
}

/// Of what a caller sends, no more than is useful: it may be as long as a head.
pub(crate) struct Shortened<'a>(pub(crate) &'a str);

impl fmt::Display for Shortened<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.len() <= MAX_SHOWN_BYTES {
            return f.write_str(self.0);
        }
        let shown = &self.0[..self.0.floor_char_boundary(MAX_SHOWN_BYTES)];
        write!(f, "{shown}.. ({} bytes)", self.0.len())
    }
}

/// Three times the longest path that a device asks for.
const MAX_SHOWN_BYTES: usize = 256;

/// What `[log] level` calls these events.
pub(super) const TARGET: &str = "access";

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn a_peer_is_displayed_as_its_address(peer: SocketAddr) {
            prop_assert_eq!(Peer(peer).to_string(), peer.to_string());
        }
    }
}
