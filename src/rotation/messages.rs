//! A change of the root in words: what devices see, and which command comes next.

use engage_store::{Overlap, Rotation, RotationStep};

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

/// Which command comes next; `is_shared` says whether other hosts may be on the store.
pub(crate) fn next_step(step: Option<RotationStep>, is_shared: bool) -> &'static str {
    match step {
        None => "`engage-host rotate prepare` begins a rotation",
        Some(RotationStep::Prepared) if is_shared => {
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
    }
}
