//! Whether the database takes what is written to it.

use engage_wire::diagnostic::causes;
use parking_lot::Mutex;
use tracing::{error, info};

use crate::{Health, StoreError};

/// Of an outage. What comes first is often how it began, and what lasts comes after it: a session that was
/// ended, then a password that is refused.
const REASONS_LOGGED: usize = 8;

/// Set by the last writes.
#[derive(Default)]
pub(super) struct HealthMonitor(Mutex<Option<Outage>>);

/// Since the first write that failed.
#[derive(Default)]
struct Outage {
    reason: String,
    logged: Vec<String>,
}

impl HealthMonitor {
    pub(super) fn get(&self) -> Health {
        let outage = self.0.lock();
        let reason = outage.as_ref().map(|outage| outage.reason.clone());
        reason.map_or(Health::Writable, |reason| Health::Failing { reason })
    }

    /// Each reason is logged once, not for each call.
    pub(super) fn failed(&self, failure: &StoreError) {
        let reason = causes(failure);
        let mut outage = self.0.lock();
        let outage = outage.get_or_insert_default();
        if outage.logged.len() < REASONS_LOGGED && !outage.logged.contains(&reason) {
            error!(
                reason,
                "the device store cannot be written; nothing is acknowledged"
            );
            outage.logged.push(reason.clone());
        }
        outage.reason = reason;
    }

    pub(super) fn recovered(&self) {
        if self.0.lock().take().is_some() {
            info!("the device store can be written again");
        }
    }
}
