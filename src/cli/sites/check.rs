//! `engage-host sites check`: each site checked as its devices would check it.

use std::fmt;
use std::process::ExitCode;

use clap::Args;
use miette::Severity;

use super::ConfigArgs;
use crate::cli::output::{entry_text, print_result};
use crate::cli::remote::Remote;
use crate::config::Config;
use crate::failure::Failure;
use crate::sites::SitesReport;

/// Check every site as its devices would, and list those that they would not accept.
///
/// Exit code 1 if there is one. `engage-host check` looks at everything else too.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  engage-host sites check --config /etc/engage-host/config.toml")]
pub(super) struct CheckSites {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print JSON instead of text
    #[arg(long)]
    pub(super) json: bool,
}

impl CheckSites {
    pub(super) fn run(self, remote: Option<&Remote>) -> Result<ExitCode, Failure> {
        let report: SitesReport = match remote {
            Some(remote) => remote.get("/check/sites")?.read()?,
            None => SitesReport::new(&Config::load(&self.config.config)?),
        };
        print_result(&report, self.json)?;
        Ok(ExitCode::from(u8::from(!report.ok)))
    }
}

/// Ends without a line break.
impl fmt::Display for SitesReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_sites = self.bad_sites.iter().flat_map(|site| &site.refusals);
        for refusal in of_sites.chain(&self.refusals) {
            writeln!(f, "{}", entry_text(Severity::Error, refusal))?;
        }
        for site in &self.bad_sites {
            writeln!(f, "bad: site `{}`", site.name)?;
        }
        let (sites, bad) = (self.sites, self.bad_sites.len());
        match (self.ok, self.refusals.is_empty()) {
            (true, _) => write!(f, "ok: {sites} sites"),
            (false, true) => write!(f, "refused: {bad} of {sites} sites"),
            (false, false) => write!(f, "refused: all of {sites} sites"),
        }
    }
}
