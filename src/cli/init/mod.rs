//! `engage-host init`: from nothing to something that `serve` can serve.
//!
//! Looks at what the configuration names, makes in memory what is missing, and only then writes:
//! a refusal leaves everything as it was. Nothing that exists is ever overwritten. A run that is
//! killed is completed by the next one.

pub(super) mod certificates;
pub(super) mod clock;
mod contradicted;
pub(super) mod error;
mod existing_installation;
pub(super) mod hosts;
mod interrupted;
pub(super) mod layout;
pub(super) mod replaced;
pub(super) mod report;
pub(super) mod site_keys;
pub(super) mod system;
pub(super) mod template;
pub(super) mod token_file;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;
use jiff::Timestamp;

use super::output::{print, print_result};
use crate::config::{Config, DevicesDirectory, ListenOverrides};
use crate::failure::Failure;
use crate::new_files::{self, CreatedEntry, NewFile, Readers};
use crate::platform::SYSTEM_DEVICES_DIRECTORY;
use crate::renewal::ROOT_KEY;
use certificates::NewServer;
use engage_wire::HostName;
use engage_wire::pki::issue::ValidityPolicy;
use error::InitError;
use interrupted::Interrupted;
use layout::Layout;
use report::{InitReport, next_steps};
use template::Template;

/// Make the keys, certificates and configuration that are missing.
///
/// Never overwrites: what exists is kept and listed, and an argument that it contradicts is refused. `engage-host renew` renews the server
/// certificate.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  engage-host init --dir /etc/engage-host --host 10.44.68.128 --host doors.example.com"
)]
pub(super) struct Init {
    /// Folder of config.toml
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
    #[cfg_attr(
        unix,
        doc = "For the service of a package: in /etc/engage-host, readable for its user, with what devices send in /var/lib/engage-host"
    )]
    #[cfg_attr(
        windows,
        doc = "For the Windows service: in %ProgramData%\\engage-host, readable for its account, with what devices send in its folder `data`"
    )]
    #[arg(long, conflicts_with = "dir")]
    system: bool,
    /// Address or name under which devices reach this computer; the first one becomes `base_url`.
    /// Repeatable. Default: this computer's own
    #[arg(long = "host", value_name = "IP-OR-NAME", value_parser = reachable_host)]
    hosts: Vec<HostName>,
    #[command(flatten)]
    listen: ListenOverrides,
    /// Site key of an existing ENGAGE site: Base64, hex or raw. Default: a new one
    #[arg(long, value_name = "FILE")]
    site_key_file: Option<PathBuf>,
    /// Days that the server certificate is valid; default: 3650, and not beyond 2038-01-19
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_DAYS))]
    days: Option<u32>,
    /// Folder for the root's key, on another disk: nothing needs it until another intermediate is issued.
    /// Default: beside the other keys
    #[arg(long, value_name = "DIR")]
    root_key_out: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    pub(super) json: bool,
}

impl Init {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let dir = if self.system {
            system::prepare_folder()?
        } else {
            self.dir
        };
        let request = InitRequest {
            config_path: &dir.join("config.toml"),
            is_system: self.system,
            hosts: &self.hosts,
            listen: &self.listen,
            site_key_file: self.site_key_file.as_deref(),
            server_days: self.days,
            root_key_out: self.root_key_out.as_deref(),
            only_unused: false,
            now: engage_wire::clock::now(),
        };
        print_result(&request.execute()?, self.json)?;
        Ok(ExitCode::SUCCESS)
    }
}

/// What `serve --init` does first. Says nothing when nothing was missing.
pub(super) fn create_missing(config_path: &Path, listen: &ListenOverrides) -> Result<(), Failure> {
    let request = InitRequest {
        config_path,
        is_system: false,
        hosts: &[],
        listen,
        site_key_file: None,
        server_days: None,
        root_key_out: None,
        only_unused: true,
        now: engage_wire::clock::now(),
    };
    let outcome = request.execute()?;
    if !outcome.created.is_empty() {
        // Devices are served even if nobody can read this.
        let _ = print(outcome);
    }
    Ok(())
}

/// What is to be there afterwards.
struct InitRequest<'a> {
    config_path: &'a Path,
    /// For the service of a package.
    is_system: bool,
    hosts: &'a [HostName],
    listen: &'a ListenOverrides,
    site_key_file: Option<&'a Path>,
    /// Days that the server certificate is valid, if the operator says so.
    server_days: Option<u32>,
    /// Where the root's key is to lie, if not beside the others.
    root_key_out: Option<&'a Path>,
    /// Create nothing in a place that has been used: nobody is there who would notice.
    only_unused: bool,
    now: Timestamp,
}

