//! A site: the key that its devices share, and what they are told to install.

mod announcement;
mod key;
mod name;

pub use announcement::{Announcement, AnnouncementHash, CertUrl, CertUrlError};
pub use key::{KeyFileError, KeyTextError, SiteKey};
pub use name::{SiteName, SiteNameError};
