//! Callers that keep presenting wrong credentials.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use engage_wire::{CallerNetwork, ShardedLru};

/// Counts failures for each caller's network, and says when one has had too many.
#[derive(Debug, Default)]
pub(crate) struct LoginThrottle(ShardedLru<CallerNetwork, Failures>);

#[derive(Clone, Copy, Debug)]
struct Failures {
    since: Instant,
    count: u32,
}

impl Failures {
    fn is_recent(self, now: Instant) -> bool {
        now.duration_since(self.since) < PERIOD
    }
}

impl LoginThrottle {
    /// Whether a caller may try once more.
    pub(crate) fn check(&self, caller: IpAddr) -> bool {
        self.check_at(caller, Instant::now())
    }

    /// A caller presented wrong credentials.
    pub(crate) fn record_failure(&self, caller: IpAddr) {
        self.record_failure_at(caller, Instant::now());
    }

    fn check_at(&self, caller: IpAddr, now: Instant) -> bool {
        self.0
            .shard(caller)
            .get(&caller.into())
            .is_none_or(|failures| failures.count < MAX_FAILURES || !failures.is_recent(now))
    }

    fn record_failure_at(&self, caller: IpAddr, now: Instant) {
        let fresh = Failures {
            since: now,
            count: 0,
        };
        let mut shard = self.0.shard(caller);
        let failures = shard.entry(caller.into()).or_insert(fresh);
        if !failures.is_recent(now) {
            *failures = fresh;
        }
        failures.count += 1;
    }
}

/// A device with a wrong password tries a few times a night, a person a few times in a row; a guesser
/// tries all the time.
const MAX_FAILURES: u32 = 10;
pub(crate) const PERIOD: Duration = Duration::from_mins(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_failures_a_minute_are_too_many() {
        let throttle = LoginThrottle::default();
        let (caller, start) = (IpAddr::from([10, 0, 0, 1]), Instant::now());
        for _ in 0..MAX_FAILURES {
            assert!(throttle.check_at(caller, start));
            throttle.record_failure_at(caller, start);
        }
        assert!(!throttle.check_at(caller, start));
        assert!(throttle.check_at(IpAddr::from([10, 0, 0, 2]), start));
        assert!(throttle.check_at(caller, start + PERIOD));
        throttle.record_failure_at(caller, start + PERIOD);
        assert!(throttle.check_at(caller, start + PERIOD));
    }

    #[test]
    fn a_guesser_cannot_change_to_another_address_of_its_subnet() {
        let throttle = LoginThrottle::default();
        let start = Instant::now();
        for host in 0..u128::from(MAX_FAILURES) {
            let guesser = IpAddr::V6((0x2001_0db8_u128 << 96 | host).into());
            throttle.record_failure_at(guesser, start);
        }
        assert!(!throttle.check_at("2001:db8::ffff".parse().unwrap(), start));
    }

    #[test]
    fn guessers_from_everywhere_lock_no_device_out() {
        let throttle = LoginThrottle::default();
        let start = Instant::now();
        for number in 0..200_000_u32 {
            throttle.record_failure_at(IpAddr::V4(number.into()), start);
        }
        assert!(throttle.check_at(IpAddr::from([200, 0, 0, 1]), start));
    }
}