impl InitRequest<'_> {
    fn execute(&self) -> Result<InitReport, Failure> {
        let path =
            std::path::absolute(self.config_path).unwrap_or_else(|_| self.config_path.to_owned());
        let root_key_folder = self.root_key_out.map(std::path::absolute);
        let root_key_folder = root_key_folder
            .transpose()
            .map_err(InitError::file("look at", &path))?;
        let _lock = new_files::lock_folder_of(&path)?;
        let (config, new_config) = self.load_or_new_config(path)?;
        let layout = layout_with(&config, root_key_folder);
        self.refuse_other_root_key(&config, &layout)?;
        let interrupted = Interrupted::find(&layout)?;
        let completed = interrupted.complete()?;
        let existing = layout::existing(layout.files())?;
        let plan = self.plan(&layout, &config, new_config)?;
        if plan.server.is_none() {
            self.refuse_other_certificate(&layout)?;
        }
        if self.only_unused && !plan.files.is_empty() && !interrupted.had_staged(&plan.files) {
            existing_installation::refuse_existing(&layout, &config, &plan.files)?;
        }
        interrupted.clean();
        let completed = completed.into_iter().map(|path| (path, COMPLETED));
        let mut created: Vec<_> = completed.collect();
        created.extend(write(plan.files, &config)?);
        let (server, is_new_site_key) = (plan.server, plan.is_new_site_key);
        let entries = created.iter();
        let entries = entries.map(|(path, what)| CreatedEntry::new(path, what));
        let existing = existing.iter().map(|path| path.display().to_string());
        Ok(InitReport {
            created: entries.collect(),
            existing: existing.collect(),
            next: next_steps(&layout, &config, &created, server.as_ref(), is_new_site_key),
            server,
        })
    }

    /// Makes in memory what is missing.
    fn plan(
        &self,
        layout: &Layout,
        config: &Config,
        new_config: Option<NewFile>,
    ) -> Result<Plan, Failure> {
        let mut files = site_keys::missing(layout, self.site_key_file)?;
        // After an interrupted first run, too, the operator is to be told of the key.
        let is_new_site_key =
            (!files.is_empty() || new_config.is_some()) && self.site_key_file.is_none();
        let validity_policy = ValidityPolicy::new(self.now, self.server_days);
        let issuance = certificates::missing(layout, config, self.hosts, &validity_policy)?;
        files.extend(issuance.files);
        // Where nobody notices, one that is missing alone is lost: the daemon says so, and serves.
        if !self.only_unused || !files.is_empty() || new_config.is_some() {
            files.extend(token_file::missing(layout)?);
        }
        // Last: where a configuration is found, everything that it names was made before it.
        files.extend(new_config);
        Ok(Plan {
            files,
            server: issuance.server,
            is_new_site_key,
        })
    }

    /// The configuration as it is or as it will be, and the file if it has to be written.
    fn load_or_new_config(&self, path: PathBuf) -> Result<(Config, Option<NewFile>), Failure> {
        if layout::exists(&path)? {
            let config = Config::load(&path)?;
            self.refuse_other_addresses(&config)?;
            return Ok((self.listen.apply(config), None));
        }
        let devices_directory = self.is_system.then_some(SYSTEM_DEVICES_DIRECTORY);
        let template = Template {
            devices_directory,
            ..Template::for_host(self.listen, self.hosts.first())
        };
        let text = template.text();
        let config = Config::parse(&path, &text)?;
        let file = NewFile::new(path, text.into_bytes(), "configuration", Readers::Everybody);
        Ok((config, Some(file)))
    }
}

/// What `config` names; with the root's key in `root_key_folder`, if that is given.
fn layout_with(config: &Config, root_key_folder: Option<PathBuf>) -> Layout {
    let mut layout = Layout::new(config);
    if let Some(folder) = root_key_folder {
        layout.root.key = folder.join(ROOT_KEY);
    }
    layout
}

/// Writes what is missing. Returns what was made, each with what it is.
fn write(
    files: Vec<NewFile>,
    config: &Config,
) -> Result<impl Iterator<Item = (PathBuf, &'static str)> + use<>, Failure> {
    // Not where nothing is missing: a daemon may have no right to write beside its
    // configuration.
    let data_dir = match &config.devices.directory {
        DevicesDirectory::Default(path) if !files.is_empty() => {
            new_files::create_data_dir(path)?.then(|| path.clone())
        }
        _ => None,
    };
    new_files::write_all(files.iter())?;
    let data_dir = data_dir.into_iter().map(|path| (path, "what devices send"));
    let files = files.into_iter().map(|file| (file.path, file.what));
    Ok(data_dir.chain(files))
}

/// What is to be written.
struct Plan {
    files: Vec<NewFile>,
    server: Option<NewServer>,
    is_new_site_key: bool,
}

pub(super) fn reachable_host(text: &str) -> Result<HostName, String> {
    match text.parse() {
        Ok(HostName::Ip(address)) if address.is_unspecified() => Err(format!(
            "`{text}` means every address of this computer; allowed: one that devices can connect to"
        )),
        Ok(host) => Ok(host),
        Err(error) => Err(error.to_string()),
    }
}

const COMPLETED: &str = "certificate; an interrupted run had made its key";

/// A century: more is a typing mistake, and years of five digits do not fit into a certificate.
pub(super) const MAX_DAYS: i64 = 36_500;

#[cfg(test)]
mod tests;
