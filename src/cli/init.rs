//! `engage-host init`.
use super::output::Failure;
use super::serve::Listen;
use clap::Args;
use std::path::Path;
use std::process::ExitCode;
/// Create what is missing.
#[derive(Args, Debug)]
pub(super) struct Init {}
impl Init {
    pub(super) fn run(self) -> ExitCode {
        ExitCode::FAILURE
    }
}
pub(super) fn create_missing(_config: &Path, _listen: &Listen) -> Result<(), Failure> {
    Err(Failure::new("not written yet"))
}
