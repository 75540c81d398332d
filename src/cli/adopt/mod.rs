//! `engage-host adopt`: from the vendor's sample server to this one, without touching a device.

mod devices;
mod error;
mod exposed;
mod old_server;
mod report;
mod script;
mod site_key;
mod target;
mod tokens;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::init::layout::folder;
use super::output::print_result;
use crate::config::ListenOverrides;
use crate::failure::{ErrorEntry, Failure};
use crate::new_files::{
    CreatedEntry, NewFile, create_data_dir, lock_folder_of, remove_staged, write_all,
};
use crate::publication::{Publication, validate};
use devices::DeviceFiles;
use engage_wire::clock;
use error::AdoptError;
use exposed::{AuthorityKey, Exposed};
use old_server::OldServer;
use report::AdoptReport;
use site_key::VerifiedKey;
use target::Target;

/// Take over certificates, keys and databases of the vendor's sample server.
///
/// Reads its folder and its two scripts, which are never run; verifies the site key against the hash
/// that the old server announced; writes `config.toml`, `pki/` and `static/` into another folder.
/// The old folder is left as it is. docs/MIGRATION.md has the cut-over and the way back.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  engage-host adopt ./API_Server --dir /etc/engage-host --site-key-file site.key"
)]
pub(super) struct Adopt {
    /// Folder of the old server, with its scripts, `static` and `Engage_Data`
    #[arg(value_name = "OLD")]
    old: PathBuf,
    /// Folder of the new config.toml
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    /// Site key of the ENGAGE site: Base64, hex or raw. Without it, a terminal is asked
    #[arg(long, value_name = "FILE")]
    site_key_file: Option<PathBuf>,
    #[command(flatten)]
    listen: ListenOverrides,
    /// Print JSON instead of text
    #[arg(long)]
    pub(super) json: bool,
}

impl Adopt {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let takeover = Takeover::prepare(&self)?;
        let written = takeover.write()?;
        let report = takeover.into_report(written);
        let ok = report.refusals.is_empty();
        print_result(&report, self.json)?;
        Ok(ExitCode::from(u8::from(!ok)))
    }
}

/// Everything read and verified, nothing written.
struct Takeover {
    server: OldServer,
    key_note: Option<String>,
    exposed: Vec<Exposed>,
    has_intermediate_key: bool,
    devices: DeviceFiles,
    target: Target,
    files: Vec<NewFile>,
}

/// What is there now.
struct Written {
    created: Vec<CreatedEntry>,
    existing: Vec<String>,
}

impl Takeover {
    fn prepare(arguments: &Adopt) -> Result<Self, Failure> {
        let config_path = config_path(&arguments.dir, &arguments.old)?;
        let server = OldServer::read(&arguments.old)?;
        let key = VerifiedKey::new(arguments.site_key_file.as_deref(), &server)?;
        let authorities = exposed::authority_keys(&server);
        let devices = DeviceFiles::read(&arguments.old);
        let target = Target::new(&config_path, &server, &arguments.listen)?;
        let exposed = exposed::exposed(&server, &key.key);
        let files = target.files(&server, key.contents, &authorities, &devices)?;
        Ok(Self {
            has_intermediate_key: authorities.iter().any(AuthorityKey::is_intermediate),
            key_note: key.note,
            server,
            exposed,
            devices,
            target,
            files,
        })
    }

    /// Writes what is not there yet, and so completes a run that was interrupted.
    fn write(&self) -> Result<Written, Failure> {
        let _lock = lock_folder_of(&self.target.config.path)?;
        let (existing, missing): (Vec<_>, Vec<_>) =
            self.files.iter().partition(|file| file.path.exists());
        if let Some(other) = existing.iter().find(|file| !file.is_in_place()) {
            return Err(AdoptError::Exists {
                path: other.path.clone(),
            }
            .into());
        }
        for file in &missing {
            remove_staged(&file.path);
        }
        create_data_dir(&self.target.data_dir)?;
        for database in &self.devices.adopted {
            create_data_dir(&self.target.data_dir.join(database.device.to_string()))?;
        }
        write_all(missing.iter().copied())?;
        let entry = |file: &&NewFile| CreatedEntry::new(&file.path, file.what);
        Ok(Written {
            created: missing.iter().map(entry).collect(),
            existing: existing
                .iter()
                .map(|file| file.path.display().to_string())
                .collect(),
        })
    }

    /// Checks what was written, as `check` does.
    fn into_report(self, written: Written) -> AdoptReport {
        let config = &self.target.config;
        let base_url = config.base_url_at(config.http.listen);
        let validation = validate(config, &base_url, clock::now(), None, None);
        let refusals = match &validation.outcome.and_then(Publication::whole) {
            Ok(_) => Vec::new(),
            Err(refusals) => ErrorEntry::all(refusals.iter()),
        };
        let next = self.next_steps(&refusals);
        let mut notes = self.server.notes;
        notes.extend(self.key_note);
        AdoptReport {
            cert_url: self.server.announcement.cert_url,
            hash: self.server.announcement.hash,
            created: written.created,
            existing: written.existing,
            notes,
            exposed: self.exposed,
            devices_left: self.devices.left,
            warnings: ErrorEntry::all(&validation.warnings),
            refusals,
            next,
        }
    }

    fn next_steps(&self, refusals: &[ErrorEntry]) -> Vec<String> {
        let config = self.target.config.path.display();
        let mut next = Vec::new();
        if !refusals.is_empty() {
            next.push(format!(
                "mend the errors above, until this passes: engage-host check --config {config}"
            ));
        }
        next.push(format!(
            "stop both scripts, and start the daemon where devices find {}: engage-host serve --config {config}",
            self.server.base_url
        ));
        next.push(format!(
            "see it as a lock does: engage-host doctor --config {config}"
        ));
        if !self.exposed.is_empty() {
            next.push(if self.has_intermediate_key {
                RENEW.replace(
                    "DIR",
                    &folder(&self.target.config.path).display().to_string(),
                )
            } else {
                "issue what was exposed anew; docs/MIGRATION.md has the openssl commands".to_owned()
            });
        }
        next.push(
            "keep the old folder until every lock has called; then destroy its keys".to_owned(),
        );
        next
    }
}

/// The absolute path of the new configuration, which must not be in the old folder.
fn config_path(dir: &Path, old: &Path) -> Result<PathBuf, Failure> {
    let old = fs_err::canonicalize(old).map_err(|source| AdoptError::OldFolder { source })?;
    let path = std::path::absolute(dir).unwrap_or_else(|_| dir.to_owned());
    let existing = path.ancestors().find_map(|it| it.canonicalize().ok());
    if existing.is_some_and(|existing| existing.starts_with(&old)) {
        return Err(AdoptError::InsideOldFolder { target: path }.into());
    }
    Ok(path.join("config.toml"))
}

const RENEW: &str = "issue a new server certificate in place of the exposed one:
   cd DIR && mkdir pki/old && mv pki/partner_server.* pki/old/ && engage-host init --dir DIR";
