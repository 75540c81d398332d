//! `engage-host rotate`: from one root to another, and no device is locked out.
//!
//! One row of the store says how far it is, and every daemon on that store follows it; the new files lie
//! beside the present ones of each host. Each command changes the row in one write, compared and set, and
//! can be run again: what a command that was killed has left is completed by the next.

mod activate;
mod new_files;
mod prepare;
mod publish;
mod retire;
mod status;
mod swap;
mod undo;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::{Args, Subcommand};

use super::output::print_result;
use super::reload::request_within;
use crate::failure::Failure;
use crate::rotation_steps::{Guard, Percent, Session, StepReport};

/// Change the root certificate that devices trust, step by step.
///
/// `prepare`, `publish`, `activate` once the devices have the new certificate, `retire`; `status` says at any time
/// how far it is and which command comes next, `undo` goes back from every step before `retire`. docs/ROTATION.md is
/// the runbook.
#[derive(Args, Debug)]
#[command(
    subcommand_required = true,
    arg_required_else_help = true,
    after_help = "Example:\n  engage-host rotate prepare --config /etc/engage-host/config.toml"
)]
pub(super) struct Rotate {
    #[command(subcommand)]
    command: RotateCommand,
}

#[derive(Debug, Subcommand)]
enum RotateCommand {
    Prepare(prepare::Prepare),
    Publish(publish::Publish),
    Status(status::Status),
    Activate(activate::Activate),
    Retire(retire::Retire),
    Undo(undo::Undo),
}

impl Rotate {
    pub(super) fn is_json(&self) -> bool {
        match &self.command {
            RotateCommand::Prepare(it) => it.step.json,
            RotateCommand::Publish(it) => it.step.json,
            RotateCommand::Status(it) => it.json,
            RotateCommand::Activate(it) => it.step.json,
            RotateCommand::Retire(it) => it.step.json,
            RotateCommand::Undo(it) => it.step.json,
        }
    }

    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        match self.command {
            RotateCommand::Prepare(it) => it.run(),
            RotateCommand::Publish(it) => it.run(),
            RotateCommand::Status(it) => it.run(),
            RotateCommand::Activate(it) => it.run(),
            RotateCommand::Retire(it) => it.run(),
            RotateCommand::Undo(it) => it.run(),
        }
    }
}

/// What every step needs.
#[derive(Args, Debug)]
struct StepArgs {
    /// Configuration file of the daemon
    #[arg(long, value_name = "FILE", default_value = "config.toml")]
    config: PathBuf,
    /// Print JSON instead of text
    #[arg(long)]
    json: bool,
    /// How long to wait until every host that runs has followed, in seconds
    #[arg(long, value_name = "SECONDS", default_value = "30", value_parser = seconds)]
    wait: Duration,
}

/// When a step that could lock devices out is taken all the same.
#[derive(Args, Debug)]
struct GuardArgs {
    /// Share of the devices seen in 30 days that must be ready, in percent
    #[arg(long, value_name = "PERCENT", default_value = "100")]
    threshold: Percent,
    /// Go on although fewer are: the devices that are listed are locked out
    #[arg(long)]
    force: bool,
}

impl StepArgs {
    fn open(&self) -> Result<Session, Failure> {
        Session::open(&self.config, self.wait, request_within)
    }
}

impl From<GuardArgs> for Guard {
    fn from(GuardArgs { threshold, force }: GuardArgs) -> Self {
        Self { threshold, force }
    }
}

fn print_step(report: &StepReport, json: bool) -> Result<ExitCode, Failure> {
    print_result(report, json)?;
    Ok(ExitCode::from(u8::from(!report.ok)))
}

/// `30` or `30s`.
fn seconds(text: &str) -> Result<Duration, String> {
    let digits = text.strip_suffix('s').unwrap_or(text);
    match digits.parse() {
        Ok(seconds) if seconds <= MAX_WAIT_SECONDS => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("allowed: 0 to {MAX_WAIT_SECONDS} seconds")),
    }
}

const MAX_WAIT_SECONDS: u64 = 3600;
