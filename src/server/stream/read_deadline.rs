//! Deadlines of what a client is to send.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep};

use super::intercept::Intercept;
use super::timeouts::{Timeouts, poll_timer};
use crate::config::Limits;
use crate::connection::{ConnectionState, Phase};

/// Ends a connection that does not send what it is waited for: each [`Phase`] has its deadline.
///
/// The clock is read once each time that the client is waited for, and not at each byte.
#[derive(Debug)]
pub(in crate::server) struct ReadDeadline {
    state: Arc<ConnectionState>,
    timeouts: Arc<Timeouts>,
    /// The phase in which the client was last waited for; `None` once it has begun another head.
    seen: Option<Phase>,
    /// When that began.
    since: Instant,
    /// When more of a body was first waited for; `None` once it has been read.
    body_since: Option<Instant>,
    timer: Option<Pin<Box<Sleep>>>,
    /// The client has not taken its answer, which has its own deadline: it is not idle.
    is_writing: bool,
}

impl ReadDeadline {
    pub(super) fn new(state: Arc<ConnectionState>, timeouts: Arc<Timeouts>) -> Self {
        Self {
            state,
            timeouts,
            seen: None,
            since: Instant::now(),
            body_since: None,
            timer: None,
            is_writing: false,
        }
    }

    /// The moment at which the current phase has waited long enough for the client.
    fn deadline(&mut self) -> Instant {
        let phase = self.state.phase();
        if self.seen != Some(phase) {
            self.seen = Some(phase);
            self.since = Instant::now();
            self.body_since = Some(self.since);
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
            Phase::Request => {
                let body_since = self.body_since.get_or_insert_with(Instant::now);
                (self.since + body_total).min(*body_since + body_idle)
            }
            Phase::Idle => self.since + keep_alive_idle,
        }
    }

    /// The first byte after an answer begins the next request's head.
    fn note_received(&mut self) {
        match self.state.phase() {
            Phase::Idle => {
                self.state.enter(Phase::ReadingHead);
                self.seen = None;
            }
            Phase::Request => self.body_since = None,
            Phase::Handshake | Phase::ReadingHead => {}
        }
    }

    fn missed(&self) -> io::Error {
        let (limit, what) = match self.state.phase() {
            Phase::Handshake => ("tls_handshake_seconds", "the TLS handshake did not finish"),
            Phase::ReadingHead => ("request_head_seconds", "the request head did not arrive"),
            Phase::Request => ("body_idle_seconds", "the request body did not arrive"),
            Phase::Idle => ("keep_alive_idle_seconds", "the next request did not arrive"),
        };
        self.timeouts.missed(limit, what)
    }
}

impl Intercept for ReadDeadline {
    fn read(
        &mut self,
        read: Poll<io::Result<()>>,
        received: &mut [u8],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        if !received.is_empty() {
            self.note_received();
        }
        if read.is_ready() || self.is_writing {
            return read;
        }
        let deadline = self.deadline();
        ready!(poll_timer(&mut self.timer, deadline, context));
        Poll::Ready(Err(self.missed()))
    }

    fn written(
        &mut self,
        written: Poll<io::Result<usize>>,
        _: &[u8],
        _: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.is_writing = written.is_pending();
        written
    }
}
