//! The hosts on the store, and what each of them serves.

use engage_store::HostRotation;
use jiff::Unit;
use serde::Serialize;
use utoipa::ToSchema;

use super::session::Session;
use crate::table::table;

/// One host, for people and scripts.
#[derive(Serialize, ToSchema)]
pub(crate) struct HostEntry {
    name: String,
    /// Whether it serves what the store says.
    pub(crate) follows: bool,
    /// Whether it has said why it cannot.
    #[serde(skip)]
    pub(crate) is_refusing: bool,
    /// Whether its configured files are the new ones.
    pub(crate) is_swapped: bool,
    /// What it serves, or why not.
    serves: String,
}

impl HostEntry {
    pub(crate) fn all(session: &Session, hosts: &[HostRotation]) -> Vec<Self> {
        hosts.iter().map(|host| Self::new(session, host)).collect()
    }

    fn new(session: &Session, host: &HostRotation) -> Self {
        let follows = session.follows(host);
        let is_swapped = host.report.as_ref().is_some_and(|it| it.is_swapped);
        let serves = match &host.report {
            None => {
                "has not said what it serves: it is starting, or of a version without rotations"
                    .to_owned()
            }
            Some(report) => match &report.refusal {
                Some(refusal) => format!("does not follow: {refusal}"),
                None if !follows => format!(
                    "has not followed yet: it serves revision {}, the store has {}{}",
                    report.revision,
                    session.stored.revision,
                    silent_since(host)
                ),
                None if is_swapped => "follows, with the new files as the configured ones".into(),
                None => "follows".to_owned(),
            },
        };
        Self {
            name: host.name.clone(),
            follows,
            is_refusing: host.report.as_ref().is_some_and(|it| it.refusal.is_some()),
            is_swapped,
            serves,
        }
    }
}

/// A host that lives says something every few seconds.
fn silent_since(host: &HostRotation) -> String {
    let at = host.reported_at.and_then(|at| at.round(Unit::Second).ok());
    at.map_or_else(String::new, |at| format!("; it said so at {at}"))
}

/// Without the end of the last line.
pub(crate) fn hosts_table(hosts: &[HostEntry]) -> String {
    if hosts.is_empty() {
        return "no daemon runs on this store: each follows when it starts".to_owned();
    }
    let rows: Vec<_> = hosts
        .iter()
        .map(|it| [it.name.clone(), it.serves.clone()])
        .collect();
    table(["HOST", "SERVES"], &rows)
}
