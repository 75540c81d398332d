//! Lines that are about to be cut off, and that the store does not have.

use std::collections::HashSet;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use fs_err::File;
use sha2::{Digest, Sha256};
use tracing::warn;

use super::{Copy, CopyError};
use crate::json_files::folder::Folder;
use crate::json_files::line_reader::{Entry, LineReader};
use crate::json_files::month::Month;
use crate::json_files::source::Source;
use crate::{EventKind, mode};

impl<S: Source> Copy<'_, S> {
    /// Keeps what stands behind byte `start` of a month in a folder that can be imported, if a line
    /// of it is not in the store behind event `after`: a backup of the store that was restored is
    /// older than the files.
    pub(super) fn keep_unknown(
        &self,
        kind: EventKind,
        month: Month,
        start: u64,
        after: i64,
    ) -> Result<(), CopyError> {
        let name = month.file_name(kind);
        let path = self.folder.path(&name);
        let (mut unknown, bytes) = whole_lines(&path, start)?;
        self.drop_stored(&mut unknown, kind, month, after)?;
        if unknown.is_empty() {
            return Ok(());
        }
        let root = self.root.join(UNKNOWN);
        mode::create_dir(&root)?;
        let folder = match Folder::find(&root, self.device)? {
            Some(folder) => folder,
            None => Folder::create(&root, self.device)?,
        };
        let mut kept = folder.open_at(&name, u64::MAX)?;
        let mut surplus = File::open(&path)?;
        surplus.seek(SeekFrom::Start(start))?;
        io::copy(&mut surplus.take(bytes), &mut kept)?;
        // Before the file is cut.
        kept.sync_all()?;
        let (kept, root) = (folder.path(&name), root.display());
        warn!(path = %kept.display(), bytes, "kept the {bytes} bytes behind byte {start} of `{}` in `{}`: they hold events that the database does not have; hint: after a restore stop the daemon, take them over with `engage-host devices import {root}`, and move `{root}` away", path.display(), kept.display());
        Ok(())
    }

    /// Drops the digests of lines that are stored behind event `after`.
    fn drop_stored(
        &self,
        lines: &mut HashSet<[u8; 32]>,
        kind: EventKind,
        month: Month,
        mut after: i64,
    ) -> Result<(), CopyError> {
        while !lines.is_empty() {
            let range = (after, i64::MAX);
            let events = self.source.month(self.device, kind, month, range)?;
            let Some(last) = events.last() else { break };
            after = last.seq;
            for event in &events {
                lines.remove(&digest(event.text.as_bytes()));
            }
        }
        Ok(())
    }
}

/// The digests of the whole lines behind a byte, and how long these are together. A line that is
/// longer than any event is none that is stored.
fn whole_lines(path: &Path, start: u64) -> io::Result<(HashSet<[u8; 32]>, u64)> {
    let mut lines = HashSet::new();
    if !fs_err::exists(path)? {
        return Ok((lines, 0));
    }
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let mut reader = LineReader::new(BufReader::new(file));
    let mut end = 0;
    while let Some(entry) = reader.next()? {
        lines.insert(match entry {
            Entry::Line(line) => digest(line),
            // Nothing that is stored is empty.
            Entry::Overlong => digest(b""),
            Entry::Unfinished => break,
        });
        end = reader.offset();
    }
    Ok((lines, end))
}

fn digest(line: &[u8]) -> [u8; 32] {
    Sha256::digest(line).into()
}

/// The folder of lines that stood in files, and that the store does not have.
pub(crate) const UNKNOWN: &str = "unknown";
