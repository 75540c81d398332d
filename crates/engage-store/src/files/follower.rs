//! The events of a log, as far as they are stored, and what is added later.

use std::collections::{BTreeMap, HashMap};
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use fs_err::File;
use jiff::Timestamp;

use super::device_dirs::existing;
use super::line::Line;
use super::month::{Month, months};
use crate::{DeviceId, EventKind};

/// Reads a log of one device or of all, and each time what was added since the last.
///
/// Works beside a daemon that writes. Keeps a place in two files for each device, and one line:
/// nothing else, however much there is. What is read may not be durable yet, and is cut back if
/// the disk then fails.
#[derive(Debug)]
pub struct EventFollower {
    root: PathBuf,
    only: Option<DeviceId>,
    log: EventKind,
    since: Option<Timestamp>,
    places: HashMap<DeviceId, BTreeMap<Month, FileOffset>>,
}

/// What was found in a log.
#[derive(Debug)]
pub enum FollowItem<'a> {
    /// A line that is no event. Passed over.
    Broken {
        /// The file.
        path: &'a Path,
        /// The line, from 1.
        line: u64,
    },
    /// An event.
    Event {
        /// Whose.
        device: DeviceId,
        /// What it says.
        line: &'a Line,
        /// The line as it is stored, a JSON object.
        text: &'a str,
    },
    /// The file ends within a line: it is being written, or a crash tore it.
    Unfinished {
        /// The file.
        path: &'a Path,
    },
}

#[derive(Clone, Copy, Debug, Default)]
struct FileOffset {
    offset_bytes: u64,
    lines: u64,
    /// Within a line that is longer than any of ours.
    is_in_overlong: bool,
}

impl EventFollower {
    /// Events received at `since` or later. The directory need not exist yet.
    #[must_use]
    pub fn new(
        root: &Path,
        only: Option<DeviceId>,
        log: EventKind,
        since: Option<Timestamp>,
    ) -> Self {
        Self {
            root: root.to_owned(),
            only,
            log,
            since,
            places: HashMap::new(),
        }
    }

