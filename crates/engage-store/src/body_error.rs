//! Why a body is refused.

use super::json::MAX_NUMBER_CHARS;
use super::upload_limits::{MAX_EVENT_BYTES, MAX_EVENTS, MAX_NESTING, MAX_VALUES};

/// Why a body cannot be accepted. It belongs into the quarantine, for it will not come again.
#[derive(Clone, Copy, Debug, Eq, PartialEq, thiserror::Error)]
pub enum BodyError {
    /// An event that is longer than any real one.
    #[error("an event has {0} bytes; allowed: {MAX_EVENT_BYTES}")]
    EventTooLong(usize),
    /// A number with more digits than common parsers read.
    #[error("a number has {0} characters; allowed: {MAX_NUMBER_CHARS}")]
    LongNumber(usize),
    /// Neither JSON nor nearly.
    #[error("the body is not a JSON object")]
    NotAnObject,
    /// Nothing that could be an event.
    #[error("the body holds no `asyncEvents`, `asyncEvent` or `event` that can be read")]
    NoEvents,
    /// Nested deeper than a device means anything.
    #[error("the body is nested too deep; allowed: {MAX_NESTING} levels")]
    TooDeep,
    /// Short events whose rows would take much more than they came with.
    #[error("its events would take {found} bytes in the store; allowed for its length: {allowed}")]
    TooLargeStored {
        /// In bytes, as is what is allowed.
        found: usize,
        /// So many times its length, and some.
        allowed: usize,
    },
    /// More events than a lock's own memory holds.
    #[error("the body holds {0} events; allowed: {MAX_EVENTS}")]
    TooManyEvents(usize),
    /// More JSON than so many events are.
    #[error("the body holds more than {MAX_VALUES} JSON values and names")]
    TooManyValues,
}
