//! What a step is taken with: the configuration, the store, and the row as it was read.

use std::collections::HashSet;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use engage_store::{
    DatabaseUrl, HostRotation, Replaced, Rotation, RotationStep, SqlOptions, StoreReader,
    StoreWriter, StoredRotation,
};
use engage_wire::clock;
use engage_wire::pki::load_certificate_der;
use jiff::Timestamp;

use super::StepArgs;
use super::error::RotateError;
use crate::cli::devices::store_args::StoreLocation;
use crate::cli::output::Failure;
use crate::cli::reload::request_within;
use crate::config::{BaseUrl, Config};
use crate::publication::{NextFiles, Validation, validate};
use crate::reload_outcome::ReloadRefusal;

pub(super) struct Session {
    pub(super) config: Config,
    pub(super) base_url: BaseUrl,
    pub(super) files: NextFiles,
    pub(super) reader: StoreReader,
    options: SqlOptions,
    pub(super) stored: StoredRotation,
    wait: Duration,
}

impl Session {
    pub(super) fn open(args: &StepArgs) -> Result<Self, Failure> {
        let session = Self::read(&args.config, args.wait)?;
        let mut writer = StoreWriter::open(&session.options)?;
        writer.require_rotations()?;
        writer.close()?;
        Ok(session)
    }

    /// For who only looks.
    pub(super) fn read(config: &Path, wait: Duration) -> Result<Self, Failure> {
        let config = Config::load(config)?;
        let location = StoreLocation::of(&config)?.existing(&config.path)?;
        let reader = StoreReader::open(&location.options)?;
        Ok(Self {
            stored: reader.rotation()?,
            reader,
            options: location.options,
            base_url: config.base_url_at(config.http.listen),
            files: NextFiles::new(&config),
            config,
            wait,
        })
    }

    /// Whether other hosts may be on the store.
    pub(super) fn is_shared(&self) -> bool {
        matches!(self.options.url, DatabaseUrl::Postgres(_))
    }

    /// What is under way.
    pub(super) fn rotation(&self) -> Result<&Rotation, RotateError> {
        self.stored
            .rotation
            .as_ref()
            .ok_or(RotateError::NoneUnderWay {
                next: self.files.folder().to_owned(),
                has_next: self.files.folder().exists(),
            })
    }

    /// What devices would say of a rotation's files on this host at a step of it.
    pub(super) fn judge(&self, rotation: &Rotation, step: RotationStep) -> Vec<ReloadRefusal> {
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
    pub(super) fn go_to(&mut self, step: RotationStep) -> Result<(), Failure> {
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
    pub(super) fn replace(&mut self, next: Option<Rotation>) -> Result<(), Failure> {
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
    pub(super) fn wait_for_hosts(
        &self,
        is_done: impl Fn(&HostRotation) -> bool,
    ) -> Result<Vec<HostRotation>, Failure> {
        let deadline = Instant::now() + self.wait;
        // It says itself, as the others do, what it serves.
        request_within(self.wait);
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
    pub(super) fn follows(&self, host: &HostRotation) -> bool {
        host.report
            .as_ref()
            .is_some_and(|it| it.revision >= self.stored.revision && it.refusal.is_none())
    }
}

const POLL_INTERVAL: Duration = Duration::from_millis(200);
