//! `engage-host doctor`.
use clap::Args;
use std::process::ExitCode;
/// Behave as a device.
#[derive(Args, Debug)]
pub(super) struct Doctor {}
impl Doctor {
    pub(super) fn run(self) -> ExitCode {
        ExitCode::FAILURE
    }
}
