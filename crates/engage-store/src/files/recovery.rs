//! What a crash left behind, put right before anything is written.

use std::collections::HashMap;
use std::io;
use std::path::Path;

use tracing::warn;

use super::database::LAST_GOOD;
use super::month::months;
use super::reader::{CONFIG_FILE, DEVICE_FILE};
use super::torn_tail::truncate_torn_tail;
use crate::{DeviceId, EventKind};

/// Puts every device's folder right. What fails for one device is logged and comes back with the
/// reason; it is tried again before that device's next write.
pub(super) fn recover_all(
    root: &Path,
    devices: impl IntoIterator<Item = DeviceId>,
) -> HashMap<DeviceId, io::Error> {
    let recovered = devices.into_iter().map(|device| {
        let outcome = recover(&root.join(device.to_string()));
        (device, outcome)
    });
    recovered
        .filter_map(|(device, outcome)| Some((device, outcome.err()?)))
        .inspect(|(device, error)| {
            warn!(%device, %error, "records of device {device} cannot be read: {error}; its call-ins are answered 503 until they can");
        })
        .collect()
}

/// The two newest months of each kind: at the turn of a month both may have been written last.
pub(super) fn recover(directory: &Path) -> io::Result<()> {
    remove_leftovers(directory);
    for kind in EventKind::ALL {
        for (_, file) in months(directory, kind)?.iter().rev().take(2) {
            truncate_torn_tail(file)?;
        }
    }
    Ok(())
}

/// Replacements that a crash kept from being renamed: `.device.json.` and a few letters.
fn remove_leftovers(directory: &Path) {
    for entry in fs_err::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let name = name.to_string_lossy();
        if REPLACED
            .iter()
            .any(|file| name.starts_with(&format!(".{file}.")))
        {
            // Harmless if it stays.
            let _ = fs_err::remove_file(entry.path());
        }
    }
}

const REPLACED: [&str; 3] = [CONFIG_FILE, DEVICE_FILE, LAST_GOOD];
