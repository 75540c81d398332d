//! The arguments of `engage-host service`.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::super::output::print_result;
use super::install::{install, uninstall};
use super::report::StateReport;
use super::{control, run};
use crate::failure::Failure;
use crate::platform::system_folder;

/// Install, remove, start and stop the Windows service.
///
/// It starts with Windows, is started again when it fails, runs as the account `NT SERVICE\engage-host` without further rights, and logs
/// to the folder `logs` beside its configuration and to the event log. All but `status` needs an administrator.
#[derive(Args, Debug)]
#[command(
    after_help = "Examples:\n  engage-host service install --firewall\n  engage-host service start\n  engage-host service status"
)]
pub(in crate::cli) struct Service {
    #[command(subcommand)]
    command: Command,
    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Install the service, or give one that is there this program, and the configuration if it is named
    Install {
        /// Configuration file. Default: the one of the service that is there, else %ProgramData%\engage-host\config.toml
        #[arg(long, value_name = "FILE")]
        config: Option<PathBuf>,
        /// Open the configured ports in Windows Defender Firewall, for this program only
        #[arg(long)]
        firewall: bool,
    },
    /// Remove the service and its firewall rule; configuration, keys, records and logs stay
    Uninstall,
    /// Start the service and wait until it serves
    Start,
    /// Stop the service and wait until it has drained
    Stop,
    /// Say whether the service runs; fails if it does not
    Status,
    /// What Windows starts
    #[command(hide = true)]
    Run {
        #[arg(long, value_name = "FILE")]
        config: PathBuf,
    },
}

impl Service {
    pub(in crate::cli) fn is_json(&self) -> bool {
        self.json
    }

    pub(in crate::cli) fn run(self) -> Result<ExitCode, Failure> {
        let Self { command, json } = self;
        match command {
            Command::Install { config, firewall } => {
                let config = match config {
                    Some(config) => Some(config),
                    None => control::installed_config()?,
                };
                let config = config.unwrap_or_else(|| system_folder().join("config.toml"));
                print_result(&install(&config, firewall)?, json)?;
            }
            Command::Uninstall => print_result(&uninstall()?, json)?,
            Command::Start => print_result(&control::start()?, json)?,
            Command::Stop => print_result(&control::stop()?, json)?,
            Command::Status => return print_state(&control::state()?, json),
            Command::Run { config } => return run::run(config),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// For scripts, the exit code says it too.
fn print_state(state: &StateReport, json: bool) -> Result<ExitCode, Failure> {
    print_result(state, json)?;
    Ok(if state.is_running() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    })
}
