//! One line for a burst of the same event.

use std::fmt;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::{CallerNetwork, ShardedLru};
use parking_lot::Mutex;

/// Lets the first event of a burst be logged, then one a minute with the count of the others: a
/// flood must not fill the disk with its own description.
#[derive(Debug)]
pub struct LogThrottle {
    started: Instant,
    /// Seconds after `started`, plus one, at which the last line was allowed; 0 is never.
    last: AtomicU64,
    suppressed: AtomicU64,
}

impl LogThrottle {
    /// Notes an event. `Some` if it is to be logged.
    pub fn check(&self) -> Option<Suppressed> {
        self.check_at(self.started.elapsed().as_secs() + 1)
    }

    fn check_at(&self, now: u64) -> Option<Suppressed> {
        let last = self.last.load(Ordering::Relaxed);
        let is_due = last == 0 || now.saturating_sub(last) >= SECONDS_BETWEEN_LINES;
        let is_first = is_due
            && self
                .last
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_first {
            return Some(Suppressed(self.suppressed.swap(0, Ordering::Relaxed)));
        }
        self.suppressed.fetch_add(1, Ordering::Relaxed);
        None
    }
}

/// How many events were not logged since the last that was. Displayed as the end of a message.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Suppressed(u64);

impl Suppressed {
    /// The number, for the field `others`.
    pub fn count(self) -> u64 {
        self.0
    }
}

impl fmt::Display for Suppressed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => Ok(()),
            others => write!(f, "; {others} others since the last such line"),
        }
    }
}

impl Default for LogThrottle {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            last: AtomicU64::new(0),
            suppressed: AtomicU64::new(0),
        }
    }
}

/// Lets some lines a minute be logged of each network, because each may tell of another lock, and more of
/// all together.
#[derive(Debug, Default)]
pub struct CallerThrottle {
    each: ShardedLru<CallerNetwork, Minute>,
    all: Mutex<Minute>,
    suppressed: AtomicU64,
}

#[derive(Debug, Default)]
struct Minute {
    since: Option<Instant>,
    lines: u32,
}

impl CallerThrottle {
    /// Notes an event that `caller` has caused. `Some` if it is to be logged.
    pub fn check(&self, caller: IpAddr) -> Option<Suppressed> {
        self.check_at(caller, Instant::now())
    }

    fn check_at(&self, caller: IpAddr, now: Instant) -> Option<Suppressed> {
        let mut shard = self.each.shard(caller);
        let each = shard.entry(caller.into()).or_insert_with(Minute::default);
        let is_logged =
            each.takes(MAX_LINES_EACH, now) && self.all.lock().takes(MAX_LINES_OF_ALL, now);
        if !is_logged {
            self.suppressed.fetch_add(1, Ordering::Relaxed);
            return None;
        }
        Some(Suppressed(self.suppressed.swap(0, Ordering::Relaxed)))
    }
}

impl Minute {
    /// Whether one line more is within `max`.
    fn takes(&mut self, max: u32, now: Instant) -> bool {
        if self
            .since
            .is_none_or(|since| now.duration_since(since) >= MINUTE)
        {
            (self.since, self.lines) = (Some(now), 0);
        }
        let has_room = self.lines < max;
        self.lines += u32::from(has_room);
        has_room
    }
}

const MINUTE: Duration = Duration::from_mins(1);

/// A lock that fails tries a few times a night.
const MAX_LINES_EACH: u32 = 10;
const MAX_LINES_OF_ALL: u32 = 600;

const SECONDS_BETWEEN_LINES: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_one_line_and_a_count() {
        let throttle = LogThrottle::default();
        assert_eq!(throttle.check_at(1), Some(Suppressed(0)));
        assert_eq!(throttle.check_at(1), None);
        assert_eq!(throttle.check_at(60), None);
        assert_eq!(throttle.check_at(61), Some(Suppressed(2)));
        assert_eq!(throttle.check_at(62), None);
    }

    #[test]
    fn who_makes_many_lines_silences_nobody_else_and_all_together_are_bounded() {
        let (throttle, now) = (CallerThrottle::default(), Instant::now());
        let lines = |number: u32, at| {
            let caller = IpAddr::V4(number.into());
            (0..50)
                .filter_map(|_| throttle.check_at(caller, at))
                .count()
        };
        assert_eq!((lines(1, now), lines(2, now)), (10, 10));
        assert_eq!(
            (3..100).map(|number| lines(number, now)).sum::<usize>(),
            580
        );
        let later = now + MINUTE;
        let others = throttle.check_at(IpAddr::V4(1.into()), later);
        assert_eq!(others, Some(Suppressed(40 + 39 * 50)));
    }

    #[test]
    fn every_event_is_a_line_or_among_the_others_of_one() {
        let (throttle, now) = (CallerThrottle::default(), Instant::now());
        let (mut events, mut told) = (0, 0);
        for (networks, at) in [(100, now), (60, now + MINUTE), (1, now + 2 * MINUTE)] {
            for number in 0..networks * 11 {
                let caller = IpAddr::V4((number % networks).into());
                events += 1;
                told += throttle
                    .check_at(caller, at)
                    .map_or(0, |others| 1 + others.count());
            }
        }
        // The eleventh of the last network.
        assert_eq!(told, events - 1);
    }

    #[test]
    fn nothing_is_said_of_no_others() {
        assert_eq!(Suppressed(0).to_string(), "");
        let some = Suppressed(2).to_string();
        assert_eq!(some, "; 2 others since the last such line");
    }
}
