//! Sites as the publication knows them: announced, or why not.

use std::fmt;
use std::sync::Arc;

use super::serials::ReadSerials;
use super::static_files::FileName;
use super::{Refusal, Refusals, Warning};
use crate::config::SiteConfig;
use crate::file_version::FileVersion;
use engage_wire::pki::{Certificate, Fingerprint};
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

/// What a site was judged by: while that is the same, it is not read again.
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
    /// Whether they are told what they were told before; else they are answered 503.
    pub is_kept: bool,
    /// Whether any device that no site lists may be one of its own.
    pub is_list_unknown: bool,
}

impl BadSite {
    pub(super) fn new(name: &SiteName, refusals: impl Iterator<Item = Refusal>) -> Self {
        Self {
            name: name.clone(),
            refusals: refusals.collect(),
            is_kept: false,
            is_list_unknown: false,
        }
    }
}

/// What becomes of its devices.
impl fmt::Display for BadSite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        if self.is_kept {
            write!(f, "site `{name}` keeps its last announcement")
        } else if self.is_list_unknown {
            write!(
                f,
                "site `{name}` and every serial number that no site lists are answered 503"
            )
        } else {
            write!(f, "site `{name}` is answered 503")
        }
    }
}
