//! Follows the store's row that says where a rotation stands, and the evidence of other hosts.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use parking_lot::Mutex;
use tokio::sync::{Notify, watch};
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};
use tracing::{error, warn};

use crate::adoption::{Sightings, count_devices};
use crate::telemetry::{LogThrottle, Metrics};
use engage_store::{Health, Rotation, RotationReport, Store, StoreError, StoredRotation};
use engage_wire::diagnostic::one_line;
use engage_wire::{read_regular_file, replace_file};

/// Knows the row, and tells the store what this host makes of it.
pub(crate) struct RotationFollower {
    store: Arc<dyn Store>,
    sightings: Arc<Sightings>,
    /// The daemon's own copy, for a start while the store is not there.
    copy: PathBuf,
    known: watch::Sender<StoredRotation>,
    /// Held by whoever asks the store, so that no older answer replaces a newer one.
    asking: tokio::sync::Mutex<()>,
    /// What is served here.
    report: Mutex<RotationReport>,
    reported: Notify,
    /// Failures of the store that have been logged.
    failures: LogThrottle,
}

impl RotationFollower {
    /// Knows what the copy in `directory` said, which is what is served, until it has asked.
    pub(crate) fn new(
        store: Arc<dyn Store>,
        sightings: Arc<Sightings>,
        directory: &Path,
        copied: StoredRotation,
    ) -> Self {
        Self {
            store,
            sightings,
            copy: copy_in(directory),
            report: Mutex::new(RotationReport {
                revision: copied.revision,
                is_swapped: false,
                refusal: None,
            }),
            known: watch::Sender::new(copied),
            asking: tokio::sync::Mutex::default(),
            reported: Notify::new(),
            failures: LogThrottle::default(),
        }
    }

    /// The row, as it was read last, whenever it has changed.
    pub(crate) fn subscribe(&self) -> watch::Receiver<StoredRotation> {
        self.known.subscribe()
    }

    /// Asks the store; where that does not answer in time, what is known stays.
    pub(crate) async fn refresh(&self) {
        let _asking = self.asking.lock().await;
        if self.store.health() == Health::Opening {
            return;
        }
        let Some(row) = self.answered(self.store.rotation()).await else {
            return;
        };
        if *self.known.borrow() == row {
            return;
        }
        self.copy(&row).await;
        self.known.send_replace(row);
    }

    /// What is served here now.
    pub(crate) fn report(&self, report: RotationReport) {
        *self.report.lock() = report;
        self.reported.notify_one();
    }

    /// Takes over what was seen before a restart, if the store says it soon: the first handshakes are to
    /// know it.
    pub(crate) async fn recall(&self) {
        let rotation = self.known.borrow().rotation.clone();
        if let Some(rotation) = rotation {
            let merged = self.merge_evidence(&rotation, None);
            let _ = timeout(RECALL_TIMEOUT, merged).await;
        }
    }

    /// Runs until dropped.
    pub(crate) async fn run(self: Arc<Self>) {
        let mut ticks = interval(INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut since, mut sent) = (None, Some(NOTHING_SERVED));
        loop {
            tokio::select! {
                _ = ticks.tick() => self.refresh().await,
                () = self.reported.notified() => {}
            }
            let rotation = self.known.borrow().rotation.clone();
            self.send_report(&mut sent, rotation.is_some()).await;
            since = match rotation {
                Some(rotation) => self.merge_evidence(&rotation, since).await,
                None => None,
            };
        }
    }

    /// Counts for `metrics` how far devices are, until dropped.
    pub(crate) async fn count_devices(self: Arc<Self>, metrics: Arc<Metrics>) {
        let mut row = self.subscribe();
        loop {
            let started = Instant::now();
            let rotation = row.borrow_and_update().rotation.clone();
            let counted = match &rotation {
                Some(rotation) => count_devices(&*self.store, rotation).await.ok(),
                None => Some(BTreeMap::new()),
            };
            if let Some(sites) = counted {
                metrics.count_rotation_devices(&sites);
            }
            // A large fleet takes the database a twentieth of its time at most.
            let pause = COUNT_INTERVAL.max(started.elapsed() * 20);
            let _ = timeout(pause, row.changed()).await;
        }
    }

