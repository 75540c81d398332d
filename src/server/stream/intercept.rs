//! The one wrapper of a stream, and what can be done with what passes it.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// Sees every call to a stream and its outcome, and may change the outcome. What is not implemented
/// changes nothing.
pub(in crate::server) trait Intercept: Unpin {
    /// Whether it has filled `buffer` itself, and the stream is not read.
    fn read_ahead(&mut self, _: &mut ReadBuf<'_>) -> bool {
        false
    }

    /// A read, with the bytes that it brought.
    fn read(
        &mut self,
        read: Poll<io::Result<()>>,
        _received: &mut [u8],
        _: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        read
    }

    /// A write of (the beginning of) `bytes`.
    fn written(
        &mut self,
        written: Poll<io::Result<usize>>,
        _bytes: &[u8],
        _: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        written
    }

    /// A flush or a shutdown.
    fn flushed(
        &mut self,
        flushed: Poll<io::Result<()>>,
        _: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        flushed
    }
}

/// A stream with one [`Intercept`].
#[derive(Debug)]
pub(in crate::server) struct Intercepted<S, I> {
    stream: S,
    pub(in crate::server) by: I,
}

impl<S, I> Intercepted<S, I> {
    pub(in crate::server) fn new(stream: S, by: I) -> Self {
        Self { stream, by }
    }
}

impl<S: AsyncRead + Unpin, I: Intercept> AsyncRead for Intercepted<S, I> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let Self { stream, by } = &mut *self;
        if by.read_ahead(buffer) {
            return Poll::Ready(Ok(()));
        }
        let filled = buffer.filled().len();
        let read = Pin::new(stream).poll_read(context, buffer);
        by.read(read, &mut buffer.filled_mut()[filled..], context)
    }
}

impl<S: AsyncWrite + Unpin, I: Intercept> AsyncWrite for Intercepted<S, I> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let Self { stream, by } = &mut *self;
        let written = Pin::new(stream).poll_write(context, bytes);
        by.written(written, bytes, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        // `send`, which costs the kernel less than `writev`: a short TLS answer is one record.
        if let [one] = slices {
            return self.poll_write(context, one);
        }
        let Self { stream, by } = &mut *self;
        let written = Pin::new(stream).poll_write_vectored(context, slices);
        let first = slices.first().map_or(&[][..], |first| &**first);
        by.written(written, first, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, by } = &mut *self;
        let flushed = Pin::new(stream).poll_flush(context);
        by.flushed(flushed, context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, by } = &mut *self;
        let ended = Pin::new(stream).poll_shutdown(context);
        by.flushed(ended, context)
    }
}
