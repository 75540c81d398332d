//! W3C Trace Context: the ids by which this host's traces and those of others name the same.

use std::fmt;

use aws_lc_rs::rand;
use data_encoding::HEXLOWER;
use sha2::{Digest, Sha256};

use engage_store::EventKind;

/// Names a trace. Displayed as 32 hexadecimal digits; never all zeros, which would be none.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct TraceId([u8; 16]);

/// Names a span. Displayed as 16 hexadecimal digits; never all zeros.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SpanId([u8; 8]);

/// A span, with the trace that it is of.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct SpanContext {
    pub(crate) trace: TraceId,
    pub(crate) span: SpanId,
}

impl TraceId {
    /// Of 16 bytes that nothing else has.
    pub(crate) fn new(mut bytes: [u8; 16]) -> Self {
        bytes[15] |= NOT_ZERO;
        Self(bytes)
    }

    /// A number that is spread evenly over all traces, from 0 to 1.
    pub(super) fn fraction(self) -> f64 {
        let Self([a, b, c, d, ..]) = self;
        f64::from(u32::from_be_bytes([a, b, c, d])) / f64::from(u32::MAX)
    }
}

impl SpanId {
    /// `None` without random numbers.
    pub(crate) fn random() -> Option<Self> {
        let mut bytes = [0; 8];
        rand::fill(&mut bytes).ok()?;
        Some(Self::new(bytes))
    }

    fn new(mut bytes: [u8; 8]) -> Self {
        bytes[7] |= NOT_ZERO;
        Self(bytes)
    }
}

impl SpanContext {
    /// The first span of a new trace. `None` without random numbers.
    pub(crate) fn random() -> Option<Self> {
        let mut bytes = [0; 24];
        rand::fill(&mut bytes).ok()?;
        Some(Self::from_bytes(bytes))
    }

    /// The request that brought a batch of events, which is stored once. Every host finds it by the
    /// batch's name, which each of its events has: nothing more needs to be stored.
    pub(crate) fn of_batch(kind: EventKind, batch: &str) -> Self {
        let kind = kind.as_str();
        let hash = Sha256::digest(format!("request that brought {kind} {batch}"));
        let mut bytes = [0; 24];
        bytes.copy_from_slice(&hash[..24]);
        Self::from_bytes(bytes)
    }

    fn from_bytes(bytes: [u8; 24]) -> Self {
        let (mut trace, mut span) = ([0; 16], [0; 8]);
        trace.copy_from_slice(&bytes[..16]);
        span.copy_from_slice(&bytes[16..]);
        Self {
            trace: TraceId::new(trace),
            span: SpanId::new(span),
        }
    }

    /// The header by which a receiver's spans become children of this one. It asks to be recorded:
    /// receivers that follow it would record nothing else.
    pub(crate) fn traceparent(self) -> String {
        format!("00-{}-{}-01", self.trace, self.span)
    }
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(&self.0))
    }
}

const NOT_ZERO: u8 = 1;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_id_is_all_zeros() {
        let context = SpanContext::from_bytes([0; 24]);
        assert_eq!(
            context.traceparent(),
            "00-00000000000000000000000000000001-0000000000000001-01"
        );
    }

    #[test]
    fn a_batch_has_one_request_and_another_kind_or_batch_another() {
        let of = |kind, batch| SpanContext::of_batch(kind, batch);
        let audits = of(EventKind::Audits, "8f0c");
        assert_eq!(audits, of(EventKind::Audits, "8f0c"));
        for other in [of(EventKind::Alerts, "8f0c"), of(EventKind::Audits, "8f0d")] {
            assert_ne!(audits.trace, other.trace);
        }
    }
}
