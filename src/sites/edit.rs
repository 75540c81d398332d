//! Changes a site that has a file of its own; its key stays.

use std::fmt;
use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

use super::add::claimed;
use super::change::Change;
use super::claims::Claims;
use super::error::SitesError;
use super::list::{Found, find};
use super::new_site::{GivenKey, Locked, Wanted};
use crate::config::{BaseUrl, SiteHosts};
use crate::failure::Failure;
use crate::new_files;
use engage_store::SerialNumber;
use engage_wire::limits::MAX_FILE_BYTES;
use engage_wire::read_regular_file;

/// What is to stand in a site's file.
pub(crate) struct SiteEdit {
    /// That of the first site, if none is given.
    pub(crate) certificate: Option<PathBuf>,
    pub(crate) hosts: SiteHosts,
    pub(crate) serials: Vec<SerialNumber>,
    pub(crate) base_url: Option<BaseUrl>,
}

/// What stands in a file, so that who changes it knows that nobody else has.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct FileTag(String);

impl FileTag {
    /// Of a file as it is now.
    pub(crate) fn from_file(file: &Path) -> Result<Self, Failure> {
        let contents = read_regular_file("site", file, MAX_FILE_BYTES)?;
        let digest = Sha256::digest(&*contents);
        Ok(Self(data_encoding::HEXLOWER.encode(&digest[..16])))
    }
}

/// As an entity tag without its quotes.
impl fmt::Display for FileTag {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Puts `edit` into the file of the site of this name, if that still is what `if_match` says.
pub(crate) fn change_site(
    config: &Path,
    name: &str,
    if_match: Option<&str>,
    edit: SiteEdit,
) -> Result<Change, Failure> {
    let Locked {
        config,
        mut places,
        _lock,
    } = Locked::open(config)?;
    let found = find(&config, name)?;
    let (name, file) = (found.name().clone(), found.file().to_owned());
    if file == config.path {
        return Err(SitesError::InConfiguration { name, file }.into());
    }
    require_match(&file, if_match)?;
    let Found::Usable(site) = found else {
        return Err(SitesError::Unusable { name, file }.into());
    };
    let wanted = Wanted {
        name,
        key: GivenKey::New,
        certificate: edit.certificate,
        hosts: edit.hosts,
        serials: edit.serials,
        serials_file: site.serials_file.clone(),
        base_url: edit.base_url,
    };
    let claimed = claimed(&wanted)?;
    let mut edited = places.edited(site, wanted)?;
    edited.serials = claimed;
    let mut others = config.clone();
    others.sites.retain(|other| other.file != file);
    let faults = Claims::from_config(&others).take(&edited);
    if !faults.is_empty() {
        return Err(Failure::from_errors(faults));
    }
    for file in places.files(&edited) {
        new_files::replace(&file)?;
    }
    Ok(Change {
        changed: vec![edited.name.to_string()],
        ..Change::default()
    })
}

/// Fails where a file is not what somebody saw who would change or remove it.
pub(super) fn require_match(file: &Path, if_match: Option<&str>) -> Result<(), Failure> {
    let Some(expected) = if_match else {
        return Ok(());
    };
    let found = FileTag::from_file(file)?.to_string();
    if found == expected {
        return Ok(());
    }
    let file = file.to_owned();
    Err(SitesError::Changed { file, found }.into())
}
