//! What is exported of one span.

use std::borrow::Cow;
use std::time::Instant;

use jiff::Timestamp;

use super::{SpanContext, SpanId};

/// A span that has ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Span {
    pub(crate) context: SpanContext,
    pub(crate) parent: Option<SpanId>,
    pub(crate) name: Cow<'static, str>,
    pub(crate) kind: SpanKind,
    pub(crate) start_unix_nanos: u64,
    pub(crate) end_unix_nanos: u64,
    pub(crate) attributes: Vec<(&'static str, AttributeValue)>,
    /// Spans of other traces that this one follows from.
    pub(crate) links: Vec<SpanContext>,
    pub(crate) is_error: bool,
}

/// Who waits for whom, with the numbers of OTLP.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum SpanKind {
    /// A part of what this host does.
    Internal = 1,
    /// Somebody waits for this host.
    Server = 2,
    /// This host waits for somebody.
    Client = 3,
}

/// What an attribute says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) enum AttributeValue {
    Text(Cow<'static, str>),
    Number(i64),
}

impl From<&'static str> for AttributeValue {
    fn from(text: &'static str) -> Self {
        Self::Text(text.into())
    }
}

impl From<String> for AttributeValue {
    fn from(text: String) -> Self {
        Self::Text(text.into())
    }
}

impl From<u16> for AttributeValue {
    fn from(number: u16) -> Self {
        Self::Number(number.into())
    }
}

impl From<u64> for AttributeValue {
    fn from(number: u64) -> Self {
        Self::Number(i64::try_from(number).unwrap_or(i64::MAX))
    }
}

/// Both clocks at the end of a span: while it lasts, only the even one is read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct EndOfSpan {
    unix_nanos: u64,
    instant: Instant,
}

impl EndOfSpan {
    pub(crate) fn now() -> Self {
        let nanos = Timestamp::now().as_nanosecond();
        Self {
            unix_nanos: u64::try_from(nanos).unwrap_or(0),
            instant: Instant::now(),
        }
    }

    /// When a moment before this one was, in nanoseconds since 1970.
    pub(crate) fn unix_nanos_of(&self, moment: Instant) -> u64 {
        let before = self.instant.saturating_duration_since(moment);
        let before = u64::try_from(before.as_nanos()).unwrap_or(u64::MAX);
        self.unix_nanos.saturating_sub(before)
    }

    /// This moment, in nanoseconds since 1970.
    pub(crate) fn unix_nanos(&self) -> u64 {
        self.unix_nanos
    }
}
