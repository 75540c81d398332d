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

use crate::config::Config;
use crate::platform::service_manager;
use crate::publication::Published;
use crate::routes::{App, CallIn};
use crate::server::{self, Admission, Bound, Doorway, Drain};
use crate::telemetry::Metrics;
use engage_wire::pki::Timestamp;
use expiry::ExpiryWatch;
use reload::Reloader;

pub(crate) use store::{Recording, open as open_recording, refusals as recording_refusals};
pub(crate) use watch::Seen;

/// Everything that a start has to get right before the first connection is accepted.
pub(crate) struct Ready {
    /// The sockets.
    pub(crate) bound: Bound,
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
///
/// Logs one line for each listener with its real address. Tests and scripts read those lines.
pub(crate) async fn run(
    ready: Ready,
    shutdown: impl Future<Output = &'static str>,
) -> io::Result<()> {
    let Ready {
        bound,
        config,
        seen,
        published,
        recording: Recording { call_in, delivery },
    } = ready;
    let app = app(published, call_in);
    let mut expiry = ExpiryWatch::default();
    expiry.look(&app.published.current(), Timestamp::now());
    let doorway = doorway(&config, bound.descriptors, &app.metrics);
    let reloader = Reloader {
        http: bound.http_address()?,
        published: app.published.clone(),
        call_in: app.call_in.clone(),
        metrics: Arc::clone(&app.metrics),
        config,
    };
    let (drain, drained) = (Drain::default(), Notify::new());
    let most = doorway.limits().drain;
    let watchdog = service_manager::keep_alive(reloader.http, doorway.own_call().clone());
    let reloads = reloader.run(seen, expiry)?;
    let delivering = store::deliver(delivery, app.metrics.deliveries(), drained.notified());
    let rehearsing = async {
        let publication = app.published.current();
        tokio::select! {
            () = warm_up::warm_up(&publication) => service_manager::ready(),
            () = drain.begun() => {}
        }
    };
    let accepting = server::serve(bound, &app, &doorway, &drain)?;
    let stop = async {
        tokio::select! {
            reason = shutdown => info!("received {reason}; draining for at most {} s", most.as_secs()),
            () = reloads => {}
            () = watchdog => {}
        }
        service_manager::stopping();
        drain.begin();
    };
    let serving = async {
        accepting.await;
        drain.finish(most).await;
        drained.notify_one();
    };
    tokio::join!(serving, delivering, stop, rehearsing);
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
