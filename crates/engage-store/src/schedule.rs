//! When a device is to call next.

use std::fmt;
use std::str::FromStr;

use jiff::civil::{Date, Time};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp, ToSpan, ZonedDateTime};
use sha2::{Digest, Sha256};

use super::DeviceId;

/// The hours of the night in which devices call, each at its own second.
///
/// In the configured time zone, whatever the daylight saving time does: a second that a spring
/// night skips is moved as far as the clock was, one that an autumn night repeats is its first.
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallInWindow {
    hours: CallInHours,
    zone: TimeZone,
}

impl CallInWindow {
    /// These hours in this time zone.
    pub fn new(hours: CallInHours, zone: TimeZone) -> Self {
        Self { hours, zone }
    }

    /// Reads "HH:MM-HH:MM" and an IANA time zone: "Europe/Berlin".
    pub fn parse(hours: &str, zone: &str) -> Result<Self, WindowError> {
        Ok(Self::new(hours.parse()?, parse_time_zone(zone)?))
    }

    /// When `device` is to call next, as its `dbDwnLdTm`.
    ///
    /// At least an hour ahead: a device whose clock is a little fast has made tonight's call and
    /// is not to make it again in a minute. So at most 25 hours ahead, and one more where a clock
    /// is put back.
    pub fn next_call(&self, device: &DeviceId, now: Timestamp) -> CallTime {
        let offset = self.offset_seconds(device);
        let earliest = now + LEAD;
        let today = now.to_zoned_datetime(self.zone.clone()).date();
        // From the day before: after midnight, its window may still be open.
        (-1..=MAX_DAYS_AHEAD)
            .filter_map(|days| self.call_on(today.checked_add(days.days()).ok()?, offset))
            .find(|call| call.timestamp() >= earliest)
            .map_or_else(
                || CallTime(earliest.to_zoned_datetime(self.zone.clone())),
                CallTime,
            )
    }

    /// The same second of the window for the same device, whatever else changes.
    fn offset_seconds(&self, device: &DeviceId) -> i64 {
        let mut first = [0; 4];
        first.copy_from_slice(&Sha256::digest(device.to_string())[..4]);
        i64::from(u32::from_be_bytes(first)) % self.hours.length_seconds
    }

    fn call_on(&self, day: Date, offset_seconds: i64) -> Option<ZonedDateTime> {
        let clock = day
            .to_datetime(self.hours.start)
            .checked_add(SignedDuration::from_secs(offset_seconds))
            .ok()?;
        // Compatible (RFC 5545): a skipped time moves on, a repeated one is its first.
        clock.to_zoned_datetime(self.zone.clone()).ok()
    }
}

/// Two different times of day, of which the second may be tomorrow's.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct CallInHours {
    start: Time,
    length_seconds: i64,
}

impl Default for CallInHours {
    /// Midnight to four.
    fn default() -> Self {
        Self {
            start: Time::midnight(),
            length_seconds: 4 * 3600,
        }
    }
}

impl FromStr for CallInHours {
    type Err = WindowError;

    /// Reads "HH:MM-HH:MM".
    fn from_str(text: &str) -> Result<Self, WindowError> {
        let refused = || WindowError::Hours(text.to_owned());
        let (start, end) = text.split_once('-').ok_or_else(refused)?;
        let start = time_of_day(start).ok_or_else(refused)?;
        let end = time_of_day(end).ok_or_else(refused)?;
        let length_seconds = start.duration_until(end).as_secs().rem_euclid(DAY_SECONDS);
        if length_seconds == 0 {
            return Err(refused());
        }
        Ok(Self {
            start,
            length_seconds,
        })
    }
}

/// Looks a name up in the IANA database.
pub fn parse_time_zone(name: &str) -> Result<TimeZone, WindowError> {
    TimeZone::get(name).map_err(|_| WindowError::Zone(name.to_owned()))
}

/// A local time to the second. Displayed as devices receive it: "YYYYMMDDHHMMSS".
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct CallTime(ZonedDateTime);

impl CallTime {
    /// The moment.
    pub fn timestamp(&self) -> Timestamp {
        self.0.timestamp()
    }
}

impl fmt::Display for CallTime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let clock = self.0.datetime();
        write!(
            f,
            "{:04}{:02}{:02}{:02}{:02}{:02}",
            clock.year(),
            clock.month(),
            clock.day(),
            clock.hour(),
            clock.minute(),
            clock.second()
        )
    }
}

/// Why hours and a time zone are no call-in window.
#[derive(Clone, Debug, Eq, PartialEq, thiserror::Error)]
pub enum WindowError {
    /// Not two different times of day.
    #[error(
        "call-in window `{0}` is not two different times of day; allowed: `HH:MM-HH:MM`, such as `00:00-04:00`"
    )]
    Hours(String),
    /// Not in the time zone database.
    #[error(
        "time zone `{0}` is not known; allowed: a name of the IANA database, such as `Europe/Berlin`"
    )]
    Zone(String),
}

fn time_of_day(text: &str) -> Option<Time> {
    let (hour, minute) = text.trim().split_once(':')?;
    let two_digits = |text: &str| match text.as_bytes() {
        [b'0'..=b'9', b'0'..=b'9'] => text.parse().ok(),
        _ => None,
    };
    Time::new(two_digits(hour)?, two_digits(minute)?, 0, 0).ok()
}

const DAY_SECONDS: i64 = 86_400;

const LEAD: SignedDuration = SignedDuration::from_hours(1);

