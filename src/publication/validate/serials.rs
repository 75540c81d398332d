//! Which devices are listed for which site.

use std::collections::hash_map::{Entry, HashMap};

use super::Validator;
use crate::config::{Config, SiteConfig};
use crate::publication::serials::{self, SerialsError};
use crate::publication::site::SiteSlot;
use crate::publication::{Publication, Refusal, Warning};
use engage_store::SerialNumber;
use engage_wire::site::SiteName;

/// Of one site, unless its file cannot be read.
pub(super) type Listed = Result<Vec<SerialNumber>, SerialsError>;

/// Of each site, in the order of the configuration.
pub(super) fn listed(config: &Config) -> Vec<Listed> {
    let listed = |site: &SiteConfig| {
        let mut listed = site.serials.clone();
        if let Some(file) = &site.serials_file {
            listed.extend(serials::load(file)?);
        }
        Ok(listed)
    };
    config.sites.iter().map(listed).collect()
}

/// What is held against sites, by their number, that list a device of another, one each: it cannot be
/// told whose key the device has.
pub(super) fn ambiguous(config: &Config, listed: &[Listed]) -> HashMap<usize, Refusal> {
    let (mut owners, mut refusals) = (HashMap::new(), HashMap::new());
    for (at, listed) in listed.iter().enumerate() {
        for serial in listed.iter().flatten() {
            let owner = *owners.entry(serial).or_insert(at);
            if owner == at {
                continue;
            }
            for refused in [owner, at] {
                refusals
                    .entry(refused)
                    .or_insert_with(|| Refusal::AmbiguousSerial {
                        path: config.path.clone(),
                        serial: *serial,
                        one: config.sites[owner].name.clone(),
                        other: config.sites[at].name.clone(),
                    });
            }
        }
    }
    refusals
}

impl Validator<'_> {
    /// Somebody must be able to call in.
    pub(super) fn check_listed(&mut self, listed: &[Listed]) {
        let devices = &self.config.devices;
        let mut listed = listed.iter().flatten().flatten();
        if devices.only_known
            && devices.directory.path().is_some()
            && devices.credentials_file.is_none()
            && listed.next().is_none()
        {
            self.report.warn(Warning::NobodyKnown);
        }
    }
}

impl Publication {
    /// Has `slot` answer for the devices of a good site.
    pub(super) fn list(&mut self, serials: &[SerialNumber], slot: &SiteSlot) {
        let by_serial = serials.iter().map(|serial| (*serial, slot.clone()));
        self.sites_by_serial.extend(by_serial);
    }

    /// The same for a bad site. Who is listed for two of them is told nothing.
    pub(super) fn list_refused(&mut self, serials: &[SerialNumber], slot: &SiteSlot) {
        for serial in serials {
            match self.sites_by_serial.entry(*serial) {
                Entry::Vacant(entry) => drop(entry.insert(slot.clone())),
                Entry::Occupied(mut entry) => drop(entry.insert(SiteSlot::Withheld)),
            }
        }
    }

    /// The devices for which the site of this name answers.
    pub(super) fn listed_for(&self, name: &SiteName) -> Vec<SerialNumber> {
        let listed = self.sites_by_serial.iter();
        let of_site = listed
            .filter(|(_, slot)| matches!(slot, SiteSlot::Published(site) if site.name == *name));
        of_site.map(|(serial, _)| *serial).collect()
    }
}
