//! The store, asked from another thread.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use sqlx::AnyConnection;
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};
use tokio::time::sleep;

use super::super::shared::{Reply, Shared};
use super::queries;
use crate::json_files::cursor::CopyCursor;
use crate::json_files::directory_id::DirectoryId;
use crate::json_files::month::Month;
use crate::json_files::source::{DeviceChanges, FiledEvent, Source};
use crate::owner_lock::OwnerLock;
use crate::{AppendedDevices, DeviceId, EventKind, OpenError, StoreError, mode};

/// Blocks for what runs on the store's own thread. When that has ended, everything is
/// [`StoreError::Closed`].
pub(super) struct StoreThread {
    shared: Arc<Shared>,
    runtime: Handle,
    finishing: watch::Receiver<bool>,
}

impl StoreThread {
    /// Must be called inside the store's runtime.
    pub(super) fn new(shared: Arc<Shared>, finishing: watch::Receiver<bool>) -> Self {
        Self {
            shared,
            runtime: Handle::current(),
            finishing,
        }
    }

    pub(super) fn is_finishing(&self) -> bool {
        *self.finishing.borrow()
    }

    pub(super) fn read<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut AnyConnection) -> Reply<'a, T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        self.wait(async move { shared.read(work).await })
    }

    pub(super) fn warn_of_left_out(&self, left_out: Vec<String>) {
        self.shared.warn_of_left_out(left_out);
    }

    pub(super) fn commit(
        &self,
        id: DirectoryId,
        cursors: Vec<(DeviceId, CopyCursor)>,
    ) -> Result<(), StoreError> {
        if cursors.is_empty() {
            return Ok(());
        }
        let shared = Arc::clone(&self.shared);
        self.wait(async move {
            let written = shared.write(|connection| {
                Box::pin(
                    async move { queries::commit(connection, &id.to_string(), &cursors).await },
                )
            });
            written.await
        })
    }

    /// The folders of these devices hold no copies any more.
    pub(super) fn forget(&self, id: DirectoryId, devices: Vec<DeviceId>) -> Result<(), StoreError> {
        let shared = Arc::clone(&self.shared);
        self.wait(async move {
            let forgotten = shared.write(|connection| {
                Box::pin(
                    async move { queries::forget(connection, &id.to_string(), &devices).await },
                )
            });
            forgotten.await
        })
    }

    /// The directory's lock, unless the store has it already: two that write there would undo each
    /// other's work. The directory of the store's own file is the store's to lock: where it was
    /// replaced, a lock that is taken here would keep the store out.
    pub(super) fn own(&self, root: &Path) -> Result<Option<OwnerLock>, OpenError> {
        let (shared, directory) = (Arc::clone(&self.shared), root.to_owned());
        let owns = self.wait(async move { Ok(shared.owns(&directory).await) });
        if owns.unwrap_or(false) {
            return Ok(None);
        }
        if self.shared.is_beside_database(root) {
            let source = io::Error::other("it was replaced, and the store does not have it yet");
            return Err(OpenError::unusable(root, source));
        }
        mode::create_dir(root).map_err(|source| OpenError::unusable(root, source))?;
        OwnerLock::acquire(root).map(Some)
    }

    /// Waits until a device has changed, but not longer than that.
    pub(super) fn wait_for_change(
        &self,
        changed: &AppendedDevices,
        longest: Duration,
    ) -> Vec<DeviceId> {
        let (changed, mut finishing) = (changed.clone(), self.finishing.clone());
        let waited = self.wait(async move {
            let devices = tokio::select! {
                devices = changed.next() => devices.into_iter().collect(),
                () = sleep(longest) => Vec::new(),
                _ = finishing.wait_for(|finishing| *finishing) => Vec::new(),
            };
            Ok(devices)
        });
        waited.unwrap_or_default()
    }

    /// Whether it is to finish by now.
    pub(super) fn pause(&self, duration: Duration) -> bool {
        let mut finishing = self.finishing.clone();
        let waited = self.wait(async move {
            tokio::select! {
                () = sleep(duration) => Ok(false),
                _ = finishing.wait_for(|finishing| *finishing) => Ok(true),
            }
        });
        waited.unwrap_or(true)
    }

    /// A runtime that ends forgets the work.
    fn wait<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        self.runtime.spawn(async move {
            let _ = answer.send(work.await);
        });
        answered.blocking_recv().unwrap_or(Err(StoreError::Closed))
    }
}

impl Source for StoreThread {
    fn page(&self, device: DeviceId, after: i64) -> Result<Option<DeviceChanges>, StoreError> {
        self.read(move |connection| Box::pin(queries::page(connection, device, after)))
    }

    fn config(&self, device: DeviceId) -> Result<Option<Vec<u8>>, StoreError> {
        self.read(move |connection| Box::pin(queries::config(connection, device)))
    }

    fn month(
        &self,
        device: DeviceId,
        kind: EventKind,
        month: Month,
        range: (i64, i64),
    ) -> Result<Vec<FiledEvent>, StoreError> {
        self.read(move |connection| {
            Box::pin(queries::month(connection, device, kind, month, range))
        })
    }
}
