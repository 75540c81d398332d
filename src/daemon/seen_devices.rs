//! Counts who has called in lately, for the metrics.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use tokio::time::{Instant, sleep};

use crate::telemetry::{Metrics, SeenDevices};
use engage_store::{Health, Store, StoreError};

/// Counts for `metrics`, until dropped. A site whose devices are all gone stays, with zero.
pub(super) async fn count(store: Arc<dyn Store>, metrics: Arc<Metrics>) {
    let mut sites = BTreeMap::new();
    loop {
        while store.health() == Health::Opening {
            sleep(OPENING_INTERVAL).await;
        }
        let started = Instant::now();
        // What is wrong with the store is said elsewhere; the last count stays.
        if let Ok(counted) = seen(&*store, Timestamp::now()).await {
            for known in sites.values_mut() {
                *known = SeenDevices::default();
            }
            sites.extend(counted);
            metrics.devices_seen(&sites);
        }
        // A large fleet takes the database a twentieth of its time at most.
        sleep(COUNT_INTERVAL.max(started.elapsed() * 20)).await;
    }
}

/// Of each site; those of none have the empty name.
async fn seen(
    store: &dyn Store,
    now: Timestamp,
) -> Result<BTreeMap<String, SeenDevices>, StoreError> {
    // The smaller number first: who calls meanwhile is not in it, and in the larger one.
    let last_night = store.summary(now - SeenDevices::LAST_NIGHT).await?.by_site;
    let month = store.summary(now - SeenDevices::MONTH).await?.by_site;
    let mut sites: BTreeMap<String, SeenDevices> = BTreeMap::new();
    for site in month.into_iter().filter(|it| it.seen > 0) {
        let seen = sites.entry(site.site.unwrap_or_default()).or_default();
        seen.month += site.seen;
    }
    for site in last_night.into_iter().filter(|it| it.seen > 0) {
        let seen = sites.entry(site.site.unwrap_or_default()).or_default();
        seen.last_night += site.seen;
    }
    Ok(sites)
}

/// Between two counts.
const COUNT_INTERVAL: Duration = Duration::from_mins(1);

/// Between looks at a store that is being opened.
const OPENING_INTERVAL: Duration = Duration::from_millis(200);
