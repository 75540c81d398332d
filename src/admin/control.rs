//! What the daemon lends to the pages and the API: its configuration, and its reload.

use std::sync::Arc;

use arc_swap::ArcSwap;
use jiff::Timestamp;
use miette::Diagnostic;
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};

use crate::config::Config;
use crate::reload_outcome::{ReloadOutcome, ReloadRefusal};
use engage_wire::clock;

/// The running daemon, as far as requests on the admin listener may use it.
#[derive(Debug)]
pub(crate) struct Control {
    config: ArcSwap<Config>,
    last_reload: Mutex<Option<(Timestamp, Arc<ReloadOutcome>)>>,
    requests: mpsc::Sender<ReloadRequest>,
}

/// Somebody who waits for the outcome of a reload.
pub(crate) type ReloadRequest = oneshot::Sender<Arc<ReloadOutcome>>;

impl Control {
    /// Of a daemon that serves `config`, and the requests for a reload that it has to answer.
    pub(crate) fn new(config: Config) -> (Self, mpsc::Receiver<ReloadRequest>) {
        let (requests, receiver) = mpsc::channel(MAX_REQUESTS);
        let control = Self {
            config: ArcSwap::from_pointee(config),
            last_reload: Mutex::default(),
            requests,
        };
        (control, receiver)
    }

    /// The configuration in force. What is only read at start is as it was then.
    pub(crate) fn config(&self) -> Arc<Config> {
        self.config.load_full()
    }

    /// Has the daemon read its files again, and waits for the outcome.
    pub(crate) async fn reload(&self) -> Arc<ReloadOutcome> {
        let (request, outcome) = oneshot::channel();
        let stopping = || Arc::new(ReloadOutcome::refused(ReloadRefusal::new(&Stopping)));
        if self.requests.send(request).await.is_err() {
            return stopping();
        }
        outcome.await.unwrap_or_else(|_| stopping())
    }

    /// Completes when the daemon drains.
    pub(crate) async fn stopping(&self) {
        self.requests.closed().await;
    }

    /// When files were read last, since the start, and what became of it.
    pub(crate) fn last_reload(&self) -> Option<(Timestamp, Arc<ReloadOutcome>)> {
        self.last_reload.lock().clone()
    }

    /// Says what became of a reload.
    pub(crate) fn set_last_reload(&self, outcome: Arc<ReloadOutcome>) {
        *self.last_reload.lock() = Some((clock::now(), outcome));
    }

    /// Puts a configuration in the place of the one in force, which is returned.
    pub(crate) fn replace_config(&self, config: Config) -> Arc<Config> {
        self.config.swap(Arc::new(config))
    }
}

/// The daemon drains.
#[derive(Debug, Diagnostic, thiserror::Error)]
#[error("the daemon is stopping")]
#[diagnostic(code("stopping"), help("ask again when it has started"))]
struct Stopping;

/// Each is answered in its turn.
const MAX_REQUESTS: usize = 16;
