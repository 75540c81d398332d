//! Connections of the admin listener.

use std::collections::VecDeque;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Weak};
use std::time::Duration;

use axum_server::accept::Accept;
use hyper_util::rt::TokioExecutor;
use hyper_util::server::conn::auto;
use parking_lot::Mutex;
use tokio::net::TcpStream;
use tokio::sync::OwnedSemaphorePermit;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;
use tokio_util::either::Either;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;
use tower_http::add_extension::AddExtension;
use tracing::warn;

use super::listener::Accepted;
use super::stream::{Evictable, Intercepted, Timeouts, WriteDeadline};
use crate::config::Limits;
use crate::connection::AdminPeer;
use crate::telemetry::{LogThrottle, Metrics};
use crate::tls::AdminIdentity;

/// Lets a few connections in, counted apart from those of devices: whoever reads metrics never
/// takes a device's place, nor the other way round. One more than the limit takes the place of the
/// oldest: a scraper connects again, and clients that hold places keep nobody out.
#[derive(Clone, Debug)]
pub(super) struct AdminAcceptor {
    max_connections: usize,
    /// How it shakes hands; `None`: it speaks clear text.
    identity: Option<Arc<AdminIdentity>>,
    /// How to end each connection, the oldest first; those that have ended are left until the next.
    open: Arc<Mutex<VecDeque<Eviction>>>,
    timeouts: Arc<Timeouts>,
    metrics: Arc<Metrics>,
    log: Arc<LogThrottle>,
}

/// Held by the requests of an admin connection.
#[derive(Debug)]
pub(super) struct AdminConnection {
    _is_open: Arc<()>,
    _socket_permit: Option<OwnedSemaphorePermit>,
    _open: TaskTrackerToken,
}

impl AdminAcceptor {
    pub(super) fn new(
        max_connections: usize,
        identity: Option<Arc<AdminIdentity>>,
        metrics: &Arc<Metrics>,
    ) -> Self {
        let limits = Limits {
            stalled_write: TIMEOUT,
            ..Limits::default()
        };
        Self {
            max_connections,
            identity,
            open: Arc::default(),
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
        self.max_connections
    }

    /// As the log says where it listens.
    pub(super) fn scheme(&self) -> &'static str {
        match self.identity {
            Some(_) => "admin https",
            None => "admin http",
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

    /// A place for one more, which may be that of the oldest.
    fn admit(&self) -> (Arc<()>, CancellationToken) {
        let (is_open, token) = (Arc::new(()), CancellationToken::new());
        let mut open = self.open.lock();
        open.retain(|it| it.is_open.strong_count() > 0);
        if open.len() >= self.max_connections
            && let Some(oldest) = open.pop_front()
        {
            oldest.token.cancel();
            self.note_full();
        }
        open.push_back(Eviction {
            is_open: Arc::downgrade(&is_open),
            token: token.clone(),
        });
        (is_open, token)
    }

    fn note_full(&self) {
        self.metrics.admin_refused("connections");
        if let Some(others) = self.log.check() {
            warn!(
                listener = "admin",
                others = others.count(),
                "admin connection closed for a newer one: {} are open, which is the limit{others}",
                self.max_connections
            );
        }
    }
}

/// The bytes of an admin connection, as they travel.
type Raw = Intercepted<Intercepted<TcpStream, WriteDeadline>, Evictable>;

impl<S: Send + 'static> Accept<Accepted, S> for AdminAcceptor {
    type Stream = Either<Raw, TlsStream<Raw>>;
    type Service = AddExtension<AddExtension<S, AdminPeer>, Arc<AdminConnection>>;
    type Future = Pin<Box<dyn Future<Output = io::Result<(Self::Stream, Self::Service)>> + Send>>;

    fn accept(&self, accepted: Accepted, service: S) -> Self::Future {
        let (is_open, eviction) = self.admit();
        let connection = AdminConnection {
            _is_open: is_open,
            _socket_permit: accepted.permit,
            _open: accepted.open,
        };
        let deadline = WriteDeadline::new(Arc::clone(&self.timeouts));
        let stream = Intercepted::new(accepted.socket, deadline);
        let stream = Intercepted::new(stream, Evictable::new(eviction));
        let identity = self.identity.clone();
        let peer = AdminPeer {
            address: accepted.peer,
            is_tls: identity.is_some(),
        };
        let service = AddExtension::new(service, peer);
        let service = AddExtension::new(service, Arc::new(connection));
        Box::pin(async move {
            let stream = match identity {
                None => Either::Left(stream),
                Some(identity) => {
                    let shaken = timeout(TIMEOUT, identity.accept(stream)).await;
                    Either::Right(shaken.map_err(|_| io::ErrorKind::TimedOut)??)
                }
            };
            Ok((stream, service))
        })
    }
}

/// How to end a connection, and whether it is still there.
#[derive(Debug)]
struct Eviction {
    is_open: Weak<()>,
    token: CancellationToken,
}

const TIMEOUT: Duration = Duration::from_secs(15);
