//! Logs and metrics: one event a line to standard error, counts for Prometheus.

mod access;
mod burst;
mod delivery;
mod expiry;
mod metrics;
mod mismatch;

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

pub use access::observe;
pub use burst::Burst;
pub use delivery::DeliveryMetrics;
pub use expiry::ExpiryWatch;
pub use metrics::{Metrics, OpenConnection, Route};
pub use mismatch::MismatchWatch;

/// Starts logging as configured. `RUST_LOG` overrides the level.
pub fn start_logging(log: &LogConfig) -> Result<(), LogLevelError> {
    let LogConfig { format, level } = log;
    let filter = match EnvFilter::try_from_default_env() {
        Ok(filter) => filter,
        Err(_) => EnvFilter::try_new(level).map_err(|_| LogLevelError(level.clone()))?,
    };
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(stderr);
    // A second start in the same process keeps the first: only tests do that.
    let _ = match format {
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
        LogFormat::Text => logs.with_ansi(stderr().is_terminal()).try_init(),
    };
    Ok(())
}

/// A `[log] level` that is no level.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
#[error(
    "`[log] level` is `{0}`; allowed: error, warn, info, debug, trace, or filter directives such as `info,access=warn`"
)]
pub struct LogLevelError(String);
