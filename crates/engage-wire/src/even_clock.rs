//! Whether the wall clock runs evenly: one that jumps is not to be believed yet.

use std::time::{Duration, Instant};

use jiff::{SignedDuration, Timestamp};

/// Compares the wall clock with the monotonic one, at each look.
#[derive(Debug, Default)]
pub struct EvenClock(Option<(Instant, Timestamp)>);

impl EvenClock {
    /// For how long the wall clock, which says `now`, has run evenly; or by how much it was set since
    /// the last look, after which it begins anew.
    pub fn look(&mut self, monotonic: Instant, now: Timestamp) -> Result<Duration, SignedDuration> {
        let (since, reading) = *self.0.get_or_insert((monotonic, now));
        let passed = monotonic.saturating_duration_since(since);
        let expected = SignedDuration::try_from(passed).unwrap_or(SignedDuration::MAX);
        let step = now.duration_since(reading).saturating_sub(expected);
        if step.abs() > tolerance(expected) {
            self.0 = Some((monotonic, now));
            return Err(step);
        }
        Ok(passed)
    }
}

/// Clocks drift, and are slewed by up to 500 ppm (adjtimex(2)).
fn tolerance(passed: SignedDuration) -> SignedDuration {
    SignedDuration::from_secs(60) + passed / 1000
}
