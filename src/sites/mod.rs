//! The sites of a host: listed, checked, added, changed and removed, each file whole or not at all.

mod add;
mod change;
mod checked_sites;
mod claims;
mod edit;
mod error;
mod list;
mod new_site;
mod remove;
mod shown;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use zeroize::Zeroizing;

use engage_wire::pki::issue::{IssueError, random_bytes};
use engage_wire::site::SiteKey;

pub(crate) use add::add_site;
pub(crate) use change::{Change, ChangeOutcome, ChangeReport};
pub(crate) use checked_sites::{CheckedSites, SitesReport};
pub(crate) use claims::Claims;
pub(crate) use edit::{FileTag, SiteEdit, change_site};
pub(crate) use error::SitesError;
pub(crate) use list::{ListedSite, find, sites};
pub(crate) use new_site::{GivenKey, Locked, NewSite, Wanted, hosts, once};
pub(crate) use remove::remove_site;
pub(crate) use shown::ShownSite;

/// A new site key in Base64, the form in which the ENGAGE API takes it.
pub(crate) fn new_key() -> Result<Zeroizing<Vec<u8>>, IssueError> {
    let key = random_bytes::<{ SiteKey::BYTES }>()?;
    let mut text = Zeroizing::new(STANDARD.encode(key.as_slice()));
    text.push('\n');
    Ok(Zeroizing::new(text.as_bytes().to_vec()))
}
