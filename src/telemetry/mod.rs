//! Logs and metrics: one event a line to standard error, counts for Prometheus.

mod access;
mod attempts;
mod burst;
mod delivery;
mod expiry;
mod labels;
mod lines;
mod metrics;
mod mismatch;
mod traffic;

use std::io::{IsTerminal, stderr};

use tracing_subscriber::EnvFilter;

use crate::config::{LogConfig, LogFormat};

pub use access::Access;
pub use attempts::Attempts;
pub use burst::Burst;
pub use delivery::DeliveryMetrics;
pub use expiry::ExpiryWatch;
pub use labels::Route;
pub use lines::write_waiting_lines;
pub use metrics::{Metrics, OpenConnection};
pub use mismatch::MismatchWatch;

/// Starts logging as configured. `RUST_LOG` overrides the level.
pub fn start_logging(log: &LogConfig) {
    let LogConfig { format, level } = log;
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| level.filter());
    let logs = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(lines::Lines);
    // A second start in the same process keeps the first: only tests do that.
    let _ = match format {
        LogFormat::Json => logs.json().flatten_event(true).try_init(),
        LogFormat::Text => logs.with_ansi(stderr().is_terminal()).try_init(),
    };
}
