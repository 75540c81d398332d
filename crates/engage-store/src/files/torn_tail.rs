//! What a crash left half-written: found, set aside and reported.

use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fs_err::{File, OpenOptions};
use tracing::warn;

use super::disk::{Disk, RealDisk, open_to_append};
use super::event_reader::{Entry, EventReader};
use super::line::{LineHeader, MAX_BATCH_BYTES};
use super::regular::require_regular;

/// Cuts off what follows the last complete batch, and keeps it in a `.torn` file beside it.
///
/// A batch is acknowledged when all of its lines are durable, so half a batch was not: the device
/// delivers it again, and its events must not be there twice. Reads the file's end first, and
/// never more than a line at a time into memory. More than an interrupted write can leave is
/// damage: [`InvalidData`](io::ErrorKind::InvalidData), and the file stays as it is.
pub(super) fn truncate_torn_tail(path: &Path) -> io::Result<()> {
    let mut reader = EventReader::open(path, 0)?;
    let length = reader.len()?;
    let whole = last_complete_batch(&mut reader, length)?.ok_or_else(|| damaged(path, length))?;
    if whole == length {
        return Ok(());
    }
    require_regular(path)?;
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    // Repeated after a crash, it is the same file.
    let kept_in = PathBuf::from(format!("{}.{whole}.torn", path.display()));
    keep(&mut file, whole, &kept_in)?;
    file.set_len(whole)?;
    file.sync_all()?;
    warn!(
        path = %path.display(),
        kept_in = %kept_in.display(),
        size_bytes = length - whole,
        "found the rest of an interrupted write; it was never acknowledged, and is set aside"
    );
    Ok(())
}

fn damaged(path: &Path, length: u64) -> io::Error {
    let reason = format!(
        "`{}` has {length} bytes and no whole batch in the last {MAX_TAIL_BYTES} of them, which no interrupted write explains; allowed: a whole batch there",
        path.display()
    );
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

fn keep(file: &mut File, from: u64, kept_in: &Path) -> io::Result<()> {
    let mut aside = open_to_append(kept_in)?;
    aside.set_len(0)?;
    file.seek(SeekFrom::Start(from))?;
    io::copy(file, &mut aside)?;
    aside.write_all(b"\n")?;
    aside.sync_all()?;
    RealDisk.sync_dir(kept_in.parent().unwrap_or(kept_in))
}

/// The length up to which a file ends with a complete batch; 0 if it holds none, and `None` if
/// there is none in its last [`MAX_TAIL_BYTES`].
fn last_complete_batch(reader: &mut EventReader, length: u64) -> io::Result<Option<u64>> {
    let mut window_bytes = FIRST_WINDOW_BYTES;
    loop {
        let start = length.saturating_sub(window_bytes);
        reader.seek(start)?;
        if start > 0 {
            // Somewhere within a line.
            reader.skip_line()?;
        }
        let end = last_complete_batch_from(reader)?;
        if end.is_some() || start == 0 {
            return Ok(Some(end.unwrap_or(0)));
        }
        if window_bytes == MAX_TAIL_BYTES {
            return Ok(None);
        }
        window_bytes = MAX_TAIL_BYTES.min(8 * window_bytes);
    }
}

/// Where the last batch ends all of whose lines stand between here and the end of the file.
fn last_complete_batch_from(reader: &mut EventReader) -> io::Result<Option<u64>> {
    let mut before: Option<LineHeader> = None;
    let mut end = None;
    while let Some(entry) = reader.next()? {
        let header = match entry {
            Entry::Line(text) => LineHeader::parse(text),
            Entry::Overlong => None,
            Entry::Unfinished => break,
        };
        before = header.filter(|header| {
            header.is_first() || before.is_some_and(|before| header.continues(&before))
        });
        if before.is_some_and(|header| header.is_last()) {
            end = Some(reader.offset());
        }
    }
    Ok(end)
}

/// More than a usual night's audits.
const FIRST_WINDOW_BYTES: u64 = 64 * 1024;

/// Room for the longest batch as it is written, and for what there may be of a longest one behind
/// it: each has less than twice [`MAX_BATCH_BYTES`], which leaves out its last event and what its
/// first line says of the whole upload.
const MAX_TAIL_BYTES: u64 = 4 * MAX_BATCH_BYTES as u64;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(batch: u32, line: usize, of: usize) -> String {
        format!(
            r#"{{"received_at":"2026-11-23T02:13:05Z","batch":"{batch:032x}","line":{line},"of":{of}}}"#
        ) + "\n"
    }

    fn whole(contents: &str) -> u64 {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs_err::write(&path, contents).unwrap();
        let mut reader = EventReader::open(&path, 0).unwrap();
        let whole = last_complete_batch(&mut reader, contents.len() as u64).unwrap();
        whole.unwrap()
    }

    #[test]
    fn what_no_interrupted_write_leaves_stays_as_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let complete = line(0, 1, 1);
        for (tail, is_torn) in [(MAX_TAIL_BYTES / 2, true), (MAX_TAIL_BYTES + 1, false)] {
            fs_err::write(&path, &complete).unwrap();
            let length = complete.len() as u64 + tail;
            let file = OpenOptions::new().write(true).open(&path).unwrap();
            file.set_len(length).unwrap();
            let outcome = truncate_torn_tail(&path);
            let left = fs_err::metadata(&path).unwrap().len();
            let names = fs_err::read_dir(folder.path()).unwrap().count();
            if is_torn {
                outcome.unwrap();
                assert_eq!((left, names), (complete.len() as u64, 2));
                let kept_in = format!("file.{left}.torn");
                let kept = fs_err::metadata(folder.path().join(&kept_in)).unwrap();
                assert_eq!(kept.len(), tail + 1);
                fs_err::remove_file(folder.path().join(kept_in)).unwrap();
            } else {
                let told = outcome.unwrap_err().to_string();
                assert!(
                    told.contains(&format!("file` has {length} bytes")),
                    "{told}"
                );
                assert_eq!((left, names), (length, 1));
            }
        }
    }

    #[test]
    fn what_was_kept_before_a_crash_is_kept_once() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for _ in 0..2 {
            fs_err::write(&path, line(0, 1, 1) + "half").unwrap();
            truncate_torn_tail(&path).unwrap();
        }
        let kept_in = format!("file.{}.torn", line(0, 1, 1).len());
        let kept = fs_err::read_to_string(folder.path().join(kept_in)).unwrap();
        assert_eq!(kept, "half\n");
    }

    #[test]
    fn a_batch_longer_than_the_first_window_is_complete() {
        let lines: String = (1..=2000).map(|at| line(1, at, 2000)).collect();
        assert!(lines.len() as u64 > 2 * FIRST_WINDOW_BYTES);
        let contents = line(0, 1, 1) + &lines;
        assert_eq!(whole(&contents), contents.len() as u64);
    }

    #[test]
    fn what_follows_the_last_complete_batch_is_torn_however_long() {
        let complete = line(0, 1, 2) + &line(0, 2, 2);
        for torn in [
            line(1, 1, 2),
            line(1, 1, 3) + &line(1, 3, 3),
            "\0\0\0\n".into(),
            "x".repeat(usize::try_from(3 * FIRST_WINDOW_BYTES).unwrap()),
            (1..=2000).map(|at| line(1, at, 2001)).collect(),
        ] {
            assert_eq!(whole(&(complete.clone() + &torn)), complete.len() as u64);
        }
        assert_eq!(whole(&line(1, 2, 2)), 0);
    }
}
