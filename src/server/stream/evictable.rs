//! A connection that gives its place to another.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio_util::sync::{CancellationToken, WaitForCancellationFutureOwned};

use super::intercept::Intercept;

/// Ends its connection, whatever that waits for, once a token is cancelled.
pub(in crate::server) struct Evictable(Pin<Box<WaitForCancellationFutureOwned>>);

impl Evictable {
    pub(in crate::server) fn new(eviction: CancellationToken) -> Self {
        Self(Box::pin(eviction.cancelled_owned()))
    }

    fn unless_evicted<T>(
        &mut self,
        outcome: Poll<io::Result<T>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<T>> {
        match self.0.as_mut().poll(context) {
            Poll::Ready(()) => Poll::Ready(Err(io::ErrorKind::ConnectionAborted.into())),
            Poll::Pending => outcome,
        }
    }
}

impl Intercept for Evictable {
    fn read(
        &mut self,
        read: Poll<io::Result<()>>,
        _: &mut [u8],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.unless_evicted(read, context)
    }

    fn written(
        &mut self,
        written: Poll<io::Result<usize>>,
        _: &[u8],
        context: &mut Context<'_>,
    ) -> Poll<io::Result<usize>> {
        self.unless_evicted(written, context)
    }

    fn flushed(
        &mut self,
        flushed: Poll<io::Result<()>>,
        context: &mut Context<'_>,
    ) -> Poll<io::Result<()>> {
        self.unless_evicted(flushed, context)
    }
}
