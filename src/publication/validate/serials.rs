//! Which devices are listed for which site.

use std::collections::hash_map::Entry;
use std::path::Path;

use super::Validator;
use crate::config::{BrokenSite, SiteConfig};
use crate::file_version::FileVersions;
use crate::operator_map::{OperatorMap, OperatorSet, operator_map};
use crate::publication::refusal::Listing;
use crate::publication::serials::{ReadSerials, SerialsError};
use crate::publication::site::{SiteEvidence, SiteSlot};
use crate::publication::{Publication, Refusal, Warning};
use engage_store::SerialNumber;
use engage_wire::site::SiteName;

/// Of one site.
pub(super) struct Listed<'a> {
    site: &'a SiteName,
    /// In which the site stands.
    path: &'a Path,
    serials: &'a [SerialNumber],
    serials_file: Option<&'a Path>,
    file: Option<Result<ReadSerials, SerialsError>>,
}

impl<'a> Listed<'a> {
    /// `last` is what the site was validated from last.
    pub(super) fn new(
        site: &'a SiteConfig,
        versions: &FileVersions<'_>,
        last: Option<&SiteEvidence>,
    ) -> Self {
        let last = last.filter(|last| last.config.serials_file == site.serials_file);
        let last = last.and_then(|last| last.serials_file.as_ref());
        let serials_file = site.serials_file.as_deref();
        Self {
            site: &site.name,
            path: &site.file,
            serials: &site.serials,
            serials_file,
            file: serials_file.map(|path| ReadSerials::load(path, versions.get(path), last)),
        }
    }

    pub(super) fn from_broken(site: &'a BrokenSite, versions: &FileVersions<'_>) -> Self {
        let serials_file = site.serials_file.as_deref();
        Self {
            site: &site.name,
            path: &site.file,
            serials: &site.serials,
            serials_file,
            file: serials_file.map(|path| ReadSerials::load(path, versions.get(path), None)),
        }
    }

    /// With their lines in the file; those without stand in the configuration.
    fn each(&self) -> impl Iterator<Item = (Option<usize>, SerialNumber)> {
        let configured = self.serials.iter().map(|serial| (None, *serial));
        let file = self.file.iter().flatten();
        let file = file.flat_map(|read| &read.file.serials);
        configured.chain(file.map(|(line, serial)| (Some(*line), *serial)))
    }

    /// Not while there is a file that cannot be read: that is said already.
    fn is_empty(&self) -> bool {
        !matches!(self.file, Some(Err(_))) && self.each().next().is_none()
    }

    /// Those that are known, some perhaps twice; the file that lists them; why others are not known.
    pub(super) fn into_known(
        self,
    ) -> (Vec<SerialNumber>, Option<ReadSerials>, Option<SerialsError>) {
        let known = self.each().map(|(_, serial)| serial).collect();
        match self.file.transpose() {
            Ok(file) => (known, file, None),
            Err(unread) => (known, None, Some(unread)),
        }
    }

    fn listing(&self, line: Option<usize>) -> Listing {
        Listing {
            site: self.site.clone(),
            path: line.and(self.serials_file).unwrap_or(self.path).to_owned(),
            line,
        }
    }
}

/// What is held against sites, by their number, that list a device of another, one each: it cannot be
/// told whose key the device has.
pub(super) fn ambiguous(lists: &[Listed<'_>]) -> OperatorMap<usize, Refusal> {
    let (mut owners, mut refusals) = (operator_map(lists.len()), OperatorMap::default());
    for (at, listed) in lists.iter().enumerate() {
        for (line, serial) in listed.each() {
            let (owner, first) = *owners.entry(serial).or_insert((at, line));
            if owner == at {
                continue;
            }
            for refused in [owner, at] {
                refusals
                    .entry(refused)
                    .or_insert_with(|| Refusal::AmbiguousSerial {
                        serial,
                        one: lists[owner].listing(first),
                        other: listed.listing(line),
                    });
            }
        }
    }
    refusals
}

impl Validator<'_> {
    /// Somebody must be able to call in.
    pub(super) fn check_listed(&mut self, listed: &[Listed<'_>]) {
        let files = listed.iter().flat_map(|it| &it.file).flatten();
        for line in files.flat_map(|read| &read.file.malformed) {
            self.report.warn(Warning::MalformedSerial(line.clone()));
            self.malformed_serials.push(line.clone());
        }
        let devices = &self.config.devices;
        if devices.only_known
            && devices.directory.path().is_some()
            && devices.credentials_file.is_none()
            && listed.iter().all(Listed::is_empty)
        {
            self.report.warn(Warning::NobodyKnown);
        }
    }
}

impl Publication {
    /// Has `slot` answer for the devices of a good site.
    pub(super) fn list(&mut self, serials: Vec<SerialNumber>, slot: &SiteSlot) {
        let by_serial = serials.into_iter().map(|serial| (serial, slot.clone()));
        self.sites_by_serial.extend(by_serial);
    }

    /// Those that no site lists yet.
    pub(super) fn unlisted(&self, serials: OperatorSet<SerialNumber>) -> OperatorSet<SerialNumber> {
        let serials = serials.into_iter();
        serials.filter(|serial| !self.lists(*serial)).collect()
    }

    /// The same for a bad site. Who is listed for two of them is told nothing.
    pub(super) fn list_refused(&mut self, serials: OperatorSet<SerialNumber>, slot: &SiteSlot) {
        for serial in serials {
            match self.sites_by_serial.entry(serial) {
                Entry::Vacant(entry) => drop(entry.insert(slot.clone())),
                Entry::Occupied(mut entry) => drop(entry.insert(SiteSlot::Withheld)),
            }
        }
    }

    /// The devices for which the site of this name answers, if it does.
    pub(super) fn listed_for(&self, name: &SiteName) -> Option<Vec<SerialNumber>> {
        let is_its =
            |slot: &SiteSlot| matches!(slot, SiteSlot::Published(site) if site.name == *name);
        let mut slots = self.default_site.iter().chain(self.sites.values());
        slots.any(is_its).then(|| {
            let listed = self.sites_by_serial.iter();
            let listed = listed.filter(|(_, slot)| is_its(slot));
            listed.map(|(serial, _)| *serial).collect()
        })
    }
}
