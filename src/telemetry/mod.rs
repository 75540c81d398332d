//! Logs, metrics and traces: one event a line to standard error or a service's files, counts for
//! Prometheus, spans for a collector.

mod access;
mod access_log;
mod clock;
#[cfg(windows)]
mod event_log;
mod log_buffer;
#[cfg(any(windows, test))]
mod log_files;
mod log_output;
mod log_writer;
mod metrics;
mod spans;
mod text;

use std::io;
use std::panic::{self, PanicHookInfo};
use std::time::{Duration, Instant};

use tracing::field::display;
use tracing::{error, warn};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::util::SubscriberInitExt;
use tracing_subscriber::{Layer, fmt, registry};

use crate::config::{LogConfig, LogFormat, LogLevel};

pub(crate) use access::{AccessEvent, Shortened};
pub(crate) use engage_wire::{CallerThrottle, LogThrottle};
#[cfg(windows)]
pub(crate) use event_log::{register_event_source, remove_event_source};
pub(crate) use log_output::LogOutput;
pub(crate) use metrics::{
    DeliveryMetrics, Metrics, OpenConnection, RouteMetrics, SeenDevices, SpanMetrics,
};
pub(crate) use spans::{
    AttributeValue, EndOfSpan, MaybeTraced, RequestTrace, Span, SpanContext, SpanId, SpanKind,
    TraceId, Tracer,
};

/// Starts logging as configured. `RUST_LOG` overrides the level. Fails if there can be no further
/// thread. Whoever ends the process calls [`flush_log`] first.
pub(crate) fn start_logging(log: &LogConfig, output: &LogOutput) -> io::Result<()> {
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
    let (opened, failed) = output.open();
    let (writer, in_colour) = (log_writer::spawn(opened)?, output.is_terminal());
    if filter.would_enable(access_log::TARGET, &access_log::LEVEL) {
        access_log::start(*format, in_colour, writer.clone());
    }
    let logs = fmt::layer()
        .with_timer(clock::Rfc3339Micros)
        .with_writer(writer);
    let logs = match format {
        LogFormat::Json => logs.json().flatten_event(true).boxed(),
        LogFormat::Text => logs
            .with_ansi(in_colour)
            .event_format(text::TextFormat)
            .boxed(),
    };
    let subscriber = registry().with(logs).with(filter.clone());
    #[cfg(windows)]
    let subscriber = subscriber.with(output.event_log());
    // A second start in the same process keeps the first: only tests do that.
    let _ = subscriber.try_init();
    panic::set_hook(Box::new(log_panic));
    if let Some(error) = failed {
        error!("no log file: {error}");
    }
    if let Err(error) = wished {
        warn!("`RUST_LOG` is ignored: {error}");
    }
    Ok(())
}

/// Starts the access log without the rest, for benchmarks: its lines are written and thrown away.
pub fn start_access_log_nowhere() -> io::Result<()> {
    let writer = log_writer::spawn(io::sink())?;
    access_log::start(LogFormat::Text, false, writer);
    Ok(())
}

/// Waits until everything logged so far is written, at most for `timeout`: nobody may be reading.
/// Returns whether it is.
pub(crate) fn flush_log(timeout: Duration) -> bool {
    let deadline = Instant::now() + timeout;
    #[cfg(windows)]
    event_log::flush(deadline);
    log_writer::flush(deadline)
}

/// Unlike the default hook, this one does not write to standard error itself, and so does not wait.
fn log_panic(panic: &PanicHookInfo<'_>) {
    let message = panic.payload_as_str().unwrap_or("no message");
    let location = panic.location().map(display);
    error!(location, "panicked: {message}");
}
