//! `rotate publish`: the new certificate is announced.

use std::process::ExitCode;

use clap::Args;

use super::{StepArgs, print_step};
use crate::failure::Failure;
use crate::rotation_steps::publish;

/// Announce the new certificate; each device gets the chain that it can verify.
///
/// Refused unless the new files hold on every host that runs.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  engage-host rotate publish --config /etc/engage-host/config.toml"
)]
pub(super) struct Publish {
    #[command(flatten)]
    pub(super) step: StepArgs,
}

impl Publish {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let session = self.step.open()?;
        print_step(&publish(session)?, self.step.json)
    }
}
