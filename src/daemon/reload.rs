//! New configuration and certificates without a lost connection.
//!
//! Everything new is read and checked first; only then is it swapped in, as one value. Anything
//! wrong leaves the old state in force and says why (DESIGN.md, promise 4).

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use miette::Diagnostic;
use tokio::sync::{Notify, mpsc, watch};
use tokio::task::JoinError;
use tokio::time::{interval, timeout};
use tracing::{info, warn};

use super::base_url::ToldBaseUrl;
use super::reload_requests::ReloadRequests;
use super::watch::{FileFingerprint, FileWatcher, Sources};
use super::{log_bad_sites, log_warnings};
use crate::admin::{Access, AdminFiles, Control, ReloadRequest};
use crate::config::{Config, ConfigSource, SiteFiles};
use crate::platform::{ReloadSignals, service_manager};
use crate::publication::{Publication, PublishedRotation, Validation, validate_as_seen};
use crate::reload_outcome::{ReloadOutcome, ReloadRefusal};
use crate::rotation::{self, RotationFollower};
use crate::routes::App;
use crate::tls::AdminIdentity;
use engage_store::{Credentials, RotationReport, StoredRotation};
use engage_wire::clock;
use engage_wire::diagnostic::one_line;

/// Replaces the publication when its sources change.
pub(super) struct Reloader {
    pub(super) source: ConfigSource,
    /// As it was at start: what needs a restart is still as it says.
    pub(super) config: Config,
    /// Where the plain listener is bound: the base URL may depend on it.
    pub(super) http: SocketAddr,
    pub(super) base_url: ToldBaseUrl,
    /// As they were when they were put in force.
    pub(super) site_files: Arc<SiteFiles>,
    pub(super) app: Arc<App>,
    /// Notified after each reload, refused or not.
    pub(super) reloaded: Arc<Notify>,
    /// Whether a reload was tried because a certificate has become valid.
    pub(super) is_time_spent: bool,
    /// Where a rotation stands, if there is a store that knows.
    pub(super) rotation: Option<FollowedRotation>,
    /// Who may use the pages and the API, if there are any.
    pub(super) access: Option<Arc<Access>>,
    /// How the admin listener shakes hands, if it does.
    pub(super) admin_identity: Option<Arc<AdminIdentity>>,
    /// What those are told of this.
    pub(super) control: Arc<Control>,
}

impl Reloader {
    /// Reloads at each signal, each request, each change of `files`, and when time or the network
    /// has changed what devices would be told, until dropped.
    pub(super) async fn run(
        mut self,
        files: FileFingerprint,
        mut signals: ReloadSignals,
        mut requests: ReloadRequests,
        mut control_requests: mpsc::Receiver<ReloadRequest>,
    ) {
        let mut sources = Arc::clone(&files.sources);
        let mut watcher = FileWatcher::new(files);
        let mut ticks = interval(CONDITION_INTERVAL);
        self.report_rotation(&self.app.published.current_arc(), None);
        loop {
            let (mut request, mut control_request) = (None, None);
            let trigger = tokio::select! {
                _ = ticks.tick() => match self.due() {
                    Some(trigger) => trigger,
                    None => continue,
                },
                () = signals.recv() => "SIGHUP",
                () = watcher.changed() => "files changed",
                () = rotation_changed(&mut self.rotation) => "the root rotation has moved on",
                it = requests.next() => {
                    request = Some(it);
                    "asked by `engage-host reload`"
                }
                Some(it) = control_requests.recv() => {
                    control_request = Some(it);
                    "asked on the admin listener"
                }
            };
            let (files, outcome) = self.reload(trigger).await;
            if let Some(request) = control_request {
                // Who has gone away does not wait.
                let _ = request.send(Arc::clone(&outcome));
            }
            if let Some(request) = request {
                tokio::spawn(request.answer(outcome));
            }
            // Of a refused configuration too: its files may be what is mended next.
            match files {
                Some(files) if files.sources == sources => watcher.know(&files),
                Some(files) => {
                    sources = Arc::clone(&files.sources);
                    watcher = FileWatcher::new(files);
                }
                None => {}
            }
        }
    }

