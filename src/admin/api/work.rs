//! Work that reads and writes files, beside the requests.

use std::time::Duration;

use miette::Diagnostic;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use super::problem::Refused;
use crate::failure::Failure;

/// Runs what blocks on a thread for that, as few at a time as leave devices the processor.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Failure> + Send + 'static,
) -> Result<T, Refused> {
    let permit = timeout(PERMIT_TIMEOUT, PERMITS.acquire()).await;
    let Ok(Ok(permit)) = permit else {
        return Err(OperationError::Busy.into());
    };
    // It goes on, and counts, when nobody waits for it any more.
    let done = tokio::task::spawn_blocking(move || {
        let _permit = permit;
        work()
    });
    let done = done.await;
    let done = done.map_err(|_| OperationError::Panicked)?;
    Ok(done?)
}

/// Why an operation came to nothing.
#[derive(Debug, Diagnostic, thiserror::Error)]
enum OperationError {
    #[error("as many operations as may run at a time are under way")]
    #[diagnostic(code("operations-busy"), help("ask again in some seconds"))]
    Busy,
    #[error("the operation ended by a fault of engage-host")]
    #[diagnostic(
        code("operation-panicked"),
        help("the daemon's log says where; please report it")
    )]
    Panicked,
}

/// Of a few cores, most are for devices.
static PERMITS: Semaphore = Semaphore::const_new(MAX_OPERATIONS);

const MAX_OPERATIONS: usize = 2;

const PERMIT_TIMEOUT: Duration = Duration::from_secs(20);
