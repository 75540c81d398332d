//! What a step says when it is done.

use std::fmt;

use engage_store::{HostRotation, Overlap, Rotation, RotationStep};
use serde::Serialize;
use utoipa::ToSchema;

use super::hosts::{HostEntry, hosts_table};
use super::session::Session;

/// Serialises as the result of a step.
#[derive(Serialize, ToSchema)]
pub(crate) struct StepReport {
    pub(crate) ok: bool,
    #[schema(value_type = Option<String>)]
    step: Option<RotationStep>,
    revision: i64,
    /// What was done on this host.
    done: Vec<String>,
    hosts: Vec<HostEntry>,
    /// What devices see now.
    in_force: &'static str,
    next: String,
}

impl StepReport {
    /// Of the row as it stands.
    pub(crate) fn new(session: &Session, done: Vec<String>, hosts: &[HostRotation]) -> Self {
        let rotation = session.stored.rotation.as_ref();
        let hosts = HostEntry::all(session, hosts);
        Self {
            ok: hosts.iter().all(|it| it.follows),
            step: rotation.map(|it| it.step),
            revision: session.stored.revision,
            done,
            hosts,
            in_force: in_force(rotation),
            next: next(session),
        }
    }
}

/// Ends without a line break.
impl fmt::Display for StepReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for done in &self.done {
            writeln!(f, "{done}")?;
        }
        writeln!(f, "{}", hosts_table(&self.hosts))?;
        if !self.ok {
            writeln!(
                f,
                "the step is stored, and not every host has followed: see above, mend it, and run `engage-host rotate status`"
            )?;
        }
        write!(f, "in force: {}\nnext: {}", self.in_force, self.next)
    }
}

/// What devices see at a step.
pub(crate) fn in_force(rotation: Option<&Rotation>) -> &'static str {
    let Some(rotation) = rotation else {
        return "the configured chain alone; no rotation is under way";
    };
    let is_cross = rotation.overlap == Overlap::Cross;
    match rotation.step {
        RotationStep::Prepared => "the present chain alone; devices see nothing of the new one yet",
        RotationStep::Published | RotationStep::Activated if is_cross => {
            "the new certificate is announced, and every device is sent the new chain with the cross-signed root"
        }
        RotationStep::Published => {
            "the new certificate is announced; each address is sent the chain that it can verify, unknown ones the old"
        }
        RotationStep::Activated => {
            "the new certificate is announced; each address is sent the chain that it can verify, unknown ones the new"
        }
        RotationStep::Retiring => "the new certificate and the new chain alone",
        RotationStep::Undoing => {
            "the old certificate is announced again; each address is sent the chain that it can verify"
        }
    }
}

/// Which command comes next.
pub(crate) fn next(session: &Session) -> String {
    let rotation = session.stored.rotation.as_ref();
    let next = match rotation.map(|it| it.step) {
        None => "`engage-host rotate prepare` begins a rotation",
        Some(RotationStep::Prepared) if session.is_shared() => {
            "copy the folder of the new files to every other host, then `engage-host rotate publish`"
        }
        Some(RotationStep::Prepared) => "`engage-host rotate publish`",
        Some(RotationStep::Published) => {
            "`engage-host rotate status` until the devices are ready, then `engage-host rotate activate`"
        }
        Some(RotationStep::Activated) => {
            "`engage-host rotate status` for some nights, then `engage-host rotate retire`"
        }
        Some(RotationStep::Retiring) => {
            "`engage-host rotate retire` on each host whose configured files are not the new ones; the last ends the rotation"
        }
        Some(RotationStep::Undoing) => {
            "`engage-host rotate status` until no device needs the new chain, then `engage-host rotate undo`"
        }
    };
    next.to_owned()
}
