//! The audits or the alerts of a device: what its monthly files hold, before they are read for good.

use std::cmp::Ordering;
use std::collections::{HashMap, HashSet};
use std::io::{self, BufReader};
use std::path::{Path, PathBuf};

use fs_err::File;
use serde::Deserialize;

use super::event::OldEvent;
use crate::json_files::cursor::Length;
use crate::json_files::folder::Folder;
use crate::json_files::line_reader::{Entry, LineReader};
use crate::json_files::month::Month;
use crate::regular::require_regular;
use crate::{BatchId, EventKind};

/// The files of one kind, oldest first.
pub(crate) struct OldLog {
    pub(super) kind: EventKind,
    pub(super) files: Vec<OldFile>,
    /// Batches all of whose lines are there.
    pub(crate) complete: HashSet<BatchId>,
    /// The newest of them.
    pub(crate) last: Option<BatchId>,
    /// Whether every file could be read.
    pub(super) is_whole: bool,
}

pub(super) struct OldFile {
    pub(super) month: Month,
    pub(super) path: PathBuf,
    /// Where what follows was never acknowledged, in bytes.
    pub(super) end: u64,
    /// Where what follows was not delivered to the webhook.
    pub(super) delivered_to: u64,
}

/// The last event that was delivered, as `.webhook.json` has it.
#[derive(Clone, Debug, Deserialize)]
pub(super) struct Position {
    /// The name of the file, which sorts by month.
    file: String,
    batch: BatchId,
    line: usize,
}

impl OldLog {
    /// Reads all lines once. What is left out of them is told.
    pub(super) fn read(
        folder: &Folder,
        kind: EventKind,
        delivered: Option<&Position>,
        left_out: &mut Vec<String>,
    ) -> io::Result<Self> {
        let mut log = Self {
            kind,
            files: Vec::new(),
            complete: HashSet::new(),
            last: None,
            is_whole: true,
        };
        for month in folder.months(kind)? {
            let path = folder.path(&month.file_name(kind));
            match log.look_through(month, path.clone(), delivered, left_out) {
                Ok(file) => log.files.push(file),
                Err(error) => {
                    log.is_whole = false;
                    left_out.push(format!("`{}` is left out: {error}", path.display()));
                }
            }
        }
        Ok(log)
    }

    pub(crate) fn kind(&self) -> EventKind {
        self.kind
    }

    /// How long the newest file is without what was never acknowledged.
    pub(crate) fn length(&self) -> Option<Length> {
        self.files.last().map(|file| Length {
            month: file.month,
            bytes: file.end,
        })
    }

    fn look_through(
        &mut self,
        month: Month,
        path: PathBuf,
        delivered: Option<&Position>,
        left_out: &mut Vec<String>,
    ) -> io::Result<OldFile> {
        let name = month.file_name(self.kind);
        let mut lines = open(&path)?;
        let mut missing: HashMap<BatchId, usize> = HashMap::new();
        let mut damaged = Vec::new();
        let mut torn = TornTail::default();
        let mut delivered_to = 0;
        loop {
            let start = lines.offset();
            let event = match lines.next()? {
                Some(Entry::Line(text)) => OldEvent::parse(text),
                Some(Entry::Overlong) => None,
                Some(Entry::Unfinished) => {
                    torn.start.get_or_insert(start);
                    break;
                }
                None => break,
            };
            torn.pass(start, event.as_ref());
            let Some(OldEvent { event, batch, .. }) = event else {
                damaged.push(start);
                continue;
            };
            if delivered.is_some_and(|it| (it.batch, it.line) == (batch, event.line)) {
                delivered_to = lines.offset();
            }
            let left = missing.entry(batch).or_insert(event.of);
            *left = left.saturating_sub(1);
            if *left == 0 {
                missing.remove(&batch);
                self.complete.insert(batch);
                self.last = Some(batch);
            }
        }
        let len = lines.offset();
        let end = torn.start.unwrap_or(len);
        left_out.extend(unread(&path, end, len, &damaged));
        let delivered_to = match delivered.map(|it| name.cmp(&it.file)) {
            Some(Ordering::Less) => end,
            Some(Ordering::Equal) => delivered_to,
            Some(Ordering::Greater) | None => 0,
        };
        Ok(OldFile {
            month,
            path,
            end,
            delivered_to,
        })
    }
}

/// What is left out of a file of `len` bytes: what stands behind `end`, and lines that begin at the bytes
/// of `damaged`.
fn unread(path: &Path, end: u64, len: u64, damaged: &[u64]) -> impl Iterator<Item = String> {
    let path = path.display();
    let rest = (end < len).then(|| {
        let bytes = len - end;
        format!("`{path}`: the {bytes} bytes behind byte {end} are left out: they are the rest of an interrupted write and were never acknowledged")
    });
    let damaged = damaged.first().map(|first| {
        let lines = damaged.len();
        format!("`{path}`: {lines} lines that are no events are left out; the first begins at byte {first}")
    });
    rest.into_iter().chain(damaged)
}

/// Opens a regular file, and no other through a link: opening a pipe would wait for its writer.
pub(super) fn open(path: &Path) -> io::Result<LineReader<BufReader<File>>> {
    require_regular(path)?;
    Ok(LineReader::new(BufReader::new(File::open(path)?)))
}

/// The first lines of a batch that ends with the file.
#[derive(Default)]
struct TornTail {
    start: Option<u64>,
    before: Option<(BatchId, usize, usize)>,
}

impl TornTail {
    fn pass(&mut self, start: u64, event: Option<&OldEvent>) {
        let Some(it) = event else {
            *self = Self::default();
            return;
        };
        let (line, of) = (it.event.line, it.event.of);
        let continues = self.before.is_some_and(|before| it.continues(before));
        self.start = match self.start {
            _ if line == of => None,
            Some(start) if continues => Some(start),
            _ => (line == 1).then_some(start),
        };
        self.before = Some((it.batch, line, of));
    }
}
