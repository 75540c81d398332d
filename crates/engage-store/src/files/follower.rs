//! The events of a kind, as far as they are stored, and what is added later.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io;
use std::path::{Path, PathBuf};

use super::device_dirs::existing;
use super::event_reader::{Entry, EventReader};
use super::month::{Month, months};
use crate::{DeviceId, EventFilter, FollowItem, StoredEvent};

/// Keeps an offset in each file, and one line: nothing else, however much there is. What is read
/// may not be durable yet, and is cut back if the disk then fails.
#[derive(Debug)]
pub(crate) struct FileFollower {
    root: PathBuf,
    filter: EventFilter,
    progress: HashMap<DeviceId, Progress>,
}

/// How far a device is read.
#[derive(Debug, Default)]
struct Progress {
    offsets: BTreeMap<Month, FileOffset>,
    /// What was told to be unreadable.
    unreadable: HashSet<PathBuf>,
}

#[derive(Clone, Copy, Debug, Default)]
struct FileOffset {
    bytes: u64,
    lines: u64,
}

impl FileFollower {
    pub(super) fn new(root: &Path, filter: EventFilter) -> Self {
        Self {
            root: root.to_owned(),
            filter,
            progress: HashMap::new(),
        }
    }

    pub(crate) fn read(
        &mut self,
        found: &mut impl FnMut(FollowItem<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let devices = match self.filter.device {
            Some(device) => vec![device],
            None => absent_is_default(existing(&self.root))?,
        };
        for device in devices {
            let mut progress = self.progress.remove(&device).unwrap_or_default();
            self.read_device(device, &mut progress, found)?;
            self.progress.insert(device, progress);
        }
        Ok(())
    }

    fn read_device(
        &self,
        device: DeviceId,
        progress: &mut Progress,
        found: &mut impl FnMut(FollowItem<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let directory = self.root.join(device.to_string());
        let files = match months(&directory, self.filter.kind) {
            Ok(files) => files,
            Err(error) => return progress.unreadable(device, directory, &error, found),
        };
        progress.unreadable.remove(&directory);
        let since = self.filter.since.map(Month::from_timestamp);
        // At the turn of a month the older file may still grow.
        let read_last = progress.offsets.keys().rev().take(2).next_back().copied();
        let first = since.max(read_last);
        let files = files
            .into_iter()
            .filter(|(month, _)| first.is_none_or(|first| *month >= first));
        for (month, path) in files {
            let mut is_refused = false;
            let offset = progress.offsets.entry(month).or_default();
            let read = self.read_file(device, &path, offset, &mut |item| {
                found(item).inspect_err(|_| is_refused = true)
            });
            match read {
                Err(error) if !is_refused => {
                    progress.unreadable(device, path, &error, found)?;
                }
                read => {
                    read?;
                    progress.unreadable.remove(&path);
                }
            }
        }
        Ok(())
    }

    fn read_file(
        &self,
        device: DeviceId,
        path: &Path,
        offset: &mut FileOffset,
        found: &mut impl FnMut(FollowItem<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let length = absent_is_default(fs_err::metadata(path).map(|it| it.len()))?;
        // A write that failed was cut back.
        offset.bytes = offset.bytes.min(length);
        if offset.bytes == length {
            return Ok(());
        }
        let mut reader = EventReader::open(path, offset.bytes)?;
        while let Some(entry) = reader.next()? {
            let event = match entry {
                Entry::Unfinished => {
                    let place = format_args!("the last line of `{}`", path.display());
                    return found(FollowItem::Unfinished { place });
                }
                Entry::Line(text) => parse(text),
                Entry::Overlong => None,
            };
            offset.lines += 1;
            match event {
                None => found(FollowItem::Broken {
                    place: format_args!("line {} of `{}`", offset.lines, path.display()),
                })?,
                Some((_, event)) if self.filter.since.is_some_and(|it| event.received_at < it) => {}
                Some((text, event)) => found(FollowItem::Event {
                    device,
                    event: &event,
                    text,
                })?,
            }
            offset.bytes = reader.offset();
        }
        Ok(())
    }
}

impl Progress {
    /// Once, until it can be read.
    fn unreadable(
        &mut self,
        device: DeviceId,
        path: PathBuf,
        error: &io::Error,
        found: &mut impl FnMut(FollowItem<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        if !self.unreadable.insert(path) {
            return Ok(());
        }
        found(FollowItem::Unreadable { device, error })
    }
}

fn parse(line: &[u8]) -> Option<(&str, StoredEvent)> {
    let text = std::str::from_utf8(line).ok()?;
    // An array would be read as an event, too.
    text.starts_with('{')
        .then(|| Some((text, serde_json::from_str(text).ok()?)))?
}

/// People and the retention remove directories and files at any time.
fn absent_is_default<T: Default>(outcome: io::Result<T>) -> io::Result<T> {
    match outcome {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(T::default()),
        outcome => outcome,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::EventKind;

    const DEVICE: &str = "0123456789ABCDEF";

    fn line(received_at: &str, number: usize) -> String {
        format!(
            r#"{{"received_at":"{received_at}","event":"0B040001","batch":"b","line":{number},"of":9}}"#
        )
    }

    fn append(root: &Path, month: &str, text: &str) {
        let folder = root.join(DEVICE);
        fs_err::create_dir_all(&folder).unwrap();
        fs_err::OpenOptions::new()
            .create(true)
            .append(true)
            .open(folder.join(format!("audits-{month}.jsonl")))
            .unwrap()
            .write_all(text.as_bytes())
            .unwrap();
    }

    fn read(tail: &mut FileFollower) -> Vec<String> {
        let mut all = Vec::new();
        tail.read(&mut |found| {
            all.push(match found {
                FollowItem::Broken { place } => format!("broken {place}")[..13].to_owned(),
                FollowItem::Event { event, .. } => format!("event {}", event.line),
                FollowItem::Unfinished { .. } => "unfinished".to_owned(),
                FollowItem::Unreadable { .. } => "unreadable".to_owned(),
            });
            Ok(())
        })
        .unwrap();
        all
    }

    fn tail(root: &Path, since: Option<&str>) -> FileFollower {
        let filter = EventFilter {
            device: None,
            kind: EventKind::Audits,
            since: since.map(|since| since.parse().unwrap()),
        };
        FileFollower::new(root, filter)
    }

    #[test]
    fn each_line_is_read_once_and_only_when_it_is_whole() {
        let root = tempfile::tempdir().unwrap();
        let now = "2026-11-23T02:00:00Z";
        let mut tail = tail(root.path(), None);
        assert!(read(&mut tail).is_empty());
        let text = format!("{}\n", line(now, 1));
        append(root.path(), "2026-11", &text[..20]);
        assert_eq!(read(&mut tail), ["unfinished"]);
        append(root.path(), "2026-11", &text[20..]);
        append(root.path(), "2026-11", "[nonsense]\n");
        append(root.path(), "2026-11", &format!("{}\n", line(now, 2)));
        assert_eq!(read(&mut tail), ["event 1", "broken line 2", "event 2"]);
        assert!(read(&mut tail).is_empty());
    }

    #[test]
    fn the_turn_of_a_month_is_followed_and_late_lines_of_the_old_one_are_read() {
        let root = tempfile::tempdir().unwrap();
        let (before, after) = ("2026-11-30T23:59:59Z", "2026-12-01T00:00:01Z");
        append(root.path(), "2026-11", &format!("{}\n", line(before, 1)));
        let mut tail = tail(root.path(), None);
        assert_eq!(read(&mut tail), ["event 1"]);
        append(root.path(), "2026-12", &format!("{}\n", line(after, 2)));
        assert_eq!(read(&mut tail), ["event 2"]);
        append(root.path(), "2026-11", &format!("{}\n", line(before, 3)));
        assert_eq!(read(&mut tail), ["event 3"]);
    }

    #[test]
    fn only_what_was_received_since_is_read() {
        let root = tempfile::tempdir().unwrap();
        for (month, received_at, number) in [
            ("2026-09", "2026-09-30T00:00:00Z", 1),
            ("2026-10", "2026-10-01T00:00:00Z", 2),
            ("2026-10", "2026-10-02T00:00:00Z", 3),
        ] {
            append(
                root.path(),
                month,
                &format!("{}\n", line(received_at, number)),
            );
        }
        let mut tail = tail(root.path(), Some("2026-10-02T00:00:00Z"));
        assert_eq!(read(&mut tail), ["event 3"]);
    }

    #[test]
    fn what_is_cut_back_is_not_read_again() {
        let root = tempfile::tempdir().unwrap();
        let now = "2026-11-23T02:00:00Z";
        let text = format!("{}\n", line(now, 1));
        append(root.path(), "2026-11", &text);
        append(root.path(), "2026-11", &text);
        let mut tail = tail(root.path(), None);
        assert_eq!(read(&mut tail).len(), 2);
        let path = root.path().join(DEVICE).join("audits-2026-11.jsonl");
        let file = fs_err::File::options().write(true).open(path).unwrap();
        file.set_len(text.len() as u64).unwrap();
        assert!(read(&mut tail).is_empty());
        append(root.path(), "2026-11", &format!("{}\n", line(now, 2)));
        assert_eq!(read(&mut tail), ["event 2"]);
    }

    #[test]
    fn one_month_that_cannot_be_read_hides_no_other() {
        let root = tempfile::tempdir().unwrap();
        let now = "2026-11-23T02:00:00Z";
        append(root.path(), "2026-10", &format!("{}\n", line(now, 1)));
        append(root.path(), "2026-12", &format!("{}\n", line(now, 2)));
        fs_err::create_dir(root.path().join(DEVICE).join("audits-2026-11.jsonl")).unwrap();
        let mut tail = tail(root.path(), None);
        assert_eq!(read(&mut tail), ["event 1", "unreadable", "event 2"]);
    }

    #[test]
    fn a_file_of_a_later_month_by_a_wrong_clock_is_followed_too() {
        let root = tempfile::tempdir().unwrap();
        let now = "2026-11-23T02:00:00Z";
        append(root.path(), "2026-11", &format!("{}\n", line(now, 1)));
        let mut tail = tail(root.path(), None);
        assert_eq!(read(&mut tail), ["event 1"]);
        append(root.path(), "2036-02", &format!("{}\n", line(now, 2)));
        assert_eq!(read(&mut tail), ["event 2"]);
    }
}
