//! `rotate activate`: who is not known gets the new chain.

use std::process::ExitCode;

use clap::Args;
use engage_store::RotationStep;
use jiff::Timestamp;

use super::devices::{Behind, Devices};
use super::error::RotateError;
use super::publish::require_hosts;
use super::report::StepReport;
use super::session::Session;
use super::{GuardArgs, StepArgs};
use crate::cli::output::Failure;

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
        let mut session = Session::open(&self.step)?;
        let done = match session.rotation()?.step {
            RotationStep::Published => {
                require_hosts(&session)?;
                self.guard.require_devices(&session)?
            }
            RotationStep::Activated => Vec::new(),
            found => {
                return Err(RotateError::WrongStep {
                    command: "activate",
                    found,
                    allowed: "`publish`",
                }
                .into());
            }
        };
        session.go_to(RotationStep::Activated)?;
        let hosts = session.wait_for_hosts(|_| true)?;
        StepReport::new(&session, done, &hosts).print(self.step.json)
    }
}

impl GuardArgs {
    /// Whether as many devices are ready as must be. Says who is not.
    pub(super) fn require_devices(&self, session: &Session) -> Result<Vec<String>, Failure> {
        let rotation = session.rotation()?;
        let devices = Devices::read(&session.reader, rotation, Timestamp::now())?;
        let behind = devices.behind.len();
        let is_undoing = rotation.step == RotationStep::Undoing;
        if devices.all.devices == 0 && !is_undoing && !self.force {
            return Err(RotateError::NoDevices.into());
        }
        if behind == 0 {
            return Ok(Vec::new());
        }
        let (ready, names) = (
            devices.all.ready_percent(rotation.step),
            names(&devices.behind, rotation.step),
        );
        if ready >= self.threshold || self.force {
            let text =
                format!("not ready, and locked out if they stay so: {behind} devices: {names}");
            return Ok(vec![text]);
        }
        Err(RotateError::DevicesNotReady {
            behind,
            devices: devices.all.devices,
            ready,
            threshold: self.threshold,
            names,
        }
        .into())
    }
}

fn names(behind: &[Behind], step: RotationStep) -> String {
    let named = behind.iter().take(MAX_NAMED);
    let mut names: Vec<_> = named
        .map(|it| format!("{} ({})", it.device, it.state.name(step)))
        .collect();
    if behind.len() > MAX_NAMED {
        names.push(format!("and {} more", behind.len() - MAX_NAMED));
    }
    names.join(", ")
}

const MAX_NAMED: usize = 20;
