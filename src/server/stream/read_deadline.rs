//! Deadlines of what a client is to send.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep};

use super::timeouts::{Timeouts, poll_timer};
use crate::config::Limits;
use crate::connection::{ConnectionState, Phase};

/// Ends a connection that does not send what it is waited for: each [`Phase`] has its deadline.
#[derive(Debug)]
pub(in crate::server) struct ReadDeadline<S> {
    stream: S,
    state: Arc<ConnectionState>,
    timeouts: Arc<Timeouts>,
    seen: Phase,
    /// When the phase that was last seen began.
    since: Instant,
    last_read: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    /// The client has not taken its answer, which has its own deadline: it is not idle.
    is_writing: bool,
}

impl<S> ReadDeadline<S> {
    pub(super) fn new(stream: S, state: Arc<ConnectionState>, timeouts: Arc<Timeouts>) -> Self {
        let now = Instant::now();
        Self {
            stream,
            seen: state.phase(),
            state,
            timeouts,
            since: now,
            last_read: now,
            timer: None,
            is_writing: false,
        }
    }

    /// The moment at which the current phase has waited long enough for the client.
    fn deadline(&mut self) -> Instant {
        let phase = self.state.phase();
        if phase != self.seen {
            self.enter(phase);
        }
        let Limits {
            tls_handshake,
            request_head,
            body_idle,
            body_total,
            keep_alive_idle,
            ..
        } = self.timeouts.limits;
        match phase {
            Phase::Handshake => self.since + tls_handshake,
            Phase::ReadingHead => self.since + request_head,
            Phase::Request => (self.since + body_total).min(self.last_read + body_idle),
            Phase::Idle | Phase::Closing => self.since + keep_alive_idle,
        }
    }

    fn enter(&mut self, phase: Phase) {
        self.seen = phase;
        self.since = Instant::now();
        self.last_read = self.since;
    }

    /// The first byte after an answer begins the next request's head.
    fn note_received(&mut self) {
        match self.state.phase() {
            Phase::Idle | Phase::Closing => {
                self.state.enter(Phase::ReadingHead);
                self.enter(Phase::ReadingHead);
            }
            Phase::Request => self.last_read = Instant::now(),
            Phase::Handshake | Phase::ReadingHead => {}
        }
    }

    fn missed(&self) -> io::Error {
        let (limit, what) = match self.seen {
            Phase::Handshake => ("tls_handshake_seconds", "the TLS handshake did not finish"),
            Phase::ReadingHead => ("request_head_seconds", "the request head did not arrive"),
            Phase::Request => ("body_idle_seconds", "the request body did not arrive"),
            Phase::Idle | Phase::Closing => {
                ("keep_alive_idle_seconds", "the next request did not arrive")
            }
        };
        self.timeouts.missed(limit, what)
    }
}

impl<S: AsyncRead + Unpin> AsyncRead for ReadDeadline<S> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = &mut *self;
        let filled = buffer.filled().len();
        match Pin::new(&mut this.stream).poll_read(context, buffer) {
            Poll::Ready(read) => {
                if buffer.filled().len() > filled {
                    this.note_received();
                }
                Poll::Ready(read)
            }
            Poll::Pending if this.is_writing => Poll::Pending,
            Poll::Pending => {
                let deadline = this.deadline();
                ready!(poll_timer(&mut this.timer, deadline, context));
                Poll::Ready(Err(this.missed()))
            }
        }
    }
}

impl<S: AsyncWrite + Unpin> AsyncWrite for ReadDeadline<S> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.is_writing = written.is_pending();
        written
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.is_writing = written.is_pending();
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
