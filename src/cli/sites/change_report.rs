//! Has the daemon read what was written, and says what became of it.

use std::fmt;
use std::process::ExitCode;

use clap::Args;
use miette::Severity;

use crate::cli::output::{entry_text, print_result};
use crate::cli::reload::{ReloadError, SocketArgs, request};
use crate::failure::{ErrorEntry, Failure};
use crate::reload_outcome::ReloadOutcome;
use crate::sites::{Change, ChangeOutcome, ChangeReport};

/// How the daemon hears of a change.
#[derive(Args, Debug)]
pub(super) struct TellArgs {
    #[command(flatten)]
    socket: SocketArgs,
}

impl Change {
    /// Prints what would be changed.
    pub(super) fn print_untold(mut self, json: bool) -> Result<ExitCode, Failure> {
        self.would_add = std::mem::take(&mut self.added);
        let outcome = ChangeOutcome::Unwritten;
        ChangeReport::new(self, outcome, Vec::new()).print(json)
    }

    /// Has the daemon read it and prints what became of it. A daemon that does not run is no failure.
    pub(super) fn tell(self, tell: TellArgs, json: bool) -> Result<ExitCode, Failure> {
        let (outcome, refusals) = match request(&tell.socket.path()) {
            Ok(ReloadOutcome { refusals, left_out }) => {
                let refusals = refusals.iter().chain(&left_out);
                (ChangeOutcome::Reloaded, ErrorEntry::all(refusals))
            }
            Err(ReloadError::NoDaemon { .. }) => (ChangeOutcome::Untold, Vec::new()),
            Err(error) => (ChangeOutcome::Untold, vec![ErrorEntry::new(&error)]),
        };
        ChangeReport::new(self, outcome, refusals).print(json)
    }
}

impl ChangeReport {
    pub(super) fn print(&self, json: bool) -> Result<ExitCode, Failure> {
        print_result(self, json)?;
        Ok(ExitCode::from(u8::from(!self.ok)))
    }
}

/// Ends without a line break.
impl fmt::Display for ChangeReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let change = &self.change;
        if let ChangeOutcome::Unwritten = self.outcome {
            let sites = change.would_add.len();
            return write!(f, "ok: {sites} sites would be added; nothing was written");
        }
        for created in change.created.iter().take(MAX_SHOWN) {
            writeln!(f, "{created}")?;
        }
        if change.created.len() > MAX_SHOWN {
            writeln!(f, "made    {} files more", change.created.len() - MAX_SHOWN)?;
        }
        for path in &change.deleted {
            writeln!(f, "removed {path}")?;
        }
        for path in change.kept.iter().take(MAX_SHOWN) {
            writeln!(f, "kept    {path}  (site key)")?;
        }
        for (sites, what) in [(&change.added, "added"), (&change.removed, "removed")] {
            match sites.as_slice() {
                [] => {}
                [site] => writeln!(f, "{what} site `{site}`")?,
                sites => writeln!(f, "{what} {} sites", sites.len())?,
            }
        }
        if change.unchanged > 0 {
            writeln!(
                f,
                "{} of the table were here already, just so",
                change.unchanged
            )?;
        }
        for step in &change.next {
            writeln!(f, "next: {step}")?;
        }
        for refusal in &self.refusals {
            writeln!(f, "{}", entry_text(Severity::Error, refusal))?;
        }
        f.write_str(match self.outcome {
            ChangeOutcome::Reloaded if self.ok => "the daemon has read it: new connections get it",
            ChangeOutcome::Reloaded => "the daemon has read it, and not all is well",
            _ => "no daemon was told: one that runs notices it within seconds",
        })
    }
}

/// As many files as somebody reads.
const MAX_SHOWN: usize = 20;
