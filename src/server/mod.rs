//! The listeners: `Config -> Bound -> run -> drained`.

mod admin;
mod admission;
mod bound;
mod call_in;
mod doorway;
mod http;
mod pacing;
mod plain;
mod reload;
mod service;
mod tls;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum_server::{Handle, Server};
use tokio::sync::Notify;
use tracing::{info, warn};

use crate::config::Config;
use crate::connection::ListenerKind;
use crate::pki::Timestamp;
use crate::platform::service_manager;
use crate::publication::Published;
use crate::routes::{self, App};
use crate::telemetry::{Burst, ExpiryWatch, Metrics, MismatchWatch};
use admission::Admission;
use doorway::Doorway;
use reload::Reloader;

pub use bound::{BindError, Bound};
pub use call_in::{CallInError, Recording, open as open_recording};
pub use watch::Seen;

/// Everything that a start has to get right before the first connection is accepted.
pub struct Ready {
    /// The sockets.
    pub bound: Bound,
    /// As the file says, without overrides from the command line.
    pub config: Config,
    /// The configuration's files, before they were read.
    pub seen: Seen,
    /// What was proven.
    pub published: Published,
    /// The call-in's store.
    pub recording: Recording,
}

/// Serves until `shutdown` completes, then drains: no new connections, requests in flight are
/// answered, idle connections closed, and what is left after `[limits] drain_seconds` is cut off.
///
/// Logs one line for each listener with its real address. Tests and scripts read those lines.
pub async fn run(ready: Ready, shutdown: impl Future<Output = &'static str>) -> io::Result<()> {
    let Ready {
        bound,
        config,
        seen,
        published,
        recording: Recording { call_in, delivery },
    } = ready;
    let mut expiry = ExpiryWatch::default();
    expiry.look(&published.current(), Timestamp::now());
    let metrics = Arc::new(Metrics::new());
    metrics.published(&published.current());
    let deliveries = metrics.deliveries();
    let app = App {
        published,
        metrics: Arc::clone(&metrics),
        mismatches: Arc::new(MismatchWatch::default()),
        call_in,
    };
    let doorway = doorway(&config, bound.descriptors, &metrics);
    let reloader = Reloader {
        http: bound.http_address()?,
        published: app.published.clone(),
        call_in: app.call_in.clone(),
        metrics,
        config,
    };
    let handles = Handles::default();
    let drain = doorway.limits().drain;
    let watchdog = service_manager::keep_alive(reloader.http, doorway.own_call().clone());
    let reloads = reloader.run(seen, expiry)?;
    let drained = Notify::new();
    let delivering = call_in::deliver(delivery, deliveries, drained.notified());
    let stop = async {
        tokio::select! {
            reason = shutdown => info!("received {reason}; draining for at most {} s", drain.as_secs()),
            () = reloads => {}
            () = watchdog => {}
        }
        service_manager::stopping();
        handles.drain(drain);
        Ok(())
    };
    let identity = app.published.current().identity().clone();
    let warm = tokio::task::spawn_blocking(move || identity.warm_up());
    let serving = serve(bound, &app, &doorway, &handles)?;
    let serving = async {
        let served = serving.await;
        drained.notify_one();
        served
    };
    let ready = async {
        // Devices that come earlier are answered all the same, once the library is.
        let _ = warm.await;
        service_manager::ready();
        Ok(())
    };
    tokio::try_join!(serving, delivering, stop, ready)?;
    info!("stopped");
    Ok(())
}

fn doorway(config: &Config, descriptors: usize, metrics: &Arc<Metrics>) -> Doorway {
    let Config { access, limits, .. } = config;
    let admission = Admission::new(limits, descriptors);
    let most = admission.most();
    info!(connections = most, "at most {most} connections at a time");
    Doorway::new(
        access.clone(),
        limits.clone(),
        admission,
        Arc::clone(metrics),
    )
}

/// What tells each listener to stop.
#[derive(Default)]
struct Handles {
    http: Handle<SocketAddr>,
    https: Handle<SocketAddr>,
    admin: Handle<SocketAddr>,
}

impl Handles {
    fn drain(&self, most: Duration) {
        for handle in [&self.http, &self.https, &self.admin] {
            handle.graceful_shutdown(Some(most));
        }
    }
}

/// Starts to accept on all listeners; completes once they are drained.
fn serve(
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
    socket: std::net::TcpListener,
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
