//! `engage-host serve`: the daemon.

use std::io;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use miette::Diagnostic;
use tokio::task::JoinError;

use super::init;
use super::output::SystemError;
use crate::config::{ConfigSource, ListenOverrides, LogConfig};
use crate::daemon::{self, RunError};
use crate::failure::Failure;
use crate::platform;
use crate::server::{Descriptors, Sockets};
use crate::telemetry::{LogOutput, flush_log, start_logging};

/// Announce and serve certificates until stopped.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  engage-host serve --init --http 127.0.0.1:8080 --https 127.0.0.1:8443"
)]
pub(super) struct Serve {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = "config.toml")]
    config: PathBuf,
    /// First create whatever is missing, as `init` does
    #[arg(long)]
    init: bool,
    /// Do not start unless everything can be served: every site, and TLS
    #[arg(long)]
    strict: bool,
    #[command(flatten)]
    listen: ListenOverrides,
}

impl Serve {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let Self {
            config: path,
            init,
            strict,
            listen,
        } = self;
        if init {
            init::create_missing(&path, &listen)?;
        }
        let daemon = Daemon {
            source: ConfigSource { path, listen },
            strict,
            log: LogOutput::Stderr,
        };
        let served = daemon.run(platform::shutdown_requested);
        let is_log_read = flush_log(FLUSH_TIMEOUT);
        match served {
            Ok(()) => Ok(ExitCode::SUCCESS),
            // To write there would wait without end.
            Err(_) if !is_log_read => Ok(ExitCode::FAILURE),
            Err(failure) => Err(failure),
        }
    }
}

/// What is to be served, and where it is logged.
pub(super) struct Daemon {
    pub(super) source: ConfigSource,
    pub(super) strict: bool,
    pub(super) log: LogOutput,
}

impl Daemon {
    /// Serves until the future of `shutdown`, which is called inside the runtime, completes with the
    /// reason. Whoever ends the process then calls [`flush_log`].
    pub(super) fn run<S, F>(self, shutdown: S) -> Result<(), Failure>
    where
        S: FnOnce() -> io::Result<F> + Send + 'static,
        F: Future<Output = &'static str> + Send + 'static,
    {
        let blocking_threads = Descriptors::raise()?.blocking_threads();
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .max_blocking_threads(blocking_threads)
            .enable_all()
            .build()
            .map_err(SystemError::new("start the runtime"))?;
        // In a task and not in `block_on` itself, whose thread is none of the runtime's workers: every
        // accepted connection would have to wake one.
        let served = runtime
            .block_on(runtime.spawn(self.serve(shutdown)))
            .unwrap_or_else(|panic| Err(ServeError::Panicked(panic).into()));
        // A read that hangs (a file server that is gone) must not keep a stopped daemon.
        runtime.shutdown_timeout(Duration::from_secs(1));
        served
    }

    async fn serve<S, F>(self, shutdown: S) -> Result<(), Failure>
    where
        S: FnOnce() -> io::Result<F>,
        F: Future<Output = &'static str>,
    {
        let Self {
            source,
            strict,
            log,
        } = self;
        let config = source.load().inspect_err(|_| {
            if !log.is_read_by_caller() {
                let _ = start_logging(&LogConfig::default(), &log);
            }
        })?;
        start_logging(&config.log, &log).map_err(SystemError::new("start the log's thread"))?;
        let sockets = Sockets::bind(&config)?;
        let shutdown = shutdown().map_err(SystemError::new("listen for stop signals"))?;
        Box::pin(daemon::run(source, config, sockets, strict, shutdown))
            .await
            .map_err(|error| match error {
                RunError::Store(error) => error.into(),
                RunError::Admin(error) => error.into(),
                RunError::Io(source) => SystemError::new("serve")(source).into(),
                RunError::Refused(refusals) => Failure::from_errors(refusals),
            })
    }
}

/// Why the daemon ended although nothing stopped it.
#[derive(Debug, Diagnostic, thiserror::Error)]
enum ServeError {
    #[error("the daemon stopped unexpectedly")]
    #[diagnostic(
        code("panicked"),
        help("this is a fault of engage-host: report what was logged before")
    )]
    Panicked(#[source] JoinError),
}

/// How long the end waits for whoever reads the log.
pub(super) const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
