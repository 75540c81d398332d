//! How listeners and connections learn that the daemon stops.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::Poll;
use std::time::Duration;

use tokio::sync::Notify;
use tokio::time::timeout;
use tokio_util::task::TaskTracker;

/// Shared by all listeners and connections of the daemon.
#[derive(Clone, Debug, Default)]
pub(crate) struct Drain(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    stage: AtomicU8,
    begun: Notify,
    over: Notify,
    connections: TaskTracker,
}

impl Drain {
    /// Tells everybody to finish.
    pub(crate) fn begin(&self) {
        self.enter(Stage::Draining, &self.0.begun);
    }

    /// Waits `most` for the connections to end, and cuts off what is left. To be called once it
    /// has begun and nobody accepts any more.
    pub(crate) async fn finish(&self, most: Duration) {
        let Shared {
            over, connections, ..
        } = &*self.0;
        connections.close();
        if timeout(most, connections.wait()).await.is_err() {
            self.enter(Stage::Over, over);
            connections.wait().await;
        }
    }

    /// Starts a connection's task, which [`finish`](Self::finish) waits for.
    pub(super) fn spawn(&self, connection: impl Future<Output = ()> + Send + 'static) {
        self.0.connections.spawn(connection);
    }

    /// Completes when it is time to finish what was begun.
    pub(crate) async fn begun(&self) {
        self.reached(Stage::Draining, &self.0.begun).await;
    }

    /// Completes when the time to finish is over.
    pub(super) async fn over(&self) {
        self.reached(Stage::Over, &self.0.over).await;
    }

    fn enter(&self, stage: Stage, waiting: &Notify) {
        self.0.stage.store(stage as u8, Ordering::Release);
        waiting.notify_waiters();
    }

    /// Takes its place among the waiting once, at the first poll, and looks at one number at each
    /// later one: connections poll this whenever they are polled themselves, and the place is
    /// behind a lock. Must be polled by one task only.
    async fn reached(&self, stage: Stage, waiting: &Notify) {
        let is_reached = || self.0.stage.load(Ordering::Acquire) >= stage as u8;
        let mut notified = pin!(waiting.notified());
        let mut is_waiting = false;
        std::future::poll_fn(|context| {
            if is_reached() {
                return Poll::Ready(());
            }
            if !is_waiting {
                is_waiting = true;
                // Reached between the look and the place: nobody would wake this task again.
                if notified.as_mut().poll(context).is_ready() || is_reached() {
                    return Poll::Ready(());
                }
            }
            Poll::Pending
        })
        .await;
    }
}

/// How far the stop has come; later is greater.
#[derive(Clone, Copy)]
enum Stage {
    Draining = 1,
    Over = 2,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_connection_that_does_not_finish_is_told_when_the_time_is_over() {
        let drain = Drain::default();
        let (told, untold) = (drain.clone(), drain.clone());
        drain.spawn(async move { told.begun().await });
        drain.spawn(async move { untold.over().await });
        let started = tokio::time::Instant::now();
        drain.begin();
        drain.finish(Duration::from_secs(5)).await;
        assert_eq!(started.elapsed(), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_drain_ends_with_its_last_connection() {
        let drain = Drain::default();
        let told = drain.clone();
        drain.spawn(async move { told.begun().await });
        let started = tokio::time::Instant::now();
        drain.begin();
        drain.finish(Duration::from_secs(5)).await;
        assert_eq!(started.elapsed(), Duration::ZERO);
    }
}
