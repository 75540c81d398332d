//! What a crash left behind, put right before anything is written.

use std::path::Path;

use tracing::warn;

use super::database::LAST_GOOD;
use super::device_dirs::existing;
use super::error::OpenError;
use super::month::months;
use super::reader::{CONFIG_FILE, DEVICE_FILE};
use super::torn_tail::{TornTail, truncate_torn_tail};
use crate::EventKind;

/// The two newest months of each log: at the turn of a month both may have been written last.
pub(super) fn truncate_torn_tails(directory: &Path) -> Result<Vec<TornTail>, OpenError> {
    let mut torn = Vec::new();
    for device in existing(directory).map_err(|source| OpenError::unusable(directory, source))? {
        let path = directory.join(device.to_string());
        remove_leftovers(&path);
        for log in [EventKind::Audits, EventKind::Alerts] {
            let files = months(&path, log).map_err(|source| OpenError::unusable(&path, source))?;
            for (_, file) in files.iter().rev().take(2) {
                let found =
                    truncate_torn_tail(file).map_err(|source| OpenError::unusable(file, source))?;
                torn.extend(found);
            }
        }
    }
    for tail in &torn {
        warn!(
            path = %tail.path.display(),
            kept_in = %tail.kept_in.display(),
            size_bytes = tail.bytes,
            "found the rest of an interrupted write; it was never acknowledged, and is set aside"
        );
    }
    Ok(torn)
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
