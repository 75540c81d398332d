//! The two listeners that devices speak with, as one worker serves them.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use axum::Router;
use axum_server::{Handle, Server};
use tracing::warn;

use super::doorway::Doorway;
use super::{Handles, http, plain, service, tls};
use crate::connection::ListenerKind;
use crate::routes::{self, App};
use crate::telemetry::Burst;

/// Both sockets and everything that is answered on them.
pub(super) struct DeviceListeners {
    plain: Socket,
    secure: Socket,
    router: Router,
    doorway: Doorway,
    acceptor: tls::TlsAcceptor,
}

/// One socket, shared with the other workers.
struct Socket {
    kind: ListenerKind,
    listener: TcpListener,
    handle: Handle<SocketAddr>,
    /// Failures to accept.
    failures: Arc<Burst>,
}

impl DeviceListeners {
    pub(super) fn new(
        plain: TcpListener,
        secure: TcpListener,
        app: &App,
        doorway: &Doorway,
        handles: &Handles,
    ) -> Self {
        Self {
            plain: Socket::new(ListenerKind::Http, plain, handles.http.clone()),
            secure: Socket::new(ListenerKind::Https, secure, handles.https.clone()),
            router: routes::router(app.clone()),
            doorway: doorway.clone(),
            acceptor: tls::TlsAcceptor::new(
                doorway.clone(),
                app.published.clone(),
                Arc::clone(&app.mismatches),
            ),
        }
    }

    /// The same for another worker. The kernel gives each connection to one of them.
    pub(super) fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            plain: self.plain.try_clone()?,
            secure: self.secure.try_clone()?,
            router: self.router.clone(),
            doorway: self.doorway.clone(),
            acceptor: self.acceptor.clone(),
        })
    }

    /// Accepts until the handles say that it is over, then completes once the connections are
    /// drained. Must be called inside the worker's runtime.
    pub(super) async fn serve(self) -> io::Result<()> {
        let Self {
            plain,
            secure,
            router,
            doorway,
            acceptor,
        } = self;
        let for_plain = service::ForListener::new(plain.kind, router.clone());
        let for_secure = service::ForListener::new(secure.kind, router);
        let plain = plain
            .server(&doorway)?
            .acceptor(plain::PlainAcceptor::new(doorway.clone()))
            .serve(for_plain);
        let secure = secure
            .server(&doorway)?
            .acceptor(acceptor)
            .serve(for_secure);
        tokio::try_join!(plain, secure).map(|_| ())
    }
}

impl Socket {
    fn new(kind: ListenerKind, listener: TcpListener, handle: Handle<SocketAddr>) -> Self {
        Self {
            kind,
            listener,
            handle,
            failures: Arc::new(Burst::default()),
        }
    }

    fn try_clone(&self) -> io::Result<Self> {
        Ok(Self {
            kind: self.kind,
            listener: self.listener.try_clone()?,
            handle: self.handle.clone(),
            failures: Arc::clone(&self.failures),
        })
    }

    fn server(self, doorway: &Doorway) -> io::Result<Server<SocketAddr>> {
        let Self {
            kind,
            listener,
            handle,
            failures,
        } = self;
        let metrics = Arc::clone(doorway.metrics());
        let on_error = move |peer: Option<&SocketAddr>, error: &io::Error| {
            // With a peer it is about one connection, and has been logged where it was handled.
            if peer.is_some() {
                return;
            }
            metrics.accept_failed(kind);
            if let Some(others) = failures.hit() {
                warn!(
                    listener = %kind, others,
                    "{kind} listener cannot accept connections: {error}; trying again; {others} others since the last such line",
                );
            }
        };
        Ok(
            http::profile(axum_server::from_tcp(listener)?, doorway.limits())
                .handle(handle)
                .accept_error_handler(on_error),
        )
    }
}
