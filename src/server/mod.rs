//! Sockets: http, https and admin on one `axum_server::Control`.

mod acceptor;
mod acceptor_admin;
mod acceptor_tls;
mod admit;
mod http1;
mod listener;
mod shutdown;
mod sockets;
mod stream;

use std::io;
use std::net;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::{Handle, Server};
use tokio::task::JoinSet;
use tower::make::Shared;
use tracing::{info, warn};

use crate::config::{Access, Limits};
use crate::connection::ListenerKind;
use crate::platform::service_manager::WatchdogProbe;
use crate::routes::{App, device_service};
use crate::telemetry::LogThrottle;
use acceptor::PlainAcceptor;
use acceptor_admin::AdminAcceptor;
use acceptor_tls::TlsAcceptor;
use admit::{Admission, ConnectionLimits};
use listener::{Listener, Tcp};
use shutdown::Shutdown;
use stream::{RefusedHeads, Timeouts};

pub(crate) use admit::ConnectionGuard;
pub use sockets::{BindError, Sockets};

/// The three listeners, while they serve.
pub(crate) struct Servers {
    shutdown: Shutdown,
    tasks: JoinSet<io::Result<()>>,
}

/// What decides who is let in, and for how long.
pub(crate) struct Rules {
    pub(crate) access: Access,
    pub(crate) limits: Limits,
    /// Calls of the daemon to itself, which are ended at once and leave no trace.
    pub(crate) watchdog: WatchdogProbe,
}

impl Servers {
    /// Starts to serve `app` on both device listeners, and `admin` on the admin listener.
    ///
    /// Logs one line for each listener with its real address: tests and scripts read those lines.
    /// Must be called inside the runtime.
    pub(crate) fn start(
        sockets: Sockets,
        app: &Arc<App>,
        admin: Router,
        rules: Rules,
    ) -> io::Result<Self> {
        let (shutdown, mut tasks) = (Shutdown::default(), JoinSet::new());
        let admission = admission(rules, sockets.descriptors, app);
        let limits = &admission.limits;
        let devices = device_service(app);
        let plain = PlainAcceptor {
            admission: Arc::clone(&admission),
            timeouts: timeouts(limits, ListenerKind::Http, app),
            refused_heads: refused_heads(limits, ListenerKind::Http, app),
        };
        let tls = TlsAcceptor {
            admission: Arc::clone(&admission),
            timeouts: timeouts(limits, ListenerKind::Https, app),
            refused_heads: refused_heads(limits, ListenerKind::Https, app),
            app: Arc::clone(app),
        };
        let http = open(ListenerKind::Http, sockets.http, &shutdown, &admission)?;
        let https = open(ListenerKind::Https, sockets.https, &shutdown, &admission)?;
        tasks.spawn(http.acceptor(plain).serve(Shared::new(devices.clone())));
        tasks.spawn(https.acceptor(tls).serve(Shared::new(devices)));
        if let Some(socket) = sockets.admin {
            let acceptor = AdminAcceptor::new(sockets.descriptors, &app.metrics);
            let server = open_admin(socket, &acceptor, &shutdown)?;
            tasks.spawn(server.acceptor(acceptor).serve(Shared::new(admin)));
        }
        Ok(Self { shutdown, tasks })
    }

    /// No new connections; requests in flight are answered, idle connections closed, and what is
    /// left after `max` is cut off.
    pub(crate) async fn drain(mut self, max: Duration) {
        self.shutdown.drain(max).await;
        // Their listeners are closed and their connections have ended.
        self.tasks.abort_all();
        while self.tasks.join_next().await.is_some() {}
    }
}

/// A device listener: its errors are counted, its HTTP is the one profile.
fn open(
    kind: ListenerKind,
    socket: net::TcpListener,
    shutdown: &Shutdown,
    admission: &Arc<Admission>,
) -> io::Result<Server<Tcp>> {
    let socket = Listener::new(socket, shutdown)?;
    let mut server = listen(kind.name(), kind.name(), socket, shutdown);
    http1::configure(server.http_builder(), &admission.limits);
    let admission = Arc::clone(admission);
    Ok(server.accept_error_handler(move |peer, error| {
        // With a peer, it is an acceptor's verdict, which was logged where it was made.
        if peer.is_none() {
            admission.accept_failed(kind, error);
        }
    }))
}

fn open_admin(
    socket: net::TcpListener,
    acceptor: &AdminAcceptor,
    shutdown: &Shutdown,
) -> io::Result<Server<Tcp>> {
    let socket = Listener::new(socket, shutdown)?.with_max_accepted(acceptor.max_accepted());
    let mut server = listen("admin", "admin http", socket, shutdown);
    AdminAcceptor::configure(server.http_builder());
    let log = LogThrottle::default();
    Ok(server.accept_error_handler(move |peer, error| {
        if peer.is_none()
            && let Some(others) = log.check()
        {
            warn!(
                listener = "admin",
                others = others.count(),
                "admin listener cannot accept connections: {error}; trying again{others}"
            );
        }
    }))
}

fn listen(
    name: &'static str,
    scheme: &str,
    listener: Listener,
    shutdown: &Shutdown,
) -> Server<Tcp> {
    let address = listener.local_address();
    info!(listener = name, "listening on {scheme}://{address}");
    Server::from_listener(listener)
        .http1_only()
        .handle(Handle::with_control(shutdown.control()))
}

fn admission(rules: Rules, descriptors: usize, app: &App) -> Arc<Admission> {
    let connections = ConnectionLimits::new(&rules.limits, descriptors);
    let max = connections.max();
    info!(connections = max, "at most {max} connections at a time");
    Arc::new(Admission::new(rules, connections, Arc::clone(&app.metrics)))
}

fn refused_heads(limits: &Limits, listener: ListenerKind, app: &App) -> Arc<RefusedHeads> {
    let metrics = Arc::clone(&app.metrics);
    Arc::new(RefusedHeads::new(listener, limits, metrics))
}

fn timeouts(limits: &Limits, listener: ListenerKind, app: &App) -> Arc<Timeouts> {
    Arc::new(Timeouts {
        limits: limits.clone(),
        counted: Some((listener, Arc::clone(&app.metrics))),
    })
}
