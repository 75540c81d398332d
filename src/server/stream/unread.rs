//! Connections whose first request may have been sent but not yet read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::sleep;
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::connection::{ConnectionState, Phase};
use crate::server::shutdown::UnreadToken;

/// Keeps a stop waiting until the first request has been read, or until it is known that the
/// client has sent nothing: a handshake that has begun is waited for, a silent client is not.
pub(in crate::server) struct Unread<S> {
    stream: S,
    state: Arc<ConnectionState>,
    waiting: Option<Waiting>,
}

struct Waiting {
    _token: TaskTrackerToken,
    has_spoken: bool,
    /// Ready once the daemon is stopping and everything that had arrived by then can be read.
    stopped: Pin<Box<dyn Future<Output = ()> + Send>>,
}

impl<S> Unread<S> {
    pub(super) fn new(stream: S, token: UnreadToken, state: Arc<ConnectionState>) -> Self {
        let UnreadToken { token, stopping } = token;
        let stopped = Box::pin(async move {
            stopping.cancelled_owned().await;
            // The runtime looks at sockets before it looks at timers.
            sleep(Duration::from_millis(1)).await;
        });
        Self {
            stream,
            state,
            waiting: Some(Waiting {
                _token: token,
                has_spoken: false,
                stopped,
            }),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Unread<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        let phase = self.state.phase();
        if let Some(waiting) = &mut self.waiting {
            let is_over = match read {
                Poll::Ready(_) => {
                    waiting.has_spoken = true;
                    phase != Phase::Handshake
                }
                // The first request was read from what TLS had decrypted before.
                Poll::Pending if !matches!(phase, Phase::Handshake | Phase::ReadingHead) => true,
                Poll::Pending => {
                    !waiting.has_spoken && waiting.stopped.as_mut().poll(context).is_ready()
                }
            };
            if is_over {
                self.waiting = None;
            }
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for Unread<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(context, slices)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
