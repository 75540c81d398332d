//! What the store says to the deliverer: something was appended.

use std::collections::HashSet;

use engage_store::{AppendedDevices, DeviceId};

/// The devices for which something may wait. Shared by the store, which tells, and [`run`], which
/// asks.
///
/// A hint only: what is lost here is found by the next scan.
///
/// [`run`]: super::run
#[derive(Debug, Default)]
pub struct Wake(AppendedDevices);

impl Wake {
    /// What the store tells.
    #[must_use]
    pub fn devices(&self) -> AppendedDevices {
        self.0.clone()
    }

    pub(super) fn appended(&self, device: DeviceId) {
        self.0.add(device);
    }

    /// Completes when there is at least one; there is one caller only.
    pub(super) async fn woken(&self) -> HashSet<DeviceId> {
        self.0.next().await
    }
}
