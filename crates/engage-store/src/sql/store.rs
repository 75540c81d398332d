//! The store: opened once, shared by all routes.

use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use parking_lot::Mutex;
use sqlx::AnyConnection;
use tokio::runtime::{Builder, Handle};
use tokio::sync::{Semaphore, mpsc, oneshot};
use tracing::error;

use super::address::DatabaseUrl;
use super::append::{Upload, UploadBody};
use super::catch_panic::panicked;
use super::engine::{beside, directory_of};
use super::observations::Observed;
use super::options::SqlOptions;
use super::shared::{Reply, Shared};
use super::tasks::{Opened, run};
use super::writer::QueuedUpload;
use crate::owner_lock::OwnerLock;
use crate::regular::require_regular;
use crate::{AppendOutcome, Call, EventKind, KeepDays, OpenError, StoreError};

/// The store over a database.
///
/// It has a thread of its own, on which all its tasks run: whoever calls waits for them there, and
/// certificates are served by other threads. Dropping it waits until everything that was accepted
/// is written, but not for a database that hangs.
pub struct SqlStore {
    pub(super) shared: Arc<Shared>,
    runtime: Handle,
    uploads: Option<mpsc::Sender<QueuedUpload>>,
    pub(super) observed: Option<mpsc::Sender<Observed>>,
    room: Arc<Semaphore>,
    /// Nothing is ever sent; disconnected when the thread has ended.
    ended: Mutex<Receiver<()>>,
}

impl SqlStore {
    /// Connects, and brings the schema up to date. Blocks for some seconds at most, but for a
    /// migration.
    pub fn open(options: SqlOptions, keep: KeepDays) -> Result<Self, OpenError> {
        let lock = claim(&options.url)?;
        let (opened, opening) = sync_channel(1);
        let (ending, ended) = sync_channel(0);
        let thread = thread::Builder::new().name("store".into()).spawn(move || {
            let _ending: SyncSender<()> = ending;
            let runtime = match Builder::new_current_thread().enable_all().build() {
                Ok(runtime) => runtime,
                Err(source) => {
                    let _ = opened.send(Err(OpenError::unusable(Path::new("/"), source)));
                    return;
                }
            };
            runtime.block_on(run(options, lock, keep, |it| opened.send(it).is_ok()));
        });
        thread.map_err(|source| OpenError::unusable(Path::new("/"), source))?;
        let opened = opening.recv().unwrap_or_else(|_| {
            let source = std::io::Error::other("its thread has ended");
            Err(OpenError::unusable(Path::new("/"), source))
        });
        let Opened {
            shared,
            runtime,
            uploads,
            observed,
        } = opened?;
        Ok(Self {
            shared,
            runtime,
            uploads: Some(uploads),
            observed: Some(observed),
            room: Arc::new(Semaphore::new(QUEUE_KIB as usize)),
            ended: Mutex::new(ended),
        })
    }

    /// Waits for a place in the next transaction; not when there is none.
    pub(super) async fn upload(
        &self,
        upload: Upload,
        stored_bytes: usize,
    ) -> Result<AppendOutcome, StoreError> {
        self.shared.check_room(upload.call.is_registered())?;
        let weight_kib = u32::try_from(stored_bytes / 1024 + 1).unwrap_or(u32::MAX);
        let room = Arc::clone(&self.room)
            .try_acquire_many_owned(weight_kib.min(QUEUE_KIB))
            .map_err(|_| StoreError::Busy)?;
        let (answer, acknowledged) = oneshot::channel();
        let waiting = QueuedUpload {
            upload,
            answer,
            _room: room,
        };
        let queue = self.uploads.as_ref().ok_or(StoreError::Closed)?;
        queue.try_send(waiting).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => StoreError::Busy,
            mpsc::error::TrySendError::Closed(_) => StoreError::Closed,
        })?;
        acknowledged.await.unwrap_or_else(|_| {
            // The writer answers all that it takes, unless it panics.
            let message = "see the log".into();
            Err(StoreError::Panicked { message })
        })
    }

    pub(super) async fn append(
        &self,
        call: &Call,
        kind: EventKind,
        batch: crate::record::UploadedEvents,
    ) -> Result<AppendOutcome, StoreError> {
        let stored_bytes = batch.stored_bytes();
        let body = UploadBody::Events(kind, batch);
        let upload = Upload { call: *call, body };
        self.upload(upload, stored_bytes).await
    }

    /// Reads on the store's thread.
    pub(super) async fn reading<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut AnyConnection) -> Reply<'a, T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        self.run(async move { shared.read(work).await }).await
    }

    /// Writes on the store's thread: all of it, durably, or nothing.
    pub(super) async fn writing<T: Send + 'static>(
        &self,
        work: impl for<'a> FnOnce(&'a mut AnyConnection) -> Reply<'a, T> + Send + 'static,
    ) -> Result<T, StoreError> {
        let shared = Arc::clone(&self.shared);
        self.run(async move { shared.write(work).await }).await
    }

    /// Runs work on the store's thread.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl Future<Output = Result<T, StoreError>> + Send + 'static,
    ) -> Result<T, StoreError> {
        let done = self.runtime.spawn(work).await;
        done.unwrap_or_else(|error| match error.try_into_panic() {
            Ok(thrown) => Err(panicked(&*thrown)),
            Err(_) => Err(StoreError::Closed),
        })
    }
}

/// A SQLite file is owned by one process; a server keeps its hosts apart itself.
fn claim(url: &DatabaseUrl) -> Result<Option<OwnerLock>, OpenError> {
    let DatabaseUrl::Sqlite(file) = url else {
        return Ok(None);
    };
    let directory = directory_of(file);
    crate::mode::create_dir(directory).map_err(|source| OpenError::unusable(directory, source))?;
    for file in [file.clone(), beside(file, "-wal"), beside(file, "-shm")] {
        require_regular(&file).map_err(|source| OpenError::unusable(&file, source))?;
    }
    OwnerLock::acquire(directory).map(Some)
}

impl Drop for SqlStore {
    fn drop(&mut self) {
        // Without senders the thread finishes what it has, and ends.
        self.uploads = None;
        self.observed = None;
        if self.ended.get_mut().recv_timeout(END_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
            error!(
                "the device store does not end: its database hangs; what it was writing was not acknowledged"
            );
        }
    }
}

/// Bodies that wait for the database: 64 MiB in all.
const QUEUE_KIB: u32 = 64 * 1024;

/// A database that hangs does not keep the daemon from ending.
const END_TIMEOUT: Duration = Duration::from_secs(3);
