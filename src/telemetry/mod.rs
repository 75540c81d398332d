//! Logs: one line an event, to standard error.

mod access;

use std::io::IsTerminal;

use tracing_subscriber::EnvFilter;

pub use access::log_access;

/// Starts logging. `RUST_LOG` overrides the level.
///
/// # Panics
///
/// If called twice in one process.
pub fn start_logging() {
    let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
