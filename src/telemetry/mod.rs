//! Logs, metrics and traces: one event a line to standard error, counts for Prometheus, spans for a
//! collector.

mod access;
mod clock;
mod log_buffer;
mod metrics;
mod spans;
mod stderr;
mod text;

use std::io::{self, IsTerminal};
use std::panic::{self, PanicHookInfo};

use tracing::field::display;
use tracing::{error, warn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use crate::config::{LogConfig, LogFormat, LogLevel};

pub(crate) use access::{AccessEvent, Shortened};
pub(crate) use engage_wire::{CallerThrottle, LogThrottle};
pub(crate) use metrics::{
    DeliveryMetrics, Metrics, OpenConnection, RouteMetrics, SeenDevices, SpanMetrics,
};
pub(crate) use spans::{
    AttributeValue, EndOfSpan, MaybeTraced, RequestTrace, Span, SpanContext, SpanId, SpanKind,
    TraceId, Tracer,
};
pub(crate) use stderr::flush_log;

/// Starts logging as configured. `RUST_LOG` overrides the level. Fails if there can be no further
/// thread. Whoever ends the process calls [`flush_log`] first.
pub(crate) fn start_logging(log: &LogConfig) -> io::Result<()> {
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
    let logs = fmt::layer()
        .with_timer(clock::Rfc3339Micros)
        .with_writer(stderr::spawn()?);
    let logs = match format {
        LogFormat::Json => logs.json().flatten_event(true).boxed(),
        LogFormat::Text => logs
            .with_ansi(io::stderr().is_terminal())
            .event_format(text::TextFormat)
            .boxed(),
    };
    // A second start in the same process keeps the first: only tests do that.
    let _ = registry().with(logs).with(filter.clone()).try_init();
    panic::set_hook(Box::new(log_panic));
    if let Err(error) = wished {
        warn!("`RUST_LOG` is ignored: {error}");
    }
    Ok(())
}

/// Unlike the default hook, this one does not write to standard error itself, and so does not wait.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("no message");
    let location = panic.location().map(display);
    error!(location, "panicked: {message}");
}
