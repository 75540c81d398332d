//! How the listeners stop, and then the connections.

use std::time::Duration;

use axum_server::Control;
use tokio::time::{Instant, timeout};
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use tokio_util::task::task_tracker::TaskTrackerToken;

/// Shared by all listeners and connections. `Control` is created here and nowhere else.
#[derive(Clone, Debug, Default)]
pub(super) struct Shutdown {
    control: Control,
    stopping: CancellationToken,
    unread: TaskTracker,
    open: TaskTracker,
}

/// Keeps a stop waiting, and tells of it.
#[derive(Debug)]
pub(super) struct UnreadToken {
    pub(super) token: TaskTrackerToken,
    pub(super) stopping: CancellationToken,
}

impl Shutdown {
    /// What axum-server's handles are made with.
    pub(super) fn control(&self) -> Control {
        self.control.clone()
    }

    /// Cancelled when the listeners are to close.
    pub(super) fn stopping(&self) -> &CancellationToken {
        &self.stopping
    }

    /// For a listener that is open, and a connection whose first request may be there unread.
    pub(super) fn unread_token(&self) -> UnreadToken {
        UnreadToken {
            token: self.unread.token(),
            stopping: self.stopping.clone(),
        }
    }

    /// For a connection that is open.
    pub(super) fn open_token(&self) -> TaskTrackerToken {
        self.open.token()
    }

    /// Closes the listeners, lets what they had accepted send its first request, and only then
    /// tells axum-server, which drops connections without a request at once. Completes when every
    /// connection has ended, at the latest after `max`.
    pub(super) async fn drain(&self, max: Duration) {
        let deadline = Instant::now() + max;
        self.stopping.cancel();
        self.unread.close();
        let _ = timeout(FIRST_REQUEST_TIMEOUT.min(max), self.unread.wait()).await;
        let rest = deadline.saturating_duration_since(Instant::now());
        self.control.graceful_shutdown(Some(rest));
        self.open.close();
        if timeout(rest, self.open.wait()).await.is_err() {
            self.control.shutdown();
            let _ = timeout(CUT_OFF_TIMEOUT, self.open.wait()).await;
        }
    }
}

/// Enough for a handshake over bad Wi-Fi; clients that have sent nothing are not waited for.
const FIRST_REQUEST_TIMEOUT: Duration = Duration::from_secs(2);

/// Connections that are cut off only have to be dropped.
const CUT_OFF_TIMEOUT: Duration = Duration::from_secs(1);
