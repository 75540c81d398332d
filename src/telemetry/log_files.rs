//! The log in files: a new one each day and whenever one is full, the oldest removed.
//!
//! `tracing-appender` knows days only, and a flood of access lines would fill the disk. `file-rotate`
//! renames the file that is written, which Windows refuses while somebody looks at it
//! (`Get-Content -Wait`). Here a file keeps the name that it began with.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use fs_err::{File, OpenOptions};
use jiff::Timestamp;

/// A file that lines are added to, and those before it.
#[derive(Debug)]
pub(super) struct LogFiles {
    folder: PathBuf,
    file: File,
    /// As in the file's name.
    day: String,
    bytes: u64,
    max_bytes: u64,
    clock: fn() -> Timestamp,
}

impl LogFiles {
    /// In `folder`, which is made if it is missing.
    #[cfg(windows)]
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        Self::open_with(folder, MAX_FILE_BYTES, Timestamp::now)
    }

    /// Continues today's newest file: a service that is started again and again must not push out what
    /// it logged before.
    fn open_with(folder: &Path, max_bytes: u64, clock: fn() -> Timestamp) -> io::Result<Self> {
        fs_err::create_dir_all(folder)?;
        let now = clock();
        let today = format!("{PREFIX}{}", day_of(now));
        let newest = names(folder)?.pop();
        let name = newest.filter(|name| name.starts_with(&today));
        let (file, bytes) = append(&folder.join(name.unwrap_or_else(|| name_at(now))))?;
        Ok(Self {
            folder: folder.to_owned(),
            file,
            day: day_of(now),
            bytes,
            max_bytes,
            clock,
        })
    }

    fn begin_file(&mut self, now: Timestamp) -> io::Result<()> {
        (self.file, self.bytes) = append(&self.folder.join(name_at(now)))?;
        self.day = day_of(now);
        let names = names(&self.folder)?;
        for old in names.iter().rev().skip(MAX_FILES) {
            // One that somebody looks at goes next time.
            let _ = fs_err::remove_file(self.folder.join(old));
        }
        Ok(())
    }
}

impl Write for LogFiles {
    /// Whole lines, as a rule: no line is in two files.
    fn write(&mut self, lines: &[u8]) -> io::Result<usize> {
        let now = (self.clock)();
        if self.bytes >= self.max_bytes || self.day != day_of(now) {
            self.begin_file(now)?;
        }
        let written = self.file.write(lines)?;
        self.bytes += written as u64;
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

fn append(path: &Path) -> io::Result<(File, u64)> {
    let file = OpenOptions::new().create(true).append(true).open(path)?;
    let bytes = file.metadata()?.len();
    Ok((file, bytes))
}

/// Of our log files, the oldest first.
fn names(folder: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs_err::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if name.starts_with(PREFIX) && name.ends_with(SUFFIX) {
            names.push(name);
        }
    }
    names.sort_unstable();
    Ok(names)
}

/// Without colons, which file names do not have on Windows.
fn name_at(time: Timestamp) -> String {
    format!("{PREFIX}{}{SUFFIX}", time.strftime("%Y-%m-%dT%H%M%SZ"))
}

fn day_of(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d").to_string()
}

const PREFIX: &str = "engage-host.";
const SUFFIX: &str = ".log";

/// With as many files as there may be, 1 GiB; some 130,000 access lines each.
#[cfg(windows)]
const MAX_FILE_BYTES: u64 = 32 << 20;
/// A month, where no day fills one.
const MAX_FILES: usize = 32;

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    thread_local! {
        static NOW: Cell<i64> = const { Cell::new(1_795_608_794) };
    }

    /// 2026-11-25T12:13:14Z, and what a test adds.
    fn clock() -> Timestamp {
        Timestamp::from_second(NOW.get()).unwrap()
    }

    fn pass(seconds: i64) {
        NOW.set(NOW.get() + seconds);
    }

    #[test]
    fn a_new_file_begins_each_day_and_when_one_is_full() {
        let folder = tempfile::tempdir().unwrap();
        let mut log = LogFiles::open_with(folder.path(), 10, clock).unwrap();
        log.write_all(b"0123456789\n").unwrap();
        pass(1);
        log.write_all(b"next\n").unwrap();
        pass(24 * 60 * 60);
        log.write_all(b"day\n").unwrap();
        let expected = [
            ("engage-host.2026-11-25T121314Z.log", "0123456789\n"),
            ("engage-host.2026-11-25T121315Z.log", "next\n"),
            ("engage-host.2026-11-26T121315Z.log", "day\n"),
        ];
        for (name, text) in expected {
            let found = fs_err::read_to_string(folder.path().join(name)).unwrap();
            assert_eq!(found, text);
        }
        assert_eq!(names(folder.path()).unwrap().len(), expected.len());
    }

    #[test]
    fn a_later_start_on_the_same_day_continues_the_file() {
        let folder = tempfile::tempdir().unwrap();
        for line in ["first\n", "second\n"] {
            let mut log = LogFiles::open_with(folder.path(), 100, clock).unwrap();
            log.write_all(line.as_bytes()).unwrap();
            pass(60);
        }
        let found = names(folder.path()).unwrap();
        assert_eq!(found, ["engage-host.2026-11-25T121314Z.log"]);
        let text = fs_err::read_to_string(folder.path().join(&found[0])).unwrap();
        assert_eq!(text, "first\nsecond\n");
    }

    #[test]
    fn the_oldest_are_removed_and_other_files_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let other = folder.path().join("notes.log");
        fs_err::write(&other, "").unwrap();
        let mut log = LogFiles::open_with(folder.path(), 1, clock).unwrap();
        for _ in 0..MAX_FILES + 5 {
            log.write_all(b"line\n").unwrap();
            pass(1);
        }
        let found = names(folder.path()).unwrap();
        assert_eq!(found.len(), MAX_FILES);
        assert_eq!(found[0], "engage-host.2026-11-25T121319Z.log");
        assert!(other.exists());
    }
}
