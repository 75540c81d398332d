//! Logs and metrics: one event a line to standard error, counts for Prometheus.

mod access;
mod attempts;
mod delivery;
mod labels;
mod lines;
mod metrics;
mod mismatch;
mod text;
mod throttle;
mod traffic;

use std::io::{IsTerminal, stderr};

use tracing::warn;
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use crate::config::{LogConfig, LogFormat, LogLevel};

pub use access::Access;
pub use attempts::Attempts;
pub use delivery::DeliveryMetrics;
pub use labels::Route;
pub use lines::write_waiting_lines;
pub use metrics::{Metrics, OpenConnection};
pub use mismatch::MismatchWatch;
pub use throttle::{LogThrottle, Suppressed};

/// Starts logging as configured. `RUST_LOG` overrides the level.
pub fn start_logging(log: &LogConfig) {
    let LogConfig { format, level } = log;
    let wished = std::env::var("RUST_LOG")
        .ok()
        .filter(|wished| !wished.is_empty())
        .map(LogLevel::try_from)
        .transpose();
    let filter = match &wished {
        Ok(Some(wished)) => wished.filter(),
        Ok(None) | Err(_) => level.filter(),
    };
    let logs = fmt::layer().with_writer(lines::Lines);
    let logs = match format {
        LogFormat::Json => logs.json().flatten_event(true).boxed(),
        LogFormat::Text => logs
            .with_ansi(stderr().is_terminal())
            .event_format(text::Text)
            .boxed(),
    };
    // A second start in the same process keeps the first: only tests do that.
    let _ = registry().with(logs).with(filter.clone()).try_init();
    if let Err(error) = wished {
        warn!("`RUST_LOG` is ignored: {error}");
    }
}
