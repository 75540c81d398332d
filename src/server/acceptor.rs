//! Connections of the plain listener: admission, and HTTP follows at once.

use std::io;
use std::pin::Pin;
use std::sync::Arc;

use axum_server::accept::Accept;
use tower_http::add_extension::AddExtension;

use super::admit::{Admission, Admitted};
use super::listener::Accepted;
use super::stream::{
    ClientStream, Downloads, Intercepted, RefusedHeads, RequestHeads, Timeouts, client_stream,
};
use crate::connection::{Connection, ListenerKind, Phase};

/// What an acceptor makes of a socket and a service.
pub(super) type Accepting<Stream, Service> =
    Pin<Box<dyn Future<Output = io::Result<(Stream, WithConnection<Service>)>> + Send>>;

/// A service whose requests carry the facts of their connection.
pub(super) type WithConnection<Service> = AddExtension<Service, Arc<Connection>>;

/// Admits connections that speak HTTP in clear text.
#[derive(Debug)]
pub(super) struct PlainAcceptor {
    pub(super) admission: Arc<Admission>,
    pub(super) timeouts: Arc<Timeouts>,
    pub(super) refused_heads: Arc<RefusedHeads>,
}

impl<S: Send + 'static> Accept<Accepted, S> for Arc<PlainAcceptor> {
    // In a box, since axum-server, hyper-util and hyper move it a dozen times before they read from it.
    type Stream = Box<Downloads<Intercepted<ClientStream, RequestHeads>>>;
    type Service = WithConnection<S>;
    type Future = Accepting<Self::Stream, S>;

    fn accept(&self, accepted: Accepted, service: S) -> Self::Future {
        let acceptor = Self::clone(self);
        Box::pin(async move {
            let admitted = acceptor.admission.admit(LISTENER, accepted).await;
            let Admitted {
                socket,
                prefix,
                peer,
                is_allowed,
                unread,
                guard,
            } = admitted.map_err(|_| refused())?;
            let connection = Connection::new(LISTENER, peer, is_allowed, Phase::ReadingHead, guard);
            let connection = Arc::new(connection);
            let state = &connection.state;
            let stream = client_stream(socket, prefix, unread, state, &acceptor.timeouts);
            let refused_heads = Arc::clone(&acceptor.refused_heads);
            let heads = RequestHeads::new(Arc::clone(state), refused_heads, peer);
            let stream = Intercepted::new(stream, heads);
            let stream = Downloads::new(stream, Arc::clone(&connection));
            Ok((Box::new(stream), AddExtension::new(service, connection)))
        })
    }
}

/// Tells axum-server that a connection has ended; why was counted and logged where it was decided.
pub(super) fn refused() -> io::Error {
    io::ErrorKind::ConnectionAborted.into()
}

const LISTENER: ListenerKind = ListenerKind::Http;
