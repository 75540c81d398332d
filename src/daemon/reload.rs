//! New configuration and certificates without a lost connection.
//!
//! Everything new is read and checked first; only then is it swapped in, as one value. Anything
//! wrong leaves the old state in force and says why (DESIGN.md, promise 4).

mod candidate;
mod followed_rotation;
mod start_only;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::sync::{Notify, mpsc};
use tokio::time::interval;
use tracing::{error, info};

use super::base_url::EffectiveBaseUrl;
use super::reload_requests::ReloadRequests;
use super::watch::{FileFingerprint, FileWatcher};
use super::{log_bad_sites, log_warnings};
use crate::admin::{AdminAccess, AdminFiles, Control, ReloadRequest};
use crate::config::{Config, ConfigSource, SiteFiles};
use crate::platform::{RELOAD_SIGNAL, ReloadSignals, service_manager};
use crate::publication::{Publication, PublishedRotation};
use crate::reload_outcome::{ReloadOutcome, ReloadRefusal};
use crate::rotation;
use crate::routes::App;
use crate::tls::AdminIdentity;
use candidate::{Candidate, CandidateReader};
use engage_store::{RotationReport, StoredRotation};
use engage_wire::clock;
use engage_wire::diagnostic::{code, one_line};
use followed_rotation::rotation_changed;

pub(super) use followed_rotation::FollowedRotation;

/// Replaces the publication when its sources change.
pub(super) struct Reloader {
    pub(super) source: ConfigSource,
    /// As it was at start: what needs a restart is still as it says.
    pub(super) config: Config,
    /// Where the plain listener is bound: the base URL may depend on it.
    pub(super) http: SocketAddr,
    pub(super) base_url: EffectiveBaseUrl,
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
    pub(super) access: Option<Arc<AdminAccess>>,
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
                () = signals.recv() => RELOAD_SIGNAL,
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

    async fn read(&mut self) -> Result<Candidate, Vec<ReloadRefusal>> {
        let row = match &mut self.rotation {
            Some(rotation) => rotation.now().await,
            None => StoredRotation::default(),
        };
        let reader = CandidateReader {
            source: self.source.clone(),
            site_files: Arc::clone(&self.site_files),
            http: self.http,
            base_url: self.base_url.clone(),
            in_force: self.app.published.current_arc(),
            admin: self.config.admin.clone(),
            credentials_file: self.config.devices.credentials_file.clone(),
            row,
        };
        reader.read().await
    }

    /// Puts the candidate in force but for what is told, or says why it must not be.
    fn replace(&mut self, candidate: Candidate) -> Result<Vec<ReloadRefusal>, Vec<ReloadRefusal>> {
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
        let config = start_only::in_force(config, &self.config);
        if self.base_url.url != told.url {
            let (old, new) = (&told.url, &self.base_url.url);
            info!("devices are told `{new}` instead of `{old}`");
        }
        let files = std::mem::replace(&mut self.site_files, Arc::clone(&config.site_files));
        let replaced = self.control.replace_config(config);
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
        Ok(self.replace_admin_files(admin))
    }

    /// What is wrong with them: then the admin listener keeps what it had.
    fn replace_admin_files(
        &self,
        files: Result<AdminFiles, Vec<ReloadRefusal>>,
    ) -> Vec<ReloadRefusal> {
        let AdminFiles { tokens, identity } = match files {
            Ok(files) => files,
            Err(refusals) => {
                for refusal in &refusals {
                    error!(code = %code(refusal), "reloaded in part: {}", one_line(refusal));
                }
                return refusals;
            }
        };
        if let (Some(access), Some(tokens)) = (&self.access, tokens) {
            access.replace_tokens(tokens);
        }
        if let (Some(present), Some(new)) = (&self.admin_identity, identity) {
            present.replace(new);
        }
        Vec::new()
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
}

/// How often the clock and the network are looked at.
const CONDITION_INTERVAL: Duration = Duration::from_secs(5);
