//! What is shown of the device store.

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;

use jiff::SignedDuration;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use prometheus_client::registry::{Registry, Unit};

use super::labels::{SeenLabels, StateLabels};
use super::{MAX_SITES, register, register_with_unit};
use engage_store::{Health, Store};

#[derive(Debug)]
pub(super) struct StoreMetrics {
    state: Family<StateLabels, Gauge>,
    seen: Family<SeenLabels, Gauge>,
    evicted: Counter,
    size: Gauge,
    limit: Gauge,
}

impl StoreMetrics {
    pub(super) fn register(registry: &mut Registry) -> Self {
        let state = Family::<StateLabels, Gauge>::default();
        for name in STATES {
            let _ = state.get_or_create(&StateLabels { state: name });
        }
        Self {
            state: register(
                registry,
                "store_state",
                "1 at what the store is: writable, failing or being opened; all 0 where call-ins are off",
                state,
            ),
            seen: register(
                registry,
                "devices_seen",
                "Devices that called within 26 hours or 30 days, by site, counted each minute",
                Family::default(),
            ),
            evicted: register(
                registry,
                "devices_evicted",
                "Devices of which nothing was proven that were removed to make room for others",
                Counter::default(),
            ),
            size: register_with_unit(
                registry,
                "store_size",
                "What the database takes of the disk, where that is bounded",
                Unit::Bytes,
                Gauge::default(),
            ),
            limit: register_with_unit(
                registry,
                "store_limit",
                "What the database may take of the disk, 0 where it is not bounded; the last tenth is for registered devices",
                Unit::Bytes,
                Gauge::default(),
            ),
        }
    }

    pub(super) fn show(&self, store: &dyn Store) {
        let now = state_name(&store.health());
        for state in STATES {
            let gauge = self.state.get_or_create(&StateLabels { state });
            gauge.set((state == now).into());
        }
        let evicted = self.evicted.inner();
        evicted.fetch_max(store.evicted_devices(), Ordering::Relaxed);
        if let Some(size) = store.size() {
            for (gauge, bytes) in [(&self.size, size.bytes), (&self.limit, size.allowed)] {
                gauge.set(i64::try_from(bytes).unwrap_or(i64::MAX));
            }
        }
    }

    /// Of so many sites that one who scrapes can bear it; the others together have no name.
    pub(super) fn devices_seen(&self, sites: &BTreeMap<String, SeenDevices>) {
        let mut others = SeenDevices::default();
        for (at, (site, seen)) in sites.iter().enumerate() {
            if at < MAX_SITES && !site.is_empty() {
                self.set_seen(site, *seen);
            } else {
                others.last_night += seen.last_night;
                others.month += seen.month;
            }
        }
        self.set_seen("", others);
    }

    fn set_seen(&self, site: &str, seen: SeenDevices) {
        for (within, devices) in [("26h", seen.last_night), ("30d", seen.month)] {
            let labels = SeenLabels {
                site: site.to_owned(),
                within,
            };
            let devices = i64::try_from(devices).unwrap_or(i64::MAX);
            self.seen.get_or_create(&labels).set(devices);
        }
    }
}

/// Devices that have called in lately.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct SeenDevices {
    /// Within [`LAST_NIGHT`](Self::LAST_NIGHT).
    pub(crate) last_night: u64,
    /// Within [`MONTH`](Self::MONTH).
    pub(crate) month: u64,
}

impl SeenDevices {
    /// A night, and what a call-in may be late.
    pub(crate) const LAST_NIGHT: SignedDuration = SignedDuration::from_hours(26);

    /// Whoever has not called for longer is taken for one that is not there any more.
    pub(crate) const MONTH: SignedDuration = SignedDuration::from_hours(30 * 24);
}

fn state_name(health: &Health) -> &'static str {
    match health {
        Health::Failing { .. } => "failing",
        Health::Opening => "opening",
        Health::Writable => "writable",
    }
}

const STATES: [&str; 3] = ["failing", "opening", "writable"];
