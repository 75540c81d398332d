//! Connections of the admin listener.

use std::future::{Ready, ready};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum_server::accept::Accept;
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tower_http::add_extension::AddExtension;
use tracing::warn;

use super::acceptor::refused;
use super::admit::{ConnectionLimits, ConnectionPermit};
use super::listener::Accepted;
use super::stream::{Timeouts, WriteDeadline};
use crate::config::Limits;
use crate::telemetry::LogThrottle;

/// Lets a few connections in, counted apart from those of devices: whoever reads metrics never
/// takes a device's place, nor the other way round.
#[derive(Clone, Debug)]
pub(super) struct AdminAcceptor {
    connections: Arc<ConnectionLimits>,
    timeouts: Arc<Timeouts>,
    log: Arc<LogThrottle>,
}

/// Held by the requests of an admin connection.
#[derive(Debug)]
pub(super) struct AdminConnection {
    _permit: ConnectionPermit,
    _open: TaskTrackerToken,
}

impl AdminAcceptor {
    pub(super) fn new() -> Self {
        let limits = Limits {
            stalled_write: TIMEOUT,
            ..Limits::default()
        };
        Self {
            connections: Arc::new(ConnectionLimits::in_all(MAX_ADMIN_CONNECTIONS)),
            timeouts: Arc::new(Timeouts {
                limits,
                counted: None,
            }),
            log: Arc::default(),
        }
    }

    /// Few ask here, and none of them devices: 15 seconds from an answer to the end of the next
    /// head.
    pub(super) fn configure(builder: &mut auto::Builder<TokioExecutor>) {
        builder
            .http1()
            .header_read_timeout(TIMEOUT)
            .half_close(true);
    }

    fn log_full(&self) {
        if let Some(others) = self.log.check() {
            warn!(
                listener = "admin",
                others = others.count(),
                "admin connection refused: {MAX_ADMIN_CONNECTIONS} are open{others}"
            );
        }
    }
}

impl<S> Accept<Accepted, S> for AdminAcceptor {
    type Stream = WriteDeadline<TcpStream>;
    type Service = AddExtension<S, Arc<AdminConnection>>;
    type Future = Ready<io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, accepted: Accepted, service: S) -> Self::Future {
        let Ok(permit) = self.connections.acquire() else {
            self.log_full();
            return ready(Err(refused()));
        };
        let connection = AdminConnection {
            _permit: permit,
            _open: accepted.open,
        };
        let stream = WriteDeadline::new(accepted.socket, Arc::clone(&self.timeouts));
        ready(Ok((
            stream,
            AddExtension::new(service, Arc::new(connection)),
        )))
    }
}

const TIMEOUT: Duration = Duration::from_secs(15);

/// More than scrapers and people have open; few enough that devices keep their descriptors
/// (`RESERVED_DESCRIPTORS` of the device listeners).
pub(super) const MAX_ADMIN_CONNECTIONS: usize = 16;
