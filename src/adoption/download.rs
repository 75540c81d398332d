//! A certificate on its way, which counts once its last byte was taken.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use parking_lot::Mutex;

use super::Sightings;
use engage_store::CertificateFetch;

/// The answer that is on its way on a connection, if it is a certificate.
///
/// It counts when the whole answer was handed to the kernel and the client then gave a sign: its next
/// request, or its end. A reset, a connection that fails before, and silence do not count: nobody
/// knows what arrived. A client that had closed its sending side before has no sign left to
/// give; there, that all of it was handed over and no reset came by then is all that can be known.
#[derive(Debug, Default)]
pub(crate) struct PendingDownload {
    /// Nearly always [`NONE`], which is all that most connections ever look at.
    stage: AtomicU8,
    download: Mutex<Option<Box<Download>>>,
}

/// Which certificate is fetched, by whom.
pub(crate) struct Download {
    /// Where it is recorded.
    pub(crate) sightings: Arc<Sightings>,
    /// What is fetched.
    pub(crate) fetch: CertificateFetch,
}

impl fmt::Debug for Download {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.fetch.fmt(f)
    }
}

impl PendingDownload {
    /// The answer is about to be written.
    pub(crate) fn begin(&self, download: Download) {
        *self.download.lock() = Some(Box::new(download));
        self.stage.store(ANSWERED, Ordering::Relaxed);
    }

    /// Whatever was to be written has been handed to the kernel.
    pub(crate) fn sent(&self) {
        if self.stage.load(Ordering::Relaxed) == ANSWERED {
            self.stage.store(SENT, Ordering::Relaxed);
        }
    }

    /// Whether a sign of the client is waited for.
    pub(crate) fn is_sent(&self) -> bool {
        self.stage.load(Ordering::Relaxed) == SENT
    }

    /// The client gave a sign.
    pub(crate) fn acknowledged(&self) {
        if self.is_sent()
            && let Some(download) = self.take()
        {
            download.sightings.fetched(download.fetch);
        }
    }

    /// The connection has failed.
    pub(crate) fn failed(&self) {
        if self.stage.load(Ordering::Relaxed) != NONE {
            self.take();
        }
    }

    fn take(&self) -> Option<Box<Download>> {
        self.stage.store(NONE, Ordering::Relaxed);
        self.download.lock().take()
    }
}

// One task polls the socket and the routes, so no other memory depends on the order.
const NONE: u8 = 0;
const ANSWERED: u8 = 1;
const SENT: u8 = 2;
