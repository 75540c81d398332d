//! New configuration and certificates without a lost connection.
//!
//! Everything new is read and proven first; only then is it swapped in, as one value. Anything
//! wrong leaves the old state in force and says why (DESIGN.md, promise 4).

use std::fmt;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::Notify;
use tokio::time::timeout;
use tracing::{error, info, warn};

use super::watch::{FileFingerprint, FileWatcher};
use crate::config::{Config, ConfigSource};
use crate::platform::{ReloadSignals, service_manager};
use crate::publication::{Proof, prove};
use crate::routes::App;
use engage_store::Credentials;
use engage_wire::clock;
use engage_wire::diagnostic::{Explain, one_line};

/// Replaces the publication when its sources change.
pub(super) struct Reloader {
    pub(super) source: ConfigSource,
    /// As it was at start: what needs a restart is still as it says.
    pub(super) config: Config,
    /// Where the plain listener is bound: the base URL may depend on it.
    pub(super) http: SocketAddr,
    pub(super) app: Arc<App>,
    /// Notified after each reload, refused or not.
    pub(super) reloaded: Arc<Notify>,
}

/// What asks for a reload.
#[derive(Clone, Copy, Debug)]
enum Trigger {
    FilesChanged,
    Signal,
}

impl fmt::Display for Trigger {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::FilesChanged => "files changed",
            Self::Signal => "SIGHUP",
        })
    }
}

impl Reloader {
    /// Reloads at each signal and each change of `files`, until dropped.
    pub(super) async fn run(self, files: FileFingerprint, mut signals: ReloadSignals) {
        let mut sources = files.sources.clone();
        let mut watcher = FileWatcher::new(files);
        loop {
            let trigger = tokio::select! {
                () = signals.recv() => Trigger::Signal,
                () = watcher.changed() => Trigger::FilesChanged,
            };
            // Of a refused configuration too: its files may be what is mended next.
            if let Some(files) = self.reload(trigger).await
                && files.sources != sources
            {
                sources = files.sources.clone();
                watcher = FileWatcher::new(files);
            }
        }
    }

    /// The files that were read, if there was a configuration to name them.
    async fn reload(&self, trigger: Trigger) -> Option<FileFingerprint> {
        let started = Instant::now();
        info!("reloading: {trigger}");
        service_manager::reloading();
        let candidate = self.read().await;
        let files = candidate.as_ref().ok().map(|it| it.files.clone());
        let outcome = candidate.and_then(|candidate| self.replace(candidate));
        let now = clock::now().as_second();
        let duration = started.elapsed();
        self.app.metrics.reloaded(outcome.is_ok(), duration, now);
        service_manager::reloaded(&match outcome {
            Ok(()) => "serving what was last reloaded".to_owned(),
            Err(reason) => format!("reload refused: {reason}"),
        });
        self.reloaded.notify_one();
        files
    }

    /// Reads and proves everything on a thread that may block, but not for ever: a file server
    /// that does not answer must not take the next reload with it.
    async fn read(&self) -> Result<Candidate, Reason> {
        let (source, http) = (self.source.clone(), self.http);
        let credentials_file = self.config.devices.credentials_file.clone();
        let reading = tokio::task::spawn_blocking(move || {
            Candidate::read(&source, http, credentials_file.as_deref())
        });
        match timeout(READ_TIMEOUT, reading).await {
            Ok(Ok(candidate)) => candidate.map_err(|refusal| refused(refusal.as_ref())),
            Ok(Err(panic)) => {
                error!("reload failed, the previous state stays in force: {panic}");
                Err(panic.to_string())
            }
            Err(_) => {
                let seconds = READ_TIMEOUT.as_secs();
                let reason = format!("the files could not be read within {seconds} s");
                error!("reload refused, the previous state stays in force: {reason}");
                Err(reason)
            }
        }
    }

    /// Puts the candidate in force, or says why not.
    fn replace(&self, candidate: Candidate) -> Result<(), Reason> {
        let Candidate {
            config,
            files: _,
            proof,
            credentials,
        } = candidate;
        let publication = proof.verdict.map_err(|refusals| {
            let reasons: Vec<_> = refusals.iter().map(|it| refused(it)).collect();
            reasons.join("; ")
        })?;
        for warning in proof.warnings {
            warn!(
                code = warning.code,
                "{}; hint: {}", warning.message, warning.hint
            );
        }
        self.warn_of_restart(&config);
        self.app.metrics.published(&publication);
        self.app.published.replace(publication);
        if let (Some(call_in), Some(credentials)) = (&self.app.call_in, credentials) {
            call_in.admittance.replace_credentials(credentials);
        }
        info!("reloaded: new connections get the new state");
        Ok(())
    }

    /// Names what has changed and is only read at start.
    fn warn_of_restart(&self, new: &Config) {
        let old = &self.config;
        for (changed, key) in [
            (old.http.listen != new.http.listen, "[http] listen"),
            (old.https.listen != new.https.listen, "[https] listen"),
            (old.admin != new.admin, "[admin] listen"),
            (old.limits != new.limits, "[limits]"),
            (old.access != new.access, "[access]"),
            (old.log != new.log, "[log]"),
            (old.devices != new.devices, "[devices]"),
            (old.webhook != new.webhook, "[webhook]"),
        ] {
            if changed {
                warn!(key, "`{key}` has changed; restart the daemon to use it");
            }
        }
    }
}

/// Why a reload was refused, as it was logged.
type Reason = String;

fn refused(refusal: &dyn Explain) -> Reason {
    let reason = one_line(refusal);
    error!(
        code = &*refusal.code(),
        "reload refused, the previous state stays in force: {reason}"
    );
    reason
}

/// Everything that a reload reads.
struct Candidate {
    config: Config,
    files: FileFingerprint,
    proof: Proof,
    credentials: Option<Credentials>,
}

impl Candidate {
    /// Until a restart, the credentials are where they were at start.
    fn read(
        source: &ConfigSource,
        http: SocketAddr,
        credentials_file: Option<&Path>,
    ) -> Result<Self, Box<dyn Explain + Send>> {
        let config = source.load().map_err(boxed)?;
        let files = FileFingerprint::read(&config);
        let proof = prove(&config, &config.base_url_at(http), clock::now());
        let credentials = credentials_file.map(Credentials::load);
        Ok(Self {
            credentials: credentials.transpose().map_err(boxed)?,
            proof,
            files,
            config,
        })
    }
}

/// Whatever it is, it is only logged.
fn boxed<E: Explain + Send + 'static>(error: E) -> Box<dyn Explain + Send> {
    Box::new(error)
}

/// Far longer than any disk takes.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
