//! `engage-host renew`: another server certificate, of which devices notice nothing.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;
use miette::Severity;
use serde::Serialize;

use super::init::{MAX_DAYS, certificates::NewServer, hosts, reachable_host};
use super::output::{entry_text, print_result};
use super::reload;
use crate::config::Config;
use crate::failure::{ErrorEntry, Failure};
use crate::recording::StoreLocation;
use crate::renewal::{AuthorityFiles, RenewError, Renewal, Renewed};
use crate::rotation::copied;
use engage_store::{Rotation, RotationStep, StoreReader};
use engage_wire::pki::issue::ValidityPolicy;
use engage_wire::{HostName, clock};

/// Renew the server certificate, under the root that devices trust.
///
/// Needs the intermediate's key and nothing from any device. What it makes is checked for every site as a lock
/// would before it takes the place of the present one, which is kept in `old/`. The running daemon takes it up.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  engage-host renew --config /etc/engage-host/config.toml")]
pub(super) struct Renew {
    /// Configuration file
    #[arg(long, value_name = "FILE", default_value = "config.toml")]
    config: PathBuf,
    /// Address or name under which devices reach this computer. Repeatable. Default: those of the present one
    #[arg(long = "host", value_name = "IP-OR-NAME", value_parser = reachable_host)]
    hosts: Vec<HostName>,
    /// Days that it is valid; default: 3650, and not beyond 2038-01-19
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=MAX_DAYS))]
    days: Option<u32>,
    /// Issue another intermediate as well, with the root's key
    #[arg(long)]
    intermediate: bool,
    /// The root's key, where it is kept. Default: `partner_CA.key` beside the server's
    #[arg(long, value_name = "FILE", requires = "intermediate")]
    root_key: Option<PathBuf>,
    /// Print JSON instead of text
    #[arg(long)]
    pub(super) json: bool,
}

impl Renew {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let config = Config::load(&self.config)?;
        let renewed = self.renew(&config)?;
        // Without a daemon there, one that runs elsewhere notices the files by itself.
        let reload = reload::request_if_running();
        print_result(&RenewReport::new(renewed, reload.is_some()), self.json)?;
        if let Some(outcome) = reload {
            reload::whole(outcome)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn renew(&self, config: &Config) -> Result<Renewed, Failure> {
        self.refuse_in_rotation(config)?;
        let beside = AuthorityFiles::from_config(config).root_key;
        let root_key = self.root_key.as_ref().unwrap_or(&beside);
        let hosts = match self.hosts.as_slice() {
            [] => Vec::new(),
            given => hosts::given(given, config),
        };
        let renewal = Renewal {
            config,
            base_url: &config.base_url_at(config.http.listen),
            hosts: &hosts,
            validity_policy: ValidityPolicy::new(clock::now(), self.days),
            root_key: self.intermediate.then_some(root_key),
            must_outlast: false,
        };
        Ok(renewal.execute()?)
    }

    /// What `rotate retire` replaces must not be replaced under it, and it would lose other names.
    fn refuse_in_rotation(&self, config: &Config) -> Result<(), RenewError> {
        match rotation(config).map(|it| it.step) {
            Some(RotationStep::Retiring) => Err(RenewError::RotationRetiring),
            Some(step) if !self.hosts.is_empty() => Err(RenewError::RotationNames { step }),
            _ => Ok(()),
        }
    }
}

/// What is under way. A certificate that ends is renewed without the store too: then what the daemon
/// knew of it last.
fn rotation(config: &Config) -> Option<Rotation> {
    let location = StoreLocation::from_config(config).ok()?;
    let stored = location.existing(&config.path).ok().and_then(|it| {
        let reader = StoreReader::open(&it.options).ok()?;
        reader.rotation().ok()
    });
    let copied = || copied(config.devices.directory.path()?).rotation;
    stored.map_or_else(copied, |it| it.rotation)
}

/// Serialises as `renew --json`.
#[derive(Serialize)]
struct RenewReport {
    ok: bool,
    server: NewServer,
    replaced: Vec<String>,
    kept: Vec<String>,
    warnings: Vec<ErrorEntry>,
    /// Whether a daemon was asked to take it up.
    reload_asked: bool,
}

impl RenewReport {
    fn new(renewed: Renewed, reload_asked: bool) -> Self {
        let shown = |paths: Vec<PathBuf>| -> Vec<String> {
            let paths = paths.iter();
            paths.map(|path| path.display().to_string()).collect()
        };
        Self {
            ok: true,
            server: NewServer {
                hosts: renewed.hosts,
                names_from: None,
                not_after: renewed.not_after,
                chain_bytes: renewed.chain_bytes,
            },
            replaced: shown(renewed.replaced),
            kept: shown(renewed.kept),
            warnings: ErrorEntry::all(&renewed.warnings),
            reload_asked,
        }
    }
}

/// Ends without a line break.
impl fmt::Display for RenewReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for path in &self.replaced {
            writeln!(f, "renewed {path}")?;
        }
        for path in &self.kept {
            writeln!(f, "kept    {path}")?;
        }
        writeln!(f, "\n{}", self.server)?;
        for warning in &self.warnings {
            writeln!(f, "{}", entry_text(Severity::Warning, warning))?;
        }
        f.write_str(if self.reload_asked {
            "nothing to do on devices; the daemon has read its files again"
        } else {
            "nothing to do on devices; a daemon that runs takes it up within seconds (`engage-host check` sees the same)"
        })
    }
}
