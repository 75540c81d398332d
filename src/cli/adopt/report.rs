//! What was taken over, and what to do next: the texts.

use std::fmt;

use miette::Severity;
use serde::Serialize;

use super::devices::LeftFile;
use super::exposed::Exposed;
use crate::cli::init::report::fmt_steps;
use crate::cli::output::entry_text;
use crate::failure::ErrorEntry;
use crate::new_files::CreatedEntry;

/// The result, for the person at the console; serialises as `adopt --json`.
#[derive(Serialize)]
pub(super) struct AdoptReport {
    pub(super) cert_url: String,
    pub(super) hash: String,
    pub(super) created: Vec<CreatedEntry>,
    pub(super) existing: Vec<String>,
    /// What a reader of the old server should know.
    pub(super) notes: Vec<String>,
    pub(super) exposed: Vec<Exposed>,
    pub(super) devices_left: Vec<LeftFile>,
    pub(super) warnings: Vec<ErrorEntry>,
    /// Why `serve` would not start with it.
    pub(super) refusals: Vec<ErrorEntry>,
    pub(super) next: Vec<String>,
}

impl fmt::Display for AdoptReport {
    /// Ends without a line break.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "the site key gives the old server's hash {}", self.hash)?;
        writeln!(f, "devices are told {}\n", self.cert_url)?;
        for created in &self.created {
            writeln!(f, "{created}")?;
        }
        for path in &self.existing {
            writeln!(f, "exists  {path}")?;
        }
        for note in &self.notes {
            writeln!(f, "note: {note}")?;
        }
        for warning in &self.warnings {
            writeln!(f, "{}", entry_text(Severity::Warning, warning))?;
        }
        for refusal in &self.refusals {
            writeln!(f, "{}", entry_text(Severity::Error, refusal))?;
        }
        self.fmt_exposed(f)?;
        self.fmt_devices(f)?;
        fmt_steps(f, &self.next)
    }
}

impl AdoptReport {
    fn fmt_exposed(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.exposed.is_empty() {
            return Ok(());
        }
        writeln!(
            f,
            "\nthe old server let anybody download these, so they must be made anew:"
        )?;
        for Exposed { path, what, remedy } in &self.exposed {
            writeln!(f, "  {path}  ({what})\n    {remedy}")?;
        }
        Ok(())
    }

    fn fmt_devices(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.devices_left.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nfiles of devices that were not taken over:")?;
        for LeftFile { path, reason } in &self.devices_left {
            writeln!(f, "  {path}  ({reason})")?;
        }
        Ok(())
    }
}
