//! Whether a certificate arrived, as far as a server can know.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Sleep, sleep};

use crate::connection::Connection;

/// Sees when HTTP's answers have been handed to the kernel, and the next sign of the client.
///
/// Where the connection ends with a download, its end waits a moment for the client's: a reset says
/// that not all was taken. So it does where the client may still be sending what was refused: the
/// system resets a connection whose bytes nobody reads, and the client could lose the answer with it.
pub(in crate::server) struct Downloads<S> {
    stream: S,
    connection: Arc<Connection>,
    /// Set once the connection has ended on this side.
    waiting: Option<Pin<Box<Sleep>>>,
}

impl<S> Downloads<S> {
    pub(in crate::server) fn new(stream: S, connection: Arc<Connection>) -> Self {
        Self {
            stream,
            connection,
            waiting: None,
        }
    }

    fn note(&self, read: &io::Result<()>) {
        match read {
            Ok(()) => self.connection.download.acknowledged(),
            // An end without TLS's close_notify.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
                self.connection.download.acknowledged();
            }
            Err(_) => self.connection.download.failed(),
        }
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for Downloads<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let read = ready!(Pin::new(&mut self.stream).poll_read(context, buffer));
        self.note(&read);
        Poll::Ready(read)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for Downloads<S> {
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

    /// HTTP has written all that it has before it flushes.
    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.stream).poll_flush(context))?;
        self.connection.download.sent();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.waiting.is_none() {
            ready!(Pin::new(&mut self.stream).poll_shutdown(context))?;
            if !self.connection.download.is_sent() && !self.connection.state.is_cut_short() {
                return Poll::Ready(Ok(()));
            }
            self.waiting = Some(Box::pin(sleep(END_TIMEOUT)));
        }
        // First, or a client that never ends would not let it be looked at.
        if let Some(waiting) = &mut self.waiting
            && waiting.as_mut().poll(context).is_ready()
        {
            return Poll::Ready(Ok(()));
        }
        loop {
            let mut bytes = [0; 1024];
            let mut buffer = ReadBuf::new(&mut bytes);
            let read = ready!(self.as_mut().poll_read(context, &mut buffer));
            if read.is_err() || buffer.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

/// For how long a client may take to end its side, once it has everything.
const END_TIMEOUT: Duration = Duration::from_secs(5);
