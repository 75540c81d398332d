//! Whether engage-host has been used in a place: there, a missing file is lost and not new.

use std::path::Path;

use super::error::InitError;
use super::layout::{Layout, existing, folder};
use super::template;
use crate::config::{self, Config, DevicesConfig};
use crate::failure::Failure;
use crate::new_files::NewFile;
use engage_store::DatabaseUrl;
use engage_wire::Text;

/// Refuses to create `files` where keys, certificates, devices' records or a configuration that
/// engage-host wrote (which it writes last) show that they must have existed.
///
/// A site key does not: an operator who has an ENGAGE site puts its key in place first.
pub(super) fn refuse_existing(
    layout: &Layout,
    config: &Config,
    files: &[NewFile],
) -> Result<(), Failure> {
    let mut traces = Vec::new();
    for path in existing(layout.pki_files())? {
        traces.push(format!("`{}` exists", path.display()));
    }
    if let Some(place) = recorded_in(&config.devices) {
        traces.push(format!(
            "devices have been recorded in `{}`",
            place.display()
        ));
    }
    if is_written_by_us(&layout.config) {
        traces.push(format!(
            "`{}` was made by engage-host",
            layout.config.display()
        ));
    }
    if traces.is_empty() {
        return Ok(());
    }
    traces.truncate(MAX_TRACES);
    Err(InitError::UsedBefore {
        folder: folder(&layout.config).to_owned(),
        missing: files.iter().map(|file| file.path.clone()).collect(),
        traces,
    }
    .into())
}

/// The database file that is named, or the directory, if a daemon has opened it: it leaves a lock
/// and a database there.
fn recorded_in(devices: &DevicesConfig) -> Option<&Path> {
    if let Some(DatabaseUrl::Sqlite(file)) = &devices.database_url
        && file.exists()
    {
        return Some(file);
    }
    let directory = devices.directory.path()?;
    let mut entries = fs_err::read_dir(directory).ok()?.filter_map(Result::ok);
    // A fresh checkout has a note of what the folder is for.
    entries
        .any(|entry| !["README.md", ".gitkeep"].contains(&&*entry.file_name().to_string_lossy()))
        .then_some(directory)
}

fn is_written_by_us(config: &Path) -> bool {
    let text = Text::read("configuration file", config, config::MAX_FILE_BYTES);
    text.is_ok_and(|text| text.starts_with(template::FIRST_WORDS.as_bytes()))
}

/// As many as one message names.
const MAX_TRACES: usize = 3;
