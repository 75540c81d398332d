//! The application: `Config -> Sockets -> Running -> Drained`.

mod admin_listener;
mod auto_renewal;
mod base_url;
mod expiry;
mod export;
mod first_state;
mod open_store;
mod reload;
mod reload_requests;
mod seen_devices;
mod store;
mod warm_up;
mod watch;

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use miette::Diagnostic;
use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio::task::block_in_place;
use tokio::time::timeout;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tracing::{error, info, warn};

use crate::config::{Config, ConfigSource};
use crate::platform::service_manager::{self, WatchdogProbe};
use crate::platform::{self, ReloadSignals};
use crate::publication::{CurrentPublication, Publication, Refusals};
use crate::reload_outcome::{self, MAX_BAD_SITES};
use crate::renewal;
use crate::rotation::RotationFollower;
use crate::routes::App;
use crate::server::{AdminService, Rules, Servers, Sockets};
use crate::tls::AdminIdentityError;
use admin_listener::AdminListener;
use auto_renewal::{Attempts, AutoRenewal, SteadyClock};
use engage_store::{OpenError, StoredRotation};
use engage_wire::diagnostic::{code, one_line};
use export::Export;
use first_state::FirstState;
use reload::{FollowedRotation, Reloader};
use reload_requests::ReloadRequests;
use store::{Delivery, Recording};

/// Serves `config` on `sockets` until `shutdown` completes with the reason, then drains. With
/// `strict`, only if it can begin with all of it.
pub(crate) async fn run(
    source: ConfigSource,
    config: Config,
    sockets: Sockets,
    strict: bool,
    shutdown: impl Future<Output = &'static str>,
) -> Result<(), RunError> {
    let drain_seconds = config.limits.drain.as_secs();
    let running = Running::start(source, config, sockets, strict)?;
    let reason = shutdown.await;
    info!("received {reason}; draining for at most {drain_seconds} s");
    running.drain().await;
    info!("stopped");
    Ok(())
}

