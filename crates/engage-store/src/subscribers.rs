//! The subscribers of the event log in this process, and how they are woken.

use parking_lot::RwLock;

use crate::{AppendedDevices, DeviceId, Subscriber};

#[derive(Default)]
pub(crate) struct Subscribers(RwLock<Vec<(Subscriber, AppendedDevices)>>);

impl Subscribers {
    pub(crate) fn add(&self, subscriber: Subscriber, appended: AppendedDevices) {
        self.0.write().push((subscriber, appended));
    }

    pub(crate) fn all(&self) -> Vec<Subscriber> {
        self.0
            .read()
            .iter()
            .map(|(subscriber, _)| *subscriber)
            .collect()
    }

    /// Tells everybody of a device.
    pub(crate) fn notify(&self, device: DeviceId) {
        for (_, appended) in &*self.0.read() {
            appended.add(device);
        }
    }
}
