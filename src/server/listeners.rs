//! The accept loops of all listeners.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;

use axum_server::Server;
use tracing::{info, warn};

use super::doorway::Doorway;
use super::{Bound, Handles, admin, http, plain, service, tls};
use crate::connection::ListenerKind;
use crate::routes::{self, App};
use crate::telemetry::Burst;

/// Starts to accept on all listeners; completes once they are drained.
pub(super) fn serve(
    bound: Bound,
    app: &App,
    doorway: &Doorway,
    handles: &Handles,
) -> io::Result<impl Future<Output = io::Result<()>> + use<>> {
    let Bound {
        http,
        https,
        admin,
        descriptors: _,
    } = bound;
    let router = routes::router(app.clone());
    let http_listener = listener(ListenerKind::Http, http, doorway)?
        .handle(handles.http.clone())
        .acceptor(plain::PlainAcceptor::new(doorway.clone()))
        .serve(service::ForListener::new(
            ListenerKind::Http,
            router.clone(),
        ));
    let acceptor = tls::TlsAcceptor::new(
        doorway.clone(),
        app.published.clone(),
        Arc::clone(&app.mismatches),
    );
    let https_listener = listener(ListenerKind::Https, https, doorway)?
        .handle(handles.https.clone())
        .acceptor(acceptor)
        .serve(service::ForListener::new(ListenerKind::Https, router));
    if let Some(admin) = &admin {
        info!(
            listener = "admin",
            "listening on admin http://{}",
            admin.local_addr()?
        );
    }
    let admin_app = admin::Admin {
        published: app.published.clone(),
        metrics: Arc::clone(&app.metrics),
        call_in: app.call_in.clone(),
    };
    let admin_handle = handles.admin.clone();
    let admin_listener = async move {
        match admin {
            Some(admin) => admin::serve(admin, admin_app, admin_handle).await,
            None => Ok(()),
        }
    };
    Ok(async move { tokio::try_join!(http_listener, https_listener, admin_listener).map(|_| ()) })
}

fn listener(
    kind: ListenerKind,
    socket: TcpListener,
    doorway: &Doorway,
) -> io::Result<Server<SocketAddr>> {
    let address = socket.local_addr()?;
    info!(listener = %kind, "listening on {kind}://{address}");
    let (metrics, burst) = (Arc::clone(doorway.metrics()), Burst::default());
    let on_error = move |peer: Option<&SocketAddr>, error: &io::Error| {
        // With a peer it is about one connection, and has been logged where it was handled.
        if peer.is_some() {
            return;
        }
        metrics.accept_failed(kind);
        if let Some(others) = burst.hit() {
            warn!(
                listener = %kind, others,
                "{kind} listener cannot accept connections: {error}; trying again; {others} others since the last such line",
            );
        }
    };
    Ok(
        http::profile(axum_server::from_tcp(socket)?, doorway.limits())
            .accept_error_handler(on_error),
    )
}
