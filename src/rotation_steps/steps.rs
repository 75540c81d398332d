//! The steps that change the row of the store alone, so that a daemon can take them too. `prepare` and
//! `retire` make and move private keys on a host, which a daemon may not write: they are commands.

use std::io;
use std::path::Path;

use engage_store::{Rotation, RotationStep};
use jiff::Timestamp;

use super::devices::{Behind, Devices};
use super::error::RotateError;
use super::hosts::{HostEntry, hosts_table};
use super::percent::Percent;
use super::report::StepReport;
use super::session::{Session, folder_of};
use crate::failure::Failure;
use crate::platform::rename_new;

/// When a step that could lock devices out is taken all the same.
pub(crate) struct Guard {
    /// Share of the devices seen in 30 days that must be ready.
    pub(crate) threshold: Percent,
    /// Go on although fewer are.
    pub(crate) force: bool,
}

/// Announces the new certificate; refused unless the new files hold on every host that runs.
pub(crate) fn publish(mut session: Session) -> Result<StepReport, Failure> {
    let rotation = session.rotation()?;
    match rotation.step {
        RotationStep::Prepared | RotationStep::Undoing => {
            let refusals = session.check(rotation, RotationStep::Published);
            if !refusals.is_empty() {
                return Err(Failure::from_errors(refusals));
            }
            require_hosts(&session)?;
        }
        RotationStep::Published => {}
        found @ (RotationStep::Activated | RotationStep::Retiring) => {
            return Err(RotateError::WrongStep {
                command: "publish",
                found,
                allowed: "`prepare`, or `undo`",
            }
            .into());
        }
    }
    session.go_to(RotationStep::Published)?;
    let hosts = session.wait_for_hosts(|_| true)?;
    Ok(StepReport::new(&session, Vec::new(), &hosts))
}

/// Sends the new chain to addresses of which nothing is known, too.
pub(crate) fn activate(mut session: Session, guard: &Guard) -> Result<StepReport, Failure> {
    let done = match session.rotation()?.step {
        RotationStep::Published => {
            require_hosts(&session)?;
            guard.require_devices(&session)?
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
    Ok(StepReport::new(&session, done, &hosts))
}

/// Goes back to the old root.
pub(crate) fn undo(mut session: Session, guard: &Guard) -> Result<StepReport, Failure> {
    let rotation = session.rotation()?.clone();
    let mut done = Vec::new();
    match rotation.step {
        RotationStep::Prepared => session.replace(None)?,
        RotationStep::Published | RotationStep::Activated => {
            session.go_to(RotationStep::Undoing)?;
        }
        RotationStep::Undoing => {
            done = guard.require_devices(&session)?;
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
    let mut report = StepReport::new(&session, done, &hosts);
    if session.stored.rotation.is_none() {
        match set_aside(&session, &rotation) {
            Ok(done) => report.done.extend(done),
            Err(left) => report.left_to_do.push(left),
        }
    }
    Ok(report)
}

/// A host without the new files would announce the old certificate, and send devices that have the
/// new one a chain that they cannot verify.
pub(crate) fn require_hosts(session: &Session) -> Result<(), Failure> {
    let hosts = session.wait_for_hosts(|_| true)?;
    let hosts = HostEntry::all(session, &hosts);
    if hosts.iter().all(|it| it.follows) {
        return Ok(());
    }
    let table = hosts_table(&hosts);
    if !hosts.iter().any(|it| it.is_refusing) {
        return Err(RotateError::HostsBehind { table }.into());
    }
    let next = session.files.folder().to_owned();
    Err(RotateError::HostsNotReady { next, table }.into())
}

impl Guard {
    /// Whether as many devices are ready as must be. Says who is not.
    pub(crate) fn require_devices(&self, session: &Session) -> Result<Vec<String>, Failure> {
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
        if self.threshold.is_reached_by(ready) || self.force {
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

/// Keys are never destroyed here: some device may have been told of them. Fails with what somebody else has
/// to do: a daemon may not write there, and the rotation is over already.
fn set_aside(session: &Session, rotation: &Rotation) -> Result<Option<String>, String> {
    let next = session.files.folder();
    if !next.exists() {
        return Ok(None);
    }
    let aside = folder_of(session, rotation, "undone");
    match rename_new(next, &aside) {
        Ok(()) => Ok(Some(moved(next, &aside))),
        Err(error) => Err(not_moved(next, &aside, &error)),
    }
}

fn moved(from: &Path, to: &Path) -> String {
    let (from, to) = (from.display(), to.display());
    format!("`{from}` is `{to}` now; nothing uses it: destroy its keys when you are sure")
}

fn not_moved(from: &Path, to: &Path, error: &io::Error) -> String {
    let (from, to) = (from.display(), to.display());
    format!(
        "`{from}` could not be moved to `{to}` ({error}), and nothing uses it: move it there, or the next `engage-host rotate prepare` takes it up; destroy its keys when you are sure"
    )
}

const MAX_NAMED: usize = 20;
