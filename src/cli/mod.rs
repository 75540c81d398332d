//! The command line: one file per command, and the only place that prints.

mod check;
mod devices;
mod doctor;
mod hash;
mod init;
mod output;
mod serve;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

/// Certificate distribution for Schlage ENGAGE Wi-Fi devices.
///
/// Tells door locks which certificate to install (port 80), and speaks TLS with them under that
/// certificate (port 443). Everything is proven as a lock would before a lock sees it.
#[derive(Debug, Parser)]
#[command(
    name = "engage-host",
    version,
    max_term_width = 100,
    arg_required_else_help = true
)]
pub struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Serve(serve::Serve),
    Check(check::Check),
    Init(init::Init),
    Hash(hash::Hash),
    Doctor(doctor::Doctor),
    Devices(devices::Devices),
}

impl Cli {
    /// Runs the command. Exit codes: 0 done, 1 refused or failed, 2 usage.
    #[must_use]
    pub fn run(self) -> ExitCode {
        match self.command {
            Command::Serve(serve) => serve.run(),
            Command::Check(check) => check.run(),
            Command::Init(init) => init.run(),
            Command::Hash(hash) => hash.run(),
            Command::Doctor(doctor) => doctor.run(),
            Command::Devices(devices) => devices.run(),
        }
    }
}
