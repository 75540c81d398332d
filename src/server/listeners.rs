//! The accept loops of all listeners.

use std::io;
use std::net;
use std::sync::Arc;

use tokio::net::TcpListener;
use tracing::info;

use super::accepting::accept;
use super::admin::Admin;
use super::doorway::Doorway;
use super::drain::Drain;
use super::plain::PlainReception;
use super::tls::TlsReception;
use super::{Bound, admin, http};
use crate::routes::App;

/// Starts to accept on all listeners; completes once `drain` begins.
///
/// Logs one line for each listener with its real address.
pub(crate) fn serve(
    bound: Bound,
    app: &Arc<App>,
    doorway: &Doorway,
    drain: &Drain,
) -> io::Result<impl Future<Output = ()> + use<>> {
    let Bound {
        http,
        https,
        admin,
        descriptors: _,
    } = bound;
    let plain_listener = accept(
        listening("http", "http", http)?,
        PlainReception {
            doorway: doorway.clone(),
            app: Arc::clone(app),
        },
        http::profile(doorway.limits()),
        drain.clone(),
    );
    let tls_listener = accept(
        listening("https", "https", https)?,
        TlsReception {
            doorway: doorway.clone(),
            app: Arc::clone(app),
        },
        http::profile(doorway.limits()),
        drain.clone(),
    );
    let admin_listener = admin
        .map(|admin| listening("admin", "admin http", admin))
        .transpose()?
        .map(|listener| accept(listener, Admin::of(app), admin::profile(), drain.clone()));
    Ok(async move {
        let admin_listener = async {
            if let Some(listener) = admin_listener {
                listener.await;
            }
        };
        tokio::join!(plain_listener, tls_listener, admin_listener);
    })
}

fn listening(
    listener: &'static str,
    scheme: &str,
    socket: net::TcpListener,
) -> io::Result<TcpListener> {
    // One that systemd passes may not be.
    socket.set_nonblocking(true)?;
    let socket = TcpListener::from_std(socket)?;
    let address = socket.local_addr()?;
    info!(listener, "listening on {scheme}://{address}");
    Ok(socket)
}
