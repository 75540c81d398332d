//! The period in which a certificate may be used.

use jiff::Timestamp;

use crate::clock::days_between;

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
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::from_unix_seconds;

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
}
