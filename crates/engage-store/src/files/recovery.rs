//! What a crash left behind, put right before anything is written.

use std::collections::HashMap;
use std::path::Path;

use super::database::LAST_GOOD;
use super::device_dirs::DeviceDirs;
use super::month::months;
use super::reader::{CONFIG_FILE, DEVICE_FILE};
use super::torn_tail::truncate_torn_tail;
use crate::{DeviceId, EventKind, StoreError};

/// Puts every device's folder right. What fails for one device comes back with the reason; it is
/// tried again before that device's next write.
pub(super) fn recover_all(dirs: &DeviceDirs) -> HashMap<DeviceId, StoreError> {
    let recovered = dirs
        .devices()
        .into_iter()
        .map(|device| (device, recover(&dirs.path(device))));
    recovered
        .filter_map(|(device, outcome)| Some((device, outcome.err()?)))
        .collect()
}

/// The two newest months of each kind: at the turn of a month both may have been written last.
pub(super) fn recover(directory: &Path) -> Result<(), StoreError> {
    let failed = |source| StoreError::unavailable(directory, source);
    remove_leftovers(directory);
    for kind in EventKind::ALL {
        for (_, file) in months(directory, kind)
            .map_err(failed)?
            .iter()
            .rev()
            .take(2)
        {
            truncate_torn_tail(file).map_err(|source| StoreError::unavailable(file, source))?;
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
