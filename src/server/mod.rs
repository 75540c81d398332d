//! Sockets: http, https and admin on one `axum_server::Control`.

mod acceptor;
mod acceptor_admin;
mod acceptor_tls;
mod admit;
mod descriptors;
mod fair_semaphore;
mod http1;
mod listener;
mod passed_sockets;
mod shutdown;
mod sockets;
mod stream;

use std::io;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum_server::{Handle, Server};
use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tower::make::Shared;
use tracing::{info, warn};

use crate::config::{Access, Limits};
use crate::connection::ListenerKind;
use crate::platform::service_manager::WatchdogProbe;
use crate::rotation::Identities;
use crate::routes::{App, device_service};
use crate::telemetry::LogThrottle;
use crate::tls::AdminIdentity;
use acceptor::PlainAcceptor;
use acceptor_admin::AdminAcceptor;
use acceptor_tls::TlsAcceptor;
use admit::{Admission, ConnectionLimits};
use fair_semaphore::FairSemaphore;
use listener::{Listener, Tcp};
use shutdown::Shutdown;
use stream::{RefusedHeads, Timeouts};

pub use admit::parse_proxy_header;
pub(crate) use descriptors::Descriptors;
use sockets::ListeningSocket;
pub(crate) use sockets::{Sockets, SocketsError};

/// The three listeners, while they serve.
pub(crate) struct Servers {
    shutdown: Shutdown,
    tasks: JoinSet<io::Result<()>>,
}

/// What the admin listener serves, and how.
pub(crate) struct AdminService {
    pub(crate) router: Router,
    /// How it shakes hands; `None`: it speaks clear text.
    pub(crate) identity: Option<Arc<AdminIdentity>>,
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
        admin: AdminService,
        rules: Rules,
    ) -> io::Result<Self> {
        let (shutdown, mut tasks) = (Shutdown::default(), JoinSet::new());
        let connections = max_connections(&rules.limits, sockets.descriptors);
        let admission = admission(rules, connections, app);
        let permits = permits(connections);
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
            identities: Arc::new(identities(app)),
            failures: Arc::default(),
            signatures: FairSemaphore::new(
                tokio::runtime::Handle::current().metrics().num_workers(),
            ),
        };
        let http = Listener::new(sockets.http, &permits, &shutdown)?;
        let https = Listener::new(sockets.https, &permits, &shutdown)?;
        let http = open(ListenerKind::Http, http, &shutdown, &admission);
        let https = open(ListenerKind::Https, https, &shutdown, &admission);
        tasks.spawn(
            http.acceptor(Arc::new(plain))
                .serve(Shared::new(devices.clone())),
        );
        tasks.spawn(https.acceptor(Arc::new(tls)).serve(Shared::new(devices)));
        if let Some(socket) = sockets.admin {
            let acceptor = AdminAcceptor::new(
                sockets.descriptors.admin_connections(),
                admin.identity,
                &app.metrics,
            );
            let server = open_admin(socket, &acceptor, &shutdown)?;
            tasks.spawn(server.acceptor(acceptor).serve(Shared::new(admin.router)));
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
    listener: Listener,
    shutdown: &Shutdown,
    admission: &Arc<Admission>,
) -> Server<Tcp> {
    let mut server = listen(kind.name(), kind.name(), listener, shutdown);
    http1::configure(server.http_builder(), &admission.limits);
    let admission = Arc::clone(admission);
    server.accept_error_handler(move |peer, error| {
        // With a peer, it is an error of an acceptor, which has logged it.
        if peer.is_none() {
            admission.accept_failed(kind, error);
        }
    })
}

fn open_admin(
    socket: ListeningSocket,
    acceptor: &AdminAcceptor,
    shutdown: &Shutdown,
) -> io::Result<Server<Tcp>> {
    // One more than it serves, which takes the place of another.
    let permits = Arc::new(Semaphore::new(acceptor.max_connections() + 1));
    let socket = Listener::new(socket, &permits, shutdown)?;
    let mut server = listen("admin", acceptor.scheme(), socket, shutdown);
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

/// As many as are configured and descriptors allow.
fn max_connections(limits: &Limits, descriptors: Descriptors) -> usize {
    let allowed = descriptors.connections();
    let configured = limits
        .connections
        .unwrap_or_else(|| descriptors.default_connections());
    if configured > allowed {
        let needed = Descriptors::for_connections(configured);
        warn!(
            "`[limits] connections = {configured}` is lowered to {allowed}, for which there are descriptors; \
             hint: raise their limit to {needed} with `LimitNOFILE=` in the unit, or with `ulimit -n`"
        );
    }
    let max = configured.min(allowed);
    info!(connections = max, "at most {max} connections at a time");
    max
}

/// Each listener has one more, for a connection that it accepts to refuse it.
fn permits(max_connections: usize) -> Arc<Semaphore> {
    Arc::new(Semaphore::new(max_connections + 2))
}

fn admission(rules: Rules, max_connections: usize, app: &App) -> Arc<Admission> {
    let per_address = rules.limits.connections_per_address;
    let connections = ConnectionLimits::new(max_connections, per_address);
    Arc::new(Admission::new(rules, connections, Arc::clone(&app.metrics)))
}

fn identities(app: &App) -> Identities {
    let sightings = app.call_in.as_ref().map(|it| Arc::clone(&it.sightings));
    Identities::new(app.published.clone(), sightings, Arc::clone(&app.metrics))
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
