//! How long a run and each of its operations may take.

use std::time::Duration;

use miette::Diagnostic;
use tokio::time::Instant;

use engage_device::{ConnectError, ExchangeError, Received, Request, connect, exchange};
use engage_wire::HttpUrl;

/// Of a run.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeLimit {
    end: Instant,
}

impl TimeLimit {
    /// `total` bounds all operations together.
    pub(super) fn new(total: Duration) -> Self {
        let end = Instant::now() + total;
        Self { end }
    }

    /// Until when the next operation may take.
    pub(super) fn deadline(self) -> Instant {
        self.end.min(Instant::now() + OPERATION_TIMEOUT)
    }

    /// What is answered in clear text, on a connection of its own.
    pub(super) async fn get(self, url: &HttpUrl) -> Result<Received, FetchError> {
        let mut stream = connect(&url.address(), self.deadline()).await?;
        Ok(exchange(&mut stream, &Request::get(url), self.deadline()).await?)
    }
}

/// Why nothing was fetched.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(super) enum FetchError {
    #[error(transparent)]
    #[diagnostic(transparent)]
    Connect(#[from] ConnectError),
    #[error(transparent)]
    #[diagnostic(transparent)]
    Exchange(#[from] ExchangeError),
}

/// How long one operation may take; how long a device waits is not documented.
const OPERATION_TIMEOUT: Duration = Duration::from_secs(10);
