//! What every connection passes before a byte of HTTP or TLS is read: balancer header, allow list,
//! connection limits.

mod limits;
mod proxy_protocol;
mod rejection;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;

use bytes::Bytes;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tracing::warn;

use super::Rules;
use super::listener::Accepted;
use super::shutdown::UnreadToken;
use crate::config::{Access, Limits};
use crate::connection::{ListenerKind, PerListener};
use crate::platform::service_manager::WatchdogProbe;
use crate::telemetry::{LogThrottle, Metrics, OpenConnection};

pub(super) use limits::{ConnectionLimits, ConnectionPermit};
use proxy_protocol::Caller;
pub use proxy_protocol::parse_proxy_header;
use proxy_protocol::read_header;
pub(super) use rejection::Rejection;
use rejection::RejectionLog;

/// The rules of both device listeners.
#[derive(Debug)]
pub(super) struct Admission {
    access: Access,
    pub(super) limits: Limits,
    connections: Arc<ConnectionLimits>,
    watchdog: WatchdogProbe,
    metrics: Arc<Metrics>,
    log: RejectionLog,
    accept_errors: PerListener<LogThrottle>,
}

/// A connection that is let in.
#[derive(Debug)]
pub(super) struct Admitted {
    pub(super) socket: TcpStream,
    /// Bytes that came with a PROXY protocol header and belong to what follows it.
    pub(super) prefix: Bytes,
    /// The device: the other end, or who a trusted balancer says it is.
    pub(super) peer: SocketAddr,
    /// Whether `[access] allow` lets it be answered.
    pub(super) is_allowed: bool,
    pub(super) unread: UnreadToken,
    pub(super) guard: ConnectionGuard,
}

/// What an open connection takes up: permits, its count. Given back when it is dropped.
#[derive(Debug)]
pub(super) struct ConnectionGuard {
    _permit: ConnectionPermit,
    _metric: OpenConnection,
    _open: TaskTrackerToken,
    _socket_permit: Option<OwnedSemaphorePermit>,
}

impl Admission {
    pub(super) fn new(rules: Rules, connections: ConnectionLimits, metrics: Arc<Metrics>) -> Self {
        let Rules {
            access,
            limits,
            watchdog,
        } = rules;
        Self {
            access,
            limits,
            connections: Arc::new(connections),
            watchdog,
            metrics,
            log: RejectionLog::default(),
            accept_errors: PerListener::default(),
        }
    }

    pub(super) fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// Lets a connection in, or turns it away before it costs anything, which is counted and
    /// logged here.
    pub(super) async fn admit(
        &self,
        listener: ListenerKind,
        accepted: Accepted,
    ) -> Result<Admitted, Rejection> {
        let decided = self.decide(listener, accepted).await;
        decided.map_err(|(peer, rejection)| {
            self.report(listener, peer, &rejection);
            rejection
        })
    }

    /// The operating system gave no connection.
    pub(super) fn accept_failed(&self, listener: ListenerKind, error: &io::Error) {
        self.metrics.accept_failed(listener);
        if let Some(others) = self.accept_errors[listener].check() {
            warn!(
                %listener, others = others.count(),
                "{listener} listener cannot accept connections: {error}; trying again{others}",
            );
        }
    }

    /// A caller outside the allow list is let in on the plain listener, marked as such: it is to
    /// be told 401 (PROTOCOL.md section 3). On the TLS listener that would cost a handshake.
    async fn decide(
        &self,
        listener: ListenerKind,
        accepted: Accepted,
    ) -> Result<Admitted, (SocketAddr, Rejection)> {
        let Accepted {
            mut socket,
            peer,
            unread,
            open,
            permit: socket_permit,
        } = accepted;
        if self.watchdog.is_from(peer) {
            return Err((peer, Rejection::WatchdogProbe));
        }
        let mut permit = (self.connections.acquire()).map_err(|limit| self.full(peer, limit))?;
        let (caller, prefix) = self
            .caller(&mut socket, peer)
            .await
            .map_err(|error| (peer, Rejection::ProxyHeader(error)))?;
        let mut peer = match caller {
            Caller::Peer(peer) => peer,
            Caller::Unnamed | Caller::Balancer => peer,
        };
        peer.set_ip(peer.ip().to_canonical());
        let is_allowed = caller == Caller::Balancer || self.access.allows(peer.ip());
        if !is_allowed {
            let rejection = Rejection::NotAllowed;
            if listener == ListenerKind::Https {
                return Err((peer, rejection));
            }
            self.report(listener, peer, &rejection);
        }
        (permit.assign_peer(peer.ip())).map_err(|limit| self.full(peer, limit))?;
        let guard = ConnectionGuard {
            _permit: permit,
            _metric: self.metrics.opened(listener),
            _open: open,
            _socket_permit: socket_permit,
        };
        Ok(Admitted {
            socket,
            prefix,
            peer,
            is_allowed,
            unread,
            guard,
        })
    }

    async fn caller(
        &self,
        socket: &mut TcpStream,
        peer: SocketAddr,
    ) -> io::Result<(Caller, Bytes)> {
        if !self.access.is_balancer(peer.ip()) {
            return Ok((Caller::Peer(peer), Bytes::new()));
        }
        read_header(socket, self.limits.request_head).await
    }

    fn full(&self, peer: SocketAddr, limit: limits::LimitReached) -> (SocketAddr, Rejection) {
        let max = self.connections.value(limit);
        (peer, Rejection::LimitReached { limit, max })
    }

    /// Counts and logs a connection that is turned away.
    pub(super) fn report(&self, listener: ListenerKind, peer: SocketAddr, rejection: &Rejection) {
        if let Some(label) = rejection.label() {
            self.metrics.refused(listener, label);
            self.log.write(listener, peer, rejection);
        }
    }
}
