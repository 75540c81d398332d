//! The thread that keeps the copies in files up to date, behind the commit.
//!
//! A disk that fails or hangs holds up this thread and nobody else.

mod queries;
mod store_thread;
mod writer;

use std::path::PathBuf;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::sync::{oneshot, watch};
use tokio::time::timeout;
use tracing::error;

use super::copies::Copies;
use super::shared::Shared;
use crate::KeepDays;
use store_thread::StoreThread;
use writer::Writer;

pub(super) use queries::{commit, config, month, page};

/// The handle of the thread that copies the store into the files.
pub(super) struct JsonFiles {
    finish: watch::Sender<bool>,
    /// Nothing is ever sent; closed when the thread has ended.
    ended: oneshot::Receiver<()>,
}

impl JsonFiles {
    /// Must be called inside the store's runtime. `root` is the directory of devices.
    pub(super) fn start(
        shared: &Arc<Shared>,
        copies: &Arc<Copies>,
        root: PathBuf,
        keep: KeepDays,
    ) -> Self {
        let (finish, finishing) = watch::channel(false);
        let (ending, ended) = oneshot::channel::<()>();
        let store = StoreThread::new(Arc::clone(shared), finishing);
        let copies = Arc::clone(copies);
        let thread = thread::Builder::new().name("json-files".into());
        let spawned = thread.spawn(move || {
            let _ending = ending;
            if let Some(writer) = Writer::open(store, copies, root, keep) {
                writer.run();
            }
        });
        if let Err(error) = spawned {
            error!(
                "JSON files of devices are not written: failed to start a thread: {error}; hint: restart engage-host"
            );
        }
        Self { finish, ended }
    }

    /// Has what is stored copied, but waits for no disk that hangs.
    pub(super) async fn finish(self) {
        self.finish.send_replace(true);
        let _ = timeout(FINISH_TIMEOUT, self.ended).await;
    }
}

/// What is left is copied after the next start.
const FINISH_TIMEOUT: Duration = Duration::from_millis(1500);
