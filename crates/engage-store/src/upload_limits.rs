//! How much of a body is read.

/// Real ones have some 50 bytes.
pub(crate) const MAX_EVENT_BYTES: usize = 1024 * 1024;

/// A lock's own memory holds a few thousand.
pub(crate) const MAX_EVENTS: usize = 10_000;

/// Stored lines wrap it twice, and the webhook once more: well under 64, the least that common
/// parsers read.
pub(crate) const MAX_NESTING: usize = 32;

/// Values and names of members in a body, each of which costs whoever reads it some 50 bytes and 100
/// nanoseconds, however short it is: events of four members, ten thousand of them, have 90,000.
pub(crate) const MAX_VALUES: usize = 100_000;
