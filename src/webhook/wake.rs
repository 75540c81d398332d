//! What the store says to the deliverer: something was appended.

use std::collections::HashSet;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use tokio::sync::Notify;
use tracing::error;

use super::undelivered;
use engage_store::DeviceId;
use engage_store::files::StoreObserver;

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

impl StoreObserver for Wake {
    fn appended(&self, device: DeviceId) {
        let mut devices = self.devices.lock().unwrap_or_else(PoisonError::into_inner);
        devices.insert(device);
        drop(devices);
        self.notify.notify_one();
    }

    /// Retention comes first: a receiver that everybody has forgotten must not fill the disk. But
    /// not without a word.
    fn removing(&self, month: &Path) {
        let path = month.display();
        match undelivered(month) {
            Ok(0) => {}
            Ok(events) => error!(
                events,
                "{events} events in `{path}` are removed without having been delivered: the receiver has been refusing them for as long as audits are kept"
            ),
            Err(error) => error!(
                "`{path}` is removed, and how much of it was delivered cannot be read: {error}"
            ),
        }
    }
}

impl Wake {
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
