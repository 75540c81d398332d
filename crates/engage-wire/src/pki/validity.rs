//! Points in time and validity periods, to the second, in UTC.

use std::fmt;
use std::time::{SystemTime, UNIX_EPOCH};

use time::OffsetDateTime;
use time::macros::format_description;

/// A point in time: whole seconds since 1970-01-01T00:00:00Z.
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The system clock's time. Read once per proof, so that one run has one idea of "now".
    #[must_use]
    pub fn now() -> Self {
        Self::from(SystemTime::now())
    }

    /// Wraps seconds since the Unix epoch.
    #[must_use]
    pub const fn from_unix(seconds: i64) -> Self {
        Self(seconds)
    }

    /// Seconds since the Unix epoch.
    #[must_use]
    pub const fn unix(self) -> i64 {
        self.0
    }

    /// This point moved by whole days, which may be negative.
    #[must_use]
    pub const fn plus_days(self, days: i64) -> Self {
        Self(self.0.saturating_add(days.saturating_mul(SECONDS_PER_DAY)))
    }

    /// Whole days from `earlier` to this point, rounded towards the past: 23 hours are 0 days,
    /// one second ago is -1.
    #[must_use]
    pub const fn days_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0).div_euclid(SECONDS_PER_DAY)
    }
}

impl From<SystemTime> for Timestamp {
    fn from(time: SystemTime) -> Self {
        // A clock before 1970 belongs to a device without a battery; its certificates are "not
        // yet valid", which is what the caller then says.
        let seconds = time
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_secs());
        Self(i64::try_from(seconds).unwrap_or(i64::MAX))
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let format = format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");
        let text = OffsetDateTime::from_unix_timestamp(self.0)
            .ok()
            .and_then(|time| time.format(format).ok());
        match text {
            Some(text) => f.write_str(&text),
            None => write!(f, "{} s after 1970", self.0),
        }
    }
}

/// The period in which a certificate may be used; both ends belong to it (RFC 5280 section
/// 4.1.2.5).
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Validity {
    /// First valid second.
    pub not_before: Timestamp,
    /// Last valid second.
    pub not_after: Timestamp,
}

impl Validity {
    /// Whether the period has not begun at `now`.
    #[must_use]
    pub fn is_early(self, now: Timestamp) -> bool {
        now < self.not_before
    }

    /// Whether the period is over at `now`.
    #[must_use]
    pub fn is_over(self, now: Timestamp) -> bool {
        now > self.not_after
    }

    /// Whole days left at `now`; negative once it is over.
    #[must_use]
    pub fn days_left(self, now: Timestamp) -> i64 {
        self.not_after.days_since(now)
    }
}

const SECONDS_PER_DAY: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_second_still_counts() {
        let validity = Validity {
            not_before: Timestamp::from_unix(10),
            not_after: Timestamp::from_unix(20),
        };
        assert!(validity.is_early(Timestamp::from_unix(9)));
        assert!(!validity.is_early(Timestamp::from_unix(10)));
        assert!(!validity.is_over(Timestamp::from_unix(20)));
        assert!(validity.is_over(Timestamp::from_unix(21)));
        assert_eq!(validity.days_left(Timestamp::from_unix(21)), -1);
    }

    #[test]
    fn timestamps_read_as_utc() {
        assert_eq!(
            Timestamp::from_unix(1_795_392_000).to_string(),
            "2026-11-23T00:00:00Z"
        );
    }
}
