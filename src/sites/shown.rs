//! One site: its files, what selects it, and what its devices are told.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::checked_sites::CheckedSites;
use super::list::Found;
use crate::failure::ErrorEntry;
use crate::publication::SiteEntry;

/// A site; serialises as `sites show --json`.
#[derive(Deserialize, Serialize, ToSchema)]
pub(crate) struct ShownSite {
    pub(crate) file: String,
    pub(crate) key_file: Option<String>,
    pub(crate) certificate: Option<String>,
    pub(crate) serials: Vec<String>,
    pub(crate) serials_file: Option<String>,
    /// With whether all is well.
    #[serde(flatten)]
    pub(crate) entry: SiteEntry,
    pub(crate) refusals: Vec<ErrorEntry>,
}

impl ShownSite {
    pub(crate) fn new(found: Found<'_>, checked: CheckedSites) -> Self {
        let name = found.name();
        let (hosts, serials, serials_file, certificate) = match found {
            Found::Usable(it) => (
                &it.hosts,
                &it.serials,
                &it.serials_file,
                Some(&it.certificate),
            ),
            Found::Broken(it) => (&it.hosts, &it.serials, &it.serials_file, None),
        };
        let refusals = checked.refusals_of(name.as_str());
        let mut entries = checked.entries.into_iter();
        let entry = entries.find(|entry| entry.name == name.as_str());
        let entry = SiteEntry {
            ok: refusals.is_empty(),
            ..entry.unwrap_or_else(|| SiteEntry::refused(name, hosts))
        };
        Self {
            file: found.file().display().to_string(),
            key_file: found.key_file().map(|it| it.display().to_string()),
            certificate: certificate.map(|it| it.display().to_string()),
            serials: serials.iter().map(ToString::to_string).collect(),
            serials_file: serials_file.as_ref().map(|it| it.display().to_string()),
            entry,
            refusals,
        }
    }
}
