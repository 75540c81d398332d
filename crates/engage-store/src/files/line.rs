//! One event, one line: the format of the `.jsonl` files.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};
use serde_json::value::RawValue;

use crate::BatchId;
use crate::record::UploadedEvents;

/// An event as it is stored: a line of a `.jsonl` file.
///
/// `batch` and `line` together name an event for ever: a reader that sees them twice has seen the
/// same event twice.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct StoredEvent {
    /// When it arrived.
    pub received_at: Timestamp,
    /// As it arrived: a string or a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event: Option<Box<RawValue>>,
    /// As it arrived: a string or a number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub time: Option<Box<RawValue>>,
    /// `event` as 8 upper-case hexadecimal digits, where it is that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub code: Option<String>,
    /// The code's first four digits in words, where they are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// `time` as a date, in the lock's local time, where it is that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// The whole record as it arrived, where it holds more than `event` and `time`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Box<RawValue>>,
    /// What else the body held, on the first line of its batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with: Option<Box<RawValue>>,
    /// What had to be mended to read the body, on the first line of its batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The batch that it arrived in: 32 hexadecimal digits.
    pub batch: String,
    /// Its place in the batch, from 1.
    pub line: usize,
    /// The events of the batch.
    pub of: usize,
}

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
    let events = &batch.events[stored..];
    for (at, event) in events.iter().enumerate() {
        let line = StoredEvent {
            received_at,
            event: event.member("event"),
            time: event.member("time"),
            code: event.code.map(|code| code.to_string()),
            name: event.code.and_then(|code| Some(code.name()?.to_owned())),
            at: event.time.map(|time| time.to_string()),
            record: (!event.is_plain).then(|| event.record.clone()),
            with: batch.extra_members.clone().filter(|_| at == 0),
            note: batch.note.clone().filter(|_| at == 0),
            batch: id.to_string(),
            line: at + 1,
            of: events.len(),
        };
        let Ok(()) = serde_json::to_writer(&mut text, &line) else {
            unreachable!("strings, numbers and JSON always serialise into memory");
        };
        text.push(b'\n');
    }
    text
}
