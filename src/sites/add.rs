//! Adds a site, in a file of its own.

use std::path::Path;

use super::change::Change;
use super::claims::Claims;
use super::error::SitesError;
use super::new_site::{Locked, Wanted};
use crate::failure::Failure;
use crate::new_files::{self, CreatedEntry};
use crate::publication::{Refusal, listed_serials};
use engage_store::SerialNumber;

/// Adds a site to those of a configuration file. Nothing is written unless name, hosts and serial
/// numbers are free.
pub(crate) fn add_site(config: &Path, wanted: Wanted) -> Result<Change, Failure> {
    let Locked {
        config,
        mut places,
        _lock,
    } = Locked::open(config)?;
    let claimed = claimed(&wanted)?;
    let mut site = places.place(wanted)?;
    site.serials = claimed;
    let faults = Claims::from_config(&config).take(&site);
    if !faults.is_empty() {
        return Err(Failure::from_errors(faults));
    }
    let files = places.files(&site);
    new_files::write_all(files.iter())?;
    let created = files
        .iter()
        .map(|file| CreatedEntry::new(&file.path, file.what));
    Ok(Change {
        created: created.collect(),
        ..Change::adding([&site])
    })
}

/// With those of its file. While a daemon cannot read that, it answers no device that no site lists.
pub(super) fn claimed(wanted: &Wanted) -> Result<Vec<SerialNumber>, SitesError> {
    let listed = wanted
        .serials_file
        .as_deref()
        .map(listed_serials)
        .transpose();
    let listed = listed.map_err(|source| {
        let site = wanted.name.clone();
        Box::new(Refusal::Serials { site, source })
    })?;
    let serials = wanted.serials.iter().copied();
    Ok(serials.chain(listed.unwrap_or_default()).collect())
}
