//! What is known of the connection that a request came on.

mod listener_kind;
mod state;

use std::any::Any;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::adoption::{PendingDownload, VerifiedChain};

pub use listener_kind::ListenerKind;
pub(crate) use listener_kind::PerListener;
pub(crate) use state::{ConnectionState, Phase};

/// Exists once the connection has been admitted. Every request on it carries it as its extension
/// `Arc<Connection>`.
#[derive(Debug)]
pub struct Connection {
    /// The listener that accepted it.
    pub listener: ListenerKind,
    /// The device: the other end, or who a trusted balancer says it is.
    pub peer: SocketAddr,
    /// Whether `[access] allow` lets this caller be answered.
    pub allowed: bool,
    /// The TLS session, on the TLS listener.
    pub tls: Option<TlsSession>,
    /// What the connection is waiting for.
    pub(crate) state: Arc<ConnectionState>,
    /// The certificate that the client is being sent.
    pub(crate) download: PendingDownload,
    /// Whether a device has called in.
    has_called_in: AtomicBool,
    /// Its place among the open connections.
    _guard: Box<dyn Any + Send + Sync>,
}

impl Connection {
    /// One that starts in `phase`; `guard` gives its place back when it is dropped.
    pub(crate) fn new(
        listener: ListenerKind,
        peer: SocketAddr,
        allowed: bool,
        phase: Phase,
        guard: impl Any + Send + Sync,
    ) -> Self {
        Self {
            listener,
            peer,
            allowed,
            tls: None,
            state: Arc::new(ConnectionState::new(phase)),
            download: PendingDownload::default(),
            has_called_in: AtomicBool::new(false),
            _guard: Box::new(guard),
        }
    }

    /// One without a place among the open connections, for benchmarks and tests.
    pub fn unguarded(listener: ListenerKind, peer: SocketAddr) -> Self {
        Self::new(listener, peer, true, Phase::ReadingHead, ())
    }

    /// A device calls in. Whether it is the first time.
    pub(crate) fn called_in(&self) -> bool {
        !self.has_called_in.swap(true, Ordering::Relaxed)
    }
}

/// The other end of a connection to the admin listener, of which every request carries it as its
/// extension.
#[derive(Clone, Copy, Debug)]
pub(crate) struct AdminPeer {
    /// Where it is.
    pub(crate) address: SocketAddr,
    /// Whether the connection is TLS.
    pub(crate) is_tls: bool,
}

/// What a handshake agreed on.
#[derive(Clone, Copy, Debug)]
pub struct TlsSession {
    /// "1.2" or "1.3".
    pub version: &'static str,
    /// The chain that the client has verified, where that is known: a session that is resumed verifies
    /// nothing.
    pub verified: Option<VerifiedChain>,
}
