//! One event, one line: the format of the `.jsonl` files.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::record::{BatchId, EventBatch};
use crate::{DeviceId, EventKind};

/// An event as it is stored.
#[derive(Clone, Debug, Serialize)]
pub struct StoredEvent {
    /// Whose.
    pub device: DeviceId,
    /// In which log.
    #[serde(skip)]
    pub log: EventKind,
    /// The line of the file.
    #[serde(flatten)]
    pub line: Line,
}

/// A line of a `.jsonl` file.
///
/// `batch` and `line` together name an event for ever: a reader that sees them twice has seen the
/// same event twice.
#[derive(Clone, Debug, Deserialize, Serialize)]
pub struct Line {
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
    /// The batch that it arrived in: 32 hexadecimal digits.
    pub batch: String,
    /// Its place in the batch, from 1.
    pub line: usize,
    /// The events of the batch.
    pub of: usize,
}

/// What tells whether a batch is whole.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct BatchPosition {
    pub(super) batch: BatchId,
    pub(super) line: usize,
    pub(super) of: usize,
}

impl BatchPosition {
    /// Reads a line, without its newline; `None` if it is not one of ours.
    pub(super) fn read(line: &[u8]) -> Option<Self> {
        #[derive(Deserialize)]
        struct Fields<'a> {
            batch: &'a str,
            line: usize,
            of: usize,
        }
        let Fields { batch, line, of } = serde_json::from_slice(line).ok()?;
        let batch = BatchId(u128::from_str_radix(batch, 16).ok()?);
        (1 <= line && line <= of).then_some(Self { batch, line, of })
    }
}

/// The lines of a batch but for its first events, `stored` before; each with its newline.
pub(super) fn lines(
    batch: &EventBatch,
    stored: usize,
    id: BatchId,
    received_at: Timestamp,
) -> Vec<u8> {
    let mut text = Vec::new();
    let events = &batch.events[stored..];
    for (at, event) in events.iter().enumerate() {
        let line = Line {
            received_at,
            event: event.member("event"),
            time: event.member("time"),
            code: event.code.map(|code| code.to_string()),
            name: event.code.and_then(|code| Some(code.name()?.to_owned())),
            at: event.time.map(|time| time.to_string()),
            record: (!event.is_plain).then(|| event.record.clone()),
            with: batch.extra_members.clone().filter(|_| at == 0),
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
