//! What the store says to the deliverer: something was appended.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;

use crate::devices::DeviceId;

/// The devices for which something may wait. Shared by the store, which tells, and [`run`], which
/// asks.
///
/// A hint only: what is lost here is found by the next scan.
///
/// [`run`]: super::run
#[derive(Debug, Default)]
pub struct Wake {
    /// A few dozen bytes for each device that the store knows.
    devices: Mutex<HashSet<DeviceId>>,
    notify: Notify,
}

impl Wake {
    /// To be called when lines of this device are durable. Never waits.
    pub fn appended(&self, device: DeviceId) {
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        devices.insert(device);
        drop(devices);
        self.notify.notify_one();
    }

    /// Completes when there is at least one; there is one caller only.
    pub(super) async fn woken(&self) -> HashSet<DeviceId> {
        loop {
            let woken = {
                let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
                std::mem::take(&mut *devices)
            };
            if !woken.is_empty() {
                return woken;
            }
            self.notify.notified().await;
        }
    }
}
