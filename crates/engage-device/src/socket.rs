//! A device's end of a connection: a receive buffer of 4096 bytes, and a battery that may be taken out.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, ReadBuf, Take};
use tokio::net::TcpStream;

use super::ExchangeError;
use engage_wire::limits::MAX_CHAIN_BYTES;

/// A TCP connection as a device has it.
pub(super) struct DeviceSocket {
    stream: Take<TcpStream>,
    power: Power,
    /// Set where the stack closes without a word: nothing is sent from then on.
    muted: Arc<AtomicBool>,
}

impl DeviceSocket {
    pub(super) fn new(stream: TcpStream, power: Power) -> Self {
        Self {
            stream: stream.take(0),
            power,
            muted: Arc::default(),
        }
    }

    fn is_silent(&self) -> bool {
        self.power.is_lost() || self.muted.load(Ordering::Relaxed)
    }

    pub(super) fn muted(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.muted)
    }
}

/// How many more bytes a device receives before it loses power; over all of its connections.
#[derive(Clone, Debug)]
pub(super) struct Power(Arc<AtomicUsize>);

impl Power {
    pub(super) fn steady() -> Self {
        Self::for_bytes(usize::MAX)
    }

    pub(super) fn for_bytes(bytes: usize) -> Self {
        Self(Arc::new(AtomicUsize::new(bytes)))
    }

    pub(super) fn is_lost(&self) -> bool {
        self.0.load(Ordering::Relaxed) == 0
    }

    /// Fails, and ends at once, if it will not last: what is received is not written down then.
    pub(super) fn outlast(&self) -> Result<(), ExchangeError> {
        if self.0.load(Ordering::Relaxed) == usize::MAX {
            return Ok(());
        }
        self.0.store(0, Ordering::Relaxed);
        Err(ExchangeError::Broken { source: lost() })
    }
}

impl AsyncRead for DeviceSocket {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let left = self.power.0.load(Ordering::Relaxed);
        if left == 0 {
            return Poll::Ready(Err(lost()));
        }
        let room = left.min(RECEIVE_BUFFER_BYTES);
        self.stream.set_limit(room as u64);
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        if left != usize::MAX {
            let received = buffer.filled().len() - before;
            self.power.0.store(left - received, Ordering::Relaxed);
        }
        polled
    }
}

impl AsyncWrite for DeviceSocket {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.is_silent() {
            return Poll::Ready(Ok(bytes.len()));
        }
        Pin::new(self.stream.get_mut()).poll_write(context, bytes)
    }

    /// All pieces at once: an alert has to leave with what was queued before it.
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        pieces: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.is_silent() {
            return Poll::Ready(Ok(pieces.iter().map(|piece| piece.len()).sum()));
        }
        Pin::new(self.stream.get_mut()).poll_write_vectored(context, pieces)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(self.stream.get_mut()).poll_shutdown(context)
    }
}

fn lost() -> io::Error {
    io::Error::other("the power is lost")
}

/// PROTOCOL.md section 2: no device has room for a chain over this, so none reads more at a time.
const RECEIVE_BUFFER_BYTES: usize = MAX_CHAIN_BYTES;
