//! Load: closed loops for the cost of a request, open ones for its time.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::task::{JoinSet, spawn_blocking};

use crate::trouble::{Outcome, Trouble, While};

/// `callers` callers make `count` calls between them, each the next when its last is answered.
/// One wrong answer fails all.
pub(crate) async fn closed<F, C>(callers: usize, count: usize, call: C) -> Outcome<()>
where
    C: Fn(usize) -> F + Clone + Send + 'static,
    F: Future<Output = Outcome<()>> + Send,
{
    let next = Arc::new(AtomicUsize::new(0));
    let mut tasks = JoinSet::new();
    for _ in 0..callers {
        let (next, call) = (Arc::clone(&next), call.clone());
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                if number >= count {
                    return Ok(());
                }
                call(number).await?;
            }
        });
    }
    all(tasks).await.map(|_| ())
}

/// Calls start every `interval` for `length`, whatever became of those before. The time of each,
/// from the moment at which it was due.
///
/// They are started from a thread of their own: the runtime's timers round up to milliseconds.
pub(crate) async fn open<F, C>(
    interval: Duration,
    length: Duration,
    call: C,
) -> Outcome<Vec<Duration>>
where
    C: Fn(usize) -> F + Send + 'static,
    F: Future<Output = Outcome<()>> + Send + 'static,
{
    let runtime = Handle::current();
    let starting = spawn_blocking(move || {
        let mut tasks = JoinSet::new();
        let start = Instant::now();
        let dues = std::iter::successors(Some(start), |due| Some(*due + interval));
        for (number, due) in dues.take_while(|due| *due - start < length).enumerate() {
            thread::sleep(due.saturating_duration_since(Instant::now()));
            let call = call(number);
            let timed = async move {
                call.await?;
                Ok(due.elapsed())
            };
            tasks.spawn_on(timed, &runtime);
        }
        tasks
    });
    let tasks = starting.await.doing("starting calls")?;
    all(tasks).await
}

/// What every task has returned, in the order of their ends.
pub(crate) async fn all<T: 'static>(mut tasks: JoinSet<Outcome<T>>) -> Outcome<Vec<T>> {
    let mut results = Vec::with_capacity(tasks.len());
    while let Some(ended) = tasks.join_next().await {
        results.push(ended.map_err(|error| Trouble::new(error.to_string()))??);
    }
    Ok(results)
}
