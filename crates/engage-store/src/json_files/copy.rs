//! Writes a device's files from where the last attempt ended.

mod unknown;

use std::collections::{BTreeMap, HashMap};
use std::io::{self, Write};
use std::path::Path;

use jiff::Timestamp;
use tracing::{info, warn};

use super::cursor::{CopyCursor, Length};
use super::folder::{CONFIG_FILE, DEVICE_FILE, Folder, sync_file};
use super::month::Month;
use super::source::{DeviceChanges, FiledEvent, Source};
use crate::{DeviceId, EventKind, StoreError};

pub(crate) use unknown::UNKNOWN;

/// Why copies are not up to date.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CopyError {
    /// Concerns the device only.
    #[error(transparent)]
    File(#[from] io::Error),
    /// Concerns all, unless it is a row.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// What was copied.
pub(crate) struct Copied {
    pub(crate) cursor: CopyCursor,
    /// The number of lines that were added.
    pub(crate) events: u64,
    /// Whether nothing is left.
    pub(crate) is_whole: bool,
}

/// Writes what follows `cursor`, at most `max_pages` of events.
pub(crate) fn copy(
    root: &Path,
    source: &impl Source,
    device: DeviceId,
    cursor: CopyCursor,
    max_pages: usize,
) -> Result<Copied, CopyError> {
    let (folder, cursor) = match Folder::find(root, device)? {
        Some(folder) => (folder, cursor),
        // Somebody removed it.
        None => (Folder::create(root, device)?, CopyCursor::beginning()),
    };
    let mut copy = Copy {
        root,
        folder,
        source,
        device,
        cursor,
        older: HashMap::new(),
    };
    for kind in EventKind::ALL {
        copy.mend(kind)?;
    }
    let (mut events, mut is_whole) = (0, false);
    for _ in 0..max_pages {
        let page = source.page(device, copy.cursor.seq)?;
        is_whole = page.as_ref().is_none_or(|page| page.is_last);
        if let Some(page) = page {
            copy.append(&page.events)?;
            events += page.events.len() as u64;
            if page.is_last {
                copy.replace(&page)?;
            }
        }
        if is_whole {
            break;
        }
    }
    Ok(Copied {
        cursor: copy.cursor,
        events,
        is_whole,
    })
}

struct Copy<'a, S> {
    root: &'a Path,
    folder: Folder,
    source: &'a S,
    device: DeviceId,
    cursor: CopyCursor,
    /// Lengths of months that are not the newest, as far as they were written by this attempt.
    older: HashMap<(EventKind, Month), u64>,
}

