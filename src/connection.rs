//! What is known of the connection that a request came on.

use std::fmt;
use std::net::SocketAddr;

/// Attached to every request as an extension.
#[derive(Clone, Copy, Debug)]
pub struct Connection {
    /// The listener that accepted it.
    pub listener: ListenerKind,
    /// The other end.
    pub peer: SocketAddr,
    /// The TLS session, on the TLS listener.
    pub tls: Option<TlsSession>,
}

/// One of the two listeners that devices speak with.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum ListenerKind {
    /// Clear text, port 80.
    Http,
    /// TLS, port 443.
    Https,
}

impl fmt::Display for ListenerKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Http => "http",
            Self::Https => "https",
        })
    }
}

/// What a handshake agreed on.
#[derive(Clone, Copy, Debug)]
pub struct TlsSession {
    /// "1.2" or "1.3".
    pub version: &'static str,
}
