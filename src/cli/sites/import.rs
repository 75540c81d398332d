//! `engage-host sites import`: sites of a table, all of them or none.

use std::collections::HashMap;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use super::ConfigArgs;
use super::add::absolute;
use super::change_report::TellArgs;
use super::error::TableError;
use super::table::{Row, Table, refuse};
use crate::cli::output::eprint_note;
use crate::config::{Config, SiteConfig};
use crate::failure::Failure;
use crate::new_files::{self, CreatedEntry};
use crate::platform::AccessOfOthers;
use crate::sites::{Change, Claims, GivenKey, Locked, NewSite, Wanted};
use engage_wire::site::{SiteKey, SiteName};

/// Add the sites of a CSV file: all of them, or none and every fault with its line.
///
/// Its first line names the columns: `name`, `key` (Base64 or hex) or `key_file` (a path), and perhaps `hosts` and
/// `serials` (with spaces or `;` between several), `certificate` and `base_url`. A site that is here already, just
/// so, is left alone: an import that was interrupted is completed by the same command.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  engage-host sites import sites.csv --config /etc/engage-host/config.toml"
)]
pub(super) struct Import {
    /// The table
    #[arg(value_name = "FILE.csv")]
    file: PathBuf,
    /// DER file that devices of a site without `certificate` install. Default: that of the first site
    #[arg(long, value_name = "FILE")]
    certificate: Option<PathBuf>,
    /// Check the table, and write nothing
    #[arg(long)]
    dry_run: bool,
    #[command(flatten)]
    config: ConfigArgs,
    #[command(flatten)]
    tell: TellArgs,
    /// Print JSON instead of text
    #[arg(long)]
    pub(super) json: bool,
}

impl Import {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        if let Some(access) = AccessOfOthers::to_read(&self.file) {
            let file = self.file.display();
            eprint_note(
                "warning",
                format_args!("`{file}` has {access}: other users can read the keys in it"),
            );
        }
        let rows = Table::read(&self.file)?.rows()?;
        let mut locked = Locked::open(&self.config.config)?;
        let (sites, unchanged) = self.check_rows(rows, &mut locked)?;
        let mut change = Change {
            unchanged,
            ..Change::adding(&sites)
        };
        if self.dry_run {
            return change.print_untold(self.json);
        }
        let files = sites.iter().map(|site| locked.places.files(site));
        let mut files: Vec<_> = files.flatten().collect();
        // Every key before every site: a daemon that looks meanwhile finds no site without its key.
        files.sort_by_key(|file| file.what != "site key");
        new_files::write_all(files.iter())?;
        let created = files
            .iter()
            .map(|file| CreatedEntry::new(&file.path, file.what));
        change.created = created.collect();
        change.tell(self.tell, self.json)
    }

    /// The new sites, and how many of the table are here already.
    fn check_rows(
        &self,
        rows: Vec<Row>,
        locked: &mut Locked,
    ) -> Result<(Vec<NewSite>, usize), Failure> {
        let mut claims = Claims::from_config(&locked.config);
        let existing = existing(&locked.config);
        let (mut sites, mut faults, mut unchanged) = (Vec::new(), Vec::new(), 0);
        for Row { line, mut wanted } in rows {
            if existing
                .get(&wanted.name)
                .is_some_and(|site| is_just_so(site, &wanted))
            {
                unchanged += 1;
                continue;
            }
            wanted.certificate = wanted
                .certificate
                .or_else(|| self.certificate.as_deref().map(absolute));
            let of_site = match locked.places.place(wanted) {
                Ok(site) => {
                    let faults = claims.take(&site);
                    sites.push(site);
                    faults
                }
                Err(fault) => vec![fault],
            };
            faults.extend(of_site.into_iter().map(|fault| TableError::Site {
                path: self.file.clone(),
                line,
                source: Box::new(fault),
            }));
        }
        refuse(&self.file, faults)?;
        Ok((sites, unchanged))
    }
}

type Existing<'a> = HashMap<&'a SiteName, &'a SiteConfig>;

fn existing(config: &Config) -> Existing<'_> {
    config
        .sites
        .iter()
        .map(|site| (&site.name, &**site))
        .collect()
}

/// Whether a site is what a row wants.
fn is_just_so(site: &SiteConfig, wanted: &Wanted) -> bool {
    let is_key = match &wanted.key {
        GivenKey::New => true,
        GivenKey::Text(text) => match (SiteKey::parse(text), SiteKey::load(&site.key_file)) {
            (Ok(given), Ok(found)) => given.announcement_hash(b"") == found.announcement_hash(b""),
            _ => false,
        },
    };
    is_key
        && site.hosts == wanted.hosts
        && site.serials == wanted.serials
        && site.base_url == wanted.base_url
        && wanted
            .certificate
            .as_ref()
            .is_none_or(|it| *it == site.certificate)
}
