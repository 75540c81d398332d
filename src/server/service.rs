//! Gives each request what is known of its connection, then hands it to the router.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::net::SocketAddr;
use std::sync::Arc;
use std::task::{Context, Poll};

use axum::Router;
use axum::http::Request;
use tower_service::Service;

use crate::connection::{Connection, ListenerKind, Pacing, Phase};

/// Makes a [`ForConnection`] for each connection of one listener.
#[derive(Clone)]
pub(super) struct ForListener {
    listener: ListenerKind,
    router: Router,
}

impl ForListener {
    pub(super) fn new(listener: ListenerKind, router: Router) -> Self {
        Self { listener, router }
    }
}

impl Service<SocketAddr> for ForListener {
    type Response = ForConnection;
    type Error = Infallible;
    type Future = Ready<Result<ForConnection, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, peer: SocketAddr) -> Self::Future {
        ready(Ok(ForConnection {
            connection: Connection {
                listener: self.listener,
                peer,
                // Decided at the doorway, before any request is read.
                allowed: false,
                tls: None,
                pacing: Arc::new(Pacing::new(match self.listener {
                    ListenerKind::Http => Phase::Head,
                    ListenerKind::Https => Phase::Handshake,
                })),
            },
            router: self.router.clone(),
        }))
    }
}

/// The router, as one connection sees it.
#[derive(Clone)]
pub(super) struct ForConnection {
    pub(super) connection: Connection,
    router: Router,
}

impl<B> Service<Request<B>> for ForConnection
where
    Router: Service<Request<B>>,
{
    type Response = <Router as Service<Request<B>>>::Response;
    type Error = <Router as Service<Request<B>>>::Error;
    type Future = <Router as Service<Request<B>>>::Future;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.router.poll_ready(context)
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        request.extensions_mut().insert(self.connection.clone());
        self.router.call(request)
    }
}
