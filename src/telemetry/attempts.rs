//! Addresses that keep presenting wrong credentials.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Counts failures for each address, and says when one has had too many.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<HashMap<IpAddr, Failures>>);

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

impl Attempts {
    /// Whether an address may try once more.
    #[must_use]
    pub fn may_try(&self, address: IpAddr) -> bool {
        self.may_try_at(address, Instant::now())
    }

    /// An address presented wrong credentials.
    pub fn note_failure(&self, address: IpAddr) {
        self.note_failure_at(address, Instant::now());
    }

    fn may_try_at(&self, address: IpAddr, now: Instant) -> bool {
        let mut failures = self.locked();
        if failures.len() >= MOST_ADDRESSES {
            failures.retain(|_, failed| failed.is_recent(now));
        }
        match failures.get(&guesser(address)) {
            Some(failed) => failed.count < MOST_FAILURES || !failed.is_recent(now),
            // Beyond the bound nobody's failures can be counted, so nobody may guess for a while.
            None => failures.len() < MOST_ADDRESSES,
        }
    }

    fn note_failure_at(&self, address: IpAddr, now: Instant) {
        let mut failures = self.locked();
        let fresh = Failures {
            since: now,
            count: 0,
        };
        let failed = failures.entry(guesser(address)).or_insert(fresh);
        if !failed.is_recent(now) {
            *failed = fresh;
        }
        failed.count += 1;
    }

    fn locked(&self) -> MutexGuard<'_, HashMap<IpAddr, Failures>> {
        // An entry is whole at every moment, so a poisoned map is still right.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whom a failure is counted for: one customer has a whole IPv6 /64 to guess from.
fn guesser(address: IpAddr) -> IpAddr {
    match address.to_canonical() {
        IpAddr::V6(v6) => Ipv6Addr::from_bits(v6.to_bits() >> 64 << 64).into(),
        v4 @ IpAddr::V4(_) => v4,
    }
}

/// A device with a wrong password tries a few times a night; a guesser tries all the time.
const MOST_FAILURES: u32 = 10;
const PERIOD: Duration = Duration::from_mins(1);
/// About 2 MB at the most.
const MOST_ADDRESSES: usize = 50_000;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ten_failures_a_minute_are_too_many() {
        let attempts = Attempts::default();
        let (address, start) = (IpAddr::from([10, 0, 0, 1]), Instant::now());
        for _ in 0..MOST_FAILURES {
            assert!(attempts.may_try_at(address, start));
            attempts.note_failure_at(address, start);
        }
        assert!(!attempts.may_try_at(address, start));
        assert!(attempts.may_try_at(IpAddr::from([10, 0, 0, 2]), start));
        assert!(attempts.may_try_at(address, start + PERIOD));
        attempts.note_failure_at(address, start + PERIOD);
        assert!(attempts.may_try_at(address, start + PERIOD));
    }

    #[test]
    fn guessers_from_everywhere_do_not_lock_devices_out_for_good() {
        let attempts = Attempts::default();
        let start = Instant::now();
        for number in 0..u32::try_from(MOST_ADDRESSES).unwrap() {
            attempts.note_failure_at(IpAddr::V4(number.into()), start);
        }
        let device = IpAddr::from([200, 0, 0, 1]);
        assert!(!attempts.may_try_at(device, start));
        assert!(attempts.may_try_at(device, start + PERIOD));
    }
}