    /// Why to reload although neither files nor anybody ask for it.
    fn due(&mut self) -> Option<&'static str> {
        if self.app.published.current().is_time_right_at(clock::now()) {
            // If it is refused for another reason, somebody has to mend that.
            return (!std::mem::replace(&mut self.is_time_spent, true))
                .then_some("a certificate is valid now");
        }
        self.is_time_spent = false;
        let is_stale = self.base_url.is_stale(self.http);
        is_stale.then_some("this computer has another address")
    }

    /// The outcome, and the files that were read if there was a configuration to name them.
    async fn reload(&mut self, trigger: &str) -> (Option<FileFingerprint>, Arc<ReloadOutcome>) {
        let started = Instant::now();
        info!("reloading: {trigger}");
        service_manager::reloading();
        let (files, replaced) = match self.read().await {
            Ok(candidate) => (Some(candidate.files.clone()), self.replace(candidate)),
            Err(refusals) => (None, Err(refusals)),
        };
        let publication = self.app.published.current();
        let outcome = Arc::new(ReloadOutcome::new(replaced, publication.bad_sites()));
        self.control.set_last_reload(Arc::clone(&outcome));
        outcome.log();
        if outcome.is_ok() {
            log_bad_sites(&publication);
        }
        let refusal = outcome.refusals.first().map(|it| one_line(it));
        self.report_rotation(&publication, refusal);
        let now = clock::now().as_second();
        let metrics = &self.app.metrics;
        metrics.reloaded(outcome.is_ok(), started.elapsed(), now);
        service_manager::ready(&outcome.status(&publication));
        self.reloaded.notify_one();
        (files, outcome)
    }

    /// Reads and checks everything on a thread that may block, but not for ever: a file server
    /// that does not answer must not take the next reload with it.
    async fn read(&mut self) -> Result<Candidate, Vec<ReloadRefusal>> {
        let row = match &mut self.rotation {
            Some(rotation) => rotation.now().await,
            None => StoredRotation::default(),
        };
        let (source, http) = (self.source.clone(), self.http);
        let (told, site_files) = (self.base_url.clone(), Arc::clone(&self.site_files));
        let in_force = self.app.published.current_arc();
        let credentials_file = self.config.devices.credentials_file.clone();
        let admin = self.config.admin.clone();
        let reading = tokio::task::spawn_blocking(move || {
            let config = source.load_after(&site_files);
            let config = config.map_err(|error| vec![ReloadRefusal::new(&error)])?;
            let credentials_file = credentials_file.as_deref();
            // Until a restart, they are where they were at start.
            let admin = AdminFiles::load(&admin).map_err(|errors| {
                let errors = errors.iter();
                errors.map(|it| ReloadRefusal::new(it)).collect::<Vec<_>>()
            })?;
            let read = Candidate::read(config, http, &told, &in_force, credentials_file, row)?;
            Ok(Candidate { admin, ..read })
        });
        timeout(READ_TIMEOUT, reading)
            .await
            .map_err(|_| vec![ReloadRefusal::new(&ReadError::TimedOut)])?
            .map_err(|panic| vec![ReloadRefusal::new(&ReadError::Panicked(panic))])?
    }

    /// Puts the candidate in force, or says why it must not be.
    fn replace(&mut self, candidate: Candidate) -> Result<(), Vec<ReloadRefusal>> {
        let Candidate {
            config,
            files: _,
            base_url,
            validation,
            credentials,
            admin,
            revision,
        } = candidate;
        // Also if it is refused: else this would be tried every few seconds.
        let told = std::mem::replace(&mut self.base_url, base_url);
        let is_tls_served = self.app.published.current().identity().is_ok();
        let publication = validation.outcome.and_then(|publication| {
            if is_tls_served {
                publication.with_identity()
            } else {
                Ok(publication)
            }
        });
        let publication = publication.map_err(|refusals| {
            let refusals = refusals.iter();
            refusals
                .map(|refusal| ReloadRefusal::new(refusal))
                .collect::<Vec<_>>()
        })?;
        log_warnings(&validation.warnings);
        self.warn_of_restart(&config);
        if self.base_url.url != told.url {
            let (old, new) = (&told.url, &self.base_url.url);
            info!("devices are told `{new}` instead of `{old}`");
        }
        let files = std::mem::replace(&mut self.site_files, Arc::clone(&config.site_files));
        let replaced = self.control.replace_config(self.in_force(config));
        self.app.metrics.published(&publication);
        let before = self.app.published.current_arc();
        self.app.published.replace(publication);
        rotation::log(Some(&before), &self.app.published.current());
        // To take down ten thousand sites takes a while.
        tokio::task::spawn_blocking(move || drop((before, files, replaced, validation.inventory)));
        if let Some(rotation) = &mut self.rotation {
            rotation.revision = revision;
        }
        if let (Some(call_in), Some(credentials)) = (&self.app.call_in, credentials) {
            call_in.authenticator.replace_credentials(credentials);
        }
        if let (Some(access), Some(tokens)) = (&self.access, admin.tokens) {
            access.replace_tokens(tokens);
        }
        if let (Some(present), Some(new)) = (&self.admin_identity, admin.identity) {
            present.replace(new);
        }
        Ok(())
    }

    /// What is only read at start, as it was then, with all else of a new configuration.
    fn in_force(&self, new: Config) -> Config {
        let old = &self.config;
        let mut pki = new.pki.clone();
        pki.auto_renew = old.pki.auto_renew;
        pki.steady_clock_minutes = old.pki.steady_clock_minutes;
        let mut https = new.https.clone();
        https.listen = old.https.listen;
        Config {
            http: old.http.clone(),
            https,
            limits: old.limits.clone(),
            access: old.access.clone(),
            admin: old.admin.clone(),
            log: old.log.clone(),
            pki,
            devices: old.devices.clone(),
            webhook: old.webhook.clone(),
            otlp: old.otlp.clone(),
            ..new
        }
    }

    /// Tells the store what is served of its rotation, and why not what it says.
    fn report_rotation(&self, publication: &Publication, refusal: Option<String>) {
        let Some(rotation) = &self.rotation else {
            return;
        };
        let mut refusals = publication.rotation_refusals();
        rotation.follower.report(RotationReport {
            revision: rotation.revision,
            is_swapped: publication
                .rotation()
                .is_some_and(PublishedRotation::is_swapped),
            refusal: refusal.or_else(|| refusals.next().map(|it| one_line(it))),
        });
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
            (old.pki.auto_renew != new.pki.auto_renew, "[pki] auto_renew"),
            (
                old.pki.steady_clock_minutes != new.pki.steady_clock_minutes,
                "[pki] steady_clock_minutes",
            ),
            (old.devices != new.devices, "[devices]"),
            (old.webhook != new.webhook, "[webhook]"),
            (old.otlp != new.otlp, "[otlp]"),
        ] {
            if changed {
                warn!(key, "`{key}` has changed; restart the daemon to use it");
            }
        }
    }
}

