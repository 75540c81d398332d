//! Everything that a reload reads, before any of it is in force.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use miette::Diagnostic;
use tokio::task::{JoinError, spawn_blocking};
use tokio::time::timeout;

use crate::admin::AdminFiles;
use crate::config::{AdminConfig, Config, ConfigSource, SiteFiles};
use crate::daemon::base_url::EffectiveBaseUrl;
use crate::daemon::watch::{FileFingerprint, Sources};
use crate::publication::{Publication, Validation, validate_as_seen};
use crate::reload_outcome::ReloadRefusal;
use engage_store::{Credentials, StoredRotation};
use engage_wire::clock;

/// What may be put in force.
pub(super) struct Candidate {
    pub(super) config: Config,
    pub(super) files: FileFingerprint,
    pub(super) base_url: EffectiveBaseUrl,
    pub(super) validation: Validation,
    pub(super) credentials: Option<Credentials>,
    /// Or what is wrong with them: no reason to keep a new certificate from devices.
    pub(super) admin: Result<AdminFiles, Vec<ReloadRefusal>>,
    /// Of the row with the rotation.
    pub(super) revision: i64,
}

/// Where a candidate is read from, and what it is compared with.
pub(super) struct CandidateReader {
    pub(super) source: ConfigSource,
    /// As they were when they were put in force.
    pub(super) site_files: Arc<SiteFiles>,
    /// Where the plain listener is bound.
    pub(super) http: SocketAddr,
    pub(super) base_url: EffectiveBaseUrl,
    pub(super) in_force: Arc<Publication>,
    /// As it was at start: until a restart, its files are where they were.
    pub(super) admin: AdminConfig,
    /// The same.
    pub(super) credentials_file: Option<PathBuf>,
    pub(super) row: StoredRotation,
}

impl CandidateReader {
    /// Reads and checks everything on a thread that may block, but not for ever: a file server
    /// that does not answer must not take the next reload with it.
    pub(super) async fn read(self) -> Result<Candidate, Vec<ReloadRefusal>> {
        timeout(READ_TIMEOUT, spawn_blocking(|| self.read_now()))
            .await
            .map_err(|_| vec![ReloadRefusal::new(&ReadError::TimedOut)])?
            .map_err(|panic| vec![ReloadRefusal::new(&ReadError::Panicked(panic))])?
    }

    fn read_now(self) -> Result<Candidate, Vec<ReloadRefusal>> {
        let config = self.source.load_after(&self.site_files);
        let config = config.map_err(|error| vec![ReloadRefusal::new(&error)])?;
        let admin = AdminFiles::load(&self.admin).map_err(|errors| {
            let errors = errors.iter();
            let refusals = errors.map(|it| ReloadRefusal::of_admin_file(it));
            refusals.collect::<Vec<_>>()
        });
        let StoredRotation { revision, rotation } = self.row;
        let sources = Arc::new(Sources::from_config(&config, rotation.is_some()));
        let versions = sources.versions();
        let files = FileFingerprint::read(&config, &sources, &versions);
        let base_url = self.base_url.next(&config, self.http);
        let validation = validate_as_seen(
            &config,
            &base_url.url,
            clock::now(),
            Some(&self.in_force),
            rotation.as_ref(),
            &versions,
        );
        let credentials = self.credentials_file.as_deref().map(Credentials::load);
        let credentials = credentials.transpose();
        Ok(Candidate {
            credentials: credentials.map_err(|error| vec![ReloadRefusal::new(&error)])?,
            config,
            files,
            base_url,
            validation,
            admin,
            revision,
        })
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

/// Far longer than any disk takes.
const READ_TIMEOUT: Duration = Duration::from_mins(1);
