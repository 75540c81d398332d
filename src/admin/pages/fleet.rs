//! All devices in a few numbers, counted at most once in a while however many look.

use std::time::{Duration, Instant};

use engage_store::{DeviceSummary, HourlyCallIns, Store, StoreError};
use jiff::{SignedDuration, Timestamp};
use std::sync::Arc;
use tokio::sync::Mutex;

use super::chart::SHOWN_HOURS;

/// All devices in a few numbers.
#[derive(Debug)]
pub(super) struct Fleet {
    pub(super) summary: DeviceSummary,
    pub(super) call_ins: Vec<HourlyCallIns>,
}

/// What was counted last.
#[derive(Debug, Default)]
pub(in crate::admin) struct FleetCache(Mutex<Option<(Instant, Arc<Fleet>)>>);

impl FleetCache {
    /// As it is now, or was some seconds ago. Who comes meanwhile waits for the same count.
    pub(super) async fn count(&self, store: &dyn Store) -> Result<Arc<Fleet>, StoreError> {
        let mut counted = self.0.lock().await;
        if let Some((at, fleet)) = &*counted
            && at.elapsed() < COUNTED_FOR
        {
            return Ok(Arc::clone(fleet));
        }
        let fleet = Arc::new(Fleet::count(store).await?);
        *counted = Some((Instant::now(), Arc::clone(&fleet)));
        Ok(fleet)
    }
}

impl Fleet {
    async fn count(store: &dyn Store) -> Result<Self, StoreError> {
        let now = Timestamp::now();
        let shown = SignedDuration::from_hours(SHOWN_HOURS);
        Ok(Self {
            summary: store.summary(now - DAY).await?,
            call_ins: store.call_ins_by_hour(now - shown).await?,
        })
    }
}

/// Of the sentence at the top of the overview.
const DAY: SignedDuration = SignedDuration::from_hours(24);
const COUNTED_FOR: Duration = Duration::from_secs(10);
