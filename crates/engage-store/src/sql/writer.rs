//! The one task that appends: it takes all uploads that wait, stores them in one transaction, and
//! only then answers them all.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{OwnedSemaphorePermit, mpsc, oneshot};
use tokio::time::{MissedTickBehavior, interval};
use tracing::warn;

use super::admission;
use super::adoption;
use super::append::{Upload, append};
use super::catch_panic::catch_panic;
use super::certificate_fetches::{self, LIMITS};
use super::error;
use super::observations::{Observations, Observed};
use super::shared::Shared;
use crate::quota::{Admitted, Newcomer};
use crate::{AppendOutcome, DeviceId, Health, StoreError};

/// An upload that waits to be stored.
pub(super) struct QueuedUpload {
    pub(super) upload: Upload,
    pub(super) answer: oneshot::Sender<Result<AppendOutcome, StoreError>>,
    /// Its share of the queue's memory, given back when it is dropped.
    pub(super) _room: OwnedSemaphorePermit,
}

pub(super) struct Writer {
    pub(super) shared: Arc<Shared>,
    pub(super) observations: Observations,
}

impl Writer {
    /// Works until every sender is gone, then writes what is left.
    pub(super) async fn run(
        mut self,
        mut uploads: mpsc::Receiver<QueuedUpload>,
        mut observed: mpsc::Receiver<Observed>,
    ) {
        let mut ticks = interval(SAVE_INTERVAL);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut group = Vec::new();
        loop {
            let worked = tokio::select! {
                count = uploads.recv_many(&mut group, MAX_GROUP) => match count {
                    0 => break,
                    _ => catch_panic(self.commit(std::mem::take(&mut group))).await,
                },
                Some(observed) = observed.recv() => {
                    self.observations.add(observed, Instant::now());
                    if self.observations.is_full() && self.shared.health.get() == Health::Writable {
                        catch_panic(self.save_seen()).await
                    } else {
                        Ok(())
                    }
                }
                _ = ticks.tick() => catch_panic(self.save_seen()).await,
            };
            if let Err(panicked) = worked {
                self.shared.health.failed(&panicked);
            }
        }
        while let Ok(observed) = observed.try_recv() {
            self.observations.add(observed, Instant::now());
        }
        self.save_seen().await;
    }

    /// Stores a group, and answers each of its uploads.
    async fn commit(&mut self, group: Vec<QueuedUpload>) {
        let (group, empty): (Vec<_>, Vec<_>) = group
            .into_iter()
            .partition(|waiting| !waiting.upload.is_empty());
        for waiting in empty {
            answer(waiting, Ok(AppendOutcome::Unchanged));
        }
        let (group, mut admitted) = match self.admit(group).await {
            Ok(admitted) => admitted,
            Err((group, error)) => {
                self.shared.health.failed(&error);
                return refuse(group, &error);
            }
        };
        match self.store(&group, &admitted).await {
            Ok(outcomes) => self.acknowledge(group, outcomes, &mut admitted),
            Err(failure) if failure.is_of_values && group.len() > 1 => {
                for waiting in group {
                    let alone = vec![waiting];
                    match self.store(&alone, &admitted).await {
                        Ok(outcomes) => self.acknowledge(alone, outcomes, &mut admitted),
                        Err(failure) => self.refuse(alone, &failure),
                    }
                }
            }
            Err(failure) => self.refuse(group, &failure),
        }
    }

    /// Leaves those whose device may have a record; the others are answered.
    async fn admit(
        &self,
        group: Vec<QueuedUpload>,
    ) -> Result<(Vec<QueuedUpload>, Admitted), (Vec<QueuedUpload>, StoreError)> {
        let mut callers: BTreeMap<DeviceId, Newcomer> = BTreeMap::new();
        for waiting in &group {
            let new = waiting.upload.newcomer();
            let caller = callers.entry(new.call.device).or_insert(new);
            caller.is_proven |= new.is_proven;
        }
        let counted = self.shared.limited(async {
            let mut connection = self.shared.reader().await?;
            admission::admit(&mut connection, &self.shared, callers).await
        });
        let (admitted, refused) = match counted.await {
            Ok(counted) => counted,
            Err(error) => return Err((group, error)),
        };
        let mut rest = Vec::with_capacity(group.len());
        for waiting in group {
            match refused.get(&waiting.upload.call.device) {
                None => rest.push(waiting),
                Some(error) => answer(waiting, Err(error.clone())),
            }
        }
        Ok((rest, admitted))
    }

    async fn store(
        &self,
        group: &[QueuedUpload],
        admitted: &Admitted,
    ) -> Result<Vec<AppendOutcome>, StoreFailure> {
        if group.is_empty() {
            return Ok(Vec::new());
        }
        let uploads: Vec<_> = group.iter().map(|waiting| &waiting.upload).collect();
        let devices: BTreeSet<_> = uploads.iter().map(|it| it.call.device).collect();
        let displacing = admitted.displacing(&devices);
        let mut is_of_values = false;
        let stored = self.shared.limited(async {
            let mut transaction = self.shared.begin().await?;
            let appended = append(&mut transaction, &uploads).await;
            let appended =
                appended.inspect_err(|error| is_of_values = error::is_of_values(error))?;
            let evicted = self.shared.evict(&mut transaction, &displacing).await?;
            appended.count(&mut transaction).await?;
            self.shared.commit(transaction).await?;
            Ok((appended.outcomes, evicted))
        });
        let (outcomes, evicted) = stored.await.map_err(|error| StoreFailure {
            error,
            is_of_values,
        })?;
        self.shared.evicted(&evicted);
        Ok(outcomes)
    }

