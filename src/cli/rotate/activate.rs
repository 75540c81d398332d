//! `rotate activate`: who is not known gets the new chain.

use std::process::ExitCode;

use clap::Args;

use super::{GuardArgs, StepArgs, print_step};
use crate::failure::Failure;
use crate::rotation_steps::activate;

/// Send the new chain to addresses of which nothing is known, too.
///
/// Refused below `--threshold` of the devices that were seen in 30 days, with the names of those that would be locked out.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  engage-host rotate activate --threshold 99.5 --config /etc/engage-host/config.toml"
)]
pub(super) struct Activate {
    #[command(flatten)]
    guard: GuardArgs,
    #[command(flatten)]
    pub(super) step: StepArgs,
}

impl Activate {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let session = self.step.open()?;
        let report = activate(session, &self.guard.into())?;
        print_step(&report, self.step.json)
    }
}
