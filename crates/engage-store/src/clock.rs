//! Whether the wall clock can be believed: nothing irreversible is done on one reading of it.

use std::time::{Duration, Instant};

use engage_wire::EvenClock;
use jiff::{SignedDuration, Timestamp};
use tracing::warn;

/// Watches the wall clock beside the monotonic one.
///
/// A clock is believed when it has run evenly for an hour. One that is far ahead of what was
/// believed before, as after an NTP era rollover or an empty battery, has to do so for a week.
#[derive(Debug, Default)]
pub(crate) struct ClockWatch {
    clock: EvenClock,
    /// Whether it was said that the clock is far ahead, since it was set last.
    is_warned: bool,
}

impl ClockWatch {
    /// Whether `now` can be acted upon, where `believed` is the last reading that was.
    pub(crate) fn is_plausible(
        &mut self,
        monotonic: Instant,
        now: Timestamp,
        believed: Option<Timestamp>,
    ) -> bool {
        let passed = match self.clock.look(monotonic, now) {
            Ok(passed) => passed,
            Err(step) => {
                warn!(
                    "the clock was set by {step:#}; nothing is removed by its age until the clock has run evenly for an hour"
                );
                self.is_warned = false;
                return false;
            }
        };
        let ahead = believed.map_or(SignedDuration::ZERO, |it| now.duration_since(it));
        if ahead <= MAX_AHEAD {
            return passed >= EVEN_FOR;
        }
        if passed >= EVEN_FOR && !self.is_warned {
            self.is_warned = true;
            warn!(
                "the clock says {now}, {ahead:#} after records were last examined for their age; none is removed until the clock has run evenly for a week"
            );
        }
        passed >= EVEN_FOR_FAR_AHEAD
    }
}

/// How far the wall clock may be ahead of the time in which devices could call.
///
/// A step forwards makes everybody look unseen for as long; so does the time for which the host was
/// off. Until all have had the time to call again, both are taken from their age.
#[derive(Debug, Default)]
pub(crate) struct UnseenClock {
    clock: EvenClock,
    ahead: SignedDuration,
}

impl UnseenClock {
    /// The host has begun at `now`; the clock was believed last at `believed`.
    pub(crate) fn begin(&mut self, monotonic: Instant, now: Timestamp, believed: Timestamp) {
        let _ = self.clock.look(monotonic, now);
        let off = now.duration_since(believed).saturating_sub(BELIEVED_EVERY);
        self.ahead = self.ahead.max(off);
    }

    /// What is to be taken from the age of a device at `now`.
    pub(crate) fn ahead(&mut self, monotonic: Instant, now: Timestamp) -> SignedDuration {
        match self.clock.look(monotonic, now) {
            Ok(even_for) if even_for >= ALL_HAVE_CALLED_AFTER => self.ahead = SignedDuration::ZERO,
            Ok(_) => {}
            Err(step) => self.ahead = self.ahead.saturating_add(step).max(SignedDuration::ZERO),
        }
        self.ahead
    }
}

/// A lock calls every night.
pub(crate) const ALL_HAVE_CALLED_AFTER: Duration = Duration::from_hours(48);

/// The clock is taken down once a day where it can be believed.
const BELIEVED_EVERY: SignedDuration = SignedDuration::from_hours(25);

const EVEN_FOR: Duration = Duration::from_hours(1);

const EVEN_FOR_FAR_AHEAD: Duration = Duration::from_hours(7 * 24);

/// Longer than a host is usually switched off.
const MAX_AHEAD: SignedDuration = SignedDuration::from_hours(60 * 24);

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_hours(1);

    struct Run {
        watch: ClockWatch,
        start: Instant,
    }

    impl Run {
        fn new() -> Self {
            Self {
                watch: ClockWatch::default(),
                start: Instant::now(),
            }
        }

        /// Whether the clock is believed `hours` after the start, if it is wrong by `offset_hours`.
        fn at(&mut self, hours: u32, offset_hours: i64, believed: Option<&str>) -> bool {
            let start: Timestamp = "2026-11-25T00:00:00Z".parse().unwrap();
            let now = start + SignedDuration::from_hours(i64::from(hours) + offset_hours);
            let believed = believed.map(|it| it.parse().unwrap());
            self.watch
                .is_plausible(self.start + HOUR * hours, now, believed)
        }
    }

    #[test]
    fn a_clock_is_believed_after_an_even_hour() {
        let mut run = Run::new();
        assert!(!run.at(0, 0, None));
        assert!(run.at(1, 0, None));
        assert!(run.at(30, 0, Some("2026-11-25T01:00:00Z")));
    }

    #[test]
    fn a_step_in_either_direction_is_waited_out() {
        let mut run = Run::new();
        assert!(!run.at(0, 0, None));
        for offset in [450 * 24, 0, -48, 0] {
            assert!(!run.at(5, offset, None), "{offset}");
        }
        assert!(run.at(6, 0, None));
    }

    #[test]
    fn a_clock_of_another_era_has_to_run_for_a_week() {
        let mut run = Run::new();
        let before = Some("2017-03-01T00:00:00Z");
        assert!(!run.at(0, 0, before));
        assert!(!run.at(30, 0, before));
        assert!(run.at(7 * 24, 0, before));
    }

    #[test]
    fn a_step_forwards_is_taken_from_the_age_of_devices_until_all_could_call_again() {
        let start = Instant::now();
        let wall: Timestamp = "2026-11-25T00:00:00Z".parse().unwrap();
        let mut clock = UnseenClock::default();
        let mut at = |hours: u32, offset: i64| {
            let now = wall + SignedDuration::from_hours(i64::from(hours) + offset);
            clock.ahead(start + HOUR * hours, now).as_hours()
        };
        assert_eq!([at(0, 0), at(10, 0)], [0, 0]);
        assert_eq!([at(10, 48), at(20, 48), at(57, 48)], [48, 48, 48]);
        assert_eq!([at(58, 48), at(100, 48)], [0, 0]);
        // Set back, and right again.
        assert_eq!([at(100, -10), at(101, 48)], [0, 58]);
        // Ahead for a moment.
        assert_eq!([at(101, 5000), at(101, 48)], [58 + 4952, 58]);
    }

    #[test]
    fn the_time_for_which_the_host_was_off_is_taken_from_the_age_of_devices() {
        let start = Instant::now();
        let now: Timestamp = "2026-11-25T00:00:00Z".parse().unwrap();
        for (off, expected) in [(-5, 0), (0, 0), (25, 0), (26, 1), (500, 475)] {
            let mut clock = UnseenClock::default();
            clock.begin(start, now, now - SignedDuration::from_hours(off));
            assert_eq!(clock.ahead(start, now).as_hours(), expected, "{off}");
            let later = now + SignedDuration::from_hours(48);
            assert!(clock.ahead(start + 48 * HOUR, later).is_zero());
        }
    }
}