    /// Again and again while a rotation is under way: a host that was counted dead for a moment is another.
    async fn send_report(&self, sent: &mut Option<RotationReport>, is_under_way: bool) {
        let report = self.report.lock().clone();
        if !is_under_way && *sent == Some(report.clone()) {
            return;
        }
        let answered = self.answered(self.store.report_rotation(report.clone()));
        *sent = answered.await.map(|()| report);
    }

    /// What all hosts have seen of addresses, and what this one had before a restart. Returns from when
    /// on to ask the next time.
    async fn merge_evidence(
        &self,
        rotation: &Rotation,
        since: Option<Timestamp>,
    ) -> Option<Timestamp> {
        let first = rotation.began_at - EVIDENCE_BEFORE;
        let stored = self.store.evidence_since(since.unwrap_or(first));
        let Some(stored) = self.answered(stored).await else {
            return since;
        };
        self.sightings.addresses().merge(&stored);
        let newest = stored.iter().map(|evidence| evidence.stored_at).max();
        // Transactions that were under way may store older ones.
        newest.map(|at| at - EVIDENCE_OVERLAP).max(since)
    }

    /// In time, or `None` and a line in the log.
    async fn answered<T>(&self, asked: impl Future<Output = Result<T, StoreError>>) -> Option<T> {
        let reason = match timeout(STORE_TIMEOUT, asked).await {
            Ok(Ok(answer)) => return Some(answer),
            // That it is not open yet, and why, is said elsewhere.
            Ok(Err(StoreError::Opening | StoreError::Closed)) => return None,
            Ok(Err(error)) => one_line(&error),
            Err(_) => format!("it did not answer within {} s", STORE_TIMEOUT.as_secs()),
        };
        if let Some(others) = self.failures.check() {
            warn!(
                others = others.count(),
                "the device store cannot be asked about the root rotation; what is known of it stays: {reason}{others}"
            );
        }
        None
    }

    async fn copy(&self, row: &StoredRotation) {
        let (copy, contents) = (self.copy.clone(), serde_json::to_vec(row));
        let written = tokio::task::spawn_blocking(move || write(&copy, &contents?)).await;
        if let Ok(Err(error)) = written {
            let copy = self.copy.display();
            warn!(
                "failed to write `{copy}`: a restart while the store is away would serve what was before the root rotation moved on: {error}"
            );
        }
    }
}

/// Where the daemon's own copy in the devices' directory says that a rotation stands.
pub(crate) fn copied(directory: &Path) -> StoredRotation {
    let copy = copy_in(directory);
    if !copy.exists() {
        return StoredRotation::default();
    }
    let read = read_regular_file("copy of the root rotation", &copy, MAX_COPY_BYTES);
    let parsed = read.map_err(|error| one_line(&error)).and_then(|bytes| {
        serde_json::from_slice(&bytes).map_err(|error| format!("`{}`: {error}", copy.display()))
    });
    parsed.unwrap_or_else(|error| {
        error!(
            "the present chain is served alone until the store says where the root rotation stands: {error}"
        );
        StoredRotation::default()
    })
}

fn copy_in(directory: &Path) -> PathBuf {
    directory.join(COPY)
}

/// What is served where there never was a rotation: then nothing is written.
const NOTHING_SERVED: RotationReport = RotationReport {
    revision: 0,
    is_swapped: false,
    refusal: None,
};

/// Whole or not at all.
fn write(copy: &Path, contents: &[u8]) -> io::Result<()> {
    let new = copy.with_extension("json.new");
    let mut file = File::create(&new)?;
    file.write_all(contents)?;
    file.sync_all()?;
    replace_file(&new, copy)
}

const COPY: &str = ".rotation.json";

/// Ten thousand sites take a quarter of it.
const MAX_COPY_BYTES: usize = 16 * 1024 * 1024;

/// Several hosts are to follow within seconds.
const INTERVAL: Duration = Duration::from_secs(5);

/// For how long the listeners wait for that.
const RECALL_TIMEOUT: Duration = Duration::from_secs(1);

const COUNT_INTERVAL: Duration = Duration::from_mins(1);

/// Far longer than a database takes that is well.
const STORE_TIMEOUT: Duration = Duration::from_secs(5);

/// Devices that were seen in that time are waited for.
const EVIDENCE_BEFORE: SignedDuration = SignedDuration::from_hours(31 * 24);

const EVIDENCE_OVERLAP: SignedDuration = SignedDuration::from_mins(1);
