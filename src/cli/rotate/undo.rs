//! `rotate undo`: back to the old root, from every step before `retire`.

use std::path::Path;
use std::process::ExitCode;

use clap::Args;
use engage_store::{Rotation, RotationStep};

use super::error::RotateError;
use super::report::StepReport;
use super::session::Session;
use super::swap::folder_of;
use super::{GuardArgs, StepArgs};
use crate::cli::init::error::InitError;
use crate::cli::output::Failure;
use crate::platform::rename_new;

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
        let mut session = Session::open(&self.step)?;
        let rotation = session.rotation()?.clone();
        let mut done = Vec::new();
        match rotation.step {
            RotationStep::Prepared => session.replace(None)?,
            RotationStep::Published | RotationStep::Activated => {
                session.go_to(RotationStep::Undoing)?;
            }
            RotationStep::Undoing => {
                done = self.guard.require_devices(&session)?;
                session.replace(None)?;
            }
            RotationStep::Retiring => {
                return Err(RotateError::TooLate {
                    retired: folder_of(&session, &rotation, "retired"),
                }
                .into());
            }
        }
        let hosts = session.wait_for_hosts(|_| true)?;
        if session.stored.rotation.is_none() {
            done.extend(set_aside(&session, &rotation)?);
        }
        StepReport::new(&session, done, &hosts).print(self.step.json)
    }
}

/// Keys are never destroyed here: some device may have been told of them.
fn set_aside(session: &Session, rotation: &Rotation) -> Result<Option<String>, Failure> {
    let next = session.files.folder();
    if !next.exists() {
        return Ok(None);
    }
    let aside = folder_of(session, rotation, "undone");
    rename_new(next, &aside).map_err(InitError::file("write", &aside))?;
    Ok(Some(moved(next, &aside)))
}

fn moved(from: &Path, to: &Path) -> String {
    let (from, to) = (from.display(), to.display());
    format!("`{from}` is `{to}` now; nothing uses it: destroy its keys when you are sure")
}
