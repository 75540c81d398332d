//! The last answer of a connection, sent together with the connection's end.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::connection::{ConnectionState, Phase};
use crate::platform;

/// Keeps an answer after which the connection ends back until the end can leave with it: with
/// TLS's `close_notify` and TCP's FIN it is one segment instead of three, each of which costs more
/// than what is ours in a request (docs/PERFORMANCE.md).
///
/// Nothing stays here for long: whoever flushes is woken to be polled again, and what outlasts two
/// flushes, of the answer and of the end, is sent. A read sends it too.
#[derive(Debug)]
pub(in crate::server) struct Corked {
    socket: TcpStream,
    state: Arc<ConnectionState>,
    held: BytesMut,
    flushes: u8,
}

impl Corked {
    pub(super) fn new(socket: TcpStream, state: Arc<ConnectionState>) -> Self {
        Self {
            socket,
            state,
            held: BytesMut::new(),
            flushes: 0,
        }
    }

    fn may_hold(&self, length: usize) -> bool {
        self.state.phase() == Phase::Closing && self.held.len() + length <= MAX_HELD_BYTES
    }

    /// Notes a flush; whether what is held may stay nevertheless.
    fn may_defer_flush(&mut self) -> bool {
        if self.held.is_empty() {
            return false;
        }
        self.flushes = self.flushes.saturating_add(1);
        self.flushes <= MAX_DEFERRED_FLUSHES
    }

    /// Hands what is held to the kernel to leave with the FIN, which must follow at once.
    fn send_with_fin(&mut self) -> io::Result<()> {
        if !self.held.is_empty() {
            let sent = platform::send_before_end(&self.socket, &self.held)?;
            self.sent(sent);
        }
        Ok(())
    }

    /// Sends what is held.
    fn poll_release(&mut self, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.held.is_empty() {
            match ready!(Pin::new(&mut self.socket).poll_write(context, &self.held))? {
                0 => return Poll::Ready(Err(io::ErrorKind::WriteZero.into())),
                sent => self.sent(sent),
            }
        }
        Poll::Ready(Ok(()))
    }

    fn sent(&mut self, length: usize) {
        self.held.advance(length);
        if self.held.is_empty() {
            // An idle connection keeps no buffer.
            self.held = BytesMut::new();
            self.flushes = 0;
        }
    }
}

impl Drop for Corked {
    /// After a request to CONNECT hyper ends a connection without its shutdown.
    fn drop(&mut self) {
        if !self.held.is_empty() {
            // At once: the end may be a reset, which takes back what waits for it.
            let _ = self.socket.try_write(&self.held);
        }
    }
}

impl AsyncRead for Corked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_release(context))?;
        Pin::new(&mut self.socket).poll_read(context, buffer)
    }
}

impl AsyncWrite for Corked {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.may_hold(bytes.len()) {
            self.held.extend_from_slice(bytes);
            return Poll::Ready(Ok(bytes.len()));
        }
        ready!(self.poll_release(context))?;
        Pin::new(&mut self.socket).poll_write(context, bytes)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let length = slices.iter().map(|slice| slice.len()).sum();
        if self.may_hold(length) {
            for slice in slices {
                self.held.extend_from_slice(slice);
            }
            return Poll::Ready(Ok(length));
        }
        ready!(self.poll_release(context))?;
        let socket = Pin::new(&mut self.socket);
        match slices {
            // `send`, which costs the kernel less than `writev`: a short TLS answer is one record.
            [one] => socket.poll_write(context, one),
            _ => socket.poll_write_vectored(context, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        self.socket.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.may_defer_flush() {
            context.waker().wake_by_ref();
            return Poll::Ready(Ok(()));
        }
        ready!(self.poll_release(context))?;
        Pin::new(&mut self.socket).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        // What this does not send, or fails to, is tried again in the ordinary way.
        let _ = self.send_with_fin();
        ready!(self.poll_release(context))?;
        Pin::new(&mut self.socket).poll_shutdown(context)
    }
}

/// One after the answer is written, and one with which the end begins.
const MAX_DEFERRED_FLUSHES: u8 = 2;

/// Answers of the certificate routes are shorter.
const MAX_HELD_BYTES: usize = 8192;
