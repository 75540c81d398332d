//! What went over a connection before its handshake was done, to explain a failure.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::tls::hello::HELLO_BYTES;

/// Keeps the first bytes received and counts those sent, until [`Self::finish`].
#[derive(Debug)]
pub(in crate::server) struct HandshakeCapture<S> {
    stream: S,
    capture: Option<Box<Capture>>,
}

/// The beginning of a connection.
#[derive(Debug, Default)]
pub(in crate::server) struct Capture {
    /// The first bytes received, at most [`HELLO_BYTES`].
    pub(in crate::server) received: Vec<u8>,
    /// How many bytes were sent.
    pub(in crate::server) sent: usize,
}

impl<S> HandshakeCapture<S> {
    pub(in crate::server) fn start(stream: S) -> Self {
        Self {
            stream,
            capture: Some(Box::default()),
        }
    }

    /// Ends the capture and hands it over.
    pub(in crate::server) fn finish(&mut self) -> Capture {
        self.capture
            .take()
            .map(|capture| *capture)
            .unwrap_or_default()
    }

    fn note_sent(&mut self, written: &Poll<io::Result<usize>>) {
        if let (Some(capture), Poll::Ready(Ok(written))) = (&mut self.capture, written) {
            capture.sent += written;
        }
    }
}

impl Capture {
    fn receive(&mut self, bytes: &[u8]) {
        let room = HELLO_BYTES - self.received.len();
        self.received
            .extend_from_slice(&bytes[..bytes.len().min(room)]);
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for HandshakeCapture<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        if let Some(capture) = &mut self.capture {
            capture.receive(&buffer.filled()[filled..]);
        }
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for HandshakeCapture<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.note_sent(&written);
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.note_sent(&written);
        written
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
