//! What a step says when it is done.

use std::fmt;

use engage_store::{HostRotation, RotationStep};
use serde::Serialize;
use utoipa::ToSchema;

use super::hosts::{HostEntry, hosts_table};
use super::session::Session;
use crate::rotation::{in_force, next_step};

/// Serialises as the result of a step.
#[derive(Serialize, ToSchema)]
pub(crate) struct StepReport {
    pub(crate) ok: bool,
    #[schema(value_type = Option<String>)]
    step: Option<RotationStep>,
    revision: i64,
    /// What was done on this host.
    pub(super) done: Vec<String>,
    /// What this host could not do, and somebody has to. The step is taken all the same.
    pub(super) left_to_do: Vec<String>,
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
            left_to_do: Vec::new(),
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
        for left in &self.left_to_do {
            writeln!(f, "left to do: {left}")?;
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

/// Which command comes next.
pub(crate) fn next(session: &Session) -> String {
    let step = session.stored.rotation.as_ref().map(|it| it.step);
    next_step(step, session.is_shared()).to_owned()
}
