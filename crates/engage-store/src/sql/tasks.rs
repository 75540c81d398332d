//! What runs on the store's thread: the writer, and what has to be done now and then.

use std::sync::Arc;
use std::time::{Duration, Instant};

use engage_wire::diagnostic::causes;
use jiff::Timestamp;
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use super::catch_panic::catch_panic;
use super::hosts::RENEW_INTERVAL;
use super::json_files::JsonFiles;
use super::observations::{Observations, Observed};
use super::options::SqlOptions;
use super::retention::{Retention, believed};
use super::rotation_reports::forget_reports;
use super::shared::Shared;
use super::writer::{QueuedUpload, Writer};
use crate::owner_lock::OwnerLock;
use crate::{KeepDays, OpenError};

/// What the store's thread hands out.
pub(super) struct Opened {
    pub(super) shared: Arc<Shared>,
    pub(super) runtime: Handle,
    pub(super) uploads: mpsc::Sender<QueuedUpload>,
    pub(super) observed: mpsc::Sender<Observed>,
}

/// Hands over what was opened, and works until all of it is given back.
pub(super) async fn run(
    options: SqlOptions,
    lock: Option<OwnerLock>,
    keep: KeepDays,
    opened: impl FnOnce(Result<Opened, OpenError>) -> bool,
) {
    let shared = match Shared::open(options, lock).await {
        Ok(shared) => Arc::new(shared),
        Err(error) => {
            opened(Err(error));
            return;
        }
    };
    if shared.is_only_host() {
        forget_reports(&shared.pools().writes).await;
    }
    let (uploads, uploaded) = mpsc::channel(MAX_WAITING);
    let (observed, observations) = mpsc::channel(MAX_OBSERVATIONS);
    let handed_over = opened(Ok(Opened {
        shared: Arc::clone(&shared),
        runtime: Handle::current(),
        uploads,
        observed,
    }));
    if handed_over {
        work(&shared, keep, uploaded, observations).await;
    }
    shared.close().await;
}

async fn work(
    shared: &Arc<Shared>,
    keep: KeepDays,
    uploaded: mpsc::Receiver<QueuedUpload>,
    observed: mpsc::Receiver<Observed>,
) {
    if let Ok(Some(believed)) = believed(&shared.pools().writes).await {
        shared.evictions.begin(believed);
    }
    let maintenance = tokio::spawn(maintain(Arc::clone(shared), Retention::new(keep)));
    let renewals = tokio::spawn(keep_alive(Arc::clone(shared)));
    let copies = shared.copies().zip(shared.directory());
    let json_files =
        copies.map(|(copies, root)| JsonFiles::start(shared, copies, root.to_owned(), keep));
    let writer = Writer {
        shared: Arc::clone(shared),
        observations: Observations::default(),
    };
    let looking = tokio::spawn(look_for_strays(Arc::clone(shared)));
    writer.run(uploaded, observed).await;
    maintenance.abort();
    looking.abort();
    renewals.abort();
    let _ = renewals.await;
    if let Err(error) = shared.hosts.leave(&shared.pools().renewals).await {
        let error = causes(&shared.unavailable(error));
        warn!(
            error,
            "failed to give back what this host delivers; others wait until its leases expire"
        );
    }
    if let Some(json_files) = json_files {
        json_files.finish().await;
    }
}

/// Beside the writer: to remove a year of events takes a while.
async fn maintain(shared: Arc<Shared>, mut retention: Retention) {
    let mut counted: Option<Instant> = None;
    let mut ticks = interval(MAINTENANCE_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let done = maintain_once(&shared, &mut retention, &mut counted);
        if let Err(panicked) = catch_panic(done).await {
            shared.health.failed(&panicked);
        }
    }
}

async fn maintain_once(shared: &Shared, retention: &mut Retention, counted: &mut Option<Instant>) {
    shared.evictions.watch_clock();
    shared.probe().await;
    shared.measure().await;
    if counted.is_none_or(|counted| counted.elapsed() >= COUNT_INTERVAL) {
        *counted = Some(Instant::now());
        let _ = shared.count_devices().await;
    }
    for maintained in [
        shared.maintain_file().await,
        apply_if_due(shared, retention).await,
    ] {
        if let Err(error) = maintained {
            shared.health.failed(&shared.unavailable(error));
        }
    }
}

/// Where another host is at it, that is as good.
async fn apply_if_due(shared: &Shared, retention: &mut Retention) -> Result<(), sqlx::Error> {
    let (subscribers, pool) = (shared.subscribers.all(), shared.pools().writes);
    let (monotonic, now) = (Instant::now(), Timestamp::now());
    if !retention.is_due(monotonic, now, &pool).await? {
        return Ok(());
    }
    let applied = retention.apply(now, &pool, &subscribers);
    shared.run_alone("retention", applied).await?;
    retention.set_applied(monotonic);
    Ok(())
}

/// Says every few seconds that this host lives, and looks for what a host that is gone has left.
/// For ever, where there may be other hosts.
async fn keep_alive(shared: Arc<Shared>) {
    if shared.is_only_host() {
        return;
    }
    let mut ticks = interval(RENEW_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let renewed = match shared.hosts.renew(&shared.pools().renewals).await {
            Ok(true) => shared.notify_of_pending().await,
            renewed => renewed.map(drop),
        };
        if let Err(error) = renewed {
            shared.health.failed(&shared.unavailable(error));
        }
    }
}

/// By itself: a file server may hang.
async fn look_for_strays(shared: Arc<Shared>) {
    let mut ticks = interval(COUNT_INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        shared.look_for_strays().await;
    }
}

/// For the warning that there are too many.
const COUNT_INTERVAL: Duration = Duration::from_mins(1);

/// How often a failing database is tried, and the clock is looked at.
const MAINTENANCE_INTERVAL: Duration = Duration::from_secs(2);

const MAX_WAITING: usize = 4096;

const MAX_OBSERVATIONS: usize = 4096;
