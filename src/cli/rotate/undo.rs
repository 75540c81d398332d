//! `rotate undo`: back to the old root, from every step before `retire`.

use std::process::ExitCode;

use clap::Args;

use super::{GuardArgs, StepArgs, print_step};
use crate::failure::Failure;
use crate::rotation_steps::undo;

/// Go back to the old root; possible from every step before `retire`.
///
/// After `publish` it takes two runs: the first announces the old certificate again, the second ends the rotation
/// once no device needs the new chain.
#[derive(Args, Debug)]
#[command(after_help = "Example:\n  engage-host rotate undo --config /etc/engage-host/config.toml")]
pub(super) struct Undo {
    #[command(flatten)]
    guard: GuardArgs,
    #[command(flatten)]
    pub(super) step: StepArgs,
}

impl Undo {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let session = self.step.open()?;
        let report = undo(session, &self.guard.into())?;
        print_step(&report, self.step.json)
    }
}
