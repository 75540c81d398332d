//! Points in time as certificates have them: whole seconds, in UTC.

use jiff::{SignedDuration, Timestamp};

/// The system clock's time, to the second.
///
/// Read once per validation, so that one run has one idea of "now".
pub fn now() -> Timestamp {
    from_unix_seconds(Timestamp::now().as_second())
}

/// Seconds since 1970, or the nearest time that there is: certificates without an end expire in
/// the last second of the year 9999 (RFC 5280 section 4.1.2.5), hours after the last time that the
/// library knows.
pub fn from_unix_seconds(seconds: i64) -> Timestamp {
    let (first, last) = (Timestamp::MIN.as_second(), Timestamp::MAX.as_second());
    Timestamp::from_second(seconds.clamp(first, last)).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// `time` moved by whole days, which may be negative.
pub fn add_days(time: Timestamp, days: i64) -> Timestamp {
    from_unix_seconds(
        time.as_second()
            .saturating_add(days.saturating_mul(SECONDS_PER_DAY)),
    )
}

/// Whole days from `earlier` to `later`, rounded towards the past: 23 hours are 0 days, one second
/// ago is -1.
pub fn days_between(earlier: Timestamp, later: Timestamp) -> i64 {
    let duration: SignedDuration = later.duration_since(earlier);
    duration.as_secs().div_euclid(SECONDS_PER_DAY)
}

const SECONDS_PER_DAY: i64 = 86_400;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_rounded_towards_the_past() {
        let at = from_unix_seconds;
        assert_eq!(days_between(at(0), at(86_399)), 0);
        assert_eq!(days_between(at(1), at(0)), -1);
        assert_eq!(add_days(at(0), -1), at(-86_400));
    }

    #[test]
    fn a_certificate_without_an_end_has_the_last_time_there_is() {
        assert_eq!(
            from_unix_seconds(253_402_300_799).to_string(),
            "9999-12-30T22:00:00Z"
        );
        assert_eq!(
            add_days(Timestamp::MAX, i64::MAX),
            from_unix_seconds(i64::MAX)
        );
    }
}
