//! Connections whose first request may have been sent but not yet read.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::task::task_tracker::TaskTrackerToken;

use crate::connection::{ConnectionState, Phase};

/// Keeps a stop waiting until the first request has been read, or until it is known that the
/// client has sent nothing: a handshake that has begun is waited for, a silent client is not.
#[derive(Debug)]
pub(in crate::server) struct Unread<S> {
    stream: S,
    state: Arc<ConnectionState>,
    token: Option<TaskTrackerToken>,
    is_silent: bool,
}

impl<S> Unread<S> {
    pub(super) fn new(stream: S, token: TaskTrackerToken, state: Arc<ConnectionState>) -> Self {
        Self {
            stream,
            state,
            token: Some(token),
            is_silent: true,
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
        if self.token.is_some() {
            self.is_silent &= read.is_pending();
            if self.is_silent || self.state.phase() != Phase::Handshake {
                self.token = None;
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
