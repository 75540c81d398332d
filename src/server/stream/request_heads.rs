//! Request heads, ahead of the HTTP parser: what it would refuse without need, and what it refuses
//! without a word.

use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::query::QueryFilter;
use super::refused_heads::RefusedHeads;
use crate::connection::{ConnectionState, Phase};

/// Sees what HTTP reads and writes, in clear text.
///
/// hyper answers a head that it cannot parse by itself, with 400, 414 or 431, and ends the
/// connection: no layer above learns of it. Here it is seen as an answer to a head that is still
/// being read.
pub(in crate::server) struct RequestHeads<S> {
    stream: S,
    state: Arc<ConnectionState>,
    refused: Arc<RefusedHeads>,
    peer: SocketAddr,
    query: QueryFilter,
    beginning: Beginning,
}

/// The first bytes of a head.
struct Beginning {
    bytes: [u8; Self::MAX_BYTES],
    length: usize,
}

impl<S> RequestHeads<S> {
    pub(in crate::server) fn new(
        stream: S,
        state: Arc<ConnectionState>,
        refused: Arc<RefusedHeads>,
        peer: SocketAddr,
    ) -> Self {
        Self {
            stream,
            state,
            refused,
            peer,
            query: QueryFilter::default(),
            beginning: Beginning {
                bytes: [0; Beginning::MAX_BYTES],
                length: 0,
            },
        }
    }

    fn received(&mut self, bytes: &mut [u8]) {
        if self.state.phase() != Phase::Request {
            self.query.make_readable(bytes);
            self.beginning.extend(bytes);
        }
    }

    fn sending(&mut self, bytes: &[u8]) {
        if self.state.phase() == Phase::ReadingHead {
            self.refused
                .note(self.peer, bytes, self.beginning.as_slice());
        }
        // What is read from now on belongs to the next head.
        self.query = QueryFilter::default();
        self.beginning.length = 0;
    }
}

impl Beginning {
    /// More than most request lines need.
    const MAX_BYTES: usize = 256;

    fn as_slice(&self) -> &[u8] {
        &self.bytes[..self.length]
    }

    fn extend(&mut self, bytes: &[u8]) {
        let taken = bytes.len().min(Self::MAX_BYTES - self.length);
        self.bytes[self.length..][..taken].copy_from_slice(&bytes[..taken]);
        self.length += taken;
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for RequestHeads<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let filled = buffer.filled().len();
        let read = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.received(&mut buffer.filled_mut()[filled..]);
        read
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for RequestHeads<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        if written.is_ready() {
            self.sending(bytes);
        }
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        if written.is_ready() {
            self.sending(slices.first().map_or(&[], |first| &**first));
        }
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
