//! `engage-host sites show`.

use std::fmt;
use std::process::ExitCode;

use clap::Args;
use miette::Severity;

use super::{ConfigArgs, path_of};
use crate::cli::output::{entry_text, print_result};
use crate::cli::remote::Remote;
use crate::config::Config;
use crate::failure::Failure;
use crate::sites::{CheckedSites, ShownSite, find};
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
    pub(super) fn run(self, remote: Option<&Remote>) -> Result<ExitCode, Failure> {
        let shown: ShownSite = if let Some(remote) = remote {
            remote.get(&path_of(&self.name))?.read()?
        } else {
            let config = Config::load(&self.config.config)?;
            ShownSite::new(find(&config, &self.name)?, CheckedSites::new(&config))
        };
        print_result(&shown, self.json)?;
        Ok(ExitCode::from(u8::from(!shown.entry.ok)))
    }
}

/// Ends without a line break.
impl fmt::Display for ShownSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let entry = &self.entry;
        let hosts = match entry.hosts.as_slice() {
            [] if entry.is_default => "default".to_owned(),
            hosts => hosts.join(", "),
        };
        for (label, value) in [
            ("name", Some(entry.name.clone())),
            ("file", Some(self.file.clone())),
            ("key", self.key_file.clone()),
            ("certificate", self.certificate.clone()),
            ("hosts", Some(hosts)),
            ("serials", Some(self.serials.join(", "))),
            ("serials file", self.serials_file.clone()),
            ("cert_url", entry.cert_url.clone()),
            ("hash", entry.hash.clone()),
            ("fingerprint", entry.fingerprint_sha256.clone()),
        ] {
            let value = value.filter(|it| !it.is_empty());
            let value = value.as_deref().map_or("-".into(), escape_for_terminal);
            writeln!(f, "{label:<12} {value}")?;
        }
        for refusal in &self.refusals {
            writeln!(f, "{}", entry_text(Severity::Error, refusal))?;
        }
        f.write_str(if entry.ok { "ok" } else { "refused" })
    }
}
