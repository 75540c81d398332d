//! `engage-host sites check`: each site as its devices would judge it.

use std::fmt;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::ConfigArgs;
use crate::cli::check::rotation;
use crate::cli::output::{ErrorEntry, Failure, print_result};
use crate::config::Config;
use crate::publication::{BadSite, Refusals, SiteEntry, validate};
use engage_wire::clock;

/// Judge every site as its devices would, and list those that they would not accept.
///
/// Exit code 1 if there is one. `engage-host check` looks at everything else too.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  engage-host sites check --config /etc/engage-host/config.toml")]
pub(super) struct Check {
    #[command(flatten)]
    config: ConfigArgs,
    /// Print JSON instead of text
    #[arg(long)]
    pub(super) json: bool,
}

impl Check {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let judged = Judged::new(&Config::load(&self.config.config)?);
        let report = Report {
            ok: judged.bad.is_empty() && judged.of_all.is_empty(),
            sites: judged.entries.len(),
            bad_sites: judged.bad,
            refusals: judged.of_all,
        };
        print_result(&report, self.json)?;
        Ok(ExitCode::from(u8::from(!report.ok)))
    }
}

/// What a validation says of sites.
pub(super) struct Judged {
    pub(super) entries: Vec<SiteEntry>,
    bad: Vec<RefusedSite>,
    /// What concerns all of them, or what is wrong where none is good.
    of_all: Vec<ErrorEntry>,
}

/// A site that its devices would not accept.
#[derive(Serialize)]
struct RefusedSite {
    name: String,
    refusals: Vec<ErrorEntry>,
}

impl Judged {
    pub(super) fn new(config: &Config) -> Self {
        let base_url = config.base_url_at(config.http.listen);
        let rotation = rotation(config);
        let validation = validate(config, &base_url, clock::now(), None, rotation.as_ref());
        let (bad, of_all) = match &validation.outcome {
            Ok(publication) => {
                let bad = publication
                    .bad_sites()
                    .iter()
                    .map(RefusedSite::new)
                    .collect();
                let withheld = publication.identity().err();
                let withheld = withheld.into_iter().flat_map(Refusals::iter);
                (bad, ErrorEntry::all(withheld))
            }
            Err(refusals) => (Vec::new(), ErrorEntry::all(refusals.iter())),
        };
        Self {
            entries: validation.inventory.sites,
            bad,
            of_all,
        }
    }

    /// What is wrong with one site, and what is wrong with all.
    pub(super) fn refusals_of(&self, name: &str) -> Vec<ErrorEntry> {
        let own = self.bad.iter().filter(|site| site.name == name);
        let own = own.flat_map(|site| &site.refusals);
        own.chain(&self.of_all).cloned().collect()
    }
}

impl RefusedSite {
    fn new(site: &BadSite) -> Self {
        Self {
            name: site.name.to_string(),
            refusals: ErrorEntry::all(site.refusals.iter()),
        }
    }
}

/// The result; serialises as `sites check --json`.
#[derive(Serialize)]
struct Report {
    ok: bool,
    /// How many there are.
    sites: usize,
    bad_sites: Vec<RefusedSite>,
    refusals: Vec<ErrorEntry>,
}

/// Ends without a line break.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of_sites = self.bad_sites.iter().flat_map(|site| &site.refusals);
        for refusal in of_sites.chain(&self.refusals) {
            writeln!(f, "error{refusal}")?;
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
