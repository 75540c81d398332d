//! Who is told what happens to the files.

use std::path::Path;

use crate::DeviceId;

/// Told of changes by the thread that makes them, so it must not wait for anything but its own
/// files. The deliverer of the webhook is one.
pub trait StoreObserver: Send + Sync {
    /// Lines of this device are durable.
    fn appended(&self, device: DeviceId);

    /// A month's file has become older than audits are kept, and is removed next.
    fn removing(&self, month: &Path);
}

/// Nobody.
impl StoreObserver for () {
    fn appended(&self, _device: DeviceId) {}

    fn removing(&self, _month: &Path) {}
}
