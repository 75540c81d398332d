//! Sites as the publication knows them: announced, or why not.

use std::fmt;
use std::path::Path;
use std::sync::Arc;

use super::serials::ReadSerials;
use super::static_files::FileName;
use super::{Refusal, Refusals, Warning};
use crate::config::SiteConfig;
use crate::file_version::FileVersion;
use engage_wire::pki::{Certificate, Fingerprint, load_certificate_der};
use engage_wire::site::{Announcement, SiteName};

/// What the devices of one site are told.
#[derive(Clone, Debug)]
pub struct PublishedSite {
    /// Its name.
    pub name: SiteName,
    /// What they are told.
    pub announcement: Announcement,
    /// SHA-256 fingerprint of the announced certificate.
    pub fingerprint: Fingerprint,
    /// The announced certificate.
    pub anchor: Arc<Certificate>,
    /// The file as which it is served.
    pub(super) file_name: FileName,
    pub(super) evidence: SiteEvidence,
}

/// What a site was validated from: while that is the same, it is not read again.
#[derive(Clone, Debug)]
pub(super) struct SiteEvidence {
    pub(super) config: Arc<SiteConfig>,
    /// Of its key file.
    pub(super) key: FileVersion,
    /// What is to be said of its key, each time.
    pub(super) warnings: Vec<Warning>,
    pub(super) serials_file: Option<ReadSerials>,
}

/// What answers the devices of a host.
#[derive(Clone, Debug)]
pub(super) enum SiteSlot {
    Published(Arc<PublishedSite>),
    /// A bad site that never announced anything.
    Withheld,
}

/// Why the devices of a host are told nothing.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum NoAnnouncement {
    /// No host was asked, and there are several sites.
    NoHost,
    /// No site answers there.
    NoSite,
    /// The site's devices would reject what it says, or it is not known of which site it is.
    Withheld,
}

/// A site whose devices would reject what its configuration and its files say now.
#[derive(Debug)]
pub struct BadSite {
    /// Its name.
    pub name: SiteName,
    /// Why they would.
    pub refusals: Refusals,
    /// How its devices are answered.
    pub(super) answer: BadAnswer,
    /// Whether it came by a reload, with a list that could not be read: it withholds itself only.
    pub(super) has_new_list: bool,
}

/// How the devices of a bad site are answered.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum BadAnswer {
    /// As before.
    Kept,
    /// 503.
    Withheld,
    /// 503, and so is every device that no site lists: it may be one of its own.
    ListUnknown,
    /// As those of no site: nothing is known that they ask by.
    Unplaced,
}

/// Refuses a file that no site can announce, whatever its chain.
pub(crate) fn refuse_unannounceable(site: &SiteName, path: &Path) -> Result<(), Box<Refusal>> {
    load_certificate_der("announced certificate", path).map_err(Refusal::from)?;
    if FileName::from_path(path).is_some() {
        return Ok(());
    }
    Err(Box::new(Refusal::NotDerName {
        site: site.clone(),
        path: path.to_owned(),
    }))
}

impl BadSite {
    pub(super) fn new(name: &SiteName, refusals: impl Iterator<Item = Refusal>) -> Self {
        Self {
            name: name.clone(),
            refusals: refusals.collect(),
            answer: BadAnswer::Withheld,
            has_new_list: false,
        }
    }

    /// Whether its devices are told what they were told before.
    pub(crate) fn is_kept(&self) -> bool {
        self.answer == BadAnswer::Kept
    }
}

/// What becomes of its devices.
impl fmt::Display for BadSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        write!(f, "site `{name}` ")?;
        f.write_str(match self.answer {
            BadAnswer::Kept => "keeps its last announcement",
            BadAnswer::Withheld => "is answered 503",
            BadAnswer::ListUnknown => "and every serial number that no site lists are answered 503",
            BadAnswer::Unplaced => "is selected by nobody",
        })
    }
}
