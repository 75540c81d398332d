//! `engage-host serve`: the daemon.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use miette::Diagnostic;
use tokio::task::JoinError;
use tracing::warn;

use super::init;
use super::output::{Failure, SystemError};
use crate::config::Config;
use crate::daemon::{self, Ready, Seen};
use crate::platform;
use crate::publication::{Published, prove};
use crate::server::Sockets;
use crate::telemetry::{flush_log, start_logging};
use engage_wire::pki::Timestamp;

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
    #[command(flatten)]
    listen: Listen,
}

/// Addresses that override the configuration file.
#[derive(Args, Clone, Debug)]
pub(super) struct Listen {
    /// Address of the plain listener, such as 0.0.0.0:80; port 0 lets the system choose
    #[arg(long, value_name = "ADDR")]
    pub(super) http: Option<SocketAddr>,
    /// Address of the TLS listener, such as 0.0.0.0:443; port 0 lets the system choose
    #[arg(long, value_name = "ADDR")]
    pub(super) https: Option<SocketAddr>,
}

impl Listen {
    pub(super) fn applied_to(&self, config: &Config) -> Config {
        let mut config = config.clone();
        config.http.listen = self.http.unwrap_or(config.http.listen);
        config.https.listen = self.https.unwrap_or(config.https.listen);
        config
    }
}

impl Serve {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let served = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build()
            .map_err(|source| SystemError::new("start the runtime")(source).into())
            .and_then(|runtime| {
                // In a task and not in `block_on` itself, whose thread is none of the runtime's
                // workers: every accepted connection would have to wake one.
                let served = runtime
                    .block_on(runtime.spawn(self.serve()))
                    .unwrap_or_else(|panic| Err(ServeError::Panicked(panic).into()));
                // A read that hangs (a file server that is gone) must not keep a stopped daemon.
                runtime.shutdown_timeout(Duration::from_secs(1));
                served
            });
        let is_log_read = flush_log(FLUSH_TIMEOUT);
        match served {
            Ok(()) => Ok(ExitCode::SUCCESS),
            // To write there would wait without end.
            Err(_) if !is_log_read => Ok(ExitCode::FAILURE),
            Err(failure) => Err(failure),
        }
    }

    async fn serve(self) -> Result<(), Failure> {
        let Self {
            config: path,
            init,
            listen,
        } = self;
        if init {
            init::create_missing(&path, &listen)?;
        }
        let config = Config::load(&path)?;
        start_logging(&config.log).map_err(SystemError::new("start the log's thread"))?;
        let sockets = Sockets::bind(&listen.applied_to(&config))?;
        let http = sockets.http_address().map_err(SystemError::new(
            "ask for the address of the plain listener",
        ))?;
        let seen = Seen::now(&config);
        let proof = prove(&config, &config.base_url_at(http), Timestamp::now());
        for warning in &proof.warnings {
            warn!(
                code = warning.code,
                "{}; hint: {}", warning.message, warning.hint
            );
        }
        let publication = proof.verdict.map_err(Failure::from_errors)?;
        let published = Published::new(publication);
        platform::survive_file_size_limit().map_err(SystemError::new("catch SIGXFSZ"))?;
        let recording = daemon::open_recording(&config, &published)?;
        let shutdown =
            platform::shutdown_requested().map_err(SystemError::new("listen for stop signals"))?;
        let ready = Ready {
            sockets,
            config,
            seen,
            published,
            recording,
        };
        Box::pin(daemon::run(ready, shutdown))
            .await
            .map_err(|source| SystemError::new("serve")(source).into())
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
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);