    /// Hands over what has not been read yet: by device, and in the order of the files.
    ///
    /// An error of `found` ends it and comes back.
    pub fn read(
        &mut self,
        now: Timestamp,
        found: &mut impl FnMut(FollowItem<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let devices = match self.only {
            Some(device) => vec![device],
            None => absent_is_default(existing(&self.root))?,
        };
        for device in devices {
            self.read_device(device, now, found)?;
        }
        Ok(())
    }

    fn read_device(
        &mut self,
        device: DeviceId,
        now: Timestamp,
        found: &mut impl FnMut(FollowItem<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let directory = self.root.join(device.to_string());
        let mut places = match self.places.remove(&device) {
            Some(places) => places,
            None => self.start(&directory)?,
        };
        places.entry(Month::from_timestamp(now)).or_default();
        for (month, place) in &mut places {
            let path = directory.join(month.file_name(self.log));
            self.read_file(device, &path, place, found)?;
        }
        // At the turn of a month the older file may still be written for a moment.
        while places.len() > 2 {
            places.pop_first();
        }
        self.places.insert(device, places);
        Ok(())
    }

    /// The start of every file that can hold an event of interest.
    fn start(&self, directory: &Path) -> io::Result<BTreeMap<Month, FileOffset>> {
        let first = self.since.map(Month::from_timestamp);
        let places = months(directory, self.log)?
            .into_iter()
            .filter(|(month, _)| first.is_none_or(|first| *month >= first))
            .map(|(month, _)| (month, FileOffset::default()));
        Ok(places.collect())
    }

    fn read_file(
        &self,
        device: DeviceId,
        path: &Path,
        place: &mut FileOffset,
        found: &mut impl FnMut(FollowItem<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let length = absent_is_default(fs_err::metadata(path).map(|it| it.len()))?;
        // A write that failed was cut back.
        place.offset_bytes = place.offset_bytes.min(length);
        if place.offset_bytes == length {
            return Ok(());
        }
        let mut file = File::open(path)?;
        file.seek(SeekFrom::Start(place.offset_bytes))?;
        let mut file = BufReader::new(file);
        let mut line = Vec::new();
        loop {
            line.clear();
            let read = file
                .by_ref()
                .take(MAX_LINE_BYTES)
                .read_until(b'\n', &mut line)? as u64;
            let is_whole = line.pop_if(|last| *last == b'\n').is_some();
            match (read, is_whole) {
                (0, _) => return Ok(()),
                (..MAX_LINE_BYTES, false) => return found(FollowItem::Unfinished { path }),
                _ => place.offset_bytes += read,
            }
            let is_overlong = std::mem::replace(&mut place.is_in_overlong, !is_whole);
            if is_whole {
                place.lines += 1;
                let at = place.lines;
                self.hand_over(device, path, at, line.as_slice(), is_overlong, found)?;
            }
        }
    }

    fn hand_over(
        &self,
        device: DeviceId,
        path: &Path,
        at: u64,
        line: &[u8],
        is_overlong: bool,
        found: &mut impl FnMut(FollowItem<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        let Some((text, line)) = event(line).filter(|_| !is_overlong) else {
            return found(FollowItem::Broken { path, line: at });
        };
        if self.since.is_some_and(|since| line.received_at < since) {
            return Ok(());
        }
        found(FollowItem::Event {
            device,
            line: &line,
            text,
        })
    }
}

fn event(line: &[u8]) -> Option<(&str, Line)> {
    let text = std::str::from_utf8(line).ok()?;
    // An array would be read as a line, too.
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

/// More than a body that a device may send, each of its members twice.
const MAX_LINE_BYTES: u64 = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

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

    fn read(tail: &mut EventFollower, now: &str) -> Vec<String> {
        let mut all = Vec::new();
        tail.read(now.parse().unwrap(), &mut |found| {
            all.push(match found {
                FollowItem::Broken { line, .. } => format!("broken {line}"),
                FollowItem::Event { line, .. } => format!("event {}", line.line),
                FollowItem::Unfinished { .. } => "unfinished".to_owned(),
            });
            Ok(())
        })
        .unwrap();
        all
    }

    fn tail(root: &Path, since: Option<&str>) -> EventFollower {
        EventFollower::new(
            root,
            None,
            EventKind::Audits,
            since.map(|since| since.parse().unwrap()),
        )
    }

    #[test]
    fn each_line_is_read_once_and_only_when_it_is_whole() {
        let root = tempfile::tempdir().unwrap();
        let now = "2026-11-23T02:00:00Z";
        let mut tail = tail(root.path(), None);
        assert!(read(&mut tail, now).is_empty());
        let text = format!("{}\n", line(now, 1));
        append(root.path(), "2026-11", &text[..20]);
        assert_eq!(read(&mut tail, now), ["unfinished"]);
        append(root.path(), "2026-11", &text[20..]);
        append(root.path(), "2026-11", "[nonsense]\n");
        append(root.path(), "2026-11", &format!("{}\n", line(now, 2)));
        assert_eq!(read(&mut tail, now), ["event 1", "broken 2", "event 2"]);
        assert!(read(&mut tail, now).is_empty());
    }

    #[test]
    fn the_turn_of_a_month_is_followed_and_late_lines_of_the_old_one_are_read() {
        let root = tempfile::tempdir().unwrap();
        let (before, after) = ("2026-11-30T23:59:59Z", "2026-12-01T00:00:01Z");
        append(root.path(), "2026-11", &format!("{}\n", line(before, 1)));
        let mut tail = tail(root.path(), None);
        assert_eq!(read(&mut tail, before), ["event 1"]);
        append(root.path(), "2026-12", &format!("{}\n", line(after, 2)));
        assert_eq!(read(&mut tail, after), ["event 2"]);
        append(root.path(), "2026-11", &format!("{}\n", line(before, 3)));
        assert_eq!(read(&mut tail, after), ["event 3"]);
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
        assert_eq!(read(&mut tail, "2026-11-01T00:00:00Z"), ["event 3"]);
    }

    #[test]
    fn a_line_longer_than_any_of_ours_is_passed_over_without_being_kept() {
        let root = tempfile::tempdir().unwrap();
        let now = "2026-11-23T02:00:00Z";
        let length = usize::try_from(MAX_LINE_BYTES).unwrap() * 2 + 5;
        append(
            root.path(),
            "2026-11",
            &format!("{}\n{}\n", "x".repeat(length), line(now, 1)),
        );
        assert_eq!(
            read(&mut tail(root.path(), None), now),
            ["broken 1", "event 1"]
        );
    }

    #[test]
    fn what_is_cut_back_is_not_read_again() {
        let root = tempfile::tempdir().unwrap();
        let now = "2026-11-23T02:00:00Z";
        let text = format!("{}\n", line(now, 1));
        append(root.path(), "2026-11", &text);
        append(root.path(), "2026-11", &text);
        let mut tail = tail(root.path(), None);
        assert_eq!(read(&mut tail, now).len(), 2);
        let path = root.path().join(DEVICE).join("audits-2026-11.jsonl");
        let file = File::options().write(true).open(path).unwrap();
        file.set_len(text.len() as u64).unwrap();
        assert!(read(&mut tail, now).is_empty());
        append(root.path(), "2026-11", &format!("{}\n", line(now, 2)));
        assert_eq!(read(&mut tail, now), ["event 2"]);
    }
}
