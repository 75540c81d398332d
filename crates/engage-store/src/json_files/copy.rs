//! Writes a device's files from where the last attempt ended.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom, Write};
use std::path::Path;

use fs_err::File;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use tracing::{info, warn};

use super::folder::{CONFIG_FILE, DEVICE_FILE, Folder, sync_file};
use super::month::Month;
use crate::{DeviceId, DeviceRecord, EventKind, StoreError, mode};

/// How far the copies of a device are: kept in the store, and never ahead of the files.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct CopyCursor {
    /// The newest event that was written; 0 before the first.
    pub(crate) seq: i64,
    /// Of the row that `device.json` shows.
    pub(crate) revision: i64,
    pub(crate) lengths: Lengths,
}

/// The files that grow, and what `config.json` shows.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Lengths {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    alerts: Option<Length>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    audits: Option<Length>,
    /// When the upload was stored, in microseconds since 1970.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) config_saved_at: Option<i64>,
}

/// The newest file of a kind.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq, Serialize)]
pub(crate) struct Length {
    pub(crate) month: Month,
    pub(crate) bytes: u64,
}

impl CopyCursor {
    /// Of a folder that is to be written from the beginning.
    pub(crate) fn beginning() -> Self {
        Self {
            seq: 0,
            revision: -1,
            lengths: Lengths::default(),
        }
    }
}

impl Lengths {
    pub(crate) fn of(&mut self, kind: EventKind) -> &mut Option<Length> {
        match kind {
            EventKind::Alerts => &mut self.alerts,
            EventKind::Audits => &mut self.audits,
        }
    }
}

/// What is known of a device, and events that follow a cursor.
pub(crate) struct DevicePage {
    pub(crate) record: DeviceRecord,
    pub(crate) revision: i64,
    pub(crate) events: Vec<FiledEvent>,
    /// Whether no event follows.
    pub(crate) is_last: bool,
}

/// An event, and the month that it belongs to.
pub(crate) struct FiledEvent {
    pub(crate) seq: i64,
    pub(crate) kind: EventKind,
    pub(crate) month: Month,
    /// As it is stored.
    pub(crate) text: String,
}

/// Where copies come from. Blocks.
pub(crate) trait Source {
    /// What follows event `after`; `None` if the device is not known.
    fn page(&self, device: DeviceId, after: i64) -> Result<Option<DevicePage>, StoreError>;

    /// The last upload.
    fn config(&self, device: DeviceId) -> Result<Option<Vec<u8>>, StoreError>;

    /// The first events behind `range.0` and up to `range.1` of one month; empty at the end.
    fn month(
        &self,
        device: DeviceId,
        kind: EventKind,
        month: Month,
        range: (i64, i64),
    ) -> Result<Vec<FiledEvent>, StoreError>;
}

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
        let Some(Length { month, bytes }) = *self.cursor.lengths.of(kind) else {
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
                *self.cursor.lengths.of(kind) = (events > 0).then_some(Length {
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

    /// Lines that are about to be cut off, and that the store does not have behind event `after`, are kept in a
    /// folder that can be imported: a backup of the store that was restored is older than the files.
    fn keep_unknown(
        &self,
        kind: EventKind,
        month: Month,
        bytes: u64,
        mut after: i64,
    ) -> Result<(), CopyError> {
        let name = month.file_name(kind);
        let path = self.folder.path(&name);
        let (mut unknown, len) = whole_lines(&path, bytes)?;
        while !unknown.is_empty() {
            let range = (after, i64::MAX);
            let events = self.source.month(self.device, kind, month, range)?;
            let Some(last) = events.last() else { break };
            after = last.seq;
            for event in &events {
                unknown.remove(&digest(event.text.as_bytes()));
            }
        }
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
        surplus.seek(SeekFrom::Start(bytes))?;
        io::copy(&mut surplus.take(len), &mut kept)?;
        // Before the file is cut.
        kept.sync_all()?;
        let (kept, root) = (folder.path(&name), root.display());
        warn!(path = %kept.display(), bytes = len, "kept the {len} bytes behind byte {bytes} of `{}` in `{}`: they hold events that the database does not have; hint: after a restore stop the daemon, take them over with `engage-host devices import {root}`, and move `{root}` away", path.display(), kept.display());
        Ok(())
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
            let newest = *self.cursor.lengths.of(kind);
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
                *self.cursor.lengths.of(kind) = Some(Length { month, bytes });
            }
        }
        self.cursor.seq = to;
        Ok(())
    }

    fn replace(&mut self, page: &DevicePage) -> Result<(), CopyError> {
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

/// The digests of the whole lines behind a byte, and how long these are together.
fn whole_lines(path: &Path, start: u64) -> io::Result<(HashSet<[u8; 32]>, u64)> {
    let (mut lines, mut len) = (HashSet::new(), 0);
    if !fs_err::exists(path)? {
        return Ok((lines, len));
    }
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(start))?;
    let (mut file, mut line) = (BufReader::new(file), Vec::new());
    while file.read_until(b'\n', &mut line)? > 0 && line.ends_with(b"\n") {
        len += line.len() as u64;
        lines.insert(digest(&line[..line.len() - 1]));
        line.clear();
    }
    Ok((lines, len))
}

fn digest(line: &[u8]) -> [u8; 32] {
    Sha256::digest(line).into()
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
        lengths.of(kind).is_none_or(|Length { month, bytes }| {
            matches!(folder.len(&month.file_name(kind)), Ok(Some(found)) if found == bytes)
        })
    }) && is_there(DEVICE_FILE)
        && (lengths.config_saved_at.is_none() || is_there(CONFIG_FILE))
}

