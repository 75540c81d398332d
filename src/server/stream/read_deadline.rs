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

    /// The moment at which the current phase has waited long enough for the client, the key of
    /// `[limits]` that says so, and what did not happen.
    fn deadline(&mut self) -> (Instant, &'static str, &'static str) {
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
        let (wait, limit, what) = match phase {
            Phase::Handshake => (
                tls_handshake,
                "tls_handshake_seconds",
                "the TLS handshake did not finish",
            ),
            Phase::ReadingHead => (
                request_head,
                "request_head_seconds",
                "the request head did not arrive",
            ),
            Phase::Request => {
                let idle = *self.body_since.get_or_insert_with(Instant::now) + body_idle;
                let total = self.since + body_total;
                let what = "the request body did not arrive";
                return if total < idle {
                    (total, "body_total_seconds", what)
                } else {
                    (idle, "body_idle_seconds", what)
                };
            }
            Phase::Idle => (
                keep_alive_idle,
                "keep_alive_idle_seconds",
                "the next request did not arrive",
            ),
        };
        (self.since + wait, limit, what)
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
        let (deadline, limit, what) = self.deadline();
        ready!(poll_timer(&mut self.timer, deadline, context));
        Poll::Ready(Err(self.timeouts.missed(limit, what)))
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
