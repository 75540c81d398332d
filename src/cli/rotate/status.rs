//! `rotate status`: how far it is, and which command comes next.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::Args;

use crate::cli::output::print_result;
use crate::failure::Failure;
use crate::rotation_steps::{Session, StatusReport};

/// Show how far the devices and the hosts are, and which command comes next.
///
/// Of the devices that were seen in 30 days: who has completed a handshake under the certificate that is announced now, who has
/// fetched it, who was told of it, who still has the other as far as is known, and who was not seen since the step.
/// Exits with 1 if this host has a problem with the new files, or a host does not follow.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  engage-host rotate status --config /etc/engage-host/config.toml"
)]
pub(crate) struct Status {
    /// Configuration file of the daemon
    #[arg(long, value_name = "FILE", default_value = "config.toml")]
    config: PathBuf,
    /// Print JSON instead of text
    #[arg(long)]
    pub(crate) json: bool,
}

impl Status {
    pub(crate) fn run(self) -> Result<ExitCode, Failure> {
        let session = Session::read(&self.config)?;
        let report = StatusReport::read(&session)?;
        print_result(&report, self.json)?;
        Ok(ExitCode::from(u8::from(!report.ok)))
    }
}
