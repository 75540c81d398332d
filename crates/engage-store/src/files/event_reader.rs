//! The one reader of `.jsonl` files.

use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use fs_err::File;

use super::regular::require_regular;
use crate::record::MAX_LINE_BYTES;

/// Reads a file line by line, from any offset, and keeps one line in memory.
pub(super) struct EventReader {
    file: BufReader<File>,
    path: PathBuf,
    offset: u64,
    text: Vec<u8>,
}

/// What stands at an offset.
#[derive(Debug, Eq, PartialEq)]
pub(super) enum Entry<'a> {
    /// A line, without its newline.
    Line(&'a [u8]),
    /// A line longer than any that a store writes.
    Overlong,
    /// The file ends within a line: it is being written, or a crash tore it.
    Unfinished,
}

impl EventReader {
    /// Opens a regular file, and no other through a link. Its kind is looked at first: opening a
    /// pipe would wait for its writer.
    pub(super) fn open(path: &Path, offset: u64) -> io::Result<Self> {
        require_regular(path)?;
        let mut reader = Self {
            file: BufReader::new(File::open(path)?),
            path: path.to_owned(),
            offset: 0,
            text: Vec::new(),
        };
        if offset > 0 {
            reader.seek(offset)?;
        }
        Ok(reader)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Where the next entry begins.
    pub(super) fn offset(&self) -> u64 {
        self.offset
    }

    pub(super) fn len(&self) -> io::Result<u64> {
        Ok(self.file.get_ref().metadata()?.len())
    }

    pub(super) fn seek(&mut self, offset: u64) -> io::Result<()> {
        self.offset = offset;
        self.file.seek(SeekFrom::Start(offset)).map(drop)
    }

    /// Goes on behind the next newline.
    pub(super) fn skip_line(&mut self) -> io::Result<()> {
        self.next().map(drop)
    }

    /// The next entry; `None` at the end of the file. The offset stays before what is unfinished.
    pub(super) fn next(&mut self) -> io::Result<Option<Entry<'_>>> {
        self.text.clear();
        let length = (&mut self.file)
            .take(MAX_LINE_BYTES as u64 + 1)
            .read_until(b'\n', &mut self.text)? as u64;
        if self.text.pop_if(|last| *last == b'\n').is_some() {
            self.offset += length;
            return Ok(Some(Entry::Line(&self.text)));
        }
        if length <= MAX_LINE_BYTES as u64 {
            return Ok((length > 0).then_some(Entry::Unfinished));
        }
        self.text.clear();
        let rest = self.file.skip_until(b'\n')? as u64;
        // A file that ends within an overlong line is read again from there, once.
        self.offset += length + rest;
        Ok(Some(Entry::Overlong))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(path: &Path, offset: u64) -> Vec<(String, u64)> {
        let mut reader = EventReader::open(path, offset).unwrap();
        let mut found = Vec::new();
        while let Some(entry) = reader.next().unwrap() {
            let is_unfinished = entry == Entry::Unfinished;
            let shown = match entry {
                Entry::Line(text) => String::from_utf8_lossy(text).into_owned(),
                other => format!("{other:?}"),
            };
            found.push((shown, reader.offset()));
            if is_unfinished {
                break;
            }
        }
        found
    }

    #[test]
    fn lines_are_read_from_an_offset_and_the_unfinished_one_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        fs_err::write(&path, "one\ntwo\nthr").unwrap();
        let expected = [("two", 8), ("Unfinished", 8)];
        let found = read(&path, 4);
        let found: Vec<_> = found
            .iter()
            .map(|(text, at)| (text.as_str(), *at))
            .collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_line_longer_than_any_of_ours_is_passed_over_without_being_kept() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        let long = "x".repeat(MAX_LINE_BYTES * 2 + 5);
        fs_err::write(&path, format!("{long}\nnext\n")).unwrap();
        let mut reader = EventReader::open(&path, 0).unwrap();
        assert_eq!(reader.next().unwrap(), Some(Entry::Overlong));
        assert!(reader.text.capacity() <= MAX_LINE_BYTES * 2);
        assert_eq!(reader.next().unwrap(), Some(Entry::Line(b"next")));
        assert_eq!(reader.next().unwrap(), None);
    }

    #[cfg(unix)]
    #[test]
    fn a_pipe_does_not_hang() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("audits-2026-11.jsonl");
        let made = std::process::Command::new("mkfifo").arg(&path).status();
        assert!(made.unwrap().success());
        assert!(EventReader::open(&path, 0).is_err());
    }
}
