//! `rotate retire`: the old chain is not served any more, and the files change places.

use std::process::ExitCode;

use clap::Args;
use engage_store::{HostRotation, RotationStep};

use super::{GuardArgs, StepArgs, print_step, swap};
use crate::failure::Failure;
use crate::new_files::{lock_folder_of, remove_folder};
use crate::rotation_steps::{Guard, RotateError, StepReport, require_hosts};

/// Stop serving the old chain, and put the new files in the place of the old ones.
///
/// To be run on each host; the last ends the rotation. The old files are kept beside them, and the keys among them are
/// named: they are to be destroyed. There is no `undo` after it.
#[derive(Args, Debug)]
#[command(
    after_help = "Example:\n  engage-host rotate retire --config /etc/engage-host/config.toml"
)]
pub(super) struct Retire {
    #[command(flatten)]
    guard: GuardArgs,
    #[command(flatten)]
    pub(super) step: StepArgs,
}

impl Retire {
    pub(super) fn run(self) -> Result<ExitCode, Failure> {
        let mut session = self.step.open()?;
        let rotation = session.rotation()?.clone();
        let mut done = match rotation.step {
            RotationStep::Activated => {
                require_hosts(&session)?;
                Guard::from(self.guard).require_devices(&session)?
            }
            RotationStep::Retiring => Vec::new(),
            found => {
                return Err(RotateError::WrongStep {
                    command: "retire",
                    found,
                    allowed: "`activate`",
                }
                .into());
            }
        };
        let refusals = session.check(&rotation, RotationStep::Retiring);
        if !refusals.is_empty() {
            return Err(Failure::from_errors(refusals));
        }
        session.go_to(RotationStep::Retiring)?;
        // Before the files change: a daemon that has not followed would read half of them.
        require_hosts(&session)?;
        let _lock = lock_folder_of(&session.config.path)?;
        let rotation = session.rotation()?.clone();
        done.extend(swap::swap(&session, &rotation)?);
        let own = format!("{} (", gethostname::gethostname().display());
        let is_swapped = |it: &HostRotation| it.report.as_ref().is_some_and(|it| it.is_swapped);
        let is_done = |it: &HostRotation| !it.name.starts_with(&own) || is_swapped(it);
        let hosts = session.wait_for_hosts(is_done)?;
        if hosts.iter().all(is_done) {
            // They are copies by now.
            remove_folder(session.files.folder())?;
        }
        if hosts.iter().all(|it| session.follows(it) && is_swapped(it)) {
            session.replace(None)?;
            let hosts = session.wait_for_hosts(|_| true)?;
            return print_step(&StepReport::new(&session, done, &hosts), self.step.json);
        }
        print_step(&StepReport::new(&session, done, &hosts), self.step.json)
    }
}
