//! Whether the disk takes what is written to it, and for which device it does not.

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use engage_wire::diagnostic::causes;
use parking_lot::Mutex;
use tracing::{error, info, warn};

use super::disk::Disk;
use crate::{DeviceId, Health, StoreError, StoreWarning};

/// Set by the last writes, whoever made them.
#[derive(Default)]
pub(super) struct HealthMonitor(Mutex<State>);

#[derive(Default)]
struct State {
    /// Why nothing can be written.
    failing: Option<String>,
    /// Devices whose own folder cannot be read or written, and why.
    impaired: BTreeMap<DeviceId, String>,
}

impl HealthMonitor {
    pub(super) fn get(&self) -> Health {
        let reason = self.0.lock().failing.clone();
        reason.map_or(Health::Writable, |reason| Health::Failing { reason })
    }

    pub(super) fn warnings(&self) -> Vec<StoreWarning> {
        let state = self.0.lock();
        let named = state.impaired.iter().take(MAX_NAMED);
        let mut warnings: Vec<_> = named
            .map(|(device, reason)| StoreWarning::Device {
                device: *device,
                reason: reason.clone(),
            })
            .collect();
        let count = state.impaired.len().saturating_sub(MAX_NAMED);
        warnings.extend((count > 0).then_some(StoreWarning::MoreDevices { count }));
        warnings
    }

    /// Notes that something of a device was not stored. Whether only that device suffers is tried
    /// out at once. Logged once, not for each call.
    pub(super) fn failed(
        &self,
        device: DeviceId,
        failure: &StoreError,
        root: &Path,
        disk: &dyn Disk,
    ) {
        let StoreError::Unavailable { source, .. } = failure else {
            return;
        };
        let kind = source
            .downcast_ref::<io::Error>()
            .map_or(io::ErrorKind::Other, io::Error::kind);
        let is_of_disk = matches!(
            kind,
            io::ErrorKind::StorageFull
                | io::ErrorKind::QuotaExceeded
                | io::ErrorKind::ReadOnlyFilesystem
                | io::ErrorKind::FileTooLarge
        );
        if is_of_disk || !probe(root, disk) {
            self.fail(causes(failure));
        } else {
            self.impair(device, causes(failure));
        }
    }

    fn fail(&self, reason: String) {
        let mut state = self.0.lock();
        if state.failing.is_none() {
            error!(
                reason,
                "the device store cannot be written; nothing is acknowledged"
            );
        }
        state.failing = Some(reason);
    }

    /// Notes that one device's records cannot be read or written.
    pub(super) fn impair(&self, device: DeviceId, reason: String) {
        let mut state = self.0.lock();
        if state.impaired.len() >= MAX_IMPAIRED && !state.impaired.contains_key(&device) {
            return;
        }
        if !state.impaired.contains_key(&device) {
            warn!(%device, reason, "records of device {device} cannot be written; its call-ins are answered 503, those of others are stored");
        }
        state.impaired.insert(device, reason);
    }

    /// Notes that something of a device was stored.
    pub(super) fn stored(&self, device: DeviceId) {
        self.recovered();
        if self.0.lock().impaired.remove(&device).is_some() {
            info!(%device, "records of device {device} can be written again");
        }
    }

    /// Tries a failing disk, so that readiness returns even when no device calls.
    pub(super) fn probe(&self, root: &Path, disk: &dyn Disk) {
        if self.get() != Health::Writable && probe(root, disk) {
            self.recovered();
        }
    }

    fn recovered(&self) {
        if self.0.lock().failing.take().is_some() {
            info!("the device store can be written again");
        }
    }
}

fn probe(root: &Path, disk: &dyn Disk) -> bool {
    disk.replace(&root.join(PROBE), b"engage-host tried to write here\n")
        .is_ok()
}

const PROBE: &str = ".probe";

/// Impaired devices that are told by name.
const MAX_NAMED: usize = 16;

/// More than these are no matter of single devices.
const MAX_IMPAIRED: usize = 10_000;
