//! Months that are old enough are removed.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Instant;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};
use tracing::{info, warn};

use super::cursor::FileCursor;
use super::device_dirs::existing;
use super::disk::Disk;
use super::event_log::count_after;
use super::month::{Month, months};
use super::regular::read_regular;
use crate::clock::ClockWatch;
use crate::subscribers::Subscribers;
use crate::{EventKind, KeepDays, Subscriber};

/// Removes once a day what is too old, by a clock that can be believed.
pub(super) struct Retention {
    root: PathBuf,
    keep: KeepDays,
    subscribers: Arc<Subscribers>,
    clock: ClockWatch,
    /// The reading at which it was applied last, by whichever process.
    believed: Option<Timestamp>,
    applied: Option<Instant>,
}

/// A file of which every event is older than what is kept.
#[derive(Debug, Eq, PartialEq)]
struct Expired {
    directory: PathBuf,
    kind: EventKind,
    month: Month,
}

impl Retention {
    /// The first reading of all is taken down: what comes long after it has to prove itself.
    pub(super) fn new(
        root: &Path,
        keep: KeepDays,
        subscribers: Arc<Subscribers>,
        disk: &dyn Disk,
        now: Timestamp,
    ) -> Self {
        let path = root.join(CLOCK_FILE);
        let text = read_regular("time of the last look at ages", &path, MAX_CLOCK_BYTES);
        let text = text.ok().flatten().unwrap_or_default();
        let believed = str::from_utf8(&text).ok();
        let believed = believed.and_then(|text| text.trim().parse().ok());
        let retention = Self {
            root: root.to_owned(),
            keep,
            subscribers,
            clock: ClockWatch::default(),
            believed,
            applied: None,
        };
        if believed.is_none() {
            retention.take_down(now, disk);
        }
        retention
    }

    /// Costs nothing when it is not due; to be called often, so that the clock is watched.
    pub(super) fn apply_if_due(&mut self, monotonic: Instant, now: Timestamp, disk: &dyn Disk) {
        let is_plausible = self.clock.is_plausible(monotonic, now, self.believed);
        let is_due = self
            .applied
            .is_none_or(|applied| monotonic.saturating_duration_since(applied) >= EVERY);
        if is_plausible && is_due {
            self.applied = Some(monotonic);
            self.believed = Some(now);
            self.take_down(now, disk);
            for expired in expired(&self.root, self.keep, now) {
                self.remove(&expired);
            }
        }
    }

    fn take_down(&self, now: Timestamp, disk: &dyn Disk) {
        let path = self.root.join(CLOCK_FILE);
        if let Err(error) = disk.replace(&path, format!("{now}\n").as_bytes()) {
            warn!(path = %path.display(), %error, "failed to take down the time at which records were examined for their age");
        }
    }

    fn remove(&self, expired: &Expired) {
        let path = expired.path();
        self.warn_of_undelivered(expired, &path);
        match fs_err::remove_file(&path) {
            Ok(()) => info!(path = %path.display(), "removed a month past retention"),
            Err(error) => warn!(%error, "failed to remove a month past retention"),
        }
    }

    /// Retention comes first: a receiver that everybody has forgotten must not fill the disk. But
    /// not without a word.
    fn warn_of_undelivered(&self, expired: &Expired, path: &Path) {
        let path = path.display();
        for subscriber in self.subscribers.all() {
            match expired.undelivered(subscriber) {
                Ok(0) => {}
                Ok(events) => warn!(
                    events,
                    "{events} events in `{path}` are removed without having been delivered: they are older than keep_audits_days and the receiver has not taken them"
                ),
                Err(error) => warn!(
                    "`{path}` is removed, and how much of it was delivered cannot be read: {error}"
                ),
            }
        }
    }
}

impl Expired {
    fn path(&self) -> PathBuf {
        self.directory.join(self.month.file_name(self.kind))
    }

    /// The number of its events that a subscriber has not taken.
    fn undelivered(&self, subscriber: Subscriber) -> io::Result<u64> {
        let cursor = FileCursor::load(subscriber, &self.directory)?;
        count_after(&self.directory, self.kind, self.month, &cursor)
    }
}

fn expired(root: &Path, keep: KeepDays, now: Timestamp) -> Vec<Expired> {
    let today = now.to_zoned_datetime(TimeZone::UTC).date();
    let Ok(oldest_kept) = today.checked_sub(i64::from(keep.days()).days()) else {
        return Vec::new();
    };
    let mut found = Vec::new();
    for device in existing(root).unwrap_or_default() {
        let directory = root.join(device.to_string());
        for kind in EventKind::ALL {
            let months = months(&directory, kind).unwrap_or_default();
            let is_old = |month: &Month| month.last_day().is_some_and(|last| last < oldest_kept);
            let old = months.into_iter().map(|(month, _)| month).filter(is_old);
            found.extend(old.map(|month| Expired {
                directory: directory.clone(),
                kind,
                month,
            }));
        }
    }
    found
}

/// Holds the time at which records were examined for their age last.
const CLOCK_FILE: &str = ".clock";

const MAX_CLOCK_BYTES: usize = 64;

