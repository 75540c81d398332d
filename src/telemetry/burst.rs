//! One line for a burst of the same event.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Instant;

/// Lets the first event of a burst be logged, then one a minute with the count of the others: a
/// flood must not fill the disk with its own description.
#[derive(Debug)]
pub struct Burst {
    started: Instant,
    /// Seconds after `started`, plus one, at which the last line was allowed; 0 is never.
    last: AtomicU64,
    silent: AtomicU64,
}

impl Burst {
    /// Notes an event. `Some` when it is to be logged, with the number of those that were not
    /// since the last that was.
    pub fn hit(&self) -> Option<u64> {
        self.hit_at(self.started.elapsed().as_secs() + 1)
    }

    fn hit_at(&self, now: u64) -> Option<u64> {
        let last = self.last.load(Ordering::Relaxed);
        let is_due = last == 0 || now.saturating_sub(last) >= SECONDS_BETWEEN_LINES;
        let is_first = is_due
            && self
                .last
                .compare_exchange(last, now, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok();
        if is_first {
            return Some(self.silent.swap(0, Ordering::Relaxed));
        }
        self.silent.fetch_add(1, Ordering::Relaxed);
        None
    }
}

impl Default for Burst {
    fn default() -> Self {
        Self {
            started: Instant::now(),
            last: AtomicU64::new(0),
            silent: AtomicU64::new(0),
        }
    }
}

const SECONDS_BETWEEN_LINES: u64 = 60;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burst_is_one_line_and_a_count() {
        let burst = Burst::default();
        assert_eq!(burst.hit_at(1), Some(0));
        assert_eq!(burst.hit_at(1), None);
        assert_eq!(burst.hit_at(60), None);
        assert_eq!(burst.hit_at(61), Some(2));
        assert_eq!(burst.hit_at(62), None);
    }
}
