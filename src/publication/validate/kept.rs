//! What the devices of a bad site are still told.

use std::sync::Arc;

use super::Validator;
use super::site::RefusedSite;
use crate::publication::site::{BadAnswer, SiteSlot};
use crate::publication::{Publication, PublishedSite};
use engage_wire::HostName;
use engage_wire::pki::device_profile::{DeviceProfile, ProfileCheck};
use engage_wire::pki::{Certificate, DevicePath, ServerChain};
use engage_wire::site::{Announcement, SiteName};

impl Validator<'_> {
    /// Puts what was announced last into the slots of bad sites, and nothing into those that never
    /// announced anything.
    pub(super) fn keep(
        &mut self,
        publication: &mut Publication,
        bad: &mut [RefusedSite<'_>],
        chain: &ServerChain,
        root: Option<&Certificate>,
    ) {
        for refused in bad {
            let slot = self.keep_hosts(publication, refused, chain, root);
            self.keep_serials(publication, refused, &slot);
        }
    }

    /// What answers the devices of one site.
    fn keep_hosts(
        &mut self,
        publication: &mut Publication,
        refused: &mut RefusedSite<'_>,
        chain: &ServerChain,
        root: Option<&Certificate>,
    ) -> SiteSlot {
        let (mut slot, mut is_withheld) = (SiteSlot::Withheld, false);
        for host in std::mem::take(&mut refused.hosts) {
            if refused.is_broken && publication.answers(host) {
                continue;
            }
            if let Some((site, path)) = self.kept(refused, host, chain, root) {
                slot = SiteSlot::Published(Arc::new(site));
                publication.put(host, &slot);
                publication.count(&path, chain);
            } else {
                is_withheld = true;
                publication.withhold(host);
            }
        }
        refused.site.answer = match slot {
            _ if is_withheld => BadAnswer::Withheld,
            SiteSlot::Published(_) => BadAnswer::Kept,
            SiteSlot::Withheld => BadAnswer::Unplaced,
        };
        slot
    }

    fn keep_serials(
        &self,
        publication: &mut Publication,
        refused: &mut RefusedSite<'_>,
        slot: &SiteSlot,
    ) {
        let mut serials = std::mem::take(&mut refused.serials);
        let site = &mut refused.site;
        if refused.is_list_unread {
            let last = self.in_force.and_then(|it| it.listed_for(&site.name));
            site.has_new_list = last.is_none() && self.is_new_list(&site.name);
            if last.is_none() && !site.has_new_list {
                site.answer = BadAnswer::ListUnknown;
                publication.is_list_unknown = true;
            }
            serials.extend(last.unwrap_or_default());
        }
        if refused.is_broken {
            serials = publication.unlisted(serials);
        }
        if site.answer == BadAnswer::Unplaced && !serials.is_empty() {
            site.answer = BadAnswer::Withheld;
        }
        publication.list_refused(serials, slot);
    }

    /// Whether a reload has added this site with a list that could not be read, now or before: until it
    /// can be, its devices are told what they were told before it came.
    fn is_new_list(&self, site: &SiteName) -> bool {
        let Some(in_force) = self.in_force else {
            return false;
        };
        let mut bad = in_force.bad_sites.iter();
        match bad.find(|bad| bad.name == *site) {
            Some(bad) => bad.has_new_list,
            None => !self.last.contains_key(site),
        }
    }

    /// What is announced for `host` to the devices of this site, if it holds beside all that is new.
    ///
    /// A chain that does not lead to it, nor to what the site is to announce from now on, would
    /// lock its devices out: that is the chain's trouble, which concerns all.
    fn kept(
        &mut self,
        refused: &RefusedSite<'_>,
        host: Option<&HostName>,
        chain: &ServerChain,
        root: Option<&Certificate>,
    ) -> Option<(PublishedSite, DevicePath)> {
        let name = &refused.site.name;
        let last = self.in_force?.announced(host, name)?;
        let ProfileCheck {
            accepted: path,
            violations,
        } = DeviceProfile::new(self.report.now).check_anchor(chain, &last.anchor, root);
        // That its time is over is no news to its devices.
        let violations = violations.into_iter();
        let violations: Vec<_> = violations
            .filter(|it| it.is_refusal() && !it.is_about_time())
            .collect();
        if !violations.is_empty() {
            if !refused.is_anchored {
                let path = &self.config.https.certificate;
                self.report.add(violations, path, Some(name));
            }
            return None;
        }
        let file_name = &last.file_name;
        let served = self.served.get(file_name);
        let is_other = served.is_some_and(|(_, served)| *served != *last.anchor);
        if is_other && self.announced.contains(file_name) {
            return None;
        }
        let url = self.cert_url(refused.base_url, file_name).ok()?;
        let announcement = Announcement::new(url, last.announcement.hash());
        self.serve(file_name, refused.certificate, &last.anchor);
        let site = PublishedSite {
            announcement,
            ..last.clone()
        };
        Some((site, path?))
    }
}
