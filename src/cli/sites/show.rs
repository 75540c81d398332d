//! `engage-host sites show`.

use std::fmt;
use std::process::ExitCode;

use clap::Args;
use serde::Serialize;

use super::ConfigArgs;
use super::check::Judged;
use super::list::{Found, find};
use crate::cli::output::{ErrorEntry, Failure, print_result};
use crate::config::Config;
use crate::publication::SiteEntry;
use engage_wire::escape_for_terminal;

/// Show one site: its files, what selects it, and what its devices are told.
///
/// The key is never shown. Exit code 1 if its devices would reject what it says.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  engage-host sites show Annex")]
pub(super) struct Show {
    /// Its label
    #[arg(value_name = "NAME")]
    name: String,
    #[command(flatten)]
    config: ConfigArgs,
    /// Print JSON instead of text
    #[arg(long)]
    pub(super) json: bool,
}

impl Show {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let config = Config::load(&self.config.config)?;
        let found = find(&config, &self.name)?;
        let shown = ShownSite::new(found, Judged::new(&config));
        print_result(&shown, self.json)?;
        Ok(ExitCode::from(u8::from(!shown.ok)))
    }
}

/// A site; serialises as `sites show --json`.
#[derive(Serialize)]
struct ShownSite {
    ok: bool,
    file: String,
    key_file: Option<String>,
    certificate: Option<String>,
    serials: Vec<String>,
    serials_file: Option<String>,
    #[serde(flatten)]
    entry: Option<SiteEntry>,
    refusals: Vec<ErrorEntry>,
}

impl ShownSite {
    fn new(found: Found<'_>, judged: Judged) -> Self {
        let name = found.name().as_str();
        let (serials, serials_file, certificate) = match found {
            Found::Usable(it) => (&it.serials, &it.serials_file, Some(&it.certificate)),
            Found::Broken(it) => (&it.serials, &it.serials_file, None),
        };
        let refusals = judged.refusals_of(name);
        let entry = judged.entries.into_iter().find(|entry| entry.name == name);
        Self {
            ok: refusals.is_empty(),
            file: found.file().display().to_string(),
            key_file: found.key_file().map(|it| it.display().to_string()),
            certificate: certificate.map(|it| it.display().to_string()),
            serials: serials.iter().map(ToString::to_string).collect(),
            serials_file: serials_file.as_ref().map(|it| it.display().to_string()),
            entry,
            refusals,
        }
    }
}

/// Ends without a line break.
impl fmt::Display for ShownSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = self.entry.as_ref();
        let hosts = entry.map(|it| match it.hosts.as_slice() {
            [] if it.is_default => "default".to_owned(),
            hosts => hosts.join(", "),
        });
        let of_entry = |part: fn(&SiteEntry) -> Option<String>| entry.and_then(part);
        for (label, value) in [
            ("name", of_entry(|it| Some(it.name.clone()))),
            ("file", Some(self.file.clone())),
            ("key", self.key_file.clone()),
            ("certificate", self.certificate.clone()),
            ("hosts", hosts),
            ("serials", Some(self.serials.join(", "))),
            ("serials file", self.serials_file.clone()),
            ("cert_url", of_entry(|it| it.cert_url.clone())),
            ("hash", of_entry(|it| it.hash.clone())),
            ("fingerprint", of_entry(|it| it.fingerprint_sha256.clone())),
        ] {
            let value = value.filter(|it| !it.is_empty());
            let value = value.as_deref().map_or("-".into(), escape_for_terminal);
            writeln!(f, "{label:<12} {value}")?;
        }
        for refusal in &self.refusals {
            writeln!(f, "error{refusal}")?;
        }
        f.write_str(if self.ok { "ok" } else { "refused" })
    }
}
