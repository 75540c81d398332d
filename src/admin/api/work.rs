//! Work that reads and writes files, beside the requests.

use std::time::Duration;

use axum::response::{IntoResponse, Response};
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
pub(super) enum OperationError {
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

impl IntoResponse for OperationError {
    fn into_response(self) -> Response {
        Refused::from(self).into_response()
    }
}

/// Of a few cores, most are for devices.
static PERMITS: Semaphore = Semaphore::const_new(MAX_OPERATIONS);

const MAX_OPERATIONS: usize = 2;

const PERMIT_TIMEOUT: Duration = Duration::from_secs(20);

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn who_finds_all_places_taken_is_told_to_come_back() {
        let mut taken = Vec::new();
        for _ in 0..MAX_OPERATIONS {
            taken.push(PERMITS.acquire().await.unwrap());
        }
        let refused = blocking(|| Ok(())).await.unwrap_err();
        assert_eq!(refused.code(), "operations-busy");
        let answer = refused.into_response();
        assert_eq!(answer.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert!(answer.headers().contains_key("retry-after"));
        drop(taken);
        // A fault is one operation's, and gives its place back.
        for _ in 0..=MAX_OPERATIONS {
            let refused = blocking::<()>(|| panic!("a fault")).await.unwrap_err();
            assert_eq!(refused.code(), "operation-panicked");
            let status = refused.into_response().status();
            assert_eq!(status, StatusCode::INTERNAL_SERVER_ERROR);
        }
        assert!(blocking(|| Ok(1)).await.is_ok());
    }
}
