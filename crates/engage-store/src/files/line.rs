//! One event, one line: the format of the `.jsonl` files.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer};

use crate::BatchId;
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
        (self.batch, self.of, self.line) == (before.batch, before.of, before.line + 1)
    }
}

fn batch_id<'de, D: Deserializer<'de>>(deserializer: D) -> Result<BatchId, D::Error> {
    let text = std::borrow::Cow::<str>::deserialize(deserializer)?;
    BatchId::parse(&text).ok_or_else(|| serde::de::Error::custom("not a batch"))
}

/// The lines of a batch but for its first events, `stored` before; each with its newline.
pub(super) fn lines(
    batch: &UploadedEvents,
    stored: usize,
    id: BatchId,
    received_at: Timestamp,
) -> Vec<u8> {
    let mut text = Vec::new();
    for event in stored_events(batch, stored, id, received_at) {
        text.extend_from_slice(event.to_json().as_bytes());
        text.push(b'\n');
    }
    text
}
