//! Whether the disk takes what is written to it, and for which device it does not.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use engage_wire::diagnostic::{causes, one_line};
use parking_lot::Mutex;
use tracing::{error, info, warn};

use super::device_dirs::DeviceDirs;
use crate::{DeviceId, Health, StoreError, StoreWarning};

/// Set by the last writes, whoever made them.
pub(super) struct HealthMonitor {
    pub(super) dirs: Arc<DeviceDirs>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Why nothing can be written.
    failing: Option<String>,
    /// Devices whose own folder cannot be read or written, and why.
    impaired: BTreeMap<DeviceId, (Part, String)>,
}

/// What is written of a device. That its record can be replaced says nothing about its events.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Part {
    Events,
    Others,
}

impl HealthMonitor {
    pub(super) fn new(dirs: Arc<DeviceDirs>) -> Self {
        Self {
            dirs,
            state: Mutex::default(),
        }
    }

    pub(super) fn get(&self) -> Health {
        let reason = self.state.lock().failing.clone();
        reason.map_or(Health::Writable, |reason| Health::Failing { reason })
    }

    pub(super) fn warnings(&self) -> Vec<StoreWarning> {
        let state = self.state.lock();
        let named = state.impaired.iter().take(MAX_NAMED);
        let mut warnings: Vec<_> = named
            .map(|(device, (_, reason))| StoreWarning::Device {
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
    pub(super) fn failed(&self, device: DeviceId, what: Part, failure: &StoreError) {
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
        if is_of_disk || !self.can_write() {
            self.fail(causes(failure));
        } else {
            self.impair(device, what, failure);
        }
    }

    fn fail(&self, reason: String) {
        let mut state = self.state.lock();
        if state.failing.is_none() {
            error!(
                reason,
                "the device store cannot be written; nothing is acknowledged"
            );
        }
        state.failing = Some(reason);
    }

    /// Notes that one device's records cannot be read or written.
    pub(super) fn impair(&self, device: DeviceId, what: Part, failure: &StoreError) {
        let mut state = self.state.lock();
        if what == Part::Others && state.events_fail(device) {
            return;
        }
        if state.impaired.len() >= MAX_IMPAIRED && !state.impaired.contains_key(&device) {
            return;
        }
        if !state.impaired.contains_key(&device) {
            let failure = one_line(failure);
            warn!(%device, "records of device {device} cannot be read or written; its call-ins are answered 503, those of others are stored: {failure}");
        }
        state.impaired.insert(device, (what, causes(failure)));
    }

    /// Notes that something of a device was stored.
    pub(super) fn stored(&self, device: DeviceId, what: Part) {
        self.recovered();
        let mut state = self.state.lock();
        if what == Part::Others && state.events_fail(device) {
            return;
        }
        if state.impaired.remove(&device).is_some() {
            info!(%device, "records of device {device} can be written again");
        }
    }

    /// Looks whether the directory is still ours, and tries a failing disk, so that readiness tells
    /// even when no device calls.
    pub(super) fn probe(&self) {
        match self.dirs.owned() {
            Err(failure) => self.fail(causes(&failure)),
            Ok(_) if self.get() != Health::Writable && self.can_write() => self.recovered(),
            Ok(_) => {}
        }
    }

    fn can_write(&self) -> bool {
        let probe = self.dirs.root().join(PROBE);
        let text = b"engage-host tried to write here\n";
        self.dirs.owned().is_ok() && self.dirs.disk.replace(&probe, text).is_ok()
    }

    fn recovered(&self) {
        if self.state.lock().failing.take().is_some() {
            info!("the device store can be written again");
        }
    }
}

impl State {
    fn events_fail(&self, device: DeviceId) -> bool {
        matches!(self.impaired.get(&device), Some((Part::Events, _)))
    }
}

const PROBE: &str = ".probe";

/// Impaired devices that are told by name.
const MAX_NAMED: usize = 16;

/// More than these are no matter of single devices.
const MAX_IMPAIRED: usize = 10_000;
