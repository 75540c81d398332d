//! Site keys: made, or taken over from an existing ENGAGE site.

use std::path::Path;

use zeroize::Zeroizing;

use super::error::InitError;
use super::layout::{Layout, exists};
use crate::failure::Failure;
use crate::new_files::{NewFile, Readers};
use crate::platform::FileAccess;
use crate::sites::new_key;
use engage_wire::site::{AnnouncementHash, SiteKey};

/// The key files that are named but do not exist.
pub(super) fn missing(layout: &Layout, provided: Option<&Path>) -> Result<Vec<NewFile>, Failure> {
    let provided = provided
        .map(|provided| ProvidedKey::read(provided, layout))
        .transpose()?;
    // Another secret that the daemon reads.
    let like = FileAccess::from_path(&layout.server.key).ok();
    let mut files = Vec::new();
    for path in &layout.site_keys {
        if exists(path)? {
            if let Some(provided) = &provided {
                provided.must_equal(path)?;
            }
            continue;
        }
        let contents = match &provided {
            Some(provided) => provided.contents.clone(),
            None => new_key().map_err(InitError::issuing("a site key"))?,
        };
        files.push(NewFile::new(
            path.clone(),
            contents,
            "site key",
            Readers::Daemon(like.clone()),
        ));
    }
    Ok(files)
}

/// The key named by `--site-key-file`, as it was written.
struct ProvidedKey<'a> {
    path: &'a Path,
    contents: Zeroizing<Vec<u8>>,
    fingerprint: AnnouncementHash,
}

impl<'a> ProvidedKey<'a> {
    fn read(path: &'a Path, layout: &Layout) -> Result<Self, Failure> {
        let (key, contents) = SiteKey::load_with_contents(path)?;
        if layout.site_keys.len() > 1 {
            return Err(InitError::WhichSite {
                provided: path.to_owned(),
                key_files: layout.site_keys.len(),
            }
            .into());
        }
        Ok(Self {
            path,
            contents,
            fingerprint: fingerprint(&key),
        })
    }

    /// A provided key that is silently not used would be found out at the first device.
    fn must_equal(&self, existing: &Path) -> Result<(), Failure> {
        if self.fingerprint == fingerprint(&SiteKey::load(existing)?) {
            return Ok(());
        }
        Err(InitError::OtherSiteKey {
            provided: self.path.to_owned(),
            existing: existing.to_owned(),
        }
        .into())
    }
}

/// Two keys are the same if they make the same hash, whatever form they are written in.
fn fingerprint(key: &SiteKey) -> AnnouncementHash {
    key.announcement_hash(b"")
}