impl<S: Source> Copy<'_, S> {
    /// Gives the newest file of a kind the length that the cursor says.
    fn mend(&mut self, kind: EventKind) -> Result<(), CopyError> {
        let Some(Length { month, bytes }) = *self.cursor.lengths.get_mut(kind) else {
            return Ok(());
        };
        let name = month.file_name(kind);
        let path = self.folder.path(&name);
        match self.folder.len(&name)? {
            Some(found) if found == bytes => Ok(()),
            Some(found) if found > bytes => {
                self.keep_unknown(kind, month, bytes, self.cursor.seq)?;
                self.folder.open_at(&name, bytes)?;
                info!(path = %path.display(), "cut the {} bytes behind byte {bytes} off `{}`: they are not known to be whole, and are written again", found - bytes, path.display());
                Ok(())
            }
            found => {
                let (events, bytes_written) = self.rewrite(kind, month, self.cursor.seq)?;
                *self.cursor.lengths.get_mut(kind) = (events > 0).then_some(Length {
                    month,
                    bytes: bytes_written,
                });
                if events > 0 {
                    warn!(path = %path.display(), events, "`{}` had {} bytes of {bytes}: wrote its {events} events anew from the store", path.display(), found.unwrap_or(0));
                }
                Ok(())
            }
        }
    }

    /// Writes a month anew, as far as event `to`; returns the number of its events and of its bytes.
    /// A month of which nothing is stored any more has no file.
    fn rewrite(&self, kind: EventKind, month: Month, to: i64) -> Result<(usize, u64), CopyError> {
        let name = month.file_name(kind);
        let mut file = self.folder.open_at(&name, 0)?;
        let (mut after, mut count, mut bytes) = (0, 0, 0);
        loop {
            let range = (after, to);
            let events = self.source.month(self.device, kind, month, range)?;
            let Some(last) = events.last() else { break };
            after = last.seq;
            count += events.len();
            bytes += write_lines(&mut file, events.iter())?;
        }
        sync_file(&file)?;
        if count == 0 {
            self.folder.remove(&name)?;
        }
        Ok((count, bytes))
    }

    fn append(&mut self, events: &[FiledEvent]) -> Result<(), CopyError> {
        let Some(to) = events.last().map(|last| last.seq) else {
            return Ok(());
        };
        let mut by_file: BTreeMap<_, Vec<&FiledEvent>> = BTreeMap::new();
        for event in events {
            let file = (event.month, event.kind.as_str());
            by_file.entry(file).or_default().push(event);
        }
        for ((month, _), events) in by_file {
            let kind = events[0].kind;
            let newest = *self.cursor.lengths.get_mut(kind);
            let name = month.file_name(kind);
            let before = match newest {
                Some(length) if length.month == month => Some(length.bytes),
                Some(length) if length.month > month => self.older.get(&(kind, month)).copied(),
                _ => self.folder.len(&name)?.is_none().then_some(0),
            };
            let bytes = if let Some(before) = before {
                let mut file = self.folder.open_at(&name, before)?;
                let bytes = before + write_lines(&mut file, events.into_iter())?;
                sync_file(&file)?;
                bytes
            } else {
                // Its length is not known. An import brings older months behind newer ones.
                self.keep_unknown(kind, month, 0, 0)?;
                self.rewrite(kind, month, to)?.1
            };
            if newest.is_some_and(|it| it.month > month) {
                self.older.insert((kind, month), bytes);
            } else {
                *self.cursor.lengths.get_mut(kind) = Some(Length { month, bytes });
            }
        }
        self.cursor.seq = to;
        Ok(())
    }

    fn replace(&mut self, page: &DeviceChanges) -> Result<(), CopyError> {
        let saved_at = page.record.config_saved_at.map(Timestamp::as_microsecond);
        let is_missing = |name| Ok::<_, io::Error>(self.folder.len(name)?.is_none());
        if saved_at.is_some()
            && (self.cursor.lengths.config_saved_at != saved_at || is_missing(CONFIG_FILE)?)
        {
            if let Some(config) = self.source.config(self.device)? {
                self.folder.replace(CONFIG_FILE, &config)?;
            }
            self.cursor.lengths.config_saved_at = saved_at;
        }
        if self.cursor.revision != page.revision || self.folder.len(DEVICE_FILE)?.is_none() {
            let mut text = serde_json::to_vec_pretty(&page.record).map_err(io::Error::from)?;
            text.push(b'\n');
            self.folder.replace(DEVICE_FILE, &text)?;
            self.cursor.revision = page.revision;
        }
        Ok(())
    }
}

fn write_lines<'a>(
    file: &mut impl Write,
    events: impl Iterator<Item = &'a FiledEvent>,
) -> io::Result<u64> {
    let mut lines = Vec::new();
    for event in events {
        lines.extend_from_slice(event.text.as_bytes());
        lines.push(b'\n');
    }
    file.write_all(&lines)?;
    Ok(lines.len() as u64)
}

/// Whether a device's files are as its cursor says, without reading them.
pub(crate) fn is_as_noted(root: &Path, device: DeviceId, cursor: &CopyCursor) -> bool {
    let Ok(Some(folder)) = Folder::find(root, device) else {
        return false;
    };
    let is_there = |name: &str| matches!(folder.len(name), Ok(Some(_)));
    let mut lengths = cursor.lengths.clone();
    EventKind::ALL.into_iter().all(|kind| {
        lengths.get_mut(kind).is_none_or(|Length { month, bytes }| {
            matches!(folder.len(&month.file_name(kind)), Ok(Some(found)) if found == bytes)
        })
    }) && is_there(DEVICE_FILE)
        && (lengths.config_saved_at.is_none() || is_there(CONFIG_FILE))
}

#[cfg(test)]
mod tests;
