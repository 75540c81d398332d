//! One worker for each core, each with a runtime of its own.
//!
//! Requests here are short: what a runtime of several threads spends on waking the others for
//! each of them is more than it takes to answer (docs/PERFORMANCE.md). So each connection stays
//! on the worker that accepted it, and the workers compete for new ones: a busy worker accepts
//! none.

use std::io;
use std::thread;

use tokio::runtime::Builder;
use tokio::sync::oneshot;
use tokio::task::JoinSet;

use super::devices::DeviceListeners;

/// Starts all workers but the caller's own; completes once all of them have drained.
pub(super) fn start(
    listeners: &DeviceListeners,
) -> io::Result<impl Future<Output = io::Result<()>> + use<>> {
    let mut ends = Vec::new();
    for number in 2..=cores() {
        let listeners = listeners.try_clone()?;
        let runtime = Builder::new_current_thread().enable_all().build()?;
        let (tell, end) = oneshot::channel();
        thread::Builder::new()
            .name(format!("worker-{number}"))
            .spawn(move || {
                // Nobody waits for it only if the daemon has ended.
                let _ = tell.send(runtime.block_on(listeners.serve()));
            })?;
        ends.push(end);
    }
    Ok(async move {
        let mut ends: JoinSet<_> = ends.into_iter().collect();
        while let Some(end) = ends.join_next().await {
            // A worker that says nothing at its end has panicked.
            end?.map_err(|_| io::Error::other("a worker has panicked"))??;
        }
        Ok(())
    })
}

fn cores() -> usize {
    thread::available_parallelism().map_or(1, std::num::NonZero::get)
}
