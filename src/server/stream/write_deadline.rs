//! The deadline of what a client is to take.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep};

use super::intercept::Intercept;
use super::timeouts::{Timeouts, poll_timer};

/// Ends a connection whose client has not taken any more of its answer for `stalled_write`.
#[derive(Debug)]
pub(in crate::server) struct WriteDeadline {
    timeouts: Arc<Timeouts>,
    timer: Option<Pin<Box<Sleep>>>,
}

impl WriteDeadline {
    pub(in crate::server) fn new(timeouts: Arc<Timeouts>) -> Self {
        Self {
            timeouts,
            timer: None,
        }
    }

    fn bounded<T>(
        &mut self,
        written: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        if written.is_ready() {
            self.timer = None;
            return written;
        }
        let deadline = match &self.timer {
            Some(timer) => timer.deadline(),
            None => Instant::now() + self.timeouts.limits.stalled_write,
        };
        ready!(poll_timer(&mut self.timer, deadline, context));
        Poll::Ready(Err(self.timeouts.missed(
            "stalled_write_seconds",
            "the client did not take its answer",
        )))
    }
}

impl Intercept for WriteDeadline {
    fn written(
        &mut self,
        written: Poll<io::Result<usize>>,
        _: &[u8],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.bounded(written, context)
    }

    fn flushed(
        &mut self,
        flushed: Poll<io::Result<()>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.bounded(flushed, context)
    }
}
