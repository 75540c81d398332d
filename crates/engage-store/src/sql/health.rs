//! Whether the database takes what is written to it.

use engage_wire::diagnostic::causes;
use parking_lot::Mutex;
use tracing::{error, info};

use crate::{Health, StoreError};

/// Set by the last writes.
#[derive(Default)]
pub(super) struct HealthMonitor(Mutex<Option<String>>);

impl HealthMonitor {
    pub(super) fn get(&self) -> Health {
        let reason = self.0.lock().clone();
        reason.map_or(Health::Writable, |reason| Health::Failing { reason })
    }

    /// Logged once, not for each call.
    pub(super) fn failed(&self, failure: &StoreError) {
        let reason = causes(failure);
        let mut failing = self.0.lock();
        if failing.is_none() {
            error!(
                reason,
                "the device store cannot be written; nothing is acknowledged"
            );
        }
        *failing = Some(reason);
    }

    pub(super) fn recovered(&self) {
        if self.0.lock().take().is_some() {
            info!("the device store can be written again");
        }
    }
}
