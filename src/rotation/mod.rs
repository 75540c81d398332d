//! A change of the root, as the daemon follows it: which step the store says, and which chain each
//! address is shown meanwhile.

mod follow;
mod identities;
mod messages;
mod selection;
mod unfinished;

pub(crate) use follow::{RotationFollower, copied};
pub(crate) use identities::Identities;
pub(crate) use messages::{in_force, next_step};
pub(crate) use unfinished::UnfinishedHandshake;

use tracing::{error, info};

use crate::publication::{Publication, PublishedRotation};
use engage_store::{Overlap, RotationStep};
use engage_wire::diagnostic::{code, one_line};

/// Logs where a rotation stands from now on, if it stood elsewhere before, and what keeps this host from
/// following it.
pub(crate) fn log(before: Option<&Publication>, now: &Publication) {
    let place = |it: &PublishedRotation| (it.rotation().id, it.rotation().step, consequence(it));
    let last = before.and_then(Publication::rotation).map(place);
    match (last, now.rotation()) {
        (last, Some(next)) if last != Some(place(next)) => {
            let (id, step, what) = place(next);
            let leaf = next.rotation().leaf;
            info!(rotation.id = %id, rotation.step = %step, rotation.leaf = %leaf, "root rotation {id} is {step}: {what}");
        }
        (Some((id, ..)), None) => {
            info!(rotation.id = %id, "root rotation {id} is over: the configured chain is served alone");
        }
        _ => {}
    }
    for refusal in now.rotation_refusals() {
        error!(
            code = %code(refusal),
            "this host does not follow the root rotation, or not for every site, until this is mended: {}",
            one_line(refusal)
        );
    }
}

/// What it means for devices.
fn consequence(rotation: &PublishedRotation) -> &'static str {
    let is_cross = rotation.rotation().overlap == Overlap::Cross;
    match rotation.rotation().step {
        RotationStep::Prepared => "devices see nothing of it yet",
        _ if rotation.is_swapped() => "the new files are the configured ones",
        _ if rotation.is_refused() => {
            "but the new files cannot be used here: the old chain is served alone"
        }
        RotationStep::Retiring => "every device is shown the new chain",
        RotationStep::Published if is_cross => {
            "the new anchor is announced, and every device is shown the new chain with the cross-signed root"
        }
        RotationStep::Published => {
            "the new anchor is announced; each address is shown the chain that it can verify, unknown ones the old"
        }
        RotationStep::Activated => {
            "the new anchor is announced; each address is shown the chain that it can verify, unknown ones the new"
        }
        RotationStep::Undoing => {
            "the old anchor is announced again; each address is shown the chain that it can verify"
        }
    }
}