const EVERY: std::time::Duration = std::time::Duration::from_hours(24);

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::super::disk::RealDisk;
    use super::*;

    struct Aged {
        folder: tempfile::TempDir,
        retention: Retention,
        start: Instant,
    }

    impl Aged {
        fn new(files: &[&str], first_reading: &str) -> Self {
            let folder = tempfile::tempdir().unwrap();
            let device = folder.path().join(DEVICE);
            fs_err::create_dir(&device).unwrap();
            for name in files {
                fs_err::write(device.join(name), "").unwrap();
            }
            let retention = Retention::new(
                folder.path(),
                KeepDays::new(30).unwrap(),
                Arc::default(),
                &RealDisk,
                first_reading.parse().unwrap(),
            );
            Self {
                folder,
                retention,
                start: Instant::now(),
            }
        }

        /// What is left after the clock said `now`, `hours` after the start.
        fn left(&mut self, hours: u64, now: &str) -> Vec<String> {
            let monotonic = self.start + Duration::from_hours(hours);
            let now = now.parse().unwrap();
            self.retention.apply_if_due(monotonic, now, &RealDisk);
            let entries = fs_err::read_dir(self.folder.path().join(DEVICE)).unwrap();
            let mut left: Vec<_> = entries
                .map(|entry| entry.unwrap().file_name().into_string().unwrap())
                .collect();
            left.sort();
            left
        }
    }

    const DEVICE: &str = "0123456789ABCDEF";

    #[test]
    fn a_month_goes_when_its_last_day_is_too_old_and_not_before() {
        let files = [
            "alerts-2026-01.jsonl",
            "audits-2020-01.txt",
            "audits-2026-01.jsonl",
            "audits-2026-02.jsonl",
        ];
        let mut aged = Aged::new(&files, "2026-03-01T00:00:00Z");
        assert_eq!(aged.left(0, "2026-03-01T00:00:00Z"), files);
        // 30 days before 2026-03-02 is 2026-01-31: a day of January is still kept.
        assert_eq!(aged.left(36, "2026-03-02T12:00:00Z"), files);
        let left = aged.left(60, "2026-03-03T12:00:00Z");
        assert_eq!(left, ["audits-2020-01.txt", "audits-2026-02.jsonl"]);
    }

    #[test]
    fn a_clock_that_is_ahead_for_a_moment_or_from_the_start_removes_nothing() {
        let files = ["audits-2026-11.jsonl"];
        let mut aged = Aged::new(&files, "2026-11-25T00:00:00Z");
        for (hours, now) in [
            (0, "2026-11-25T00:00:00Z"),
            (1, "2028-02-18T01:00:00Z"),
            (2, "2026-11-25T02:00:00Z"),
            (3, "2026-11-25T03:00:00Z"),
        ] {
            assert_eq!(aged.left(hours, now), files, "{now}");
        }
        let root = aged.folder.path();
        let (subscribers, start) = (Arc::default(), "2036-02-07T06:28:16Z".parse().unwrap());
        aged.retention = Retention::new(
            root,
            KeepDays::new(30).unwrap(),
            subscribers,
            &RealDisk,
            start,
        );
        for (hours, now) in [(100, "2036-02-07T06:28:16Z"), (120, "2036-02-08T02:28:16Z")] {
            assert_eq!(aged.left(hours, now), files, "{now}");
        }
    }

    #[test]
    fn what_goes_undelivered_is_counted_from_where_the_subscriber_is() {
        let aged = Aged::new(
            &["audits-2026-01.jsonl", "audits-2026-02.jsonl"],
            "2026-11-25T00:00:00Z",
        );
        let device = aged.folder.path().join(DEVICE);
        let event = |line: u8| {
            format!(
                r#"{{"received_at":"2026-01-31T00:00:00Z","event":1,"batch":"{BATCH}","line":{line},"of":3}}"#
            ) + "\n"
        };
        let january: String = (1..=3).map(event).collect();
        fs_err::write(device.join("audits-2026-01.jsonl"), january).unwrap();
        let keep = KeepDays::new(30).unwrap();
        let old = expired(
            aged.folder.path(),
            keep,
            "2026-03-03T12:00:00Z".parse().unwrap(),
        );
        let [january] = &old[..] else {
            panic!("{old:?}");
        };
        let undelivered = || january.undelivered(Subscriber::Webhook).unwrap();
        assert_eq!(undelivered(), 3, "nothing was taken yet");
        for (file, line, left) in [("01", 1, 2), ("01", 3, 0), ("02", 1, 0)] {
            let cursor = format!(
                r#"{{"audits":{{"file":"audits-2026-{file}.jsonl","start":0,"end":0,"batch":"{BATCH}","line":{line}}}}}"#
            );
            fs_err::write(device.join(".webhook.json"), cursor).unwrap();
            assert_eq!(undelivered(), left, "{file} {line}");
        }
        fs_err::write(device.join(".webhook.json"), "{").unwrap();
        assert_eq!(undelivered(), 3, "a damaged cursor counts as none");
        fs_err::remove_file(january.path()).unwrap();
        fs_err::create_dir(january.path()).unwrap();
        assert!(january.undelivered(Subscriber::Webhook).is_err());
    }

    const BATCH: &str = "0123456789abcdef0123456789abcdef";
}
