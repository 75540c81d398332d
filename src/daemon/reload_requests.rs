//! Requests of `engage-host reload`, each of which is told the outcome.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::time::{sleep, timeout};
use tracing::{debug, warn};

use crate::platform::{ReloadListener, reload_socket_path};
use crate::reload_outcome::ReloadOutcome;

/// Where requests come from; without a service manager that made a folder for the socket, nowhere.
pub(super) struct ReloadRequests(Option<ReloadListener>);

impl ReloadRequests {
    /// Must be called inside the runtime. A daemon without the socket serves all the same.
    pub(super) fn listen() -> Self {
        let path = reload_socket_path();
        Self(path.and_then(|path| {
            ReloadListener::bind(&path)
                .inspect_err(|error| {
                    warn!(
                        "`engage-host reload` cannot be answered at `{}`: {error}",
                        path.display()
                    );
                })
                .ok()
        }))
    }

    /// Cancel safe.
    pub(super) async fn next(&mut self) -> ReloadRequest<impl AsyncWrite + Send + Unpin + 'static> {
        let Some(listener) = &self.0 else {
            return std::future::pending().await;
        };
        loop {
            match listener.accept().await {
                Ok(stream) => return ReloadRequest { stream },
                Err(error) => {
                    debug!("a request for a reload was not accepted: {error}");
                    sleep(ACCEPT_BACKOFF).await;
                }
            }
        }
    }
}

/// Somebody who waits for the outcome.
pub(super) struct ReloadRequest<S> {
    stream: S,
}

impl<S: AsyncWrite + Unpin> ReloadRequest<S> {
    pub(super) async fn answer(mut self, outcome: Arc<ReloadOutcome>) {
        let Ok(json) = serde_json::to_vec(&*outcome) else {
            return;
        };
        let answering = async {
            self.stream.write_all(&json).await?;
            self.stream.shutdown().await
        };
        match timeout(ANSWER_TIMEOUT, answering).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => debug!("nobody waited for the reload's outcome: {error}"),
            Err(_) => debug!("nobody read the reload's outcome"),
        }
    }
}

/// Out of descriptors: not again at once.
const ACCEPT_BACKOFF: Duration = Duration::from_secs(1);

const ANSWER_TIMEOUT: Duration = Duration::from_secs(5);
