//! The accept loop and the life of a connection, the same for all listeners.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::time::Duration;

use hyper::Request;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::Service;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::sleep;

use super::drain::Drain;
use crate::routes::Response;

/// What makes of an accepted socket a connection that speaks HTTP, and answers what it asks.
pub(super) trait Reception: Send + Sync + 'static {
    /// What carries requests and answers.
    type Stream: AsyncRead + AsyncWrite + Unpin + Send;
    /// What answers them.
    type Service: Service<Request<Incoming>, Response = Response, Error = Infallible, Future: Send>
        + Send;

    /// Lets a connection in; says why not where that is to be said, and returns `None`.
    fn receive(
        self: Arc<Self>,
        socket: TcpStream,
        peer: SocketAddr,
    ) -> impl Future<Output = Option<(Self::Stream, Self::Service)>> + Send + 'static;

    /// The operating system gave no connection.
    fn accept_failed(&self, error: &io::Error);
}

/// Accepts until `drain` begins. Each connection has a task of its own: one that stalls, or
/// panics, concerns nobody else.
pub(super) async fn accept<R: Reception>(
    listener: TcpListener,
    reception: R,
    profile: http1::Builder,
    drain: Drain,
) {
    let (reception, profile) = (Arc::new(reception), Arc::new(profile));
    let mut begun = pin!(drain.begun());
    loop {
        let accepted = tokio::select! {
            biased;
            () = &mut begun => return,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((socket, peer)) => {
                // Boxed: a handshake's state is large, and would be held as long as the connection.
                let received = Box::pin(Arc::clone(&reception).receive(socket, peer));
                let profile = Arc::clone(&profile);
                drain.spawn(attend::<R>(received, profile, drain.clone()));
            }
            Err(error) => {
                reception.accept_failed(&error);
                // Out of descriptors, mostly: they come back only as connections end.
                tokio::select! {
                    biased;
                    () = &mut begun => return,
                    () = sleep(BETWEEN_FAILURES) => {}
                }
            }
        }
    }
}

/// From the socket to its end.
///
/// What is alive at an `await` is held by every open connection, so nothing more has a name there
/// than has to.
async fn attend<R: Reception>(
    mut received: Pin<Box<impl Future<Output = Option<(R::Stream, R::Service)>>>>,
    profile: Arc<http1::Builder>,
    drain: Drain,
) {
    let mut serving = pin!({
        let received = tokio::select! {
            biased;
            received = &mut received => received,
            // Nothing was asked yet: a device that is shaking hands will come again.
            () = drain.begun() => None,
        };
        match received {
            Some((stream, service)) => profile.serve_connection(TokioIo::new(stream), service),
            None => return,
        }
    });
    drop(received);
    // How a connection ended was counted and logged where it was noticed.
    tokio::select! {
        biased;
        _ = &mut serving => return,
        () = drain.begun() => serving.as_mut().graceful_shutdown(),
    }
    tokio::select! {
        biased;
        _ = serving => {}
        () = drain.over() => {}
    }
}

const BETWEEN_FAILURES: Duration = Duration::from_millis(50);
