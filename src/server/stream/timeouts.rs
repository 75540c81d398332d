//! The deadlines of a listener, and what happens when one is missed.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::time::{Instant, Sleep, sleep_until};

use crate::config::Limits;
use crate::connection::ListenerKind;
use crate::telemetry::Metrics;

/// The deadlines of a listener's connections.
#[derive(Debug)]
pub(in crate::server) struct Timeouts {
    pub(in crate::server) limits: Limits,
    /// Where a missed deadline is counted; the admin listener counts none.
    pub(in crate::server) counted: Option<(ListenerKind, Arc<Metrics>)>,
}

impl Timeouts {
    /// Counts the deadline that was missed, named as in `[limits]`.
    pub(super) fn missed(&self, limit: &'static str, what: &str) -> io::Error {
        if let Some((listener, metrics)) = &self.counted {
            metrics.refused(*listener, limit);
        }
        io::Error::new(
            io::ErrorKind::TimedOut,
            format!("{what} in time (`[limits] {limit}`)"),
        )
    }
}

/// Ready once `deadline` has passed.
///
/// A timer that is set to fire earlier is left alone, and set again when it fires: at a request
/// after the other, that is once in a while instead of each time.
pub(super) fn poll_timer(
    timer: &mut Option<Pin<Box<Sleep>>>,
    deadline: Instant,
    context: &mut Context<'_>,
) -> Poll<()> {
    let timer = timer.get_or_insert_with(|| Box::pin(sleep_until(deadline)));
    if deadline < timer.deadline() {
        timer.as_mut().reset(deadline);
    }
    ready!(timer.as_mut().poll(context));
    if timer.deadline() < deadline {
        timer.as_mut().reset(deadline);
        return timer.as_mut().poll(context);
    }
    Poll::Ready(())
}
