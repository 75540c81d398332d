//! An event as stores keep it and subscribers receive it.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

/// An event as it is stored: one JSON object, a line of a `.jsonl` file.
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

impl StoredEvent {
    /// Without a newline.
    pub(crate) fn to_json(&self) -> String {
        let Ok(text) = serde_json::to_string(self) else {
            unreachable!("strings, numbers and JSON always serialise into memory");
        };
        text
    }
}
