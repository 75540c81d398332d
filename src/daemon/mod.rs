//! The application: start, run, reload, watch, drain.

mod expiry;
mod reload;
mod store;
mod warm_up;
mod watch;

use std::io;
use std::sync::Arc;

use tokio::sync::Notify;
use tracing::info;

use crate::admin;
use crate::config::Config;
use crate::platform::service_manager::{self, OwnCall};
use crate::publication::Published;
use crate::routes::{App, CallIn};
use crate::server::{Rules, Servers, Sockets};
use crate::telemetry::Metrics;
use engage_wire::pki::Timestamp;
use expiry::ExpiryWatch;
use reload::Reloader;

pub(crate) use store::{Recording, open as open_recording, refusals as recording_refusals};
pub(crate) use watch::Seen;

/// Everything that a start has to get right before the first connection is accepted.
pub(crate) struct Ready {
    /// The sockets.
    pub(crate) sockets: Sockets,
    /// As the file says, without overrides from the command line.
    pub(crate) config: Config,
    /// The configuration's files, before they were read.
    pub(crate) seen: Seen,
    /// What was proven.
    pub(crate) published: Published,
    /// The call-in's store.
    pub(crate) recording: Recording,
}

/// Serves until `shutdown` completes, then drains: no new connections, requests in flight are
/// answered, idle connections closed, and what is left after `[limits] drain_seconds` is cut off.
pub(crate) async fn run(
    ready: Ready,
    shutdown: impl Future<Output = &'static str>,
) -> io::Result<()> {
    let Ready {
        sockets,
        config,
        seen,
        published,
        recording: Recording { call_in, delivery },
    } = ready;
    let app = app(published, call_in);
    let mut expiry = ExpiryWatch::default();
    expiry.look(&app.published.current(), Timestamp::now());
    let (watchdog, drained) = (OwnCall::default(), Notify::new());
    let max = config.limits.drain;
    let rules = Rules {
        access: config.access.clone(),
        limits: config.limits.clone(),
        watchdog: watchdog.clone(),
    };
    let reloader = Reloader {
        http: sockets.http_address()?,
        published: app.published.clone(),
        call_in: app.call_in.clone(),
        metrics: Arc::clone(&app.metrics),
        config,
    };
    let watchdog = service_manager::keep_alive(reloader.http, watchdog);
    let reloads = reloader.run(seen, expiry)?;
    let delivering = store::deliver(delivery, app.metrics.deliveries(), drained.notified());
    let servers = Servers::start(sockets, &app, admin::router(&app), rules)?;
    let warm_up = async {
        let publication = app.published.current();
        warm_up::warm_up(&publication).await;
        service_manager::ready();
        std::future::pending::<()>().await;
    };
    let serving = async {
        tokio::select! {
            reason = shutdown => info!("received {reason}; draining for at most {} s", max.as_secs()),
            () = reloads => {}
            () = watchdog => {}
            () = warm_up => {}
        }
        service_manager::stopping();
        servers.drain(max).await;
        drained.notify_one();
    };
    tokio::join!(serving, delivering);
    info!("stopped");
    Ok(())
}

fn app(published: Published, call_in: Option<Arc<CallIn>>) -> Arc<App> {
    let metrics = Arc::new(Metrics::new());
    metrics.published(&published.current());
    Arc::new(App {
        published,
        metrics,
        announcement_fetches: call_in
            .as_ref()
            .map_or_else(Arc::default, |it| Arc::clone(&it.announcement_fetches)),
        call_in,
    })
}
