//! How long new certificates are valid.

use jiff::Timestamp;

use crate::clock::{add_days, days_between};
use crate::pki::Validity;

/// The validity periods of certificates that are issued together.
#[derive(Clone, Copy, Debug)]
pub struct ValidityPolicy {
    now: Timestamp,
    server_days: Option<u32>,
    /// Whether nothing is to end beyond what 32-bit clocks can tell.
    is_bounded: bool,
}

impl ValidityPolicy {
    /// Periods that begin one day before `now`. A server certificate is valid for `server_days`, or
    /// for ten years, but then not beyond what 32-bit clocks can tell.
    pub fn new(now: Timestamp, server_days: Option<u32>) -> Self {
        Self {
            now,
            server_days,
            is_bounded: server_days.is_none(),
        }
    }

    /// Periods that begin one day before `now` and last as long as `present`, but not beyond what 32-bit
    /// clocks can tell.
    pub fn lasting_as(present: Validity, now: Timestamp) -> Self {
        let days = days_between(present.not_before, present.not_after) - BACK_DATED_DAYS;
        Self {
            now,
            server_days: Some(u32::try_from(days.max(1)).unwrap_or(u32::MAX)),
            is_bounded: true,
        }
    }

    /// The moment of issue.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// Of a server certificate.
    pub fn server(&self) -> Validity {
        self.lasting(0)
    }

    /// Of a root or an intermediate.
    pub fn authority(&self) -> Validity {
        self.lasting(AUTHORITY_EXTRA_DAYS)
    }

    fn lasting(&self, extra_days: i64) -> Validity {
        let days = self.server_days.map_or(DEFAULT_SERVER_DAYS, i64::from);
        let wanted = add_days(self.now, days + extra_days);
        let is_clamped =
            self.is_bounded && days_between(self.now, LAST_32_BIT_SECOND) >= MIN_CLAMPED_DAYS;
        let not_after = if is_clamped {
            wanted.min(LAST_32_BIT_SECOND)
        } else {
            wanted
        };
        Validity {
            not_before: add_days(self.now, -BACK_DATED_DAYS),
            not_after,
        }
    }
}

/// Ten years: a lock outlives most certificates, and nobody watches its expiry at night.
const DEFAULT_SERVER_DAYS: i64 = 3650;

/// How much longer a root and an intermediate last: a server certificate can be renewed once for
/// a year at its end, in peace, before every device needs another root.
const AUTHORITY_EXTRA_DAYS: i64 = 400;

/// Device clocks drift, and some start without a time zone.
const BACK_DATED_DAYS: i64 = 1;

/// 2038-01-19T03:14:07Z: the clock of an embedded device may not be able to tell a later time,
/// and reads it as 1901: long expired.
const LAST_32_BIT_SECOND: Timestamp = Timestamp::constant(i32::MAX as i64, 0);

/// Below this the bound above would give certificates that are useless for every device, for
/// the sake of some.
const MIN_CLAMPED_DAYS: i64 = 366;

#[cfg(test)]
mod tests {
    use super::*;

    const NOVEMBER_2026: Timestamp = Timestamp::constant(1_795_392_000, 0);

    #[test]
    fn a_server_certificate_lasts_ten_years_and_its_issuers_400_days_longer() {
        let validity_policy = ValidityPolicy::new(NOVEMBER_2026, None);
        assert_eq!(validity_policy.server().days_left(NOVEMBER_2026), 3650);
        assert_eq!(validity_policy.authority().days_left(NOVEMBER_2026), 4050);
        for validity in [validity_policy.server(), validity_policy.authority()] {
            assert_eq!(days_between(validity.not_before, NOVEMBER_2026), 1);
        }
    }

    #[test]
    fn nothing_ends_after_2038_unless_the_operator_asked_for_days() {
        let in_2030 = add_days(NOVEMBER_2026, 1200);
        let default = ValidityPolicy::new(in_2030, None);
        for validity in [default.server(), default.authority()] {
            assert_eq!(validity.not_after.to_string(), "2038-01-19T03:14:07Z");
        }
        let asked = ValidityPolicy::new(in_2030, Some(3650));
        assert_eq!(asked.server().days_left(in_2030), 3650);
        assert_eq!(asked.authority().days_left(in_2030), 4050);
    }

    #[test]
    fn the_bound_is_given_up_where_it_would_leave_less_than_a_year() {
        for days in [3800, 4100, 5000] {
            let late = add_days(NOVEMBER_2026, days);
            let validity = ValidityPolicy::new(late, None).server();
            assert!(validity.days_left(late) >= 366, "{days}");
        }
    }
}
