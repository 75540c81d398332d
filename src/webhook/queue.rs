//! Which device is delivered next.

use std::collections::{BTreeSet, HashMap, VecDeque};

use tokio::time::Instant;

use super::job::RetryState;
use engage_store::DeviceId;

/// The devices with undelivered events. Each stands in one place only: it is ready, it waits for
/// its backoff, or its job runs.
#[derive(Debug, Default)]
pub(super) struct DeviceQueue {
    /// Devices of which nothing is known to be refused: they come first.
    ready: VecDeque<DeviceId>,
    /// Devices whose last delivery was refused.
    retrying: VecDeque<DeviceId>,
    backing_off: BTreeSet<(Instant, DeviceId)>,
    devices: HashMap<DeviceId, Entry>,
}

#[derive(Debug, Default)]
struct Entry {
    /// Something was appended while the job ran.
    is_appended: bool,
    state: RetryState,
}

impl DeviceQueue {
    /// Something was appended, or found.
    pub(super) fn add(&mut self, device: DeviceId) {
        if let Some(entry) = self.devices.get_mut(&device) {
            entry.is_appended = true;
        } else {
            self.devices.insert(device, Entry::default());
            self.ready.push_back(device);
        }
    }

    /// The device whose job is to start, with what its last job left.
    pub(super) fn pop(&mut self, may_retry: bool) -> Option<(DeviceId, RetryState)> {
        let device = match self.ready.pop_front() {
            Some(device) => device,
            None if may_retry => self.retrying.pop_front()?,
            None => return None,
        };
        let entry = self.devices.entry(device).or_default();
        entry.is_appended = false;
        Some((device, std::mem::take(&mut entry.state)))
    }

    /// Its job ended and more may wait: to the end of its queue.
    pub(super) fn requeue(&mut self, device: DeviceId, state: RetryState) {
        let queue = if state.is_refused() {
            &mut self.retrying
        } else {
            &mut self.ready
        };
        queue.push_back(device);
        self.devices.entry(device).or_default().state = state;
    }

    /// Its job ended, and the next is to wait.
    pub(super) fn back_off(&mut self, device: DeviceId, state: RetryState, until: Instant) {
        self.backing_off.insert((until, device));
        self.devices.entry(device).or_default().state = state;
    }

    /// Its job ended because nothing waits any more.
    pub(super) fn drained(&mut self, device: DeviceId, state: RetryState) {
        if self.devices.get(&device).is_some_and(|it| it.is_appended) {
            self.requeue(device, state);
        } else {
            self.devices.remove(&device);
        }
    }

    /// When the first backoff is over.
    pub(super) fn next_retry_at(&self) -> Option<Instant> {
        self.backing_off.first().map(|(until, _)| *until)
    }

    /// Makes ready what has waited long enough.
    pub(super) fn end_backoff(&mut self, now: Instant) {
        while let Some((until, device)) = self.backing_off.first().copied()
            && until <= now
        {
            self.backing_off.pop_first();
            let entry = self.devices.entry(device).or_default();
            let state = std::mem::take(&mut entry.state);
            self.requeue(device, state);
        }
    }
}
