//! What a step is taken with: the configuration, the store, and the row as it was read.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::{Duration, Instant};

use engage_store::{
    DatabaseUrl, HostRotation, Replaced, Rotation, RotationStep, SqlOptions, StoreReader,
    StoreWriter, StoredRotation,
};
use engage_wire::clock;
use engage_wire::pki::load_certificate_der;
use jiff::Timestamp;

use super::error::RotateError;
use crate::config::{BaseUrl, Config};
use crate::failure::Failure;
use crate::publication::{NextFiles, Validation, validate};
use crate::recording::StoreLocation;
use crate::reload_outcome::ReloadRefusal;
use crate::staged_file::folder;

pub(crate) struct Session {
    pub(crate) config: Config,
    pub(crate) base_url: BaseUrl,
    pub(crate) files: NextFiles,
    pub(crate) reader: StoreReader,
    options: SqlOptions,
    pub(crate) stored: StoredRotation,
    /// How long to wait until every host that runs has followed.
    wait: Duration,
    /// Has the daemon here read its files again, and waits so long for the outcome.
    reload: Box<dyn Fn(Duration) + Send>,
}

impl Session {
    /// For a step. `reload` has the daemon here read its files again.
    pub(crate) fn open(
        config: &Path,
        wait: Duration,
        reload: impl Fn(Duration) + Send + 'static,
    ) -> Result<Self, Failure> {
        let session = Self {
            wait,
            reload: Box::new(reload),
            ..Self::read(config)?
        };
        let mut writer = StoreWriter::open(&session.options)?;
        writer.require_rotations()?;
        writer.close()?;
        Ok(session)
    }

    /// For who only looks.
    pub(crate) fn read(config: &Path) -> Result<Self, Failure> {
        let config = Config::load(config)?;
        let location = StoreLocation::from_config(&config)?.existing(&config.path)?;
        let reader = StoreReader::open(&location.options)?;
        Ok(Self {
            stored: reader.rotation()?,
            reader,
            options: location.options,
            base_url: config.base_url_at(config.http.listen),
            files: NextFiles::new(&config),
            config,
            wait: Duration::ZERO,
            reload: Box::new(|_| ()),
        })
    }

    /// Whether other hosts may be on the store.
    pub(crate) fn is_shared(&self) -> bool {
        matches!(self.options.url, DatabaseUrl::Postgres(_))
    }

    /// What is under way.
    pub(crate) fn rotation(&self) -> Result<&Rotation, RotateError> {
        self.stored
            .rotation
            .as_ref()
            .ok_or(RotateError::NoneUnderWay {
                next: self.files.folder().to_owned(),
                has_next: self.files.folder().exists(),
            })
    }

    /// What devices would say of a rotation's files on this host at a step of it.
    pub(crate) fn check(&self, rotation: &Rotation, step: RotationStep) -> Vec<ReloadRefusal> {
        let rotation = Rotation {
            step,
            ..rotation.clone()
        };
        let Validation { outcome, .. } = validate(
            &self.config,
            &self.base_url,
            clock::now(),
            None,
            Some(&rotation),
        );
        let refusals: Vec<_> = match outcome {
            Ok(publication) => publication
                .rotation_refusals()
                .map(|it| ReloadRefusal::new(it))
                .collect(),
            Err(refusals) => refusals.iter().map(|it| ReloadRefusal::new(it)).collect(),
        };
        // The others follow from it.
        match self.missing_anchor(&rotation) {
            Some(missing) if !refusals.is_empty() => vec![ReloadRefusal::new(&missing)],
            _ => refusals,
        }
    }

    /// What is to be announced, and lies nowhere.
    fn missing_anchor(&self, rotation: &Rotation) -> Option<RotateError> {
        if !self.files.folder().exists() {
            return None;
        }
        let anchors = self.files.anchors().into_iter();
        let found: HashSet<_> = anchors
            .filter_map(|path| load_certificate_der("announced certificate", &path).ok())
            .map(|it| it.fingerprint())
            .collect();
        let mut new = rotation.anchors.iter().map(|it| it.new);
        let anchor = new.find(|it| !found.contains(it))?;
        Some(RotateError::MissingAnchor {
            folder: self.files.anchors_folder(),
            anchor,
        })
    }

    /// Puts the rotation to a step, where it is not there already.
    pub(crate) fn go_to(&mut self, step: RotationStep) -> Result<(), Failure> {
        let rotation = self.rotation()?;
        if rotation.step == step {
            return Ok(());
        }
        let next = Rotation {
            step,
            step_at: Timestamp::now(),
            ..rotation.clone()
        };
        self.replace(Some(next))
    }

    /// One write, unless somebody else has written since the row was read.
    pub(crate) fn replace(&mut self, next: Option<Rotation>) -> Result<(), Failure> {
        let mut writer = StoreWriter::open(&self.options)?;
        let replaced = writer.replace_rotation(self.stored.revision, next)?;
        writer.close()?;
        match replaced {
            Replaced::Stored(stored) => {
                self.stored = stored;
                Ok(())
            }
            Replaced::Changed(stored) => Err(RotateError::changed(&stored).into()),
        }
    }

    /// Has the daemon here look at once, and waits until every host that lives serves what the row
    /// says and `is_done`, or has said why not. What they say then.
    pub(crate) fn wait_for_hosts(
        &self,
        is_done: impl Fn(&HostRotation) -> bool,
    ) -> Result<Vec<HostRotation>, Failure> {
        let deadline = Instant::now() + self.wait;
        // It says itself, as the others do, what it serves.
        (self.reload)(self.wait);
        loop {
            let hosts = self.reader.rotation_reports()?;
            let is_settled = |it: &HostRotation| self.follows(it) && is_done(it);
            if hosts.iter().all(is_settled) || Instant::now() >= deadline {
                return Ok(hosts);
            }
            sleep(POLL_INTERVAL);
        }
    }

    /// Whether a host serves what the row says.
    pub(crate) fn follows(&self, host: &HostRotation) -> bool {
        host.report
            .as_ref()
            .is_some_and(|it| it.revision >= self.stored.revision && it.refusal.is_none())
    }
}

/// A folder of a rotation, beside the server certificate.
pub(crate) fn folder_of(session: &Session, rotation: &Rotation, what: &str) -> PathBuf {
    let (date, id) = (
        rotation.began_at.strftime("%Y-%m-%d"),
        rotation.id.to_string(),
    );
    let name = format!("{what}-{date}-{}", &id[..8]);
    folder(&session.config.https.certificate).join(name)
}

const POLL_INTERVAL: Duration = Duration::from_millis(200);
