//! Lines of `.jsonl` files, one at a time.

use std::io::{self, BufRead, Read};

/// Reads line by line, and keeps one line in memory.
pub(crate) struct LineReader<R> {
    input: R,
    offset: u64,
    text: Vec<u8>,
}

/// What stands at an offset.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Entry<'a> {
    /// A line, without its newline.
    Line(&'a [u8]),
    /// A line longer than any that was ever written.
    Overlong,
    /// The input ends within a line.
    Unfinished,
}

impl<R: BufRead> LineReader<R> {
    pub(crate) fn new(input: R) -> Self {
        Self {
            input,
            offset: 0,
            text: Vec::new(),
        }
    }

    /// Where the next entry begins, in bytes.
    pub(crate) fn offset(&self) -> u64 {
        self.offset
    }

    /// The next entry; `None` at the end, which [`Entry::Unfinished`] is before.
    pub(crate) fn next(&mut self) -> io::Result<Option<Entry<'_>>> {
        self.text.clear();
        let length = (&mut self.input)
            .take(MAX_LINE_BYTES as u64 + 1)
            .read_until(b'\n', &mut self.text)? as u64;
        self.offset += length;
        if self.text.pop_if(|last| *last == b'\n').is_some() {
            return Ok(Some(Entry::Line(&self.text)));
        }
        if length <= MAX_LINE_BYTES as u64 {
            return Ok((length > 0).then_some(Entry::Unfinished));
        }
        self.offset += self.input.skip_until(b'\n')? as u64;
        Ok(Some(Entry::Overlong))
    }
}

/// What 0.1.0 wrote at most.
pub(crate) const MAX_LINE_BYTES: usize = 4 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Lines with their newlines, and what is unfinished.
    fn split(input: &[u8]) -> Vec<u8> {
        let mut reader = LineReader::new(input);
        let mut found = Vec::new();
        loop {
            match reader.next().unwrap() {
                None => break,
                Some(Entry::Line(text)) => {
                    assert!(!text.contains(&b'\n'));
                    found.extend_from_slice(text);
                    found.push(b'\n');
                }
                Some(Entry::Unfinished) => {
                    let rest = input.rsplit(|byte| *byte == b'\n').next().unwrap();
                    found.extend_from_slice(rest);
                }
                Some(Entry::Overlong) => unreachable!("no input is so long"),
            }
            assert!(reader.offset() <= input.len() as u64);
        }
        assert_eq!(reader.offset(), input.len() as u64);
        found
    }

    proptest! {
        #[test]
        fn lines_and_what_is_unfinished_are_the_whole_input(input in "[a{}\n\"\\\\\u{e4}]{0,80}") {
            prop_assert_eq!(split(input.as_bytes()), input.as_bytes());
        }
    }

    #[test]
    fn a_line_longer_than_any_of_ours_is_passed_over_without_being_kept() {
        let input = format!("{}\nnext\n", "x".repeat(2 * MAX_LINE_BYTES + 5));
        let mut reader = LineReader::new(input.as_bytes());
        assert_eq!(reader.next().unwrap(), Some(Entry::Overlong));
        assert!(reader.text.capacity() <= 2 * MAX_LINE_BYTES);
        assert_eq!(reader.next().unwrap(), Some(Entry::Line(b"next")));
        assert_eq!(reader.next().unwrap(), None);
    }
}