/// Why the daemon cannot run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    /// Another daemon has the devices' directory.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The operating system does not let it.
    #[error("failed to serve: {0}")]
    Io(#[from] io::Error),
    /// The admin listener cannot shake hands.
    #[error(transparent)]
    Admin(#[from] AdminIdentityError),
    /// Devices would not accept what is configured.
    #[error(transparent)]
    Refused(#[from] Refusals),
}

/// A daemon that serves.
struct Running {
    app: Arc<App>,
    servers: Servers,
    probe: WatchdogProbe,
    drain_timeout: Duration,
    tasks: TaskTracker,
    /// Notified after each reload, refused or not.
    reloaded: Arc<Notify>,
    /// Cancelled when the drain begins, and with it whatever prepares for later connections.
    draining: CancellationToken,
    /// Cancelled when the last connection has ended: nothing is stored any more.
    drained: CancellationToken,
    /// The export of traces, if there is one.
    export: Option<Export>,
}

impl Running {
    /// Must be called inside the runtime.
    fn start(
        source: ConfigSource,
        config: Config,
        sockets: Sockets,
        strict: bool,
    ) -> Result<Self, RunError> {
        platform::survive_file_size_limit()?;
        let signals = ReloadSignals::new()?;
        let requests = ReloadRequests::listen();
        let http = sockets.http_address()?;
        let first = FirstState::read(&config, http, strict)?;
        let published = CurrentPublication::new(first.publication);
        let Recording { call_in, delivery } = store::open(&config, &published)?;
        let mut app = App::new(published, call_in);
        let export = Export::start(&config, &mut app);
        let app = Arc::new(app);
        let follower = follower(&app, &config, first.row);
        let admin = AdminListener::new(&app, &config, strict)?;
        let running = Self::serve(sockets, app, admin.service, &config, export)?;
        running.deliver(delivery);
        running.count_devices();
        running.warm_up();
        running.feed_watchdog(http);
        running.watch_certificates(&source, &config, http);
        let reloader = Reloader {
            source,
            site_files: Arc::clone(&config.site_files),
            config,
            http,
            base_url: first.base_url,
            is_time_spent: false,
            rotation: follower.map(|follower| running.follow_rotations(follower)),
            app: Arc::clone(&running.app),
            reloaded: Arc::clone(&running.reloaded),
            access: admin.access,
            admin_identity: admin.identity,
            control: admin.control,
        };
        running.spawn(reloader.run(first.files, signals, requests, admin.requests));
        Ok(running)
    }

    /// Everybody is served from now on.
    fn serve(
        sockets: Sockets,
        app: Arc<App>,
        admin: AdminService,
        config: &Config,
        export: Option<Export>,
    ) -> io::Result<Self> {
        let probe = WatchdogProbe::default();
        let rules = Rules {
            access: config.access.clone(),
            limits: config.limits.clone(),
            watchdog: probe.clone(),
        };
        Ok(Self {
            servers: Servers::start(sockets, &app, admin, rules)?,
            probe,
            drain_timeout: config.limits.drain,
            app,
            tasks: TaskTracker::new(),
            reloaded: Arc::default(),
            draining: CancellationToken::new(),
            drained: CancellationToken::new(),
            export,
        })
    }

    /// No new connections; requests in flight are answered, and what they stored is delivered.
    async fn drain(self) {
        service_manager::stopping();
        self.draining.cancel();
        self.servers.drain(self.drain_timeout).await;
        self.drained.cancel();
        self.tasks.close();
        if timeout(TASKS_TIMEOUT, self.tasks.wait()).await.is_err() {
            warn!(
                "the webhook did not end in time: events may be delivered once more after the next start"
            );
        }
        // After the last delivery, which is a span too.
        if let Some(export) = self.export {
            export.stop().await;
        }
    }

    /// The first handshakes, in memory; then the service manager hears that the daemon is ready.
    fn warm_up(&self) {
        let published = self.app.published.clone();
        self.spawn(async move {
            let publication = published.current();
            warm_up::warm_up(&publication).await;
            service_manager::ready(&reload_outcome::serving(&publication));
        });
    }

    fn feed_watchdog(&self, http: SocketAddr) {
        self.spawn(service_manager::keep_alive(http, self.probe.clone()));
    }

    /// Warns before they end, and renews that of the server where the configuration says so.
    fn watch_certificates(&self, source: &ConfigSource, config: &Config, http: SocketAddr) {
        let renewal = config.pki.auto_renew.then(|| AutoRenewal {
            source: source.clone(),
            http,
            app: Arc::clone(&self.app),
            attempts: Attempts::default(),
            clock: SteadyClock::new(config.pki.steady_clock_minutes),
        });
        log_warnings(&renewal::warnings(config));
        let (published, reloaded) = (self.app.published.clone(), Arc::clone(&self.reloaded));
        self.spawn(async move { expiry::run(published, &reloaded, renewal).await });
    }

    fn follow_rotations(&self, follower: Arc<RotationFollower>) -> FollowedRotation {
        let metrics = Arc::clone(&self.app.metrics);
        self.spawn(Arc::clone(&follower).run());
        self.spawn(Arc::clone(&follower).count_devices(metrics));
        FollowedRotation::new(follower)
    }

    fn count_devices(&self) {
        let Some(call_in) = &self.app.call_in else {
            return;
        };
        let (store, metrics) = (Arc::clone(&call_in.store), Arc::clone(&self.app.metrics));
        self.spawn(seen_devices::count(store, metrics));
    }

    fn deliver(&self, delivery: Option<Delivery>) {
        let (metrics, drained) = (self.app.metrics.deliveries(), self.drained.clone());
        let tracer = self.app.tracer.clone();
        self.tasks.spawn(async move {
            store::deliver(delivery, metrics, tracer, drained.cancelled()).await;
        });
    }

    /// Runs until it completes or the drain begins.
    fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        let draining = self.draining.clone();
        self.tasks.spawn(draining.run_until_cancelled_owned(task));
    }
}

/// Who follows rotations, where there is a store that knows of them.
fn follower(app: &App, config: &Config, copied: StoredRotation) -> Option<Arc<RotationFollower>> {
    let (call_in, directory) = (app.call_in.as_ref()?, config.devices.directory.path()?);
    let (store, sightings) = (&call_in.store, &call_in.sightings);
    let (store, sightings) = (Arc::clone(store), Arc::clone(sightings));
    let follower = RotationFollower::new(store, sightings, directory, copied);
    // Before anybody is served.
    block_in_place(|| Handle::current().block_on(follower.recall()));
    Some(Arc::new(follower))
}

/// What nothing is refused for, but somebody should look at.
fn log_warnings<'a, W: Diagnostic + 'a>(warnings: impl IntoIterator<Item = &'a W>) {
    for warning in warnings {
        warn!(code = %code(warning), "{}", one_line(warning));
    }
}

/// Sites whose devices are not told what is configured.
fn log_bad_sites(publication: &Publication) {
    let bad_sites = publication.bad_sites();
    for site in bad_sites.iter().take(MAX_BAD_SITES) {
        for refusal in site.refusals.iter() {
            error!(
                code = %code(refusal),
                site = site.name.as_str(),
                "{site} until this is mended: {}",
                one_line(refusal)
            );
        }
    }
    if let Some(others) = bad_sites.len().checked_sub(MAX_BAD_SITES + 1) {
        let others = others + 1;
        error!(
            others,
            "{others} more sites are bad: `engage-host sites check` lists them"
        );
    }
}

/// For the cursors of the webhook to be saved. Only a disk that hangs takes longer.
const TASKS_TIMEOUT: Duration = Duration::from_secs(2);
