//! The two listeners: `Config -> Bound -> run -> drained`.

mod bound;
mod http;
mod service;
mod tls;

use std::io;
use std::time::Duration;

use axum_server::Handle;
use tracing::{info, warn};

use crate::connection::ListenerKind;
use crate::publication::Published;
use crate::routes;

pub use bound::{BindError, Bound};

/// Serves until `shutdown` completes, then drains: no new connections, requests in flight are
/// answered, idle connections closed, and what is left after [`DRAIN`] is cut off.
///
/// Logs one line for each listener with its real address. Tests and scripts read that line.
pub async fn run(
    bound: Bound,
    published: Published,
    shutdown: impl Future<Output = &'static str>,
) -> io::Result<()> {
    let router = routes::router(published.clone());
    let (http_handle, https_handle) = (Handle::new(), Handle::new());
    let Bound { http, https } = bound;
    log_listening(ListenerKind::Http, &http)?;
    log_listening(ListenerKind::Https, &https)?;
    let serve_http = http::profile(axum_server::from_tcp(http)?)
        .handle(http_handle.clone())
        .accept_error_handler(|peer, error| log_accept_error(ListenerKind::Http, peer, error))
        .serve(service::ForListener::new(
            ListenerKind::Http,
            router.clone(),
        ));
    let serve_https = http::profile(axum_server::from_tcp(https)?)
        .acceptor(tls::TlsAcceptor::new(published))
        .handle(https_handle.clone())
        .accept_error_handler(|peer, error| log_accept_error(ListenerKind::Https, peer, error))
        .serve(service::ForListener::new(ListenerKind::Https, router));
    let stop = async {
        let reason = shutdown.await;
        info!(
            "received {reason}; draining for at most {} s",
            DRAIN.as_secs()
        );
        http_handle.graceful_shutdown(Some(DRAIN));
        https_handle.graceful_shutdown(Some(DRAIN));
        Ok(())
    };
    tokio::try_join!(serve_http, serve_https, stop)?;
    info!("stopped");
    Ok(())
}

/// How long requests in flight may take to finish after a stop was asked for.
const DRAIN: Duration = Duration::from_secs(20);

fn log_listening(kind: ListenerKind, listener: &std::net::TcpListener) -> io::Result<()> {
    let address = listener.local_addr()?;
    info!(listener = %kind, "listening on {kind}://{address}");
    Ok(())
}

/// `peer` is known once a connection exists; without it the listener itself is in trouble.
fn log_accept_error(
    listener: ListenerKind,
    peer: Option<&std::net::SocketAddr>,
    error: &io::Error,
) {
    if let Some(peer) = peer {
        warn!(%listener, %peer, "{listener} connection from {peer} failed: {error}");
    } else {
        warn!(%listener, "{listener} listener cannot accept connections: {error}");
    }
}
