//! One event, one line: the format of the `.jsonl` files.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use crate::BatchId;
use crate::event::Event;
use crate::record::UploadedEvents;
use crate::stored_event::stored_events;

/// What every line says, whoever reads it.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
pub(super) struct LineHeader {
    pub(super) received_at: Timestamp,
    #[serde(deserialize_with = "batch_id")]
    pub(super) batch: BatchId,
    /// Its place in the batch, from 1.
    pub(super) line: usize,
    pub(super) of: usize,
}

impl LineHeader {
    /// Reads a line without its newline; `None` if it is not one of ours.
    pub(super) fn parse(text: &[u8]) -> Option<Self> {
        // An array would be read as a line, too.
        let header: Self = serde_json::from_slice(text.starts_with(b"{").then_some(text)?).ok()?;
        (1 <= header.line && header.line <= header.of).then_some(header)
    }

    pub(super) fn is_first(&self) -> bool {
        self.line == 1
    }

    pub(super) fn is_last(&self) -> bool {
        self.line == self.of
    }

    /// Whether this line follows `before` in the same batch.
    pub(super) fn continues(&self, before: &Self) -> bool {
        (self.batch, self.of, self.line.checked_sub(1))
            == (before.batch, before.of, Some(before.line))
    }
}

fn batch_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BatchId, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    BatchId::parse(&text).ok_or_else(|| serde::de::Error::custom("not a batch"))
}

/// The lines of an upload but for its first events, `stored` before; each with its newline.
///
/// What would be too long for one batch is several: each has the one of the `ids` that names the
/// upload as far as its own last event.
pub(super) fn lines(
    upload: &UploadedEvents,
    stored: usize,
    ids: &[BatchId],
    received_at: Timestamp,
) -> Vec<u8> {
    let mut text = Vec::new();
    let mut first = stored;
    while first < upload.events.len() {
        let end = first + fitting(&upload.events[first..]);
        for event in stored_events(upload, first..end, ids[end - 1], received_at) {
            text.extend_from_slice(event.to_json().as_bytes());
            text.push(b'\n');
        }
        first = end;
    }
    text
}

/// How many of these events fit in a batch; one at least.
fn fitting(events: &[Event]) -> usize {
    let mut bytes = 0;
    let fit = events.iter().take_while(|event| {
        // As it arrived and by member, and what names it.
        bytes += 2 * event.record.get().len() + 512;
        bytes <= MAX_BATCH_BYTES
    });
    fit.count().max(1)
}

/// Tens of thousands of audits. Bounded so that a start can tell what a crash left half-written
/// from a damaged file, without reading all of it.
pub(super) const MAX_BATCH_BYTES: usize = 8 * 1024 * 1024;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_with_the_highest_number_of_all_is_read() {
        let header = |line: usize, of: usize| {
            let batch = "0123456789abcdef0123456789abcdef";
            let text = format!(
                r#"{{"received_at":"2026-11-25T00:00:00Z","batch":"{batch}","line":{line},"of":{of}}}"#
            );
            LineHeader::parse(text.as_bytes()).unwrap()
        };
        let highest = header(usize::MAX, usize::MAX);
        assert!(!highest.continues(&highest));
        assert!(!header(1, usize::MAX).continues(&highest));
        assert!(highest.continues(&header(usize::MAX - 1, usize::MAX)));
    }
}
