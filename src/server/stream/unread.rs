//! Connections whose first request may have been sent but not yet read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::time::sleep;
use tokio_util::sync::CancellationToken;
use tokio_util::task::task_tracker::TaskTrackerToken;

use super::intercept::Intercept;
use crate::connection::{ConnectionState, Phase};
use crate::server::shutdown::UnreadToken;

/// Keeps a stop waiting until the first request has been read, or until it is known that the
/// client has sent nothing: a handshake that has begun is waited for, a silent client is not.
pub(in crate::server) struct Unread {
    state: Arc<ConnectionState>,
    waiting: Option<ShutdownGuard>,
}

struct ShutdownGuard {
    _token: TaskTrackerToken,
    stopping: CancellationToken,
    has_spoken: bool,
    /// Ready once the daemon is stopping and a client that was about to speak has had its time. Made at
    /// the first read that finds nothing: most clients have sent something by then.
    stopped: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

impl ShutdownGuard {
    fn poll_stopped(&mut self, context: &mut Context<'_>) -> Poll<()> {
        let stopped = self.stopped.get_or_insert_with(|| {
            let stopping = self.stopping.clone();
            Box::pin(async move {
                stopping.cancelled_owned().await;
                sleep(SILENT_CLIENT_TIMEOUT).await;
            })
        });
        stopped.as_mut().poll(context)
    }
}

impl Unread {
    pub(super) fn new(token: UnreadToken, state: Arc<ConnectionState>) -> Self {
        let UnreadToken { token, stopping } = token;
        Self {
            state,
            waiting: Some(ShutdownGuard {
                _token: token,
                stopping,
                has_spoken: false,
                stopped: None,
            }),
        }
    }
}

impl Intercept for Unread {
    fn read(
        &mut self,
        read: Poll<io::Result<()>>,
        _: &mut [u8],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        let phase = self.state.phase();
        if let Some(waiting) = &mut self.waiting {
            let is_over = match read {
                Poll::Ready(_) => {
                    waiting.has_spoken = true;
                    phase != Phase::Handshake
                }
                // The first request was read from what TLS had decrypted before.
                Poll::Pending if !matches!(phase, Phase::Handshake | Phase::ReadingHead) => true,
                Poll::Pending => !waiting.has_spoken && waiting.poll_stopped(context).is_ready(),
            };
            if is_over {
                self.waiting = None;
            }
        }
        read
    }
}

/// From a client's connection to its first byte: curl loads its certificates in between.
const SILENT_CLIENT_TIMEOUT: Duration = Duration::from_millis(250);
