//! New configuration and certificates without a lost connection.
//!
//! Everything new is read and proven first; only then is it swapped in, as one value. Anything
//! wrong leaves the old state in force and says why (DESIGN.md, promise 4).

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use miette::Diagnostic;
use tokio::sync::Notify;
use tokio::task::JoinError;
use tokio::time::timeout;
use tracing::{info, warn};

use super::reload_outcome::{ReloadOutcome, ReloadRefusal};
use super::reload_requests::ReloadRequests;
use super::watch::{FileFingerprint, FileWatcher};
use crate::config::{Config, ConfigSource};
use crate::platform::{ReloadSignals, service_manager};
use crate::publication::{Validation, validate};
use crate::routes::App;
use engage_store::Credentials;
use engage_wire::clock;

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

impl Reloader {
    /// Reloads at each signal, each request and each change of `files`, until dropped.
    pub(super) async fn run(
        self,
        files: FileFingerprint,
        mut signals: ReloadSignals,
        mut requests: ReloadRequests,
    ) {
        let mut sources = files.sources.clone();
        let mut watcher = FileWatcher::new(files);
        loop {
            let (trigger, request) = tokio::select! {
                () = signals.recv() => ("SIGHUP", None),
                () = watcher.changed() => ("files changed", None),
                request = requests.next() => ("asked by `engage-host reload`", Some(request)),
            };
            let (files, outcome) = self.reload(trigger).await;
            if let Some(request) = request {
                tokio::spawn(request.answer(outcome));
            }
            // Of a refused configuration too: its files may be what is mended next.
            if let Some(files) = files.filter(|files| files.sources != sources) {
                sources = files.sources.clone();
                watcher = FileWatcher::new(files);
            }
        }
    }

    /// The outcome, and the files that were read if there was a configuration to name them.
    async fn reload(&self, trigger: &str) -> (Option<FileFingerprint>, ReloadOutcome) {
        let started = Instant::now();
        info!("reloading: {trigger}");
        service_manager::reloading();
        let (files, replaced) = match self.read().await {
            Ok(candidate) => (Some(candidate.files.clone()), self.replace(candidate)),
            Err(refusal) => (None, Err(vec![refusal])),
        };
        let outcome = ReloadOutcome::from(replaced);
        outcome.log();
        let now = clock::now().as_second();
        let metrics = &self.app.metrics;
        metrics.reloaded(outcome.is_ok(), started.elapsed(), now);
        service_manager::ready(&outcome.status());
        self.reloaded.notify_one();
        (files, outcome)
    }

    /// Reads and proves everything on a thread that may block, but not for ever: a file server
    /// that does not answer must not take the next reload with it.
    async fn read(&self) -> Result<Candidate, ReloadRefusal> {
        let (source, http) = (self.source.clone(), self.http);
        let credentials_file = self.config.devices.credentials_file.clone();
        let reading = tokio::task::spawn_blocking(move || {
            Candidate::read(&source, http, credentials_file.as_deref())
        });
        timeout(READ_TIMEOUT, reading)
            .await
            .map_err(|_| ReloadRefusal::new(&ReadError::TimedOut))?
            .map_err(|panic| ReloadRefusal::new(&ReadError::Panicked(panic)))?
    }

    /// Puts the candidate in force, or says why it must not be.
    fn replace(&self, candidate: Candidate) -> Result<(), Vec<ReloadRefusal>> {
        let Candidate {
            config,
            files: _,
            validation,
            credentials,
        } = candidate;
        let publication = validation.outcome.map_err(|refusals| {
            let refusals = refusals.iter();
            refusals
                .map(|refusal| ReloadRefusal::new(refusal))
                .collect::<Vec<_>>()
        })?;
        for warning in validation.warnings {
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
        Ok(())
    }

    /// Names what has changed and is only read at start.
    fn warn_of_restart(&self, new: &Config) {
        let old = &self.config;
        for (changed, key) in [
            (old.http.listen != new.http.listen, "[http] listen"),
            (old.https.listen != new.https.listen, "[https] listen"),
            (old.admin != new.admin, "[admin]"),
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

/// Why nothing could be read at all.
#[derive(Debug, Diagnostic, thiserror::Error)]
enum ReadError {
    #[error("the files could not be read within {} s", READ_TIMEOUT.as_secs())]
    #[diagnostic(
        code("read-timeout"),
        help("is the disk or the file server that holds them well?")
    )]
    TimedOut,
    #[error("reading the files failed unexpectedly")]
    #[diagnostic(
        code("panicked"),
        help("this is a fault of engage-host: report what was logged before")
    )]
    Panicked(#[source] JoinError),
}

/// Everything that a reload reads.
struct Candidate {
    config: Config,
    files: FileFingerprint,
    validation: Validation,
    credentials: Option<Credentials>,
}

impl Candidate {
    /// Until a restart, the credentials are where they were at start.
    fn read(
        source: &ConfigSource,
        http: SocketAddr,
        credentials_file: Option<&Path>,
    ) -> Result<Self, ReloadRefusal> {
        let config = source.load().map_err(|error| ReloadRefusal::new(&error))?;
        let files = FileFingerprint::read(&config);
        let validation = validate(&config, &config.base_url_at(http), clock::now());
        let credentials = credentials_file.map(Credentials::load).transpose();
        Ok(Self {
            credentials: credentials.map_err(|error| ReloadRefusal::new(&error))?,
            validation,
            files,
            config,
        })
    }
}

/// Far longer than any disk takes.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
