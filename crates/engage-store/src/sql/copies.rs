//! What the store and the thread that writes files for people tell each other.

use std::collections::BTreeMap;

use parking_lot::Mutex;
use tracing::warn;

use crate::{AppendedDevices, DeviceId, StoreWarning};

/// What the store tells the thread, and the thread tells the store.
#[derive(Default)]
pub(super) struct Copies {
    /// Devices whose row was written.
    pub(super) changed: AppendedDevices,
    pub(super) problems: Problems,
}

/// Devices whose files are not up to date, and why.
#[derive(Default)]
pub(super) struct Problems(Mutex<BTreeMap<DeviceId, String>>);

impl Problems {
    /// What is wrong with some devices; each is logged once, or counted where there are many.
    pub(super) fn add(&self, found: Vec<(DeviceId, String)>) {
        let mut known = self.0.lock();
        let mut new = Vec::new();
        for (device, reason) in found {
            if known.get(&device) != Some(&reason) {
                new.push((device, reason.clone()));
            }
            known.insert(device, reason);
        }
        drop(known);
        for (device, reason) in new.iter().take(MAX_NAMED) {
            warn!(%device, "JSON files of device {device} are not written: {reason}");
        }
        let others = new.len().saturating_sub(MAX_NAMED);
        if others > 0 {
            warn!("JSON files of {others} more devices are not written for such reasons");
        }
    }

    pub(super) fn remove(&self, device: DeviceId) {
        self.0.lock().remove(&device);
    }

    pub(super) fn warnings(&self) -> Vec<StoreWarning> {
        let known = self.0.lock();
        let named = known.iter().take(MAX_NAMED);
        let mut warnings: Vec<_> = named
            .map(|(device, reason)| StoreWarning::Device {
                device: *device,
                reason: format!("JSON files are not written: {reason}"),
            })
            .collect();
        let count = known.len().saturating_sub(MAX_NAMED);
        if count > 0 {
            warnings.push(StoreWarning::MoreDevices { count });
        }
        warnings
    }
}

/// A person who sees as many has seen enough.
const MAX_NAMED: usize = 8;
