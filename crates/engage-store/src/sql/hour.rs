//! Hours, in which devices that call are counted.

use jiff::Timestamp;

/// The beginning of an hour, in microseconds since 1970.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub(super) struct Hour(pub(super) i64);

impl Hour {
    pub(super) fn from_timestamp(at: Timestamp) -> Self {
        let micros = at.as_microsecond();
        Self(micros - micros.rem_euclid(MICROS))
    }
}

const MICROS: i64 = 3_600_000_000;
