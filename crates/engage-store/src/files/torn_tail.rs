//! What a crash left half-written: found, set aside and reported.

use std::io::{self, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use fs_err::{File, OpenOptions};
use tracing::warn;

use super::disk::open_to_append;
use super::event_reader::{Entry, EventReader};
use super::line::LineHeader;

/// Cuts off what follows the last complete batch, and appends it to a `.torn` file beside it.
///
/// A batch is acknowledged when all of its lines are durable, so half a batch was not: the device
/// delivers it again, and its events must not be there twice. Reads the file's end first, and
/// never more than a line at a time into memory.
pub(super) fn truncate_torn_tail(path: &Path) -> io::Result<()> {
    let mut reader = EventReader::open(path, 0)?;
    let length = reader.len()?;
    let whole = last_complete_batch(&mut reader, length)?;
    if whole == length {
        return Ok(());
    }
    let mut file = OpenOptions::new().read(true).write(true).open(path)?;
    let kept_in = PathBuf::from(format!("{}.torn", path.display()));
    keep(&mut file, whole, &mut open_to_append(&kept_in)?)?;
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

fn keep(file: &mut File, from: u64, aside: &mut File) -> io::Result<()> {
    file.seek(SeekFrom::Start(from))?;
    io::copy(file, aside)?;
    aside.write_all(b"\n")?;
    aside.sync_all()
}

/// The length up to which a file ends with a complete batch; 0 if it holds none.
fn last_complete_batch(reader: &mut EventReader, length: u64) -> io::Result<u64> {
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
            return Ok(end.unwrap_or(0));
        }
        window_bytes = window_bytes.saturating_mul(8);
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
        last_complete_batch(&mut reader, contents.len() as u64).unwrap()
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
