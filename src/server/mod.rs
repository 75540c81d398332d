//! The listeners: `Config -> Bound -> run -> drained`.

mod admin;
mod admission;
mod bound;
mod call_in;
mod doorway;
mod http;
mod listeners;
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

use axum_server::Handle;
use tokio::sync::Notify;
use tracing::info;

use crate::config::Config;
use crate::pki::Timestamp;
use crate::platform::service_manager;
use crate::publication::Published;
use crate::routes::{App, CallIn};
use crate::telemetry::{ExpiryWatch, Metrics, MismatchWatch};
use crate::tls::TlsIdentity;
use admission::Admission;
use doorway::Doorway;
use reload::Reloader;

pub use bound::{BindError, Bound};
pub use call_in::{CallInError, Recording, open as open_recording, refusals as recording_refusals};
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
    let handles = Handles::default();
    let drained = Notify::new();
    let drain = doorway.limits().drain;
    let watchdog = service_manager::keep_alive(reloader.http, doorway.own_call().clone());
    let reloads = reloader.run(seen, expiry)?;
    let delivering = call_in::deliver(delivery, app.metrics.deliveries(), drained.notified());
    let ready = tell_ready(app.published.current().identity().clone());
    let listening = listeners::serve(bound, &app, &doorway, &handles)?;
    let serving = async {
        let served = listening.await;
        drained.notify_one();
        served
    };
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
    tokio::try_join!(serving, delivering, stop, ready)?;
    info!("stopped");
    Ok(())
}

fn app(published: Published, call_in: Option<Arc<CallIn>>) -> App {
    let metrics = Arc::new(Metrics::new());
    metrics.published(&published.current());
    App {
        published,
        metrics,
        mismatches: Arc::new(MismatchWatch::default()),
        call_in,
    }
}

/// Devices that come earlier are answered all the same, once the crypto library is warm.
async fn tell_ready(identity: TlsIdentity) -> io::Result<()> {
    let _ = tokio::task::spawn_blocking(move || identity.warm_up()).await;
    service_manager::ready();
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