/// Once, a zone has skipped a whole day (Pacific/Apia, 2011-12-30).
const MAX_DAYS_AHEAD: i32 = 4;

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const ZONES: [&str; 4] = [
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "UTC",
    ];

    const WINDOWS: [&str; 5] = [
        "00:00-04:00",
        "22:30-03:15",
        "02:00-03:00",
        "00:00-23:59",
        "23:59-00:00",
    ];

    fn device(number: u64) -> DeviceId {
        format!("{number:016X}").parse().unwrap()
    }

    #[test]
    fn the_hours_are_two_different_times_of_day() {
        for hours in [
            "",
            "00:00",
            "00:00-00:00",
            "24:00-01:00",
            "0:00-4:00",
            "00:60-04:00",
            "+1:00-02:00",
        ] {
            let refused = CallInWindow::parse(hours, "UTC").unwrap_err();
            assert_eq!(refused, WindowError::Hours(hours.to_owned()));
        }
        assert!(CallInWindow::parse("00:00-04:00", "Europe/Berlin").is_ok());
        assert!(CallInWindow::parse("00:00-04:00", "Europe/Atlantis").is_err());
    }

    #[test]
    fn a_device_that_calls_seconds_early_is_not_called_back_the_same_night() {
        let window = CallInWindow::parse("00:00-04:00", "Europe/Berlin").unwrap();
        let now = "2026-06-01T12:00:00Z".parse().unwrap();
        let tonight = window.next_call(&device(1), now).timestamp();
        let early = tonight - SignedDuration::from_secs(30);
        let next = window.next_call(&device(1), early).timestamp();
        assert_eq!(next.duration_since(tonight), SignedDuration::from_hours(24));
    }

    #[test]
    fn a_skipped_second_moves_with_the_clock_and_is_written_as_the_clock_shows_it() {
        // Berlin went from 02:00 to 03:00 on 2026-03-29; the whole window is skipped.
        let window = CallInWindow::parse("02:00-03:00", "Europe/Berlin").unwrap();
        let now = "2026-03-28T12:00:00Z".parse().unwrap();
        for number in 0..200 {
            let call = window.next_call(&device(number), now).to_string();
            assert!(call.starts_with("2026032903"), "{call}");
        }
    }

    #[test]
    fn devices_are_spread_evenly() {
        let window = CallInWindow::parse("22:00-02:00", "UTC").unwrap();
        let now: Timestamp = "2026-06-01T12:00:00Z".parse().unwrap();
        let opening: Timestamp = "2026-06-01T22:00:00Z".parse().unwrap();
        let mut quarters = [0_u32; 16];
        for number in 0..16_000 {
            let call = window.next_call(&device(number), now).timestamp();
            let seconds = call.duration_since(opening).as_secs();
            quarters[usize::try_from(seconds / 900).unwrap()] += 1;
        }
        // 1000 expected in each quarter of an hour, with a standard deviation of 31.
        assert!(
            quarters.iter().all(|count| (850..1150).contains(count)),
            "{quarters:?}"
        );
    }

    /// Any second of 2024 to 2030, half of them within a day of a change of the clock.
    fn now_in(zone: &str) -> impl Strategy<Value = Timestamp> + use<> {
        let start: Timestamp = "2024-01-01T00:00:00Z".parse().unwrap();
        let zone = TimeZone::get(zone).unwrap();
        let changes: Vec<_> = zone
            .following(start)
            .take(12)
            .map(|change| change.timestamp().as_second())
            .collect();
        let any = start.as_second()..start.as_second() + 6 * 365 * DAY_SECONDS;
        let near = (0..12_usize, -DAY_SECONDS..DAY_SECONDS).prop_map(move |(nth, seconds)| {
            changes.get(nth).copied().unwrap_or(start.as_second()) + seconds
        });
        prop_oneof![any, near].prop_map(|second| Timestamp::from_second(second).unwrap())
    }

    fn zone_and_now() -> impl Strategy<Value = (&'static str, Timestamp)> {
        (0..ZONES.len()).prop_flat_map(|at| (Just(ZONES[at]), now_in(ZONES[at])))
    }

    proptest! {
        #[test]
        fn the_next_call_is_ahead_within_26_hours_and_in_the_window(
            (zone, now) in zone_and_now(),
            hours in prop::sample::select(&WINDOWS[..]),
            number: u64,
        ) {
            let window = CallInWindow::parse(hours, zone).unwrap();
            let call = window.next_call(&device(number), now);
            let ahead = call.timestamp().duration_since(now);
            prop_assert!(ahead >= LEAD, "{} ahead", ahead);
            prop_assert!(ahead <= SignedDuration::from_hours(26), "{} ahead", ahead);

            // What the clock shows, or would show had it not been put forward.
            let into = |clock: Time| window.hours.start.duration_until(clock).as_secs().rem_euclid(DAY_SECONDS);
            let shown = into(call.0.time());
            let unshifted = [0, 1800, 3600].map(|gap| (shown - gap).rem_euclid(DAY_SECONDS));
            let offset = window.offset_seconds(&device(number));
            let is_put_forward = TimeZone::get(zone).unwrap()
                .preceding(call.timestamp() + SignedDuration::from_secs(1))
                .next()
                .is_some_and(|change| call.timestamp().duration_since(change.timestamp()) <= LEAD);
            prop_assert!(shown == offset || is_put_forward && unshifted.contains(&offset));
            prop_assert!(offset < window.hours.length_seconds);
        }

        #[test]
        fn the_text_is_the_moment_in_the_zone((zone, now) in zone_and_now(), number: u64) {
            let call = CallInWindow::parse("22:30-03:15", zone).unwrap().next_call(&device(number), now);
            let text = call.to_string();
            let read = jiff::civil::DateTime::strptime("%Y%m%d%H%M%S", &text).unwrap();
            prop_assert_eq!(text.len(), 14);
            prop_assert_eq!(read, call.0.datetime());
        }

        #[test]
        fn no_text_makes_it_panic(hours: String) {
            let _ = hours.parse::<CallInHours>();
        }
    }
}