/// The folder of lines that stood in files, and that the store does not have.
pub(crate) const UNKNOWN: &str = "unknown";

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use proptest::prelude::*;

    use super::*;
    use crate::json_files::directory_id::DirectoryId;

    /// Kind, month and text of each event; its number is its place from 1.
    #[derive(Default)]
    struct Store(RefCell<Vec<(EventKind, Month, String)>>);

    impl Store {
        fn events(&self, range: (i64, i64)) -> Vec<FiledEvent> {
            let events = self.0.borrow();
            let numbered = (1..).zip(events.iter());
            let wanted = numbered.filter(|(seq, _)| range.0 < *seq && *seq <= range.1);
            wanted
                .map(|(seq, (kind, month, text))| FiledEvent {
                    seq,
                    kind: *kind,
                    month: *month,
                    text: text.clone(),
                })
                .collect()
        }
    }

    impl Source for Store {
        fn page(&self, device: DeviceId, after: i64) -> Result<Option<DevicePage>, StoreError> {
            let mut events = self.events((after, i64::MAX));
            let is_last = events.len() <= 3;
            events.truncate(3);
            Ok(Some(DevicePage {
                record: DeviceRecord::new(device, Timestamp::UNIX_EPOCH),
                revision: 1,
                events,
                is_last,
            }))
        }

        fn config(&self, _: DeviceId) -> Result<Option<Vec<u8>>, StoreError> {
            Ok(None)
        }

        fn month(
            &self,
            _: DeviceId,
            kind: EventKind,
            month: Month,
            range: (i64, i64),
        ) -> Result<Vec<FiledEvent>, StoreError> {
            let mut events = self.events(range);
            events.retain(|event| (event.kind, event.month) == (kind, month));
            events.truncate(2);
            Ok(events)
        }
    }

    #[derive(Clone, Debug)]
    enum Step {
        Store {
            is_audit: bool,
            /// An import brings older ones behind newer ones.
            month: usize,
        },
        /// What somebody, or a crash, does to the newest file of a kind.
        Damage { is_audit: bool, damage: Damage },
        Copy {
            is_committed: bool,
            max_pages: usize,
        },
    }

    #[derive(Clone, Debug)]
    enum Damage {
        Cut,
        Lengthen,
        Remove,
    }

    fn step() -> impl Strategy<Value = Step> {
        let damage = prop_oneof![
            Just(Damage::Cut),
            Just(Damage::Lengthen),
            Just(Damage::Remove)
        ];
        prop_oneof![
            4 => (any::<bool>(), 0..3_usize).prop_map(|(is_audit, month)| Step::Store { is_audit, month }),
            1 => (any::<bool>(), damage).prop_map(|(is_audit, damage)| Step::Damage { is_audit, damage }),
            3 => (any::<bool>(), 1..3_usize).prop_map(|(is_committed, max_pages)| Step::Copy { is_committed, max_pages }),
        ]
    }

    fn kind(is_audit: bool) -> EventKind {
        if is_audit {
            EventKind::Audits
        } else {
            EventKind::Alerts
        }
    }

    fn damage(folder: &Folder, kind: EventKind, damage: &Damage) {
        let Some(newest) = folder.months(kind).unwrap().pop() else {
            return;
        };
        let path = folder.path(&newest.file_name(kind));
        let mut text = fs_err::read(&path).unwrap();
        match damage {
            Damage::Cut => text.truncate(text.len() / 2),
            Damage::Lengthen => text.extend_from_slice(b"{\"half a line"),
            Damage::Remove => return fs_err::remove_file(path).unwrap(),
        }
        fs_err::write(path, text).unwrap();
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// A copy whose cursor is not committed is one that was interrupted.
        #[test]
        fn files_have_each_event_once_whatever_interrupts_or_damages_them(steps in prop::collection::vec(step(), 0..40)) {
            let root = tempfile::tempdir().unwrap();
            let device: DeviceId = "0123456789ABCDEF".parse().unwrap();
            let months: Vec<Month> = ["2026-11", "2026-12", "2027-01"].map(|it| it.parse().unwrap()).into();
            let (store, mut cursor) = (Store::default(), CopyCursor::beginning());
            let copied = |cursor: &CopyCursor, max_pages| copy(root.path(), &store, device, cursor.clone(), max_pages).unwrap();
            for step in steps {
                match step {
                    Step::Store { is_audit, month } => {
                        let mut events = store.0.borrow_mut();
                        let text = format!("event {}", events.len());
                        events.push((kind(is_audit), months[month], text));
                    }
                    Step::Damage { is_audit, damage: how } => {
                        if let Some(folder) = Folder::find(root.path(), device).unwrap() {
                            damage(&folder, kind(is_audit), &how);
                            cursor = copied(&cursor, 1).cursor;
                        }
                    }
                    Step::Copy { is_committed, max_pages } => {
                        let copied = copied(&cursor, max_pages);
                        if is_committed {
                            cursor = copied.cursor;
                        }
                    }
                }
            }
            prop_assert!(copied(&cursor, usize::MAX).is_whole);
            let folder = Folder::find(root.path(), device).unwrap().unwrap();
            for kind in EventKind::ALL {
                for month in &months {
                    let events = store.0.borrow();
                    let of_file = events.iter().filter(|it| (it.0, it.1) == (kind, *month));
                    let expected: String = of_file.flat_map(|(_, _, text)| [text, "\n"]).collect();
                    let found = fs_err::read_to_string(folder.path(&month.file_name(kind)));
                    prop_assert_eq!(found.unwrap_or_default(), expected);
                }
            }
        }
    }

    #[test]
    fn lines_that_the_store_does_not_have_are_kept_before_a_file_is_cut() {
        let root = tempfile::tempdir().unwrap();
        let device: DeviceId = "0123456789ABCDEF".parse().unwrap();
        let month: Month = "2026-11".parse().unwrap();
        let next: Month = "2026-12".parse().unwrap();
        let event = |month, text: &str| (EventKind::Audits, month, text.to_owned());
        let store = Store::default();
        store.0.borrow_mut().push(event(month, "one"));
        let backup = copy(root.path(), &store, device, CopyCursor::beginning(), 1).unwrap();
        let later = [event(month, "two"), event(next, "three")];
        store.0.borrow_mut().extend(later);
        copy(root.path(), &store, device, backup.cursor.clone(), 1).unwrap();
        // The backup is restored, and the device calls again.
        store.0.borrow_mut().truncate(1);
        store.0.borrow_mut().push(event(next, "four"));
        copy(root.path(), &store, device, backup.cursor, 1).unwrap();
        let read = |root: &Path, month: Month| {
            let folder = Folder::find(root, device).unwrap().unwrap();
            fs_err::read_to_string(folder.path(&month.file_name(EventKind::Audits))).unwrap()
        };
        assert_eq!(read(root.path(), month), "one\n");
        assert_eq!(read(root.path(), next), "four\n");
        let unknown = root.path().join(UNKNOWN);
        assert_eq!(read(&unknown, month), "two\n");
        assert_eq!(read(&unknown, next), "three\n");
    }

    #[test]
    fn a_directory_keeps_its_name() {
        let root = tempfile::tempdir().unwrap();
        let id = DirectoryId::load_or_create(root.path()).unwrap();
        assert_eq!(DirectoryId::load_or_create(root.path()).unwrap(), id);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(DirectoryId::load_or_create(other.path()).unwrap(), id);
    }
}