/// The row that says where a rotation stands.
pub(super) struct FollowedRotation {
    follower: Arc<RotationFollower>,
    row: watch::Receiver<StoredRotation>,
    /// Of the publication in force.
    revision: i64,
}

impl FollowedRotation {
    /// What is published now was made from what the follower knows.
    pub(super) fn new(follower: Arc<RotationFollower>) -> Self {
        let mut row = follower.subscribe();
        let revision = row.borrow_and_update().revision;
        Self {
            follower,
            row,
            revision,
        }
    }

    /// As the store says now, if it does so in time.
    async fn now(&mut self) -> StoredRotation {
        let _ = timeout(ROW_TIMEOUT, self.follower.refresh()).await;
        self.row.borrow_and_update().clone()
    }
}

/// Completes when the row has changed. Cancel safe.
async fn rotation_changed(rotation: &mut Option<FollowedRotation>) {
    if let Some(FollowedRotation { row, .. }) = rotation
        && row.changed().await.is_ok()
    {
        return;
    }
    std::future::pending::<()>().await;
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
    base_url: ToldBaseUrl,
    validation: Validation,
    credentials: Option<Credentials>,
    admin: AdminFiles,
    /// Of the row with the rotation.
    revision: i64,
}

impl Candidate {
    /// Until a restart, the credentials are where they were at start.
    fn read(
        config: Config,
        http: SocketAddr,
        told: &ToldBaseUrl,
        in_force: &Publication,
        credentials_file: Option<&Path>,
        row: StoredRotation,
    ) -> Result<Self, Vec<ReloadRefusal>> {
        let StoredRotation { revision, rotation } = row;
        let sources = Arc::new(Sources::from_config(&config, rotation.is_some()));
        let versions = sources.versions();
        let files = FileFingerprint::read(&config, &sources, &versions);
        let base_url = told.next(&config, http);
        let validation = validate_as_seen(
            &config,
            &base_url.url,
            clock::now(),
            Some(in_force),
            rotation.as_ref(),
            &versions,
        );
        let credentials = credentials_file.map(Credentials::load).transpose();
        Ok(Self {
            credentials: credentials.map_err(|error| vec![ReloadRefusal::new(&error)])?,
            admin: AdminFiles::default(),
            validation,
            base_url,
            files,
            config,
            revision,
        })
    }
}

/// How often the clock and the network are looked at.
const CONDITION_INTERVAL: Duration = Duration::from_secs(5);

/// A reload does not wait long for the store.
const ROW_TIMEOUT: Duration = Duration::from_secs(1);

/// Far longer than any disk takes.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
