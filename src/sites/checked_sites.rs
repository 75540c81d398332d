//! Each site checked as its devices would check it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::check::rotation;
use crate::config::Config;
use crate::failure::ErrorEntry;
use crate::publication::{BadSite, Refusals, SiteEntry, validate};
use engage_wire::clock;

/// What a validation says of sites.
pub(crate) struct CheckedSites {
    pub(crate) entries: Vec<SiteEntry>,
    bad: Vec<RefusedSite>,
    /// What concerns all of them, or what is wrong where none is good.
    of_all: Vec<ErrorEntry>,
}

/// A site that its devices would not accept.
#[derive(Deserialize, Serialize, ToSchema)]
pub(crate) struct RefusedSite {
    pub(crate) name: String,
    pub(crate) refusals: Vec<ErrorEntry>,
}

impl CheckedSites {
    pub(crate) fn new(config: &Config) -> Self {
        let base_url = config.base_url_at(config.http.listen);
        let rotation = rotation(config);
        let validation = validate(config, &base_url, clock::now(), None, rotation.as_ref());
        let (bad, of_all) = match &validation.outcome {
            Ok(publication) => {
                let bad = publication
                    .bad_sites()
                    .iter()
                    .map(RefusedSite::new)
                    .collect();
                let withheld = publication.identity().err();
                let withheld = withheld.into_iter().flat_map(Refusals::iter);
                (bad, ErrorEntry::all(withheld))
            }
            Err(refusals) => (Vec::new(), ErrorEntry::all(refusals.iter())),
        };
        Self {
            entries: validation.inventory.sites,
            bad,
            of_all,
        }
    }

    /// What is wrong with one site, and what is wrong with all.
    pub(crate) fn refusals_of(&self, name: &str) -> Vec<ErrorEntry> {
        let own = self.bad.iter().filter(|site| site.name == name);
        let own = own.flat_map(|site| &site.refusals);
        own.chain(&self.of_all).cloned().collect()
    }
}

impl RefusedSite {
    fn new(site: &BadSite) -> Self {
        Self {
            name: site.name.to_string(),
            refusals: ErrorEntry::all(site.refusals.iter()),
        }
    }
}

/// The result; serialises as `sites check --json`.
#[derive(Deserialize, Serialize, ToSchema)]
pub(crate) struct SitesReport {
    pub(crate) ok: bool,
    /// How many there are.
    pub(crate) sites: usize,
    pub(crate) bad_sites: Vec<RefusedSite>,
    pub(crate) refusals: Vec<ErrorEntry>,
}

impl SitesReport {
    /// Checks every site of a configuration.
    pub(crate) fn new(config: &Config) -> Self {
        let checked = CheckedSites::new(config);
        Self {
            ok: checked.bad.is_empty() && checked.of_all.is_empty(),
            sites: checked.entries.len(),
            bad_sites: checked.bad,
            refusals: checked.of_all,
        }
    }
}
