//! Whether the disk takes what is written to it.

use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tracing::{error, info};

use super::disk::Disk;
use crate::{Health, StoreError};
use engage_wire::diagnostic::causes;

/// Set by the last write, whoever made it.
#[derive(Default)]
pub(super) struct HealthFlag(Mutex<Option<String>>);

impl HealthFlag {
    pub(super) fn get(&self) -> Health {
        let reason = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        reason
            .clone()
            .map_or(Health::Writable, |reason| Health::Failing { reason })
    }

    /// Notes a failure; logged once, not for each device that calls.
    pub(super) fn note(&self, failure: &StoreError) {
        if !matches!(failure, StoreError::Unavailable { .. }) {
            return;
        }
        let reason = causes(failure);
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.is_none() {
            error!(
                reason,
                "the device store cannot be written; nothing is acknowledged"
            );
        }
        *known = Some(reason);
    }

    pub(super) fn recovered(&self) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if known.take().is_some() {
            info!("the device store can be written again");
        }
    }

    /// Tries a failing disk, so that readiness returns even when no device calls.
    pub(super) fn probe(&self, root: &Path, disk: &dyn Disk) {
        if self.get() == Health::Writable {
            return;
        }
        if disk
            .replace(&root.join(PROBE), b"engage-host tried to write here\n")
            .is_ok()
        {
            self.recovered();
        }
    }
}

const PROBE: &str = ".probe";
