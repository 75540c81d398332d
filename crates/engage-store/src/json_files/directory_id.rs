//! Which directory it is: the files of two hosts are at different places in the same store.

use std::fmt;
use std::io;
use std::path::Path;

use fs_err::File;

use super::folder::replace;
use crate::regular::read_regular;

/// Kept in the directory itself, so that it goes where the files go. Displayed as the name of its
/// subscriber.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct DirectoryId(u128);

impl DirectoryId {
    /// The one that is kept there, or a new one, durably.
    pub(crate) fn load_or_create(root: &Path) -> io::Result<Self> {
        if let Some(id) = Self::load(root)? {
            return Ok(id);
        }
        let mut random = [0; 16];
        aws_lc_rs::rand::fill(&mut random).map_err(io::Error::other)?;
        let id = Self(u128::from_be_bytes(random));
        id.save(root)?;
        Ok(id)
    }

    fn load(root: &Path) -> io::Result<Option<Self>> {
        let text = read_regular("name of the directory", &root.join(FILE), MAX_BYTES)?;
        let text = text.as_ref().and_then(|text| str::from_utf8(text).ok());
        Ok(text.and_then(|text| u128::from_str_radix(text.trim(), 16).ok().map(Self)))
    }

    fn save(self, root: &Path) -> io::Result<()> {
        let (path, beside) = (root.join(FILE), root.join(format!("{FILE}.tmp")));
        let contents = format!("{:032x}\n", self.0);
        replace(&path, &beside, contents.as_bytes(), File::sync_all)
    }
}

impl fmt::Display for DirectoryId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "json-files:{:032x}", self.0)
    }
}

const FILE: &str = ".json-files";

const MAX_BYTES: usize = 64;