    fn acknowledge(
        &self,
        group: Vec<QueuedUpload>,
        outcomes: Vec<AppendOutcome>,
        admitted: &mut Admitted,
    ) {
        self.shared.health.recovered();
        let devices: BTreeSet<_> = group.iter().map(|it| it.upload.call.device).collect();
        for device in devices {
            admitted.stored(device);
            self.shared.subscribers.notify(device);
            self.shared.note_changed(device);
        }
        for (waiting, outcome) in group.into_iter().zip(outcomes) {
            answer(waiting, Ok(outcome));
        }
    }

    fn refuse(&self, group: Vec<QueuedUpload>, failure: &StoreFailure) {
        if !failure.is_of_values {
            self.shared.health.failed(&failure.error);
        }
        refuse(group, &failure.error);
    }

    /// Fetches first: who called in since is credited with them. Call-ins wait meanwhile, so nothing more
    /// is tried where the first cannot be saved.
    async fn save_seen(&mut self) {
        let _ = self.save_fetches().await
            && self.save_sightings().await
            && self.save_observations().await;
    }

    /// Whether they are saved, if there are any.
    async fn save_fetches(&self) -> bool {
        let fetches = self.shared.fetches.take();
        if fetches.is_empty() {
            return true;
        }
        let saved = self.shared.limited_to(SAVE_TIMEOUT, async {
            let mut transaction = self.shared.begin().await?;
            certificate_fetches::save(&mut transaction, &LIMITS, &fetches).await?;
            self.shared.commit(transaction).await
        });
        match saved.await {
            Ok(()) => self.shared.health.recovered(),
            Err(error) => {
                self.shared.health.failed(&error);
                self.shared.fetches.put_back(fetches);
                return false;
            }
        }
        true
    }

    /// In pieces, so that call-ins do not wait for a flood.
    async fn save_sightings(&self) -> bool {
        let mut rows = adoption::rows(self.shared.sightings.take());
        while !rows.is_empty() {
            let rest = rows.split_off(rows.len().min(adoption::MAX_ROWS));
            let saved = self.shared.limited_to(SAVE_TIMEOUT, async {
                let mut transaction = self.shared.begin().await?;
                let now = self.shared.database_time(&mut transaction).await?;
                adoption::save(&mut transaction, &adoption::LIMITS, &rows, now).await?;
                self.shared.commit(transaction).await
            });
            match saved.await {
                Ok(()) => self.shared.health.recovered(),
                Err(error) => {
                    self.shared.health.failed(&error);
                    rows.extend(rest);
                    let sightings = rows.into_iter().flat_map(|row| row.sightings);
                    self.shared.sightings.put_back(sightings.collect());
                    return false;
                }
            }
            rows = rest;
        }
        true
    }

    async fn save_observations(&mut self) -> bool {
        if self.observations.is_empty() {
            return true;
        }
        let saved = self.shared.limited_to(SAVE_TIMEOUT, async {
            let mut transaction = self.shared.begin().await?;
            let written = match self.observations.save(&mut transaction).await {
                // What the database never takes is lost.
                Err(error) if error::is_of_values(&error) => return Ok(None),
                written => written?,
            };
            self.shared.commit(transaction).await?;
            Ok(Some(written))
        });
        match saved.await {
            Ok(Some(written)) => {
                self.shared.health.recovered();
                self.observations.settle(&written, Instant::now());
                for device in written {
                    self.shared.note_changed(device);
                }
            }
            Ok(None) => self.observations = Observations::default(),
            Err(error) => {
                self.shared.health.failed(&error);
                return false;
            }
        }
        true
    }
}

/// Why a group was not stored.
struct StoreFailure {
    error: StoreError,
    /// Whether another group may be stored all the same.
    is_of_values: bool,
}

fn refuse(group: Vec<QueuedUpload>, error: &StoreError) {
    for waiting in group {
        answer(waiting, Err(error.clone()));
    }
}

/// The caller may have gone; what it sent is stored all the same, and it will deliver again.
fn answer(waiting: QueuedUpload, outcome: Result<AppendOutcome, StoreError>) {
    if waiting.answer.send(outcome).is_err() {
        warn!("a device did not wait for its acknowledgement; it will deliver again");
    }
}

/// Between writes of what was seen.
const SAVE_INTERVAL: Duration = Duration::from_secs(2);

/// Uploads that are answered together, so that the first does not wait for the last of a flood.
const MAX_GROUP: usize = 512;

/// For what was seen: a database that hangs is not to take the time of a call-in three times over.
const SAVE_TIMEOUT: Duration = Duration::from_secs(5);
