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
use engage_store::RotationStep;
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

/// What it means for devices here.
fn consequence(rotation: &PublishedRotation) -> &'static str {
    let is_prepared = rotation.rotation().step == RotationStep::Prepared;
    if rotation.is_swapped() && !is_prepared {
        "the new files are the configured ones"
    } else if rotation.is_refused() && !is_prepared {
        "but the new files cannot be used here: the old chain is served alone"
    } else {
        in_force(Some(rotation.rotation()))
    }
}
