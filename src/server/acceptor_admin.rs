//! Connections of the admin listener.

use std::future::{Ready, ready};
use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum_server::accept::Accept;
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tower_http::add_extension::AddExtension;
use tracing::warn;

use super::acceptor::refused;
use super::admit::{ConnectionLimits, ConnectionPermit};
use super::listener::Accepted;
use super::stream::{Intercepted, Timeouts, WriteDeadline};
use crate::config::Limits;
use crate::telemetry::{LogThrottle, Metrics};

/// Lets a few connections in, counted apart from those of devices: whoever reads metrics never
/// takes a device's place, nor the other way round.
#[derive(Clone, Debug)]
pub(super) struct AdminAcceptor {
    connections: Arc<ConnectionLimits>,
    timeouts: Arc<Timeouts>,
    metrics: Arc<Metrics>,
    log: Arc<LogThrottle>,
}

/// Held by the requests of an admin connection.
#[derive(Debug)]
pub(super) struct AdminConnection {
    _permit: ConnectionPermit,
    _place: Option<OwnedSemaphorePermit>,
    _open: TaskTrackerToken,
}

impl AdminAcceptor {
    pub(super) fn new(max_connections: usize, metrics: &Arc<Metrics>) -> Self {
        let limits = Limits {
            stalled_write: TIMEOUT,
            ..Limits::default()
        };
        Self {
            connections: Arc::new(ConnectionLimits::in_all(max_connections)),
            timeouts: Arc::new(Timeouts {
                limits,
                counted: None,
            }),
            metrics: Arc::clone(metrics),
            log: Arc::default(),
        }
    }

    /// Most connections that it serves at a time.
    pub(super) fn max_connections(&self) -> usize {
        self.connections.max()
    }

    /// Few ask here, and none of them devices: 15 seconds from an answer to the end of the next
    /// head.
    pub(super) fn configure(builder: &mut auto::Builder<TokioExecutor>) {
        builder
            .http1()
            .header_read_timeout(TIMEOUT)
            .half_close(true);
    }

    fn note_full(&self) {
        self.metrics.admin_refused("connections");
        if let Some(others) = self.log.check() {
            warn!(
                listener = "admin",
                others = others.count(),
                "admin connection refused: {} are open, which is the limit{others}",
                self.connections.max()
            );
        }
    }
}

impl<S> Accept<Accepted, S> for AdminAcceptor {
    type Stream = Intercepted<TcpStream, WriteDeadline>;
    type Service = AddExtension<S, Arc<AdminConnection>>;
    type Future = Ready<io::Result<(Self::Stream, Self::Service)>>;

    fn accept(&self, accepted: Accepted, service: S) -> Self::Future {
        let Ok(permit) = self.connections.acquire() else {
            self.note_full();
            return ready(Err(refused()));
        };
        let connection = AdminConnection {
            _permit: permit,
            _place: accepted.place,
            _open: accepted.open,
        };
        let deadline = WriteDeadline::new(Arc::clone(&self.timeouts));
        let stream = Intercepted::new(accepted.socket, deadline);
        ready(Ok((
            stream,
            AddExtension::new(service, Arc::new(connection)),
        )))
    }
}

const TIMEOUT: Duration = Duration::from_secs(15);
