//! The period in which a certificate may be used.

use jiff::Timestamp;

use crate::clock::days_between;
use crate::limits::EXPIRY_WARNING_DAYS;

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
    pub fn is_early(self, now: Timestamp) -> bool {
        now < self.not_before
    }

    /// Whether the period is over at `now`.
    pub fn is_over(self, now: Timestamp) -> bool {
        now > self.not_after
    }

    /// Whole days left at `now`; negative once it is over.
    pub fn days_left(self, now: Timestamp) -> i64 {
        days_between(now, self.not_after)
    }

    /// Whether at most [`EXPIRY_WARNING_DAYS`] whole days are left at `now`, or none.
    pub fn expires_soon(self, now: Timestamp) -> bool {
        self.days_left(now) <= EXPIRY_WARNING_DAYS
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::{add_days, from_unix_seconds};

    #[test]
    fn the_last_second_still_counts() {
        let validity = Validity {
            not_before: from_unix_seconds(10),
            not_after: from_unix_seconds(20),
        };
        assert!(validity.is_early(from_unix_seconds(9)));
        assert!(!validity.is_early(from_unix_seconds(10)));
        assert!(!validity.is_over(from_unix_seconds(20)));
        assert!(validity.is_over(from_unix_seconds(21)));
        assert_eq!(validity.days_left(from_unix_seconds(21)), -1);
    }

    #[test]
    fn what_has_30_whole_days_left_expires_soon_and_what_has_31_does_not() {
        let end = from_unix_seconds(1_800_000_000);
        let validity = Validity {
            not_before: from_unix_seconds(0),
            not_after: end,
        };
        let expires_soon = |days: i64, seconds: i64| {
            let now = add_days(end, -days);
            validity.expires_soon(from_unix_seconds(now.as_second() + seconds))
        };
        assert!(!expires_soon(31, 0));
        assert!(expires_soon(31, 1));
        assert!(expires_soon(30, 0));
        assert!(expires_soon(-1, 0));
    }
}
