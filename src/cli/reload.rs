//! `engage-host reload`: the running daemon reads its files again.

use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use miette::Diagnostic;
use serde::Serialize;

use super::output::{print, print_json};
use crate::failure::Failure;
use crate::platform::{
    DAEMON_LOG, NO_DAEMON_HINT, RELOAD_PERMISSION_HINT, default_reload_socket_path, request_reload,
};
use crate::reload_outcome::ReloadOutcome;

/// Have the running daemon read its files again, and wait for the outcome.
///
/// Fails if the daemon refuses them; it then serves what it served before. Fails too if only a site is bad: the
/// others are served as the files say, and the bad one keeps what it had.
#[cfg_attr(
    unix,
    doc = "For a daemon that runs under the systemd units, whose `systemctl reload` does this."
)]
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  engage-host reload")]
pub(super) struct Reload {
    #[command(flatten)]
    socket: SocketArgs,
    /// Print `{"ok": true}`, or the reasons as JSON
    #[arg(long)]
    pub(super) json: bool,
}

impl Reload {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        whole(request(&self.socket.path())?)?;
        if self.json {
            print_json(&ReloadReport { ok: true })?;
        } else {
            print("reloaded: new connections get the new state")?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Which daemon is asked.
#[derive(Args, Debug)]
pub(super) struct SocketArgs {
    #[cfg_attr(
        unix,
        doc = "Socket of the daemon. Default: as the service manager says, else /run/engage-host/reload.sock"
    )]
    #[cfg_attr(
        windows,
        doc = r"Named pipe of the daemon. Default: \\.\pipe\engage-host"
    )]
    #[arg(long, value_name = "FILE")]
    socket: Option<PathBuf>,
}

impl SocketArgs {
    pub(super) fn path(self) -> PathBuf {
        self.socket.unwrap_or_else(default_reload_socket_path)
    }
}

/// Fails of what the daemon did not take up.
pub(super) fn whole(outcome: ReloadOutcome) -> Result<(), Failure> {
    let ReloadOutcome { refusals, left_out } = outcome;
    if refusals.is_empty() && left_out.is_empty() {
        return Ok(());
    }
    Err(Failure::from_errors(refusals.into_iter().chain(left_out)))
}

/// Serialises as `reload --json`.
#[derive(Serialize)]
struct ReloadReport {
    ok: bool,
}

/// Has the daemon that runs here read its files again, if it can be asked.
pub(super) fn request_if_running() -> Option<ReloadOutcome> {
    request(&default_reload_socket_path()).ok()
}

/// The same for who needs no outcome, and waits no longer for it than this.
pub(super) fn request_within(wait: Duration) {
    // Nothing at all would be no bound for the socket.
    let wait = wait.clamp(Duration::from_millis(1), OUTCOME_TIMEOUT);
    let _ = request_for(&default_reload_socket_path(), wait);
}

pub(super) fn request(socket: &Path) -> Result<ReloadOutcome, ReloadError> {
    request_for(socket, OUTCOME_TIMEOUT)
}

fn request_for(socket: &Path, timeout: Duration) -> Result<ReloadOutcome, ReloadError> {
    let answer = request_reload(socket, timeout).map_err(|source| {
        let socket = socket.to_owned();
        match source.kind() {
            io::ErrorKind::PermissionDenied => ReloadError::NotAllowed { socket, source },
            _ => ReloadError::NoDaemon { socket, source },
        }
    })?;
    let mut json = Vec::new();
    answer
        .take(MAX_OUTCOME_BYTES)
        .read_to_end(&mut json)
        .map_err(ReloadError::NoOutcome)?;
    serde_json::from_slice(&json).map_err(|error| ReloadError::NoOutcome(error.into()))
}

/// Why nothing is known of a reload.
#[derive(Debug, Diagnostic, thiserror::Error)]
pub(super) enum ReloadError {
    #[error("failed to reach the daemon at `{}`", socket.display())]
    #[diagnostic(code("no-daemon"), help("{NO_DAEMON_HINT}"))]
    NoDaemon {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("not allowed to ask the daemon at `{}`", socket.display())]
    #[diagnostic(code("permission"), help("{RELOAD_PERMISSION_HINT}"))]
    NotAllowed {
        socket: PathBuf,
        #[source]
        source: io::Error,
    },
    #[error("the daemon did not say what became of the reload")]
    #[diagnostic(
        code("no-outcome"),
        help("did it stop meanwhile? its log says so ({DAEMON_LOG})")
    )]
    NoOutcome(#[source] io::Error),
}

/// Longer than the daemon gives itself to read its files.
const OUTCOME_TIMEOUT: Duration = Duration::from_secs(80);

/// Far more than a refusal of every file has.
const MAX_OUTCOME_BYTES: u64 = 1024 * 1024;
