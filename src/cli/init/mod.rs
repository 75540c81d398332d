//! `engage-host init`: from nothing to something that `serve` can serve.
//!
//! Looks at what the configuration names, makes in memory what is missing, and only then writes:
//! a refusal leaves everything as it was. Nothing that exists is ever overwritten.

mod certificates;
mod error;
mod hosts;
mod layout;
mod new_file;
mod outcome;
mod site_keys;
mod template;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use clap::Args;

use super::output::{Failure, print, print_json};
use crate::config::{Config, ListenOverrides};
use certificates::Issuance;
use engage_wire::HostName;
use engage_wire::clock;
use engage_wire::pki::issue::{ServerDays, ValidityPolicy};
use error::InitError;
use layout::Layout;
use new_file::NewFile;
use outcome::Outcome;

/// Make the keys, certificates and configuration that are missing.
///
/// Never overwrites: what exists is kept and listed. To renew the server certificate, move it and
/// its key away and run this again; devices keep the root that they have.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  engage-host init --dir /etc/engage-host --host 10.44.68.128 --host doors.example.com"
)]
pub(super) struct Init {
    /// Folder of config.toml
    #[arg(long, value_name = "DIR", default_value = ".")]
    dir: PathBuf,
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
    /// Print JSON instead of text
    #[arg(long)]
    pub(super) json: bool,
}

impl Init {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let Self {
            dir,
            hosts,
            listen,
            site_key_file,
            days,
            json,
        } = self;
        let request = Request {
            config_path: &dir.join("config.toml"),
            hosts: &hosts,
            listen: &listen,
            site_key_file: site_key_file.as_deref(),
            server_days: days.map_or(ServerDays::Default, ServerDays::Exactly),
        };
        let outcome = request.carry_out()?;
        if json {
            print_json(&outcome.report())?;
        } else {
            print(outcome)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// What `serve --init` does first. Says nothing when nothing was missing.
pub(super) fn create_missing(config_path: &Path, listen: &ListenOverrides) -> Result<(), Failure> {
    let request = Request {
        config_path,
        hosts: &[],
        listen,
        site_key_file: None,
        server_days: ServerDays::Default,
    };
    let outcome = request.carry_out()?;
    if outcome.made_something() {
        print(outcome)?;
    }
    Ok(())
}

/// What is to be there afterwards.
struct Request<'a> {
    config_path: &'a Path,
    hosts: &'a [HostName],
    listen: &'a ListenOverrides,
    site_key_file: Option<&'a Path>,
    server_days: ServerDays,
}

impl Request<'_> {
    fn carry_out(&self) -> Result<Outcome, InitError> {
        let path =
            std::path::absolute(self.config_path).unwrap_or_else(|_| self.config_path.to_owned());
        let _alone = new_file::lock_folder(layout::folder(&path))?;
        let (config, new_config) = self.config(path)?;
        let layout = Layout::of(&config);
        let existing = layout.existing_files()?;
        let validity_policy = ValidityPolicy::new(clock::now(), self.server_days);
        let names = hosts::names(self.hosts, &config);
        let mut files = site_keys::missing(&layout, self.site_key_file)?;
        let made_site_key = !files.is_empty() && self.site_key_file.is_none();
        let Issuance {
            files: certificates,
            server,
        } = certificates::missing(&layout, &names, &validity_policy)?;
        files.extend(certificates);
        // Last: where a configuration is found, everything that it names was made before it.
        files.extend(new_config);
        // Not where nothing is missing: a daemon may have no right to write beside its
        // configuration.
        let made_data_dir = !files.is_empty() && new_file::create_data_dir(&layout.data_dir)?;
        new_file::write_all(&files)?;
        let made_folder = made_data_dir.then(|| (layout.data_dir.clone(), "what devices send"));
        Ok(Outcome {
            made: made_folder
                .into_iter()
                .chain(files.into_iter().map(|file| (file.path, file.what)))
                .collect(),
            existing,
            server,
            made_site_key,
            layout,
            config,
        })
    }

    /// The configuration as it is or as it will be, and the file if it has to be written.
    fn config(&self, path: PathBuf) -> Result<(Config, Option<NewFile>), InitError> {
        if layout::exists(&path)? {
            let config = Config::load(&path)?;
            return Ok((self.listen.apply(config), None));
        }
        let text = template::config(self.listen, self.hosts.first());
        let config = Config::parse(&path, &text)?;
        let file = NewFile::public(path, text.into_bytes(), "configuration");
        Ok((config, Some(file)))
    }
}

fn reachable_host(text: &str) -> Result<HostName, String> {
    match text.parse() {
        Ok(HostName::Ip(address)) if address.is_unspecified() => Err(format!(
            "`{text}` means every address of this computer; allowed: one that devices can connect to"
        )),
        Ok(host) => Ok(host),
        Err(error) => Err(error.to_string()),
    }
}

/// A century: more is a typing mistake, and years of five digits do not fit into a certificate.
const MAX_DAYS: i64 = 36_500;
